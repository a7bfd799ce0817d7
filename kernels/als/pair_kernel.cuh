// The kernel of rows of at most 16 observations, two a warp: their systems are the blocks on the
// diagonal of one tile.
#ifndef PENCHANT_KERNELS_ALS_PAIR_KERNEL_CUH_
#define PENCHANT_KERNELS_ALS_PAIR_KERNEL_CUH_

#include "kernels/als/gather_by_loads.cuh"
#include "kernels/als/single_tile.cuh"
#include "kernels/als/write_row.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

inline constexpr int kPairLines = kTile / 2;  // of each row

// A lane's share of a pair: a line of one of its rows.
struct PairLane {
  int which, line;
  bool is_there;  // a last row without a partner is solved twice, but fails once
  int32_t row;
  Observations observations;
};

__device__ __forceinline__ PairLane OwnOfPair(const RowProblem& p, const RowList& rows, int k) {
  const int lane = LaneIndex();
  PairLane own;
  own.which = lane / kPairLines;
  own.line = lane % kPairLines;
  own.is_there = k + own.which < rows.count;
  own.row = rows.order[own.is_there ? k + own.which : k];
  own.observations = ObservationsOf(p, own.row);
  return own;
}

// Fills what both rows need before their systems are formed.
__device__ __forceinline__ void PreparePair(const RowProblem& p, const PairLane& own,
                                            const SolveLayout& layout, const Workspace& w) {
  const float lambda = p.lambda[own.row];
  const HalfScale half = RowScale<true>(p, own.row);
  if (own.line == 0) w.half[own.which] = half;
  float* diagonal = w.diagonal + own.which * layout.padded_factors;
#pragma unroll 1
  for (int k = 4 * own.line; k < layout.padded_factors; k += 4 * kPairLines) {
    const float4 shift = *reinterpret_cast<const float4*>(p.shifts + k);
    StoreFour(
        diagonal + k,
        {InverseRoot(shift.x + lambda) * half.scale, InverseRoot(shift.y + lambda) * half.scale,
         InverseRoot(shift.z + lambda) * half.scale, InverseRoot(shift.w + lambda) * half.scale});
  }
  const SystemLine line = LineOf(p, own.observations, own.line, half);
  w.scale[LaneIndex()] = line.scale;
  w.system.rhs[LaneIndex()] = line.rhs;
  __syncwarp();
}

// Gathers chunks `c` and `c + 1` of both rows, whose lines follow each other. Lines beyond a row
// are like its last, and weigh nothing.
template <typename Element>
__device__ __forceinline__ void GatherPair(const RowProblem& p, unsigned own_id, int count,
                                           const SolveLayout& layout, const Workspace& w, int c) {
  const auto is_there = [&](int k) { return k % kPairLines < count; };
  GatherLines<1, 2, kTile / kGroupLines, Element>(p, own_id, 0, is_there, layout, w, c,
                                                  PairSlotOf(layout, c));
  if (count <= kGroupLines) {  // the second groups of lines are not gathered, but multiplied
    const int floats = kGroupLines * Strips<32, true>::Line(layout.padded_factors);
#pragma unroll 1
    for (int half = 0; half < 4; ++half) {
      float* to =
          w.stages + PairSlotOf(layout, c + half / 2) * layout.stage + (half % 2 * 2 + 1) * floats;
#pragma unroll 1
      for (int k = 4 * LaneIndex(); k < floats; k += 4 * kWarpSize) {
        *reinterpret_cast<float4*>(to + k) = {0.0f, 0.0f, 0.0f, 0.0f};
      }
    }
  }
  __syncwarp();
}

// Adds a chunk's part to the raw systems, by eights of columns.
__device__ __forceinline__ void MultiplyPair(const SolveLayout& layout, const float* chunk,
                                             float (&sums)[2][2][4]) {
  using Strips = Strips<32, true>;
  constexpr int kFloat = sizeof(float);
  const int lane = LaneIndex(), line = Strips::Line(layout.padded_factors);
  const SharedAddress own = SharedAddressOf(chunk + lane % 16 * line + lane / 16 * 4);
#pragma unroll
  for (int which = 0; which < 2; ++which) {
    const auto fragment = [&](int k) {
      return LoadFragment<false>(own + (which * kPairLines * line + k / 2) * kFloat,
                                 Strips::kSecond * kFloat);
    };
    const HalfFragment left[] = {fragment(0), fragment(16)};
    const EightRows<2> right[] = {EightRowsOf(left, 0), EightRowsOf(left, 1)};
    MultiplyAdd(left, right, sums[which]);
  }
}

// Writes the systems, scaled and with the identity.
__device__ __forceinline__ void WritePair(const Workspace& w, const float (&sums)[2][2][4]) {
  const int lane = LaneIndex(), row = lane / 4, pair = lane % 4 * 2;
#pragma unroll
  for (int which = 0; which < 2; ++which) {
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      const float2 other =
          *reinterpret_cast<const float2*>(w.scale + which * kPairLines + c * 8 + pair);
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const int line = which * kPairLines + r * 8 + row;
        const float own = w.scale[line];
        float2 value = {sums[which][c][2 * r] * own * other.x,
                        sums[which][c][2 * r + 1] * own * other.y};
        if (r == c) {
          if (row == pair) w.system.diagonal[line] = value.x += 1.0f;
          if (row == pair + 1) w.system.diagonal[line] = value.y += 1.0f;
        }
        *reinterpret_cast<float2*>(w.system.tiles + PairPlace(line, c * 8 + pair)) = value;
      }
    }
  }
  __syncwarp();
}

// Writes the solved rows from their panel: its split lines, turned about, times the solutions, 16
// columns at a time.
__device__ __forceinline__ void WritePairFromPanel(const RowProblem& p, const PairLane& own,
                                                   const SolveLayout& layout, const Workspace& w) {
  using Strips = Strips<32, true>;
  constexpr int kFloat = sizeof(float);
  const int lane = LaneIndex(), line = Strips::Line(layout.padded_factors);
  const float solution = w.system.rhs[lane] * w.scale[lane];
  w.system.rhs[lane] = solution;
  __syncwarp();
  float largest = fabsf(solution);
#pragma unroll
  for (int step = kPairLines / 2; step > 0; step /= 2) {
    largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, step));
  }
  const HalfScale half = HalfScaleOf(largest);
  const float own_scale = half.inverse * w.half[own.which].inverse;
  VectorFragment solved[2];
  float scale[2];
  float* out[2];
#pragma unroll
  for (int which = 0; which < 2; ++which) {
    const float for_halves = __shfl_sync(kAllLanes, half.scale, which * kPairLines);
    solved[which] = SplitVector(w.system.rhs + which * kPairLines, for_halves, lane);
    scale[which] = __shfl_sync(kAllLanes, own_scale, which * kPairLines);
    const int32_t row = __shfl_sync(kAllLanes, own.row, which * kPairLines);
    out[which] = p.out + int64_t{row} * p.stride + OwnColumn(lane);
  }
  const int lane_row = (lane % 8 + lane / 16 * 8) * line + lane / 8 % 2 * 4;
#pragma unroll 1
  for (int c = 0; c * Strips::kWidth < layout.padded_factors; ++c) {
    const SharedAddress chunk = SharedAddressOf(w.stages + c * layout.stage + lane_row);
    const int column = c * Strips::kWidth + OwnColumn(lane);
#pragma unroll
    for (int which = 0; which < 2; ++which) {
      float sum[2][4] = {};
#pragma unroll
      for (int m = 0; m < 2; ++m) {
        MultiplyAdd(LoadFragment<true>(chunk + (which * kPairLines * line + m * 8) * kFloat,
                                       Strips::kSecond * kFloat),
                    solved[which], sum[m]);
      }
      const float value = OwnSum(sum, lane);
      if (column < p.stride) {
        out[which][c * Strips::kWidth] =
            w.diagonal[which * layout.padded_factors + column] * scale[which] * value;
      }
    }
  }
}

// Writes them from the table, one after the other.
template <typename Element>
__device__ __forceinline__ void WritePairFromTable(const RowProblem& p, const PairLane& own,
                                                   const SolveLayout& layout, const Workspace& w) {
#pragma unroll 1
  for (int which = 0; which < 2; ++which) {
    const int32_t row = Agreed(__shfl_sync(kAllLanes, own.row, which * kPairLines));
    Workspace of_row = w;
    of_row.diagonal += which * layout.padded_factors;
    of_row.system.rhs += which * kPairLines;
    of_row.scale += which * kPairLines;
    of_row.half += which;
    WriteRowFromTable<1, Element>(p, ObservationsOf(p, row), layout, of_row,
                                  p.out + int64_t{row} * p.stride);
    __syncwarp();
  }
}

// Solves the rows of a list, a warp two of them, warps taking every gridDim.x-th pair.
template <typename Element>
__global__ void __launch_bounds__(kWarpSize, 16)
    SolvePairsKernel(RowProblem p, RowList rows, SolveLayout layout) {
  PENCHANT_SHARED(shared);
  const Workspace w = LayOut<true>(layout, reinterpret_cast<float*>(shared), nullptr);
#pragma unroll 1
  for (int k = 2 * blockIdx.x; k < rows.count; k += 2 * gridDim.x) {
    const PairLane own = OwnOfPair(p, rows, k);
    PreparePair(p, own, layout, w);
    // Of the longer, which comes first.
    const int count = Agreed(__shfl_sync(kAllLanes, own.observations.count, 0));
    const unsigned own_id =
        p.indices[own.observations.begin + min(own.line, own.observations.count - 1)];
    float sums[2][2][4] = {};
    int c = 0;
#pragma unroll 1
    do {  // there is a chunk: or the sums would be cleared once more
      GatherPair<Element>(p, own_id, count, layout, w, c);
#pragma unroll 1
      for (int i = 0; i < 2 && (c + i) * 32 < layout.padded_factors; ++i) {
        MultiplyPair(layout, w.stages + PairSlotOf(layout, c + i) * layout.stage, sums);
      }
      __syncwarp();
      c += 2;
    } while (c * 32 < layout.padded_factors);
    WritePair(w, sums);
    const int lane = LaneIndex();
    const bool good = SolveTile<kPairLines>(w.system.tiles, w.system.diagonal, w.system.pivot_rows,
                                            w.system.rhs, count, lane);
    const unsigned of_row = 0xffffu << own.which * kPairLines;
    const bool all_good = (__ballot_sync(kAllLanes, good) & of_row) == of_row;
    if (own.line == 0 && own.is_there && !all_good) {
      rows.failed[atomicAdd(rows.num_failed, 1)] = own.row;
    }
    if (layout.panel_stays) {
      WritePairFromPanel(p, own, layout, w);
    } else {
      WritePairFromTable<Element>(p, own, layout, w);
    }
    __syncwarp();
  }
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_ALS_PAIR_KERNEL_CUH_
