#include "kernels/score/ranking_metrics.h"

#include <algorithm>

#include "kernels/base/errors.h"
#include "kernels/cuda_ops.h"
#include "kernels/score/ranking_metrics_body.h"

namespace penchant {

RankingMetrics ComputeMetrics(std::span<const int32_t> recommended, std::span<const int32_t> test,
                              int64_t k) {
  return MetricsOfList(recommended.data(), std::min(k, static_cast<int64_t>(recommended.size())),
                       test.data(), static_cast<int64_t>(test.size()), k);
}

void JudgeLists(Context& context, const ListsToJudge& lists, RankingMetrics* metrics,
                uint8_t* recommended) {
  PENCHANT_REQUIRE(lists.k >= 1 && lists.k <= lists.length, "lists of ", lists.length,
                   " items cannot be judged at ", lists.k);
  if (context.cuda())
    return context.cuda()->ops()->judge_lists(context, lists, metrics, recommended);
  for (int64_t q = 0; q < lists.count; ++q) {
    const int32_t* list = lists.ids + q * lists.length;
    const auto test = lists.test.row_indices(lists.users[q]);
    metrics[q] = ComputeMetrics({list, static_cast<size_t>(lists.length)}, test, lists.k);
    for (int64_t i = 0; i < lists.k; ++i) {
      if (list[i] >= 0) recommended[list[i]] = 1;
    }
  }
}

}  // namespace penchant
