// What the row solver's kernels share: the problem, how a launch lays out a block's shared memory,
// and the gathering of a row's observations into it, a chunk ahead of its use.
#ifndef PENCHANT_KERNELS_ALS_ROW_GATHER_CUH_
#define PENCHANT_KERNELS_ALS_ROW_GATHER_CUH_

#include "kernels/als/row_plan.h"
#include "kernels/als/tile_cholesky.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

// What all rows of a half-iteration share.
struct RowProblem {
  const float* table;  // fixed side, rotated
  int64_t stride;      // floats between its rows, zero-padded
  int factors;
  const double* eigenvalues;
  const int64_t* offsets;
  const int32_t* indices;
  const float* values;  // null: all ones
  const float* lambda;  // a row of the solved side
  float alpha;
  float unobserved_weight;
  float* out;  // stride as the table's
};

// Rows order[0, count), and where those are listed that need another solver.
struct RowList {
  const int32_t* order;
  int count;
  const int* count_on_device;  // instead of `count`, if not null
  int32_t* hard;               // ill-conditioned for one pass of TF32
  int* num_hard;
  int32_t* failed;  // ill-conditioned for float32
  int* num_failed;
};

// What a launch decides about shared memory; sizes in floats.
struct SolveLayout {
  int order;           // of the largest system, a multiple of 32
  int padded_factors;  // a multiple of 32
  int slots;           // stages of gathered data
  int stage;           // floats of one
  bool system_in_shared;
  bool refined;
  int threads;

  // The factors' diagonal; scale, right-hand side and diagonal of the system; what refinement
  // keeps.
  __host__ __device__ int vectors() const {
    return padded_factors + 3 * order + 3 * kTile + (refined ? 3 * order + kTile + threads : 0);
  }
  __host__ __device__ int system() const { return NumTiles(order / kTile) * kTileFloats; }
  __host__ __device__ int total(int depth) const {
    return vectors() + slots * (stage + 2 * depth) + (system_in_shared ? system() : 0);
  }
};

// Partial sums of long rows: for every chunk the raw tiles, then the raw right-hand side.
struct ChunkSums {
  const RowChunk* chunks;
  const int64_t* chunk_begin;  // of the k-th row of the list; null: rows are not in chunks
  float* sums;
  int64_t stride;  // floats between chunks
};

// A row as the kernels see it.
struct Observations {
  const int32_t* ids;
  const float* values;  // null: all ones
  int count;            // distinct 32-bit ids: fewer than 2^31

  __device__ __forceinline__ float Weight(int j, float alpha) const {
    return values != nullptr ? alpha * fabsf(values[j]) : alpha;
  }
  // c p = w0 + w for a liked item, 0 for a disliked one.
  __device__ __forceinline__ float Target(int j, float weight, float w0) const {
    return values == nullptr || values[j] > 0 ? w0 + weight : 0.0f;
  }
};

__device__ __forceinline__ int RowLength(const RowProblem& p, int32_t row) {
  return static_cast<int>(p.offsets[row + 1] - p.offsets[row]);
}

__device__ __forceinline__ Observations ObservationsOf(const RowProblem& p, int32_t row,
                                                       int64_t first, int count) {
  const int64_t begin = p.offsets[row] + first;
  return {p.indices + begin, p.values != nullptr ? p.values + begin : nullptr, count};
}

// The block's shared memory. Stages hold gathered rows of the table; beside each lie the weights
// and targets of its observations (long side).
struct Workspace {
  float* diagonal;  // 1/D (short side) or D^-1/2 (long side); 0 in the padding
  float* scale;     // of the system's rows: W^1/2 (short side); the long side's is `diagonal`
  float* stages;
  float* weights;
  float* targets;
  // Of refinement: the right-hand side, the solution so far, the solution scaled as the residual
  // needs it, totals of a chunk, and partial sums (one a thread).
  float* target;
  float* solution;
  float* scaled;
  float* total;
  float* partial;
  TileSystem system;
};

template <int kDepth, bool kTilesInShared>
__device__ __forceinline__ Workspace LayOut(const SolveLayout& layout, float* shared,
                                            float* global_tiles) {
  Workspace w;
  w.diagonal = shared;
  w.scale = w.diagonal + layout.padded_factors;
  w.system.rhs = w.scale + layout.order;
  w.system.diagonal = w.system.rhs + layout.order;
  w.system.pivot_rows = w.system.diagonal + layout.order;
  w.system.bad_pivots = reinterpret_cast<int*>(w.system.pivot_rows + 2 * kTile);
  w.target = w.system.pivot_rows + 3 * kTile;
  w.solution = w.target + layout.order;
  w.scaled = w.solution + layout.order;
  w.total = w.scaled + layout.order;
  w.partial = w.total + kTile;
  w.stages = shared + layout.vectors();
  w.weights = w.stages + layout.slots * layout.stage;
  w.targets = w.weights + layout.slots * kDepth;
  w.system.tiles = kTilesInShared ? w.targets + layout.slots * kDepth : global_tiles;
  return w;
}

// Starts gathering chunk `c`: kDepth factors of every observation (short side), or all factors of
// kDepth observations (long side).
template <int kWarps, int kDepth, bool kShort>
__device__ __forceinline__ void Gather(const RowProblem& p, const Observations& row,
                                       const SolveLayout& layout, const Workspace& w, int order,
                                       int c) {
  const int slot = c % layout.slots;
  float* stage = w.stages + slot * layout.stage;
  if constexpr (kShort) {
    constexpr int kPieces = kDepth / 4;
#pragma unroll 2
    for (int i = threadIdx.x; i < order * kPieces; i += kWarps * kWarpSize) {
      const int j = i / kPieces, column = c * kDepth + i % kPieces * 4;
      const bool there = j < row.count && column < p.stride;
      const float* from = there ? p.table + row.ids[j] * p.stride + column : p.table;
      CopyAsync16(stage + j * (kDepth + 4) + i % kPieces * 4, from, there);
    }
  } else {
    const int pieces = layout.padded_factors / 4;
#pragma unroll 2
    for (int i = threadIdx.x; i < kDepth * pieces; i += kWarps * kWarpSize) {
      const int local = i / pieces, column = i % pieces * 4;
      const int j = c * kDepth + local;
      const bool there = j < row.count && column < p.stride;
      const float* from = there ? p.table + row.ids[j] * p.stride + column : p.table;
      CopyAsync16(stage + local * (layout.padded_factors + 8) + column, from, there);
    }
    for (int local = threadIdx.x; local < kDepth; local += kWarps * kWarpSize) {
      const int j = c * kDepth + local;
      const float weight = j < row.count ? row.Weight(j, p.alpha) : 0.0f;
      w.weights[slot * kDepth + local] = weight;
      w.targets[slot * kDepth + local] =
          j < row.count ? row.Target(j, weight, p.unobserved_weight) : 0.0f;
    }
  }
  CommitCopies();
}

// Calls visit(chunk, slot) for every chunk of the gathered row, with the next one on its way.
// Chunks that are `resident` are not gathered again. Every visit is between barriers.
template <int kWarps, int kDepth, bool kShort, typename Visit>
__device__ __forceinline__ void ForEachChunk(const RowProblem& p, const Observations& row,
                                             const SolveLayout& layout, const Workspace& w,
                                             int order, bool resident, Visit visit) {
  const int chunks = kShort ? layout.padded_factors / kDepth : (row.count + kDepth - 1) / kDepth;
  if (!resident) Gather<kWarps, kDepth, kShort>(p, row, layout, w, order, 0);
  for (int c = 0; c < chunks; ++c) {
    if (!resident && c + 1 < chunks) {
      Gather<kWarps, kDepth, kShort>(p, row, layout, w, order, c + 1);
      WaitForCopies<1>();
    } else {
      WaitForCopies<0>();
    }
    __syncthreads();
    visit(c, c % layout.slots);
    __syncthreads();
  }
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_ALS_ROW_GATHER_CUH_
