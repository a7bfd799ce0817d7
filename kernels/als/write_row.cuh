// The writing of a solved row of the short side from the table, whose rows are gathered again.
#ifndef PENCHANT_KERNELS_ALS_WRITE_ROW_CUH_
#define PENCHANT_KERNELS_ALS_WRITE_ROW_CUH_

#include "kernels/als/row_problem.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

// A thread has four columns, and where there are more threads they share the observations: parts of
// a warp take them in turns, groups of warps take 32 each.
template <int kWarps, typename Element>
__device__ __forceinline__ void WriteRowFromTable(const RowProblem& p, const Observations& row,
                                                  const SolveLayout& layout, const Workspace& w,
                                                  float* out) {
  constexpr int kAhead = 8;  // loads on their way together
  const int bits = layout.four_bits, lane = LaneIndex();
  const int thread = ThreadIndex(), four = thread & ((1 << bits) - 1);
  const int warp_bits = max(bits - 5, 0), groups = layout.row_groups<kWarps>();
  const int group = kWarps == 1 ? 0 : WarpIndex() >> warp_bits;
  const int part = lane >> min(bits, 5), step = kWarpSize >> min(bits, 5);
  const int count = Agreed(row.count);
  const unsigned stride_bytes = p.stride * static_cast<unsigned>(sizeof(Element));
  const auto write = [&](int k, const float4& sum) {
    const float4 diagonal = *reinterpret_cast<const float4*>(w.diagonal + k);
    const float scale = w.half->inverse;
    *reinterpret_cast<float4*>(out + k) = {
        diagonal.x * diagonal.x * scale * sum.x, diagonal.y * diagonal.y * scale * sum.y,
        diagonal.z * diagonal.z * scale * sum.z, diagonal.w * diagonal.w * scale * sum.w};
  };
#pragma unroll 1
  for (int begin = 0; group < groups && begin < p.stride; begin += 4 << bits) {
    const int k = begin + 4 * four;
    const char* from = reinterpret_cast<const char*>(TableOf<Element>(p) + (k < p.stride ? k : 0));
    ComputeAnew(from);
    float4 sum = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll 1
    for (int base = group * kWarpSize; base < count; base += groups * kWarpSize) {
      // Beyond the row its last observation is read once more, and weighs nothing.
      const int left = count - base, own = base + min(lane, left - 1);
      const unsigned own_id = p.indices[row.begin + own];
      const float own_weight = lane < left ? w.system.rhs[own] * w.scale[own] : 0.0f;
      const int end = min(kWarpSize, left);
#pragma unroll 1
      for (int first = 0; first < end; first += kAhead * step) {
        float4 fours[kAhead];
#pragma unroll
        for (int i = 0; i < kAhead; ++i) {
          const unsigned id = __shfl_sync(kAllLanes, own_id, first + part + i * step);
          fours[i] =
              AsFloats(*reinterpret_cast<const Four<Element>*>(RowAt(from, id, stride_bytes)));
        }
#pragma unroll
        for (int i = 0; i < kAhead; ++i) {
          const float weight = __shfl_sync(kAllLanes, own_weight, first + part + i * step);
          sum.x += weight * fours[i].x;
          sum.y += weight * fours[i].y;
          sum.z += weight * fours[i].z;
          sum.w += weight * fours[i].w;
        }
      }
    }
#pragma unroll 1
    for (int other = 1 << bits; other < kWarpSize; other *= 2) {
      sum.x += __shfl_xor_sync(kAllLanes, sum.x, other);
      sum.y += __shfl_xor_sync(kAllLanes, sum.y, other);
      sum.z += __shfl_xor_sync(kAllLanes, sum.z, other);
      sum.w += __shfl_xor_sync(kAllLanes, sum.w, other);
    }
    if (part > 0 || k >= p.stride) continue;
    if (groups == 1) {
      write(k, sum);
    } else {
      StoreFour(w.stages + group * p.stride + k, sum);
    }
  }
  if (groups == 1) return;
  __syncthreads();
#pragma unroll 1
  for (int k = 4 * thread; k < p.stride; k += 4 * kWarps * kWarpSize) {
    float4 sum = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll 1
    for (int i = 0; i < groups; ++i) {
      const float4 part_sum = *reinterpret_cast<const float4*>(w.stages + i * p.stride + k);
      sum.x += part_sum.x;
      sum.y += part_sum.y;
      sum.z += part_sum.z;
      sum.w += part_sum.w;
    }
    write(k, sum);
  }
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_ALS_WRITE_ROW_CUH_
