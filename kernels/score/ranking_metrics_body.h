// The arithmetic of one list's metrics, for both twins.
#ifndef PENCHANT_KERNELS_SCORE_RANKING_METRICS_BODY_H_
#define PENCHANT_KERNELS_SCORE_RANKING_METRICS_BODY_H_

#include <cmath>
#include <cstdint>

#include "kernels/base/host_device.h"
#include "kernels/base/sorted.h"
#include "kernels/score/ranking_metrics.h"

namespace penchant {

// Of the first `listed` recommended items against `tests` sorted test items, at cut-off k.
PENCHANT_HOST_DEVICE inline RankingMetrics MetricsOfList(const int32_t* recommended, int64_t listed,
                                                         const int32_t* test, int64_t tests,
                                                         int64_t k) {
  RankingMetrics metrics;
  const int64_t possible = k < tests ? k : tests;
  int64_t hits = 0;
  double gain = 0, precision_sum = 0;
  for (int64_t i = 0; i < listed; ++i) {
    if (recommended[i] < 0 || FindSorted(test, tests, recommended[i]) < 0) continue;
    ++hits;
    const double rank = static_cast<double>(i + 1);
    if (hits == 1) metrics.mrr = 1.0 / rank;
    gain += 1.0 / log2(rank + 1.0);
    precision_sum += static_cast<double>(hits) / rank;
  }
  double ideal = 0;
  for (int64_t i = 0; i < possible; ++i) ideal += 1.0 / log2(static_cast<double>(i) + 2.0);
  metrics.recall = static_cast<double>(hits) / static_cast<double>(tests);
  metrics.precision = static_cast<double>(hits) / static_cast<double>(k);
  metrics.ndcg = gain / ideal;
  metrics.map = precision_sum / static_cast<double>(possible);
  metrics.hit_rate = hits > 0 ? 1.0 : 0.0;
  return metrics;
}

}  // namespace penchant

#endif  // PENCHANT_KERNELS_SCORE_RANKING_METRICS_BODY_H_
