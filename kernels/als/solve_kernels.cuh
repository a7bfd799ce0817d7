// The kernels behind als/solve_rows.cu: a block gathers a row's observations, forms its system on
// the tensor cores, factors it and writes the row; the system never leaves the SM where it fits.
//
// Short side (n <= factors): S = I + W^1/2 Y D^-1 Y' W^1/2, order n, contracted over factors.
// Long side:                 S = I + D^-1/2 Y' W Y D^-1/2, order factors, contracted over
// observations. One kernel serves both: gathered rows are scaled and split (als/row_gather.cuh), so
// that their product with themselves gives the system; on the short side W^1/2 joins when a tile
// is complete.
#ifndef PENCHANT_KERNELS_ALS_SOLVE_KERNELS_CUH_
#define PENCHANT_KERNELS_ALS_SOLVE_KERNELS_CUH_

#include "kernels/als/form_tiles.cuh"
#include "kernels/als/single_tile.cuh"
#include "kernels/als/write_row.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

// Writes a tile of the system: the sum, scaled, and the identity. By eights, the lane's rows are
// scaled by rows[r], its pairs of columns by columns(c). Of a tile on the diagonal, what is not
// formed can mirror what is.
template <bool kDiagonal, bool kMirrored, typename Columns>
__device__ __forceinline__ void WriteTile(const TileSystem& s, int i, int j, const TileSum& sum,
                                          const float (&rows)[4], Columns columns) {
  const int lane = LaneIndex(), row = lane / 4, column = lane % 4 * 2;
  const int place = TileOffset(i, j) + TilePlace(row, column);
  const int turned[2] = {TileOffset(i, j) + TilePlace(column, row),
                         TileOffset(i, j) + TilePlace(column + 1, row)};
#pragma unroll
  for (int c = 0; c < 4; ++c) {
    const float2 scale = columns(c);
#pragma unroll
    for (int r = kDiagonal ? c / 2 * 2 : 0; r < 4; ++r) {
      const float* pair = &sum.part[r / 2][c][r % 2 * 2];
      float2 value = {pair[0] * rows[r] * scale.x, pair[1] * rows[r] * scale.y};
      if (kDiagonal && r == c) {
        float* diagonal = s.diagonal + i * kTile + r * 8 + row;
        if (row == column) *diagonal = value.x += 1.0f;
        if (row == column + 1) *diagonal = value.y += 1.0f;
      }
      *reinterpret_cast<float2*>(s.tiles + (place ^ c * 8) + r * kEightRows) = value;
      if (kMirrored && r >= 2 && c < 2) {
        s.tiles[(turned[0] ^ r * 8) + c * kEightRows] = value.x;
        s.tiles[(turned[1] ^ r * 8) + c * kEightRows] = value.y;
      }
    }
  }
}

// Sets floats [begin, end) of both stages to zero, whole lines of them.
template <int kWarps>
__device__ __forceinline__ void ClearStages(const SolveLayout& layout, const Workspace& w,
                                            int begin, int end) {
#pragma unroll 1
  for (int k = begin + 4 * ThreadIndex(); k < end; k += 4 * kWarps * kWarpSize) {
    *reinterpret_cast<float4*>(w.stages + k) = {0.0f, 0.0f, 0.0f, 0.0f};
    *reinterpret_cast<float4*>(w.stages + layout.stage + k) = {0.0f, 0.0f, 0.0f, 0.0f};
  }
}

// Fills what every row needs before its system is formed. Ends with a barrier.
template <int kWarps, bool kShort>
__device__ __forceinline__ void PrepareRow(const RowProblem& p, const RowInHand& row, int order,
                                           const SolveLayout& layout, const Workspace& w) {
  const float lambda = p.lambda[row.row];
  const HalfScale half = RowScale<kShort>(p, row.row);
  if (ThreadIndex() == 0) {
    *w.row = row;
    *w.system.bad_pivots = 0;
    *w.half = half;
  }
#pragma unroll 1
  for (int k = 2 * ThreadIndex(); k < layout.padded_factors; k += 2 * kWarps * kWarpSize) {
    const float2 shift = *reinterpret_cast<const float2*>(p.shifts + k);
    const float scale = kShort ? half.scale : 1.0f;
    *reinterpret_cast<float2*>(w.diagonal + k) = {InverseRoot(shift.x + lambda) * scale,
                                                  InverseRoot(shift.y + lambda) * scale};
  }
  if constexpr (kShort) {
#pragma unroll 1
    for (int j = ThreadIndex(); j < order; j += kWarps * kWarpSize) {
      const SystemLine line = LineOf(p, row.observations, j, half);
      w.scale[j] = line.scale;
      w.system.rhs[j] = line.rhs;
    }
  }
  __syncthreads();
}

// Writes the solved row.
template <int kWarps, bool kShort, typename Element>
__device__ __forceinline__ void WriteRow(const RowProblem& p, const SolveLayout& layout,
                                         const Workspace& w) {
  float* out = p.out + int64_t{w.row->row} * p.stride;
  if constexpr (kShort) {
    WriteRowFromTable<kWarps, Element>(p, w.row->observations, layout, w, out);
  } else {
#pragma unroll 1
    for (int k = threadIdx.x; k < p.stride; k += kWarps * kWarpSize) {
      out[k] = w.diagonal[k] * w.system.rhs[k];
    }
  }
}

// Adds up the chunks of the k-th row of the list in their order: hands each tile's sum to
// finish(tile row, tile column, sum), and puts that of the right-hand sides in its place.
template <int kWarps, typename Finish>
__device__ __forceinline__ void SumChunks(const ChunkSums& chunks, int k, const TileSystem& system,
                                          Finish finish) {
  const int64_t base = chunks.chunk_begin[0];
  const int first = Agreed(static_cast<int>(chunks.chunk_begin[k] - base));
  const int last = Agreed(static_cast<int>(chunks.chunk_begin[k + 1] - base));
  const int num_tiles = NumTiles(system.side), lane = LaneIndex();
#pragma unroll 1
  for (int tile = WarpIndex(); tile < num_tiles; tile += kWarps) {
    TileSum sum;
    Clear(sum);
#pragma unroll 1
    for (int chunk = first; chunk < last; ++chunk) {
      const float* raw = chunks.sums + chunk * chunks.stride;
      ForEachPair(sum, tile * kTileFloats, lane, [&](int place, float* pair) {
        const float2 part = *reinterpret_cast<const float2*>(raw + place);
        pair[0] += part.x;
        pair[1] += part.y;
      });
    }
    const int i = TileRow(tile);
    finish(i, tile - TileIndex(i, 0), sum);
  }
#pragma unroll 1
  for (int e = threadIdx.x; e < system.side * kTile; e += kWarps * kWarpSize) {
    float sum = 0;
    for (int chunk = first; chunk < last; ++chunk) {
      sum += chunks.sums[chunk * chunks.stride + num_tiles * kTileFloats + e];
    }
    system.rhs[e] = sum;
  }
  __syncthreads();
}

// Blocks that registers must leave room for on a multiprocessor.
constexpr int MinBlocks(int warps) {
  return warps == 1 ? 16 : warps == 2 ? 8 : warps == 4 ? 3 : warps == 5 ? 2 : 1;
}

// Solves the rows of a list, a block a row, blocks taking every gridDim.x-th row.
// Where the tiles lie is known when compiling, or every access to them would be a generic one.
template <int kWarps, int kUnits, int kDepth, bool kShort, typename Element, bool kTilesInShared>
__global__ void __launch_bounds__(kWarps* kWarpSize, MinBlocks(kWarps))
    SolveRowsKernel(RowProblem p, RowList rows, SolveLayout layout, float* global_tiles,
                    ChunkSums chunks) {
  PENCHANT_SHARED(shared);
  const Workspace w = LayOut<kTilesInShared>(
      layout, ComputedOnce(reinterpret_cast<float*>(shared)),
      kTilesInShared ? nullptr : global_tiles + int64_t{blockIdx.x} * layout.system());
  for (int k = blockIdx.x; k < rows.count;) {
    const int32_t row = rows.order[k];
    const Observations observations = ObservationsOf(p, row);
    const int order =
        kShort ? (observations.count + kTile - 1) / kTile * kTile : layout.padded_factors;
    TileSystem system = w.system;
    system.side = order / kTile;
    if constexpr (kShort) {  // lines that are not gathered, but multiplied
      using Strips = Strips<kDepth, kShort>;
      const int line = Strips::Line(layout.padded_factors);
      const int gathered =
          (observations.count + Strips::kLines - 1) / Strips::kLines * Strips::kLines;
      ClearStages<kWarps>(layout, w, gathered * line, min(order * line, layout.stage));
    }
    PrepareRow<kWarps, kShort>(p, {observations, row, k}, order, layout, w);
    const auto write = [&](int i, int j, const TileSum& sum) {
      const int lane = LaneIndex();
      float rows[4];
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        rows[r] =
            kShort ? w.scale[i * kTile + r * 8 + lane / 4] : w.half->inverse * w.half->inverse;
      }
      const auto columns = [&](int c) -> float2 {
        if constexpr (!kShort) return {1.0f, 1.0f};
        return *reinterpret_cast<const float2*>(w.scale + j * kTile + c * 8 + lane % 4 * 2);
      };
      if (kWarps == 1 || i == j) {
        WriteTile<true, kWarps == 1>(system, i, j, sum, rows, columns);
      } else {
        WriteTile<false, false>(system, i, j, sum, rows, columns);
      }
    };
    if (!kShort && chunks.chunk_begin != nullptr) {
      SumChunks<kWarps>(chunks, w.row->number, system, write);
    } else {
      FormTiles<kWarps, kUnits, kDepth, kShort, Element, !kTilesInShared>(p, layout, w, order,
                                                                          write);
    }
    system.used = kShort ? w.row->observations.count : p.factors;
    if constexpr (kWarps == 1) {
      const bool good = SolveTile<kTile>(system.tiles, system.diagonal, system.pivot_rows,
                                         system.rhs, system.used, LaneIndex());
      const bool all_good = __ballot_sync(kAllLanes, good) == kAllLanes;
      if (ThreadIndex() == 0 && !all_good) *system.bad_pivots = 1;
    } else {
      const TileScales scales = Factor<kWarps, kTilesInShared>(system);
      SubstituteBack<kWarps, kTilesInShared>(system, scales);
    }
    if (ThreadIndex() == 0 && *system.bad_pivots > 0) {
      rows.failed[atomicAdd(rows.num_failed, 1)] = w.row->row;
    }
    WriteRow<kWarps, kShort, Element>(p, layout, w);
    k = Agreed(w.row->number + static_cast<int>(gridDim.x));
    __syncthreads();
  }
}

// Forms the raw partial systems of stretches of long rows, a block a stretch.
template <int kWarps, int kUnits, int kDepth, typename Element>
__global__ void __launch_bounds__(kWarps* kWarpSize, MinBlocks(kWarps))
    SumChunksKernel(RowProblem p, SolveLayout layout, int num_chunks, ChunkSums chunks) {
  PENCHANT_SHARED(shared);
  const Workspace w = LayOut<false>(layout, reinterpret_cast<float*>(shared), nullptr);
  const int order = layout.padded_factors;
  for (int k = blockIdx.x; k < num_chunks;) {
    const RowChunk chunk = chunks.chunks[k];
    const RowInHand stretch = {{p.offsets[chunk.row] + chunk.first, chunk.count}, chunk.row, k};
    PrepareRow<kWarps, false>(p, stretch, order, layout, w);
    const auto sums = [&] { return chunks.sums + w.row->number * chunks.stride; };
    FormTiles<kWarps, kUnits, kDepth, false, Element, kDepth == 16>(
        p, layout, w, order, [&](int i, int j, const TileSum& sum) {
          float* to = sums();
          ForEachPair(sum, TileOffset(i, j), LaneIndex(), [&](int place, const float* pair) {
            *reinterpret_cast<float2*>(to + place) = {pair[0], pair[1]};
          });
        });
#pragma unroll 1
    for (int e = threadIdx.x; e < order; e += kWarps * kWarpSize) {
      sums()[NumTiles(order / kTile) * kTileFloats + e] = w.system.rhs[e];
    }
    k = w.row->number + static_cast<int>(gridDim.x);
    __syncthreads();
  }
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_ALS_SOLVE_KERNELS_CUH_
