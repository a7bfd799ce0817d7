// Ranking metrics of lists against test items, as LightGCN's evaluation defines them.
#ifndef PENCHANT_KERNELS_SCORE_RANKING_METRICS_H_
#define PENCHANT_KERNELS_SCORE_RANKING_METRICS_H_

#include <cstdint>
#include <span>

#include "kernels/base/context.h"
#include "kernels/base/view.h"

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

// `recommended` is best first; negative ids (padding) are never hits. `test` is sorted, not empty.
RankingMetrics ComputeMetrics(std::span<const int32_t> recommended, std::span<const int32_t> test,
                              int64_t k);

// Lists of recommended items, all pointers on the context's device.
struct ListsToJudge {
  const int32_t* ids = nullptr;  // count lists of `length`, best first
  int64_t count = 0;
  int64_t length = 0;
  const int32_t* users = nullptr;  // list q is judged by test row users[q], which is not empty
  CsrView test;
  int64_t k = 0;  // how many of a list count; <= length
};

// metrics[q] = ComputeMetrics of list q; recommended[item] = 1 for every item among the first k of
// some list (the rest is left as it is). Both on the device.
void JudgeLists(Context& context, const ListsToJudge& lists, RankingMetrics* metrics,
                uint8_t* recommended);

}  // namespace penchant

#endif  // PENCHANT_KERNELS_SCORE_RANKING_METRICS_H_
