// What the row solver's kernels share: the problem, how a launch lays out a block's shared memory,
// and the gathering of a row's observations into it, a chunk ahead of its use.
#ifndef PENCHANT_KERNELS_ALS_ROW_GATHER_CUH_
#define PENCHANT_KERNELS_ALS_ROW_GATHER_CUH_

#include <utility>

#include "kernels/als/row_plan.h"
#include "kernels/als/tile_cholesky.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

// What all rows of a half-iteration share.
struct RowProblem {
  const float* table;  // fixed side, rotated
  int stride;          // floats between its rows, zero-padded
  int factors;
  const double* eigenvalues;
  const int64_t* offsets;
  const int32_t* indices;
  const float* values;   // null: all ones
  const float* lambda;   // a row of the solved side
  const float* largest;  // largest |value| a row; null where `values` is
  float alpha;
  float unobserved_weight;
  float* out;  // stride as the table's
};

// Rows order[0, count), and where those are listed that need another solver.
struct RowList {
  const int32_t* order;
  int count;
  int32_t* failed;  // ill-conditioned for float32
  int* num_failed;
};

// What a launch decides about shared memory; sizes in floats.
struct SolveLayout {
  int order;           // of the largest system, a multiple of 32
  int padded_factors;  // a multiple of 32
  int slots;           // stages of gathered data
  int stage;           // floats of one
  int line_bits;       // 2^line_bits threads share a line of the long side's stages
  int line_turns;      // which all of the block's take so many turns for
  bool system_in_shared;

  // Where the block's arrays begin (Workspace), in floats: constants, which take no registers.
  int scale, rhs, diagonal, pivot_rows, bad_pivots, half, stages, weights, targets, tiles;
  int floats;  // of all

  __host__ __device__ int system() const { return NumTiles(order / kTile) * kTileFloats; }

  void Place(int depth) {
    int end = padded_factors;  // the factors' diagonal
    const auto next = [&end](int size) { return std::exchange(end, end + size); };
    scale = next(order);
    rhs = next(order);
    diagonal = next(order);
    pivot_rows = next(2 * kTile);
    bad_pivots = next(2);
    half = next(2);
    stages = next(slots * stage);
    weights = next(slots * depth);
    targets = next(slots * depth);
    tiles = next(system_in_shared ? system() : 0);
    floats = end;
  }
};

// Partial sums of long rows: for every chunk the raw tiles, then the raw right-hand side.
struct ChunkSums {
  const RowChunk* chunks;
  const int64_t* chunk_begin;  // of the k-th row of the list; null: rows are not in chunks
  float* sums;
  int64_t stride;  // floats between chunks
};

// A row, or a stretch of one: some of the problem's observations.
struct Observations {
  int64_t begin;
  int count;  // distinct 32-bit ids: fewer than 2^31
};

// The table's row that observation j is about, and its confidence.
__device__ __forceinline__ const float* TableRow(const RowProblem& p, const Observations& o,
                                                 int j) {
  return p.table + int64_t{p.indices[o.begin + j]} * p.stride;
}
__device__ __forceinline__ float Weight(const RowProblem& p, const Observations& o, int j) {
  return p.values != nullptr ? p.alpha * fabsf(p.values[o.begin + j]) : p.alpha;
}
// c p = w0 + w for a liked item, 0 for a disliked one.
__device__ __forceinline__ float Target(const RowProblem& p, const Observations& o, int j,
                                        float weight) {
  return p.values == nullptr || p.values[o.begin + j] > 0 ? p.unobserved_weight + weight : 0.0f;
}

__device__ __forceinline__ int RowLength(const RowProblem& p, int32_t row) {
  return static_cast<int>(p.offsets[row + 1] - p.offsets[row]);
}

__device__ __forceinline__ Observations ObservationsOf(const RowProblem& p, int32_t row) {
  return {p.offsets[row], RowLength(p, row)};
}

// The scale of a row's elements: those of Y D^-1/2 (short side), of W^1/2 Y D^-1/2 (long side).
// The largest eigenvalue e bounds all of Y^2, and e / (w0 e + lambda) all of Y^2 D^-1.
template <bool kShort>
__device__ __forceinline__ HalfScale RowScale(const RowProblem& p, int32_t row) {
  const float largest = static_cast<float>(p.eigenvalues[0]);
  const float inverse = rsqrtf(p.unobserved_weight * largest + p.lambda[row]);
  float square = largest * inverse * inverse;
  if constexpr (!kShort) square *= p.alpha * (p.largest != nullptr ? p.largest[row] : 1.0f);
  return HalfScaleFor(square);
}

// The block's shared memory. Stages hold gathered rows of the table, as floats while they arrive,
// then split into halves (tile_product.cuh); beside each lie the weights and targets of its
// observations (long side).
struct Workspace {
  float* diagonal;  // D^-1/2, scaled for halves on the short side; 0 in the padding
  float* scale;     // of the system's rows: W^1/2, unscaled (short side)
  float* stages;
  float* weights;   // W^1/2, scaled for halves
  float* targets;   // c p W^-1/2, unscaled
  HalfScale* half;  // of the row: not worth registers
  TileSystem system;
};

template <bool kTilesInShared>
__device__ __forceinline__ Workspace LayOut(const SolveLayout& layout, float* shared,
                                            float* global_tiles) {
  Workspace w;
  w.diagonal = shared;
  w.scale = shared + layout.scale;
  w.stages = shared + layout.stages;
  w.weights = shared + layout.weights;
  w.targets = shared + layout.targets;
  w.half = reinterpret_cast<HalfScale*>(shared + layout.half);
  w.system.rhs = shared + layout.rhs;
  w.system.diagonal = shared + layout.diagonal;
  w.system.pivot_rows = shared + layout.pivot_rows;
  w.system.bad_pivots = reinterpret_cast<int*>(shared + layout.bad_pivots);
  w.system.tiles = kTilesInShared ? shared + layout.tiles : global_tiles;
  return w;
}

// Floats between the lines of a stage: an odd number of 16 bytes, so that the eight rows of a
// matrix that ldmatrix loads lie in different banks.
template <int kDepth, bool kShort>
__host__ __device__ __forceinline__ int StageLine(int padded_factors) {
  return (kShort ? kDepth : padded_factors) + 4;
}

// Calls visit(line, column, offset, inside) for the fours of a stage that are this thread's:
// columns `column` to column + 3 of line `line`, `offset` floats into the stage. All lanes of a
// warp make as many calls, of which some are not `inside` the stage.
template <int kWarps, int kDepth, bool kShort, typename Visit>
__device__ __forceinline__ void ForEachOwnFour(const SolveLayout& layout, int rows, Visit visit) {
  constexpr int kShortBits = kDepth == 32 ? 3 : 2;
  static_assert(kDepth == 4 << kShortBits);
  const int bits = kShort ? kShortBits : layout.line_bits;
  const int columns = kShort ? kDepth : layout.padded_factors;
  const int floats = StageLine<kDepth, kShort>(layout.padded_factors);
  const int lines = kShort ? Agreed(rows) : kDepth;
  const int step = kWarps * kWarpSize >> bits;
  const int turns = kShort ? (lines + step - 1) / step : layout.line_turns;
  for (int first = 0; first < columns; first += 4 << bits) {
    const int column = first + (threadIdx.x & ((1 << bits) - 1)) * 4;
#pragma unroll 1
    for (int turn = 0; turn < turns; ++turn) {
      const int line = (threadIdx.x >> bits) + turn * step;
      visit(line, column, line * floats + column, line < lines && (kShort || column < columns));
    }
  }
}

// The stage of chunk `c`: either every chunk has one, or there are two in turns.
__device__ __forceinline__ int SlotOf(const SolveLayout& layout, int c) {
  return layout.slots == 2 ? c % 2 : c;
}

// Starts gathering chunk `c`: kDepth factors of `rows` observations (short side), or all factors of
// kDepth observations (long side).
template <int kWarps, int kDepth, bool kShort>
__device__ __forceinline__ void Gather(const RowProblem& p, const Observations& row,
                                       const SolveLayout& layout, const Workspace& w, int rows,
                                       int c) {
  const int slot = SlotOf(layout, c);
  float* stage = w.stages + slot * layout.stage;
  ForEachOwnFour<kWarps, kDepth, kShort>(
      layout, rows, [&](int line, int column, int offset, bool inside) {
        if (!inside) return;
        const int j = kShort ? line : c * kDepth + line;
        if (kShort) column += c * kDepth;
        const bool there = j < row.count && column < p.stride;
        CopyAsync16(stage + offset, there ? TableRow(p, row, j) + column : p.table, there);
      });
  if constexpr (!kShort) {
    for (int local = threadIdx.x; local < kDepth; local += kWarps * kWarpSize) {
      const int j = c * kDepth + local;
      float root = 0.0f, target = 0.0f;
      if (j < row.count) {
        const float weight = Weight(p, row, j);
        const float inverse = InverseRoot(weight);
        root = weight * inverse * w.half->scale;
        target = Target(p, row, j, weight) * inverse * w.half->inverse;
      }
      w.weights[slot * kDepth + local] = root;
      w.targets[slot * kDepth + local] = target;
    }
  }
  CommitCopies();
}

// Scales the floats of chunk `c` that this thread copied, and splits them into halves. Of every
// eight, the lane of the first four stores the highs, that of the others the lows.
template <int kWarps, int kDepth, bool kShort>
__device__ __forceinline__ void SplitOwnCopies(const SolveLayout& layout, const Workspace& w,
                                               int rows, int c) {
  const int slot = SlotOf(layout, c);
  float* stage = w.stages + slot * layout.stage;
  ForEachOwnFour<kWarps, kDepth, kShort>(
      layout, rows, [&](int line, int column, int offset, bool inside) {
        const float4 d = *reinterpret_cast<const float4*>(w.diagonal + (kShort ? c * kDepth : 0) +
                                                          (inside ? column : 0));
        const float weight = kShort || !inside ? 1.0f : w.weights[slot * kDepth + line];
        float4 y = {};
        if (inside) y = *reinterpret_cast<const float4*>(stage + offset);
        uint32_t high[2], low[2];
        SplitPair(y.x * d.x * weight, y.y * d.y * weight, high[0], low[0]);
        SplitPair(y.z * d.z * weight, y.w * d.w * weight, high[1], low[1]);
        const bool first = column % kHalvesUnit == 0;
        uint32_t other[2];
#pragma unroll
        for (int k = 0; k < 2; ++k) {
          other[k] = __shfl_xor_sync(kAllLanes, first ? low[k] : high[k], 1);
        }
        if (inside) {
          *reinterpret_cast<float4*>(stage + offset) = {__uint_as_float(first ? high[0] : other[0]),
                                                        __uint_as_float(first ? high[1] : other[1]),
                                                        __uint_as_float(first ? other[0] : low[0]),
                                                        __uint_as_float(first ? other[1] : low[1])};
        }
      });
}

// The two split elements of a stage's line whose first is number `column`, which is even.
__device__ __forceinline__ float2 ReadPair(const float* line, int column) {
  const float* at = line + column / kHalvesUnit * kHalvesUnit + column % kHalvesUnit / 2;
  const float2 high = UnpackHalves(__float_as_uint(at[0]));
  const float2 low = UnpackHalves(__float_as_uint(at[kLowHalves]));
  return {high.x + low.x, high.y + low.y};
}

// Calls visit(chunk, slot) for every chunk of the gathered and split row, with the next one on its
// way. Every visit is between barriers.
template <int kWarps, int kDepth, bool kShort, typename Visit>
__device__ __forceinline__ void ForEachChunk(const RowProblem& p, const Observations& row,
                                             const SolveLayout& layout, const Workspace& w,
                                             int rows, Visit visit) {
  const int chunks = kShort ? layout.padded_factors / kDepth : (row.count + kDepth - 1) / kDepth;
  Gather<kWarps, kDepth, kShort>(p, row, layout, w, rows, 0);
  if constexpr (!kShort) __syncthreads();  // the weights; those of later chunks have time enough
  for (int c = 0; c < chunks; ++c) {
    if (c + 1 < chunks) {
      Gather<kWarps, kDepth, kShort>(p, row, layout, w, rows, c + 1);
      WaitForCopies<1>();
    } else {
      WaitForCopies<0>();
    }
    SplitOwnCopies<kWarps, kDepth, kShort>(layout, w, rows, c);
    __syncthreads();
    visit(c, SlotOf(layout, c));
    __syncthreads();
  }
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_ALS_ROW_GATHER_CUH_
