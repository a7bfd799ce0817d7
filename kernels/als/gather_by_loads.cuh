// The gathering of short rows' observations through registers, split into halves on their way to
// shared memory: fewer instructions than by copies, where other warps hide the latency.
#ifndef PENCHANT_KERNELS_ALS_GATHER_BY_LOADS_CUH_
#define PENCHANT_KERNELS_ALS_GATHER_BY_LOADS_CUH_

#include "kernels/als/strips.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

// Warps take groups of lines in turns.
inline constexpr int kGroupLines = Strips<32, true>::kLines;

// The k-th line of a warp.
template <int kWarps>
__device__ __forceinline__ int LineOfWarp(int warp, int k) {
  return (k / kGroupLines * kWarps + warp) * kGroupLines + k % kGroupLines;
}

// Gathers chunks `c` and `c + 1` from stage `slot` on, scales and splits them. A lane takes four
// columns of both at a time, and kGroups groups of lines are on their way together. Lane i has the
// table's row for the i-th line of its warp; the group of lines from k on is wanted where
// is_there(k). They are of kRows rows, which have a diagonal each.
template <int kWarps, int kRows, int kGroups, typename Element, typename IsThere>
__device__ __forceinline__ void GatherLines(const RowProblem& p, unsigned own_id, int warp,
                                            IsThere is_there, const SolveLayout& layout,
                                            const Workspace& w, int c, int slot) {
  using Strips = Strips<32, true>;
  const int lane = LaneIndex();
  // Of a group a lane has two lines, the second two further; lines four apart have all banks.
  const int four = lane % 8 * 4, lane_line = lane / 8 % 2 * 4 + lane / 16;
  const int line = Strips::Line(layout.padded_factors);
  const unsigned stride_bytes = p.stride * static_cast<unsigned>(sizeof(Element));
  // Without a second chunk the first columns are loaded once more, as conditions cost registers.
  const bool two = (c + 1) * Strips::kWidth < layout.padded_factors;
  float* to = w.stages + slot * layout.stage + lane_line * line + four / 2;
  const char* from[2];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int column = (c + i) * Strips::kWidth + four;
    from[i] = reinterpret_cast<const char*>(TableOf<Element>(p) + (column < p.stride ? column : 0));
    ComputeAnew(from[i]);
  }
#pragma unroll 1
  for (int first = 0; first < kWarpSize && is_there(first); first += kGroups * kGroupLines) {
    // Of all groups: under a condition, each would keep registers to itself in the whole kernel.
    // Not yet floats: so they take fewer.
    Four<Element> fours[kGroups][2][2];
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
#pragma unroll
      for (int t = 0; t < 2; ++t) {
        const unsigned id =
            __shfl_sync(kAllLanes, own_id, first + g * kGroupLines + t * 2 + lane_line);
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const char* at = RowAt(from[i], id, stride_bytes);
          if (i == 1) ComputeAnew(at);
          fours[g][t][i] = *reinterpret_cast<const Four<Element>*>(at);
        }
      }
    }
    __syncwarp();  // or some would be sent for only when others have arrived
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (i == 1 && !two) break;
      float4 d = {};
#pragma unroll
      for (int g = 0; g < kGroups; ++g) {
        if (g % (kGroups / kRows) == 0) {
          const float* diagonal = w.diagonal + g / (kGroups / kRows) * layout.padded_factors;
          d = *reinterpret_cast<const float4*>(diagonal + (c + i) * Strips::kWidth + four);
        }
        if (g > 0 && !is_there(first + g * kGroupLines)) continue;
#pragma unroll
        for (int t = 0; t < 2; ++t) {
          const float4 y = AsFloats(fours[g][t][i]);
          uint2 high, low;
          SplitPair(y.x * d.x, y.y * d.y, high.x, low.x);
          SplitPair(y.z * d.z, y.w * d.w, high.y, low.y);
          float* at = to + i * layout.stage +
                      (LineOfWarp<kWarps>(warp, first + g * kGroupLines) + t * 2) * line;
          *reinterpret_cast<uint2*>(at) = high;
          *reinterpret_cast<uint2*>(at + Strips::kSecond) = low;
        }
      }
    }
  }
}

// Gathers chunks `c` and `c + 1` of the block's row. Lines beyond it are like its last, and weigh
// nothing.
template <int kWarps, typename Element>
__device__ __forceinline__ void GatherTwoChunks(const RowProblem& p, const SolveLayout& layout,
                                                const Workspace& w, int c) {
  const Observations row = w.row->observations;
  const int lane = LaneIndex(), warp = kWarps == 1 ? 0 : WarpIndex(), count = Agreed(row.count);
  const unsigned own_id = p.indices[row.begin + min(LineOfWarp<kWarps>(warp, lane), count - 1)];
  const auto is_there = [&](int k) { return LineOfWarp<kWarps>(warp, k) < count; };
  constexpr int kGroups = kWarps == 1 ? 4 : 3;  // that registers have room for
  GatherLines<kWarps, 1, kGroups, Element>(p, own_id, warp, is_there, layout, w, c, SlotOf(c));
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_ALS_GATHER_BY_LOADS_CUH_
