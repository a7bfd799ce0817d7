// How rows move (optimizer.h), by a warp. The CPU's twin is row_moves.simd.h.
#ifndef PENCHANT_KERNELS_SGD_ROW_MOVES_CUH_
#define PENCHANT_KERNELS_SGD_ROW_MOVES_CUH_

#include "kernels/base/cuda.cuh"
#include "kernels/sgd/ranking_steps.h"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

// How far a row moves along its gradient, in every lane; `square` is the mean of its elements'
// squares. Lane 0 keeps the moments.
__device__ inline float RateOf(const RankingRule& rule, const RowMoments& moments, int64_t row,
                               float square, int lane) {
  if (rule.optimizer == Optimizer::kSgd) return rule.learning_rate;
  float rate = 0;
  if (lane == 0) {
    const float before = LoadRelaxed(moments.squares + row);
    if (rule.optimizer == Optimizer::kAdagrad) {
      const float sum = before + square;
      StoreRelaxed(moments.squares + row, sum);
      rate = rule.learning_rate / sqrtf(kAdagradStart + sum);
    } else {
      const float sum = kAdamSquare * before + (1.0f - kAdamSquare) * square;
      const float steps = LoadRelaxed(moments.steps + row) + 1.0f;
      StoreRelaxed(moments.squares + row, sum);
      StoreRelaxed(moments.steps + row, steps);
      const float square_share = 1.0f - powf(kAdamSquare, steps);
      const float mean_share = 1.0f - powf(kAdamMean, steps);
      rate = rule.learning_rate / (mean_share * (sqrtf(sum / square_share) + kAdamFloor));
    }
  }
  return __shfl_sync(kAllLanes, rate, 0);
}

// Moves a row against `gradient` + b row; to length 1 if `unit`. `constant_column`: stays 1; -1:
// none.
__device__ inline void MoveRow(const RankingRule& rule, float* v, int64_t stride,
                               const RowMoments& moments, int64_t row, float* gradient, float b,
                               bool unit, int64_t constant_column, int lane) {
  float square = 0;
  ForEachOwn(stride, lane, [&](int64_t k) {
    const float g = gradient[k] + b * v[k];
    if (k != rule.bias_column) square += g * g;
    gradient[k] = g;
  });
  square = SumOverWarp(square) / static_cast<float>(rule.factors);
  const float rate = RateOf(rule, moments, row, square, lane);
  float* mean = rule.optimizer == Optimizer::kAdam ? moments.means + row * stride : nullptr;
  float length = 0;
  ForEachOwn(stride, lane, [&](int64_t k) {
    float g = gradient[k];
    if (mean != nullptr) {
      g = kAdamMean * mean[k] + (1.0f - kAdamMean) * g;
      mean[k] = g;
    }
    const float now = k == constant_column ? 1.0f : v[k] - rate * g;
    v[k] = now;
    length += now * now;
  });
  if (unit) {
    const float inverse = 1.0f / sqrtf(SumOverWarp(length));
    ForEachOwn(stride, lane, [&](int64_t k) { v[k] *= inverse; });
  }
  __syncwarp();
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_SGD_ROW_MOVES_CUH_
