// The gathering of a row's observations by asynchronous copies, a chunk ahead of its use, and their
// splitting into halves where they arrived.
#ifndef PENCHANT_KERNELS_ALS_GATHER_BY_COPIES_CUH_
#define PENCHANT_KERNELS_ALS_GATHER_BY_COPIES_CUH_

#include "kernels/als/strips.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

// The eight columns of a unit that arrived at `at`.
template <typename Element>
__device__ __forceinline__ void ReadUnit(const float* at, int second, float4 (&unit)[2]) {
  if constexpr (sizeof(Element) == sizeof(float)) {
    unit[0] = *reinterpret_cast<const float4*>(at);
    unit[1] = *reinterpret_cast<const float4*>(at + second);
  } else {
    const uint4 pairs = *reinterpret_cast<const uint4*>(at);
    unit[0] = AsFloats(uint2{pairs.x, pairs.y});
    unit[1] = AsFloats(uint2{pairs.z, pairs.w});
  }
}

// A warp's share of a stage: every `strip_step`-th strip from `strip` on, and of those every
// `line_step`-th kLines lines.
struct StageShare {
  int strip, strips, strip_step;
  int line, lines, line_step;
};

template <int kWarps, int kDepth, bool kShort>
__device__ __forceinline__ StageShare OwnShare(const SolveLayout& layout, int count) {
  constexpr int kLines = Strips<kDepth, kShort>::kLines;
  const int warp = WarpIndex();
  if constexpr (kShort) return {0, 1, 1, warp * kLines, Agreed(count), kWarps * kLines};
  const int bits = layout.strip_bits, together = 1 << bits;
  return {warp >> bits,   layout.padded_factors / kTile,
          kWarps >> bits, (warp & (together - 1)) * kLines,
          kDepth,         together * kLines};
}

// Starts copying chunk `c`: kDepth factors of all observations (short side), or all factors of
// kDepth observations (long side).
template <int kWarps, int kDepth, bool kShort, typename Element>
__device__ __forceinline__ void StartCopies(const RowProblem& p, const SolveLayout& layout,
                                            const Workspace& w, const StageShare& own, int c) {
  using Strips = Strips<kDepth, kShort>;
  using Copies = typename Strips::template Copies<Element>;
  const Observations row = w.row->observations;
  const int slot = SlotOf(c), lane = LaneIndex();
  const int floats = Strips::Line(layout.padded_factors);
  const unsigned stride_bytes = p.stride * static_cast<unsigned>(sizeof(Element));
  const char* ids = reinterpret_cast<const char*>(p.indices + row.begin);
  ComputeAnew(ids);
  float* to = w.stages + slot * layout.stage + Copies::Place(lane);
#pragma unroll 1
  for (int strip = own.strip; strip < own.strips; strip += own.strip_step) {
    const int column = (kShort ? c : strip) * Strips::kWidth + Copies::Column(lane);
    const bool inside = column < p.stride;
    const char* from = reinterpret_cast<const char*>(TableOf<Element>(p) + (inside ? column : 0));
    ComputeAnew(from);
#pragma unroll 1
    for (int first = own.line; first < own.lines; first += own.line_step) {
#pragma unroll
      for (int turn = 0; turn < Copies::kTurns; ++turn) {
        const int line = first + Copies::Line(lane, turn);
        const int j = kShort ? line : c * kDepth + line;
        const bool there = inside && j < row.count;
        const unsigned id =
            there ? *reinterpret_cast<const unsigned*>(RowAt(ids, j, sizeof(unsigned))) : 0;
        CopyAsync16(to + line * floats + strip * kTile, RowAt(from, id, stride_bytes), there);
      }
    }
  }
  if constexpr (!kShort) {
    if (const int local = ThreadIndex(); local < kDepth) {
      const int j = c * kDepth + local;
      Confidence confidence = {0.0f, 0.0f};
      if (j < row.count) {
        const float weight = Weight(p, row, j);
        const float inverse = InverseRoot(weight);
        confidence = {weight * inverse * w.half->scale,
                      Target(p, row, j, weight) * inverse * w.half->inverse};
      }
      w.confidences[slot * kDepth + local] = confidence;
    }
  }
  CommitCopies();
}

// The parts of the right-hand side that the `part`-th of a strip's warps sums up: one a column.
__device__ __forceinline__ float* RhsParts(const SolveLayout& layout, const Workspace& w, int strip,
                                           int part) {
  return w.rhs_parts + ((strip << layout.strip_bits) + part) * kTile;
}

// Scales the floats of chunk `c` that this warp copied, and splits them into halves. On the long
// side they are added to the warp's parts of the right-hand side too.
template <int kWarps, int kDepth, bool kShort, typename Element>
__device__ __forceinline__ void SplitOwnCopies(const SolveLayout& layout, const Workspace& w,
                                               const StageShare& own, int c) {
  using Strips = Strips<kDepth, kShort>;
  const int slot = SlotOf(c), lane = LaneIndex();
  const int floats = Strips::Line(layout.padded_factors);
  const int lane_line = Strips::SplitLine(lane), unit = Strips::SplitUnit(lane);
  float* stage = w.stages + slot * layout.stage + lane_line * floats + unit * 4;
  const Confidence* confidences = w.confidences + slot * kDepth + lane_line;
  __syncwarp();
#pragma unroll 1
  for (int strip = own.strip; strip < own.strips; strip += own.strip_step) {
    const auto* diagonal = reinterpret_cast<const float4*>(
        w.diagonal + (kShort ? c * kDepth : strip * kTile) + unit * 8);
    const float4 d[2] = {diagonal[0], diagonal[1]};
    float sums[8] = {};
#pragma unroll 1
    for (int first = own.line; first < own.lines; first += own.line_step) {
      float* at = stage + first * floats + strip * kTile;
      Confidence confidence = {1.0f, 0.0f};
      if constexpr (!kShort) confidence = confidences[first];
      float4 columns[2];
      ReadUnit<Element>(at, Strips::kSecond, columns);
      uint32_t high[4], low[4];
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float4 y = columns[half];
        y.x *= d[half].x * confidence.root;
        y.y *= d[half].y * confidence.root;
        y.z *= d[half].z * confidence.root;
        y.w *= d[half].w * confidence.root;
        SplitPair(y.x, y.y, high[2 * half], low[2 * half]);
        SplitPair(y.z, y.w, high[2 * half + 1], low[2 * half + 1]);
        if constexpr (!kShort) {
          sums[4 * half] += confidence.target * y.x;
          sums[4 * half + 1] += confidence.target * y.y;
          sums[4 * half + 2] += confidence.target * y.z;
          sums[4 * half + 3] += confidence.target * y.w;
        }
      }
      *reinterpret_cast<uint4*>(at) = {high[0], high[1], high[2], high[3]};
      *reinterpret_cast<uint4*>(at + Strips::kSecond) = {low[0], low[1], low[2], low[3]};
    }
    if constexpr (!kShort) {
      // Eight lanes split the same unit: each keeps one of its columns.
      RhsParts(layout, w, strip, own.line / Strips::kLines)[unit * 8 + lane / 4] +=
          SumSpread<4>(sums, lane);
    }
  }
}

// Sets the warp's parts of the right-hand side to zero.
template <int kWarps, int kDepth>
__device__ __forceinline__ void ClearOwnRhsParts(const SolveLayout& layout, const Workspace& w) {
  const StageShare own = OwnShare<kWarps, kDepth, false>(layout, kDepth);
  for (int strip = own.strip; strip < own.strips; strip += own.strip_step) {
    RhsParts(layout, w, strip, own.line / Strips<kDepth, false>::kLines)[LaneIndex()] = 0.0f;
  }
  __syncwarp();
}

// Element k of the right-hand side: the sum of its parts.
__device__ __forceinline__ float SumRhsParts(const SolveLayout& layout, const Workspace& w, int k) {
  float sum = 0.0f;
  for (int part = 0; part < 1 << layout.strip_bits; ++part) {
    sum += RhsParts(layout, w, k / kTile, part)[k % kTile];
  }
  return sum;
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_ALS_GATHER_BY_COPIES_CUH_
