// The kernels behind als/solve_rows.cu: a block gathers a row's observations, forms its system on
// the tensor cores, factors it and writes the row; the system never leaves the SM where it fits.
//
// Large systems are formed and factored in one TF32 pass and refined (als/row_refinement.cuh). Rows
// whose condition is too bad for that are listed, and solved again in three passes without
// refinement, as smaller systems and rows in chunks are.
//
// Short side (n <= factors): S = I + W^1/2 Y D^-1 Y' W^1/2, order n, contracted over factors.
// Long side:                 S = I + D^-1/2 Y' W Y D^-1/2, order factors, contracted over
// observations. One kernel serves both: what is contracted has a weight (1/D or W), what is not
// has a scale (W^1/2 or D^-1/2) that joins when a tile is complete.
#ifndef PENCHANT_KERNELS_ALS_SOLVE_KERNELS_CUH_
#define PENCHANT_KERNELS_ALS_SOLVE_KERNELS_CUH_

#include "kernels/als/row_gather.cuh"
#include "kernels/als/row_refinement.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

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
