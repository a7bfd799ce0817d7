// Iterative refinement of a row solved in one TF32 pass: the residual comes from the gathered rows
// in float32, and one step (two for condition numbers beyond 100) gives float32's accuracy.
#ifndef PENCHANT_KERNELS_ALS_ROW_REFINEMENT_CUH_
#define PENCHANT_KERNELS_ALS_ROW_REFINEMENT_CUH_

#include "kernels/als/row_gather.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

// rhs = target - S solution, with S applied from the gathered rows in float32, not from its tiles.
template <int kWarps, int kDepth, bool kShort>
__device__ __forceinline__ void FormResidual(const RowProblem& p, const Observations& row,
                                             const SolveLayout& layout, const Workspace& w,
                                             int order, int warp, int lane) {
  constexpr int kThreads = kWarps * kWarpSize;
  const float* scale = kShort ? w.scale : w.diagonal;
  for (int i = threadIdx.x; i < order; i += kThreads) {
    w.scaled[i] = scale[i] * w.solution[i];
    w.system.rhs[i] = w.target[i] - w.solution[i];
  }
  __syncthreads();
  const bool resident = kShort && layout.slots * kDepth >= layout.padded_factors;
  ForEachChunk<kWarps, kDepth, kShort>(p, row, layout, w, order, resident, [&](int c, int slot) {
    const float* stage = w.stages + slot * layout.stage;
    if constexpr (kShort) {
      // total = D^-1 Y' (W^1/2 z) for these factors, then rhs -= W^1/2 Y total.
      constexpr int kLine = kDepth + 4, kGroups = kThreads / kDepth;
      const int column = threadIdx.x % kDepth, group = threadIdx.x / kDepth;
      float sum = 0;
      for (int j = group; j < row.count; j += kGroups) {
        sum += w.scaled[j] * stage[j * kLine + column];
      }
      w.partial[threadIdx.x] = sum;
      __syncthreads();
      if (threadIdx.x < kDepth) {
        float total = 0;
        for (int g = 0; g < kGroups; ++g) total += w.partial[g * kDepth + threadIdx.x];
        w.total[threadIdx.x] = total * w.diagonal[c * kDepth + threadIdx.x];
      }
      __syncthreads();
      for (int i = threadIdx.x; i < row.count; i += kThreads) {
        float product = 0;
#pragma unroll 4
        for (int k = 0; k < kDepth; ++k) product += stage[i * kLine + k] * w.total[k];
        w.system.rhs[i] -= scale[i] * product;
      }
    } else {
      // total = W Y (D^-1/2 z) for these observations, then rhs -= D^-1/2 Y' total.
      const int line = layout.padded_factors + 8;
      for (int j = warp; j < kDepth; j += kWarps) {
        float sum = 0;
        for (int k = lane; k < order; k += kWarpSize) sum += stage[j * line + k] * w.scaled[k];
#pragma unroll
        for (int lanes = kWarpSize / 2; lanes > 0; lanes /= 2) {
          sum += __shfl_xor_sync(kAllLanes, sum, lanes);
        }
        if (lane == 0) w.total[j] = sum * w.weights[slot * kDepth + j];
      }
      __syncthreads();
      for (int k = threadIdx.x; k < order; k += kThreads) {
        float product = 0;
#pragma unroll 4
        for (int j = 0; j < kDepth; ++j) product += w.total[j] * stage[j * line + k];
        w.system.rhs[k] -= scale[k] * product;
      }
    }
  });
}

// At most this condition number, as 1 + trace(S - I) bounds it, one TF32 pass can be refined; up to
// the first of the two by a single step.
constexpr float kOneStepCondition = 100.0f;
constexpr float kRefinedCondition = 500.0f;

// Solves the formed system with refinement; the solution is in rhs. Returns false, leaving the row
// to another solver, when the system is too ill-conditioned. Ends with a barrier.
template <int kWarps, int kDepth, bool kShort>
__device__ __forceinline__ bool SolveRefined(const RowProblem& p, const Observations& row,
                                             const SolveLayout& layout, const Workspace& w,
                                             const TileSystem& system, int order, int warp,
                                             int lane) {
  constexpr int kThreads = kWarps * kWarpSize;
  if (warp == 0) {
    float trace = 0;
    for (int i = lane; i < order; i += kWarpSize) trace += system.diagonal[i] - 1.0f;
#pragma unroll
    for (int lanes = kWarpSize / 2; lanes > 0; lanes /= 2) {
      trace += __shfl_xor_sync(kAllLanes, trace, lanes);
    }
    if (lane == 0) w.total[0] = 1.0f + trace;
  }
  for (int i = threadIdx.x; i < order; i += kThreads) w.target[i] = system.rhs[i];
  __syncthreads();
  const float condition = w.total[0];
  if (!(condition <= kRefinedCondition)) return false;  // NaN too
  Factor<1, kWarps>(system, warp, lane);
  if (*system.bad_pivots > 0) return false;
  Substitute<kWarps>(system, warp, lane);
  for (int i = threadIdx.x; i < order; i += kThreads) w.solution[i] = system.rhs[i];
  const int steps = condition <= kOneStepCondition ? 1 : 2;
  for (int step = 0; step < steps; ++step) {
    __syncthreads();
    FormResidual<kWarps, kDepth, kShort>(p, row, layout, w, order, warp, lane);
    Substitute<kWarps>(system, warp, lane);
    for (int i = threadIdx.x; i < order; i += kThreads) {
      w.solution[i] += system.rhs[i];
      system.rhs[i] = w.solution[i];
    }
  }
  __syncthreads();
  return true;
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_ALS_ROW_REFINEMENT_CUH_
