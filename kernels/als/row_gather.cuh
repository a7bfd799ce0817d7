// The gathering of a row's observations into shared memory, a chunk ahead of its use, and their
// splitting into halves.
#ifndef PENCHANT_KERNELS_ALS_ROW_GATHER_CUH_
#define PENCHANT_KERNELS_ALS_ROW_GATHER_CUH_

#include "kernels/als/row_problem.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

// How the gathered rows lie in a stage, a line each: in strips of kWidth columns, of which every
// eight are a unit. While floats arrive, the units' first fours lie in a strip's first half, one
// after the other, and their second fours in the other; split, their highs and their lows. Units
// of bfloat16 arrive whole where their highs will be.
// Copies and splits are shared out by warps, kLines strips below each other at a time, so that the
// eight lanes whose 16 bytes move together have all of the banks.
template <int kDepth, bool kShort>
struct Strips {
  static constexpr int kWidth = kShort ? kDepth : kTile;
  static constexpr int kSecond = kWidth / 2;  // floats from a unit's first half to its second
  static constexpr int kLines = 2 * kWarpSize / (kWidth / 4);
  static_assert(kWidth == 16 || kWidth == 32);

  // Floats between lines: an odd number of 16 bytes, so that the eight rows of a matrix that
  // ldmatrix loads lie in different banks too.
  __host__ __device__ static int Line(int padded_factors) {
    return (kShort ? kDepth : padded_factors) + 4;
  }
  // The unit that a lane splits, and its line.
  __device__ static int SplitUnit(int lane) { return lane % (kWidth / 8); }
  __device__ static int SplitLine(int lane) {
    return kWidth == 16 ? lane / 2 % 4 * 2 + lane / 8 % 2 + lane / 16 * 8
                        : lane / 4 % 2 * 4 + lane / 8;
  }

  // What a lane copies in each turn: 16 bytes, from a column of the strip on, to a place in it.
  // Floats take two turns; a unit of bfloat16 is copied by the lane that splits it.
  template <typename Element>
  struct Copies {
    static constexpr bool kFloats = sizeof(Element) == sizeof(float);
    static constexpr int kTurns = kFloats ? 2 : 1;

    __device__ static int Column(int lane) {
      return kFloats ? lane % (kWidth / 4) * 4 : SplitUnit(lane) * 8;
    }
    __device__ static int Place(int lane) {
      const int four = lane % (kWidth / 4);
      return kFloats ? four % 2 * kSecond + four / 2 * 4 : SplitUnit(lane) * 4;
    }
    __device__ static int Line(int lane, int turn) {
      return kFloats ? turn * kLines / 2 + lane / 8 + (kWidth == 16 ? lane / 4 % 2 * 4 : 0)
                     : SplitLine(lane);
    }
  };
};

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

// The stage of chunk `c`: either every chunk has one, or there are two in turns.
__device__ __forceinline__ int SlotOf(const SolveLayout& layout, int c) {
  return layout.slots == 2 ? c % 2 : c;
}

// Starts gathering chunk `c`: kDepth factors of all observations (short side), or all factors of
// kDepth observations (long side).
template <int kWarps, int kDepth, bool kShort, typename Element>
__device__ __forceinline__ void Gather(const RowProblem& p, const Observations& row,
                                       const SolveLayout& layout, const Workspace& w, int c) {
  using Strips = Strips<kDepth, kShort>;
  using Copies = typename Strips::template Copies<Element>;
  const int slot = SlotOf(layout, c), lane = LaneIndex();
  const int floats = Strips::Line(layout.padded_factors);
  const unsigned stride_bytes = p.stride * static_cast<unsigned>(sizeof(Element));
  const int32_t* ids = p.indices + row.begin;
  float* to = w.stages + slot * layout.stage + Copies::Place(lane);
  const StageShare own = OwnShare<kWarps, kDepth, kShort>(layout, row.count);
#pragma unroll 1
  for (int strip = own.strip; strip < own.strips; strip += own.strip_step) {
    const int column = (kShort ? c : strip) * Strips::kWidth + Copies::Column(lane);
    const bool inside = column < p.stride;
    const char* from = reinterpret_cast<const char*>(TableOf<Element>(p) + (inside ? column : 0));
#pragma unroll 1
    for (int first = own.line; first < own.lines; first += own.line_step) {
#pragma unroll
      for (int turn = 0; turn < Copies::kTurns; ++turn) {
        const int line = first + Copies::Line(lane, turn);
        const int j = kShort ? line : c * kDepth + line;
        const bool there = inside && j < row.count;
        const unsigned id = there ? ids[j] : 0;
        CopyAsync16(to + line * floats + strip * kTile, RowAt(from, id, stride_bytes), there);
      }
    }
  }
  if constexpr (!kShort) {
    for (int local = threadIdx.x; local < kDepth; local += kWarps * kWarpSize) {
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
__device__ __forceinline__ void SplitOwnCopies(const Observations& row, const SolveLayout& layout,
                                               const Workspace& w, int c) {
  using Strips = Strips<kDepth, kShort>;
  const int slot = SlotOf(layout, c), lane = LaneIndex();
  const int floats = Strips::Line(layout.padded_factors);
  const int lane_line = Strips::SplitLine(lane), unit = Strips::SplitUnit(lane);
  float* stage = w.stages + slot * layout.stage + lane_line * floats + unit * 4;
  const Confidence* confidences = w.confidences + slot * kDepth + lane_line;
  const StageShare own = OwnShare<kWarps, kDepth, kShort>(layout, row.count);
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

// Gathers chunks `c` and `c + 1` of a row of the short side through registers, scales and splits
// them: where other warps hide its latency, that takes half of the instructions of copies. A lane
// takes four columns of both at a time; warps take groups of lines in turns, kGroups of them on
// their way together. Lane i has the table's row for the i-th line of its warp, and there is the
// group of lines from k on where is_there(k). Two groups share a diagonal.
inline constexpr int kGroupLines = 8;
template <int kWarps, int kGroups, typename Element, typename IsThere>
__device__ __forceinline__ void GatherLines(const RowProblem& p, unsigned own_id, int warp,
                                            IsThere is_there, const SolveLayout& layout,
                                            const Workspace& w, int c) {
  using Strips = Strips<32, true>;
  constexpr int kLines = kGroupLines;
  const int lane = LaneIndex();
  const auto line_at = [&](int k) { return (k / kLines * kWarps + warp) * kLines + k % kLines; };
  // Of a group a lane has two lines, the second two further; lines four apart have all banks.
  const int four = lane % 8 * 4, lane_line = lane / 8 % 2 * 4 + lane / 16;
  const int line = Strips::Line(layout.padded_factors);
  const unsigned stride_bytes = p.stride * static_cast<unsigned>(sizeof(Element));
  const bool two = (c + 1) * Strips::kWidth < layout.padded_factors;
  float* to = w.stages + SlotOf(layout, c) * layout.stage + lane_line * line + four / 2;
  const char* from[2];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int column = (c + i) * Strips::kWidth + four;
    from[i] = reinterpret_cast<const char*>(TableOf<Element>(p) + (column < p.stride ? column : 0));
  }
#pragma unroll 1
  for (int first = 0; is_there(first); first += kGroups * kLines) {
    Four<Element> fours[kGroups][2][2];  // not yet floats: so they take fewer registers
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
      if (g > 0 && !is_there(first + g * kLines)) continue;
#pragma unroll
      for (int t = 0; t < 2; ++t) {
        const unsigned id = __shfl_sync(kAllLanes, own_id, first + g * kLines + t * 2 + lane_line);
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const char* at = RowAt(from[i], id, stride_bytes);
          if (i == 0 || two) fours[g][t][i] = *reinterpret_cast<const Four<Element>*>(at);
        }
      }
    }
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (i == 1 && !two) break;
      float4 d = {};
#pragma unroll
      for (int g = 0; g < kGroups; ++g) {
        if (g % 2 == 0) {
          const float* diagonal = w.diagonal + g / 2 * layout.padded_factors;
          d = *reinterpret_cast<const float4*>(diagonal + (c + i) * Strips::kWidth + four);
        }
        if (g > 0 && !is_there(first + g * kLines)) continue;
#pragma unroll
        for (int t = 0; t < 2; ++t) {
          const float4 y = AsFloats(fours[g][t][i]);
          uint2 high, low;
          SplitPair(y.x * d.x, y.y * d.y, high.x, low.x);
          SplitPair(y.z * d.z, y.w * d.w, high.y, low.y);
          float* at = to + i * layout.stage + (line_at(first + g * kLines) + t * 2) * line;
          *reinterpret_cast<uint2*>(at) = high;
          *reinterpret_cast<uint2*>(at + Strips::kSecond) = low;
        }
      }
    }
  }
}

// The same of a block's row. Lines beyond it are like its last, and weigh nothing.
template <int kWarps, typename Element>
__device__ __forceinline__ void GatherTwoChunks(const RowProblem& p, const Observations& row,
                                                const SolveLayout& layout, const Workspace& w,
                                                int c) {
  const int lane = LaneIndex(), warp = kWarps == 1 ? 0 : WarpIndex(), count = Agreed(row.count);
  const auto line_at = [&](int k) {
    return (k / kGroupLines * kWarps + warp) * kGroupLines + k % kGroupLines;
  };
  const unsigned own_id = p.indices[row.begin + min(line_at(lane), count - 1)];
  const auto is_there = [&](int k) { return line_at(k) < count; };
  GatherLines<kWarps, 2, Element>(p, own_id, warp, is_there, layout, w, c);
}

// Calls visit(chunk, slot) for every chunk of the gathered and split row, with the next one on its
// way. Every visit is between barriers.
template <int kWarps, int kDepth, bool kShort, typename Element, typename Visit>
__device__ __forceinline__ void ForEachChunk(const RowProblem& p, const Observations& row,
                                             const SolveLayout& layout, const Workspace& w,
                                             Visit visit) {
  const int chunks = kShort ? layout.padded_factors / kDepth : (row.count + kDepth - 1) / kDepth;
  if constexpr (kShort && kWarps <= 2) {
#pragma unroll 1
    for (int c = 0; c < chunks; c += 2) {
      GatherTwoChunks<kWarps, Element>(p, row, layout, w, c);
      __syncthreads();
#pragma unroll 1
      for (int v = c; v < min(c + 2, chunks); ++v) visit(v, SlotOf(layout, v));
      __syncthreads();
    }
  } else {
    Gather<kWarps, kDepth, kShort, Element>(p, row, layout, w, 0);
    if constexpr (!kShort)
      __syncthreads();  // the confidences; those of later chunks have time enough
    for (int c = 0; c < chunks; ++c) {
      if (c + 1 < chunks) {
        Gather<kWarps, kDepth, kShort, Element>(p, row, layout, w, c + 1);
        WaitForCopies<1>();
      } else {
        WaitForCopies<0>();
      }
      SplitOwnCopies<kWarps, kDepth, kShort, Element>(row, layout, w, c);
      __syncthreads();
      visit(c, SlotOf(layout, c));
      __syncthreads();
    }
  }
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_ALS_ROW_GATHER_CUH_
