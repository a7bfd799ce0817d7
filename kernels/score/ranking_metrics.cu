#include "kernels/cuda_twins.cuh"
#include "kernels/score/ranking_metrics.h"
#include "kernels/score/ranking_metrics_body.h"

namespace penchant::PENCHANT_CUDA_NAMESPACE {
namespace {

// A thread a list.
__global__ void JudgeListsKernel(ListsToJudge lists, RankingMetrics* metrics,
                                 uint8_t* recommended) {
  const int64_t q = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (q >= lists.count) return;
  const int32_t* list = lists.ids + q * lists.length;
  const int64_t begin = lists.test.offsets[lists.users[q]];
  const int64_t tests = lists.test.offsets[lists.users[q] + 1] - begin;
  metrics[q] = MetricsOfList(list, lists.k, lists.test.indices + begin, tests, lists.k);
  for (int64_t i = 0; i < lists.k; ++i) {
    // Every writer writes the same byte.
    if (list[i] >= 0) MarkByte(recommended + list[i]);
  }
}

}  // namespace

void JudgeLists(Context& context, const ListsToJudge& lists, RankingMetrics* metrics,
                uint8_t* recommended) {
  PENCHANT_LAUNCH(context, (LaunchShape{DivideUp(lists.count, 128), 128}), JudgeListsKernel, lists,
                  metrics, recommended);
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE
