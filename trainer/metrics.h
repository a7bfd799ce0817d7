// Ranking metrics of one user's list against its test items, as LightGCN's evaluation defines them.
#ifndef PENCHANT_TRAINER_METRICS_H_
#define PENCHANT_TRAINER_METRICS_H_

#include <cstdint>
#include <span>
#include <string>

namespace penchant {

// With hits = recommended items among the first k that are test items, and t = test items:
struct RankingMetrics {
  double recall = 0;     // hits / t
  double precision = 0;  // hits / k
  double ndcg = 0;       // sum over hits of 1 / log2(rank + 1), over its best for min(k, t) hits
  double map = 0;        // sum over hits of (hits up to the rank / rank), over min(k, t)
  double mrr = 0;        // 1 / rank of the first hit
  double hit_rate = 0;   // 1 if there is a hit
};

inline constexpr const char* kMetricNames[] = {"recall", "precision", "ndcg",
                                               "map",    "mrr",       "hit_rate"};

// `recommended` is best first; negative ids (padding) are never hits. `test` is sorted, not empty.
RankingMetrics ComputeMetrics(std::span<const int32_t> recommended, std::span<const int32_t> test,
                              int64_t k);

// The metric of that name; InvalidArgument names the known ones.
double MetricByName(const RankingMetrics& metrics, const std::string& name);

}  // namespace penchant

#endif  // PENCHANT_TRAINER_METRICS_H_
