#include "trainer/metrics.h"

#include <algorithm>
#include <cmath>

#include "kernels/base/errors.h"

namespace penchant {

RankingMetrics ComputeMetrics(std::span<const int32_t> recommended, std::span<const int32_t> test,
                              int64_t k) {
  RankingMetrics metrics;
  const int64_t listed = std::min<int64_t>(k, static_cast<int64_t>(recommended.size()));
  const int64_t possible = std::min<int64_t>(k, static_cast<int64_t>(test.size()));
  int64_t hits = 0;
  double gain = 0, precision_sum = 0;
  for (int64_t i = 0; i < listed; ++i) {
    const int32_t item = recommended[i];
    if (item < 0 || !std::binary_search(test.begin(), test.end(), item)) continue;
    ++hits;
    const double rank = static_cast<double>(i + 1);
    if (hits == 1) metrics.mrr = 1.0 / rank;
    gain += 1.0 / std::log2(rank + 1.0);
    precision_sum += static_cast<double>(hits) / rank;
  }
  double ideal = 0;
  for (int64_t i = 0; i < possible; ++i) ideal += 1.0 / std::log2(static_cast<double>(i) + 2.0);
  metrics.recall = static_cast<double>(hits) / static_cast<double>(test.size());
  metrics.precision = static_cast<double>(hits) / static_cast<double>(k);
  metrics.ndcg = gain / ideal;
  metrics.map = precision_sum / static_cast<double>(possible);
  metrics.hit_rate = hits > 0 ? 1.0 : 0.0;
  return metrics;
}

double MetricByName(const RankingMetrics& metrics, const std::string& name) {
  const double values[] = {metrics.recall, metrics.precision, metrics.ndcg,
                           metrics.map,    metrics.mrr,       metrics.hit_rate};
  std::string known;
  for (size_t i = 0; i < std::size(kMetricNames); ++i) {
    if (name == kMetricNames[i]) return values[i];
    known += std::string(known.empty() ? "" : ", ") + kMetricNames[i];
  }
  throw InvalidArgument("unknown metric \"" + name + "\"; known are " + known);
}

}  // namespace penchant
