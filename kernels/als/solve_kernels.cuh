// The kernels behind als/solve_rows.cu: a block gathers a row's observations, forms its system on
// the tensor cores, factors it and writes the row; the system never leaves the SM where it fits.
//
// Large systems are formed and factored in one TF32 pass and refined: the residual comes from the
// gathered rows in float32, and one step (two for condition numbers beyond 100) gives float32's
// accuracy. Rows whose condition is too bad for that are listed, and solved again in three passes
// without refinement, as smaller systems and rows in chunks are.
//
// Short side (n <= factors): S = I + W^1/2 Y D^-1 Y' W^1/2, order n, contracted over factors.
// Long side:                 S = I + D^-1/2 Y' W Y D^-1/2, order factors, contracted over
// observations. One kernel serves both: what is contracted has a weight (1/D or W), what is not
// has a scale (W^1/2 or D^-1/2) that joins when a tile is complete.
#ifndef PENCHANT_KERNELS_ALS_SOLVE_KERNELS_CUH_
#define PENCHANT_KERNELS_ALS_SOLVE_KERNELS_CUH_

#include "kernels/als/solve_rows.h"
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

// Forms the raw tiles of the row's system (contraction alone) and hands each to
// finish(tile row, tile column, sum). On the long side, rhs = Y'(c p) is formed beside them.
template <int kPasses, int kWarps, int kUnits, int kDepth, bool kShort, typename Finish>
__device__ __forceinline__ void FormTiles(const RowProblem& p, const Observations& row,
                                          const SolveLayout& layout, const Workspace& w, int order,
                                          int warp, int lane, Finish finish) {
  const int num_tiles = NumTiles(order / kTile);
  const int line = layout.padded_factors + 8;  // of a stage, on the long side
  if constexpr (!kShort) {
    for (int k = threadIdx.x; k < order; k += kWarps * kWarpSize) w.system.rhs[k] = 0.0f;
  }
  // More tiles than the block's registers hold are formed in turns, each with a gather of its own.
  for (int first = 0; first < num_tiles; first += kWarps * kUnits) {
    TileSum sums[kUnits];
    int tile_row[kUnits], tile_column[kUnits];
#pragma unroll
    for (int u = 0; u < kUnits; ++u) {
      Clear(sums[u]);
      const int tile = first + u * kWarps + warp;
      tile_row[u] = TileRow(tile < num_tiles ? tile : 0);
      tile_column[u] = tile - TileIndex(tile_row[u], 0);
    }
    ForEachChunk<kWarps, kDepth, kShort>(
        p, row, layout, w, order, /*resident=*/false, [&](int c, int slot) {
          const float* stage = w.stages + slot * layout.stage;
          const float* weights = kShort ? w.diagonal + c * kDepth : w.weights + slot * kDepth;
#pragma unroll
          for (int u = 0; u < kUnits; ++u) {
            if (first + u * kWarps + warp >= num_tiles) continue;
            const int row_begin = tile_row[u] * kTile, column_begin = tile_column[u] * kTile;
            if constexpr (kShort) {
              MultiplyTile<kPasses, kDepth>(
                  lane,
                  [&](int r, int k) {
                    return stage[(row_begin + r) * (kDepth + 4) + k] * weights[k];
                  },
                  [&](int r, int k) { return stage[(column_begin + r) * (kDepth + 4) + k]; },
                  sums[u]);
            } else {
              MultiplyTile<kPasses, kDepth>(
                  lane, [&](int r, int k) { return stage[k * line + row_begin + r] * weights[k]; },
                  [&](int r, int k) { return stage[k * line + column_begin + r]; }, sums[u]);
            }
          }
          if constexpr (!kShort) {
            if (first == 0) {
              const float* targets = w.targets + slot * kDepth;
              for (int k = threadIdx.x; k < order; k += kWarps * kWarpSize) {
                float sum = w.system.rhs[k];
#pragma unroll 8
                for (int j = 0; j < kDepth; ++j) sum += targets[j] * stage[j * line + k];
                w.system.rhs[k] = sum;
              }
            }
          }
        });
#pragma unroll
    for (int u = 0; u < kUnits; ++u) {
      if (first + u * kWarps + warp < num_tiles) finish(tile_row[u], tile_column[u], sums[u]);
    }
  }
  __syncthreads();
}

// Scales a raw tile and adds the identity.
__device__ __forceinline__ void FinishElement(const TileSystem& s, const float* scale, int i, int j,
                                              int r, int c, float raw) {
  const int row = i * kTile + r, column = j * kTile + c;
  float value = raw * scale[row] * scale[column];
  if (row == column) {
    value += 1.0f;
    s.diagonal[row] = value;
  }
  s.tiles[TileIndex(i, j) * kTileFloats + r * kTileStride + c] = value;
}

// Fills what every row needs before its system is formed. Ends with a barrier.
template <int kWarps, bool kShort>
__device__ __forceinline__ void PrepareRow(const RowProblem& p, const Observations& row, int order,
                                           float lambda, const SolveLayout& layout,
                                           const Workspace& w) {
  if (threadIdx.x == 0) *w.system.bad_pivots = 0;
  for (int k = threadIdx.x; k < layout.padded_factors; k += kWarps * kWarpSize) {
    float value = 0.0f;
    if (k < p.factors) {
      value = InverseRoot(p.unobserved_weight * static_cast<float>(p.eigenvalues[k]) + lambda);
      if (kShort) value *= value;
    }
    w.diagonal[k] = value;
  }
  if constexpr (kShort) {
    for (int j = threadIdx.x; j < order; j += kWarps * kWarpSize) {
      float root = 0.0f, rhs = 0.0f;
      if (j < row.count) {
        const float weight = row.Weight(j, p.alpha);
        const float inverse = InverseRoot(weight);
        root = weight * inverse;
        rhs = row.Target(j, weight, p.unobserved_weight) * inverse;
      }
      w.scale[j] = root;
      w.system.rhs[j] = rhs;
    }
  }
  __syncthreads();
}

// Writes the solved row. `resident`: every chunk of the panel is still in its stage.
template <int kWarps, int kDepth, bool kShort>
__device__ __forceinline__ void WriteRow(const RowProblem& p, const Observations& row,
                                         const SolveLayout& layout, const Workspace& w,
                                         float* out) {
  if constexpr (kShort) {
    const bool resident = layout.slots * kDepth >= layout.padded_factors;
    for (int k = threadIdx.x; k < p.stride; k += kWarps * kWarpSize) {
      float sum = 0;
      if (resident) {
        const float* column = w.stages + k / kDepth * layout.stage + k % kDepth;
        for (int j = 0; j < row.count; ++j) {
          sum += w.scale[j] * w.system.rhs[j] * column[j * (kDepth + 4)];
        }
      } else {
        for (int j = 0; j < row.count; ++j) {
          sum += w.scale[j] * w.system.rhs[j] * p.table[row.ids[j] * p.stride + k];
        }
      }
      out[k] = w.diagonal[k] * sum;
    }
  } else {
    for (int k = threadIdx.x; k < p.stride; k += kWarps * kWarpSize) {
      out[k] = w.diagonal[k] * w.system.rhs[k];
    }
  }
}

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

// Blocks that registers must leave room for on a multiprocessor.
constexpr int MinBlocks(int warps) {
  return warps == 1 ? 12 : warps <= 4 ? 3 : warps <= 10 ? 2 : 1;
}

// Solves the rows of a list, a block a row, blocks taking every gridDim.x-th row.
// Where the tiles lie is known when compiling, or every access to them would be a generic one.
// kPasses: 1 with refinement, or 3 without.
template <int kPasses, int kWarps, int kUnits, int kDepth, bool kShort, bool kTilesInShared>
__global__ void __launch_bounds__(kWarps* kWarpSize, MinBlocks(kWarps))
    SolveRowsKernel(RowProblem p, RowList rows, SolveLayout layout, float* global_tiles,
                    ChunkSums chunks) {
  PENCHANT_SHARED(shared);
  const Workspace w = LayOut<kDepth, kTilesInShared>(
      layout, reinterpret_cast<float*>(shared),
      kTilesInShared ? nullptr : global_tiles + int64_t{blockIdx.x} * layout.system());
  // The same in all lanes, and known to be so.
  const int warp = __shfl_sync(kAllLanes, static_cast<int>(threadIdx.x) / kWarpSize, 0);
  const int lane = threadIdx.x % kWarpSize;
  const int count = rows.count_on_device != nullptr ? *rows.count_on_device : rows.count;
  for (int k = blockIdx.x; k < count; k += gridDim.x) {
    const int32_t row = rows.order[k];
    const Observations observations = ObservationsOf(p, row, 0, RowLength(p, row));
    if (observations.count == 0) {
      float* out = p.out + row * p.stride;
      for (int i = threadIdx.x; i < p.stride; i += kWarps * kWarpSize) out[i] = 0.0f;
      continue;
    }
    const int order =
        kShort ? (observations.count + kTile - 1) / kTile * kTile : layout.padded_factors;
    TileSystem system = w.system;
    system.blocks = order / kTile;
    system.used = kShort ? observations.count : p.factors;
    PrepareRow<kWarps, kShort>(p, observations, order, p.lambda[row], layout, w);
    const float* scale = kShort ? w.scale : w.diagonal;
    if (!kShort && chunks.chunk_begin != nullptr) {
      // Added in the order of the chunks.
      const int64_t base = chunks.chunk_begin[0];
      const auto first = static_cast<int>(chunks.chunk_begin[k] - base);
      const auto last = static_cast<int>(chunks.chunk_begin[k + 1] - base);
      const int num_tiles = NumTiles(system.blocks);
      for (int e = threadIdx.x; e < num_tiles * kTile * kTile; e += kWarps * kWarpSize) {
        const int tile = e / (kTile * kTile), r = e / kTile % kTile, c = e % kTile;
        float sum = 0;
        for (int chunk = first; chunk < last; ++chunk) {
          sum += chunks.sums[chunk * chunks.stride + tile * kTileFloats + r * kTileStride + c];
        }
        const int i = TileRow(tile);
        FinishElement(system, scale, i, tile - TileIndex(i, 0), r, c, sum);
      }
      for (int e = threadIdx.x; e < order; e += kWarps * kWarpSize) {
        float sum = 0;
        for (int chunk = first; chunk < last; ++chunk) {
          sum += chunks.sums[chunk * chunks.stride + num_tiles * kTileFloats + e];
        }
        system.rhs[e] = sum;
      }
      __syncthreads();
    } else {
      FormTiles<kPasses, kWarps, kUnits, kDepth, kShort>(
          p, observations, layout, w, order, warp, lane, [&](int i, int j, const TileSum& sum) {
            ForEachElement(sum, lane, [&](int r, int c, float value) {
              FinishElement(system, scale, i, j, r, c, value);
            });
          });
    }
    if constexpr (!kShort) {
      for (int e = threadIdx.x; e < order; e += kWarps * kWarpSize) system.rhs[e] *= scale[e];
      __syncthreads();
    }
    if constexpr (kPasses == 1) {
      if (!SolveRefined<kWarps, kDepth, kShort>(p, observations, layout, w, system, order, warp,
                                                lane)) {
        if (threadIdx.x == 0) rows.hard[atomicAdd(rows.num_hard, 1)] = row;
        __syncthreads();
        continue;
      }
    } else {
      Factor<kPasses, kWarps>(system, warp, lane);
      Substitute<kWarps>(system, warp, lane);
    }
    const int32_t solved = rows.order[k];  // again: not worth a register until here
    if (threadIdx.x == 0 && *system.bad_pivots > 0) {
      rows.failed[atomicAdd(rows.num_failed, 1)] = solved;
    }
    WriteRow<kWarps, kDepth, kShort>(p, ObservationsOf(p, solved, 0, RowLength(p, solved)), layout,
                                     w, p.out + solved * p.stride);
    __syncthreads();
  }
}

// Forms the raw partial systems of stretches of long rows, a block a stretch.
template <int kWarps, int kUnits, int kDepth>
__global__ void __launch_bounds__(kWarps* kWarpSize, MinBlocks(kWarps))
    SumChunksKernel(RowProblem p, SolveLayout layout, int num_chunks, ChunkSums chunks) {
  PENCHANT_SHARED(shared);
  const Workspace w = LayOut<kDepth, false>(layout, reinterpret_cast<float*>(shared), nullptr);
  const int warp = __shfl_sync(kAllLanes, static_cast<int>(threadIdx.x) / kWarpSize, 0);
  const int lane = threadIdx.x % kWarpSize;
  const int order = layout.padded_factors;
  for (int k = blockIdx.x; k < num_chunks; k += gridDim.x) {
    const RowChunk chunk = chunks.chunks[k];
    float* sums = chunks.sums + k * chunks.stride;
    FormTiles<3, kWarps, kUnits, kDepth, false>(
        p, ObservationsOf(p, chunk.row, chunk.first, chunk.count), layout, w, order, warp, lane,
        [&](int i, int j, const TileSum& sum) {
          ForEachElement(sum, lane, [&](int r, int c, float value) {
            sums[TileIndex(i, j) * kTileFloats + r * kTileStride + c] = value;
          });
        });
    for (int e = threadIdx.x; e < order; e += kWarps * kWarpSize) {
      sums[NumTiles(order / kTile) * kTileFloats + e] = w.system.rhs[e];
    }
    __syncthreads();
  }
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_ALS_SOLVE_KERNELS_CUH_
