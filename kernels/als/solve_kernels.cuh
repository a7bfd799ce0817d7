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

namespace penchant::PENCHANT_CUDA_NAMESPACE {

// Writes a tile of the system: the sum, with scale(row, column, pair) of each two elements, and the
// identity. Of a tile on the diagonal, what is not formed mirrors what is. `blocks`: as many of its
// 8 x 8 blocks a side are in use.
template <bool kDiagonal, typename Scale>
__device__ __forceinline__ void WriteTile(const TileSystem& s, int i, int j, const TileSum& sum,
                                          int blocks, Scale scale) {
  const int lane = LaneIndex(), row = lane / 4, column = lane % 4 * 2;
  float* tile = s.tiles + TileIndex(i, j) * kTileFloats;
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    if (r >= blocks) break;
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      if (kDiagonal && r < 2 && c >= 2) continue;
      if (c >= blocks) break;
      const float* pair = &sum.part[r / 2][c][r % 2 * 2];
      float2 value = scale(r * 8 + row, c * 8 + column, float2{pair[0], pair[1]});
      if (kDiagonal && r == c) {
        float* diagonal = s.diagonal + i * kTile + r * 8 + row;
        if (row == column) *diagonal = value.x += 1.0f;
        if (row == column + 1) *diagonal = value.y += 1.0f;
      }
      *reinterpret_cast<float2*>(tile + TilePlace(row, c * 8 + column) + r * kEightRows) = value;
      if (kDiagonal && r >= 2 && c < 2) {
        tile[TilePlace(c * 8 + column, r * 8 + row)] = value.x;
        tile[TilePlace(c * 8 + column + 1, r * 8 + row)] = value.y;
      }
    }
  }
}

// Whether the row is written from the panel that its system came from: only where that is small.
template <int kWarps>
__device__ __forceinline__ bool PanelStays(const SolveLayout& layout) {
  return kWarps == 1 && layout.panel_stays;
}

// Sets floats [begin, end) of every stage to zero, whole lines of them.
template <int kWarps>
__device__ __forceinline__ void ClearStages(const SolveLayout& layout, const Workspace& w,
                                            int begin, int end) {
  for (int slot = 0; slot < layout.slots; ++slot) {
#pragma unroll 1
    for (int k = begin + 4 * static_cast<int>(threadIdx.x); k < end; k += 4 * kWarps * kWarpSize) {
      *reinterpret_cast<float4*>(w.stages + slot * layout.stage + k) = {0.0f, 0.0f, 0.0f, 0.0f};
    }
  }
}

// Fills what every row needs before its system is formed. Ends with a barrier.
template <int kWarps, bool kShort>
__device__ __forceinline__ void PrepareRow(const RowProblem& p, const Observations& observations,
                                           int32_t row, int order, const SolveLayout& layout,
                                           const Workspace& w) {
  const float lambda = p.lambda[row];
  const HalfScale half = RowScale<kShort>(p, row);
  if (ThreadIndex() == 0) {
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
      float root = 0.0f, rhs = 0.0f;
      if (j < observations.count) {
        float weight = Weight(p, observations, j);
        ComputeAnew(weight);
        const float inverse = InverseRoot(weight);
        root = weight * inverse * half.inverse;
        rhs = Target(p, observations, j, weight) * inverse;
      }
      w.scale[j] = root;
      w.system.rhs[j] = rhs;
    }
  }
  __syncthreads();
}

// Writes the solved row of the short side from the table once more: a thread has four columns, and
// where there are more threads they share the observations.
template <int kWarps, typename Element>
__device__ __forceinline__ void GatherRow(const RowProblem& p, const Observations& row,
                                          const SolveLayout& layout, const Workspace& w,
                                          float* out) {
  constexpr int kAhead = 8;  // loads on their way together
  const int bits = layout.four_bits, lane = LaneIndex();
  const int thread = ThreadIndex(), four = thread & ((1 << bits) - 1);
  // Parts of a warp take its observations in turns, groups of warps take 32 each.
  const int warp_bits = max(bits - 5, 0), group = WarpIndex() >> warp_bits;
  const int groups = kWarps >> warp_bits, part = lane >> min(bits, 5);
  const int step = kWarpSize >> min(bits, 5), parts = groups * step;
  const int count = Agreed(row.count);
  const unsigned stride_bytes = p.stride * static_cast<unsigned>(sizeof(Element));
#pragma unroll 1
  for (int begin = 0; group < groups && begin < p.stride; begin += 4 << bits) {
    const int k = begin + 4 * four;
    const char* from = reinterpret_cast<const char*>(TableOf<Element>(p) + (k < p.stride ? k : 0));
    float4 sum = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll 1
    for (int base = group * kWarpSize; base < count; base += groups * kWarpSize) {
      const bool there = base + lane < count;
      const unsigned own_id = there ? p.indices[row.begin + base + lane] : 0;
      const float own_weight = there ? w.system.rhs[base + lane] : 0.0f;
      const int end = min(kWarpSize, count - base);
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
    if (k < p.stride) {
      *reinterpret_cast<float4*>(w.stages + (group * step + part) * p.stride + k) = sum;
    }
  }
  __syncthreads();
#pragma unroll 1
  for (int k = 4 * thread; k < p.stride; k += 4 * kWarps * kWarpSize) {
    float4 sum = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll 1
    for (int i = 0; i < parts; ++i) {
      const float4 four = *reinterpret_cast<const float4*>(w.stages + i * p.stride + k);
      sum.x += four.x;
      sum.y += four.y;
      sum.z += four.z;
      sum.w += four.w;
    }
    const float4 diagonal = *reinterpret_cast<const float4*>(w.diagonal + k);
    const float scale = w.half->inverse;
    *reinterpret_cast<float4*>(out + k) = {
        diagonal.x * diagonal.x * scale * sum.x, diagonal.y * diagonal.y * scale * sum.y,
        diagonal.z * diagonal.z * scale * sum.z, diagonal.w * diagonal.w * scale * sum.w};
  }
}

// Writes the solved row of the short side from the panel, by one warp: its split rows turned about
// times the solution, 16 columns at a time.
__device__ __forceinline__ void WritePanelRow(const RowProblem& p, const Observations& row,
                                              const SolveLayout& layout, const Workspace& w,
                                              float* out) {
  using Strips = Strips<32, true>;
  constexpr int kFloat = sizeof(float), kBlocks = Strips::kWidth / 16;
  const int lane = LaneIndex(), line = Strips::Line(layout.padded_factors);
  const bool corner = row.count <= kTile / 2;  // the lines beyond are not there
  const float own = w.system.rhs[lane] * w.scale[lane];
  w.system.rhs[lane] = own;
  const HalfScale half = HalfScaleOf(LargestOverWarp(own));
  __syncwarp();
  VectorFragment solved[2];
  solved[0] = SplitVector(w.system.rhs, half.scale, lane);
  if (!corner) solved[1] = SplitVector(w.system.rhs + kTile / 2, half.scale, lane);
  const float scale = half.inverse * w.half->inverse;
  const int lane_row = (lane % 8 + lane / 16 * 8) * line + lane / 8 % 2 * 4;
#pragma unroll 1
  for (int c = 0; c * Strips::kWidth < layout.padded_factors; ++c) {
    const SharedAddress chunk = SharedAddressOf(w.stages + c * layout.stage + lane_row);
    float sum[kBlocks][4] = {};
#pragma unroll
    for (int m = 0; m < kBlocks; ++m) {
#pragma unroll
      for (int k = 0; k < 2; ++k) {
        if (k == 1 && corner) break;
        MultiplyAdd(LoadFragment<true>(chunk + (k * kTile / 2 * line + m * 8) * kFloat,
                                       Strips::kSecond * kFloat),
                    solved[k], sum[m]);
      }
    }
    const int column = c * Strips::kWidth + OwnColumn(lane);
    const float value = OwnSum(sum, lane);
    if (column < p.stride) out[column] = w.diagonal[column] * scale * value;
  }
}

// Writes the solved row.
template <int kWarps, int kDepth, bool kShort, typename Element>
__device__ __forceinline__ void WriteRow(const RowProblem& p, const Observations& row,
                                         const SolveLayout& layout, const Workspace& w,
                                         float* out) {
  constexpr int kThreads = kWarps * kWarpSize;
  if constexpr (kShort) {
    if (PanelStays<kWarps>(layout)) {
      WritePanelRow(p, row, layout, w, out);
    } else {
#pragma unroll 1
      for (int j = threadIdx.x; j < row.count; j += kThreads) w.system.rhs[j] *= w.scale[j];
      __syncthreads();
      GatherRow<kWarps, Element>(p, row, layout, w, out);
    }
  } else {
#pragma unroll 1
    for (int k = threadIdx.x; k < p.stride; k += kThreads) {
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
  const int num_tiles = NumTiles(system.blocks), lane = LaneIndex();
#pragma unroll 1
  for (int tile = WarpIndex(); tile < num_tiles; tile += kWarps) {
    TileSum sum;
    Clear(sum);
#pragma unroll 1
    for (int chunk = first; chunk < last; ++chunk) {
      const float* raw = chunks.sums + chunk * chunks.stride + tile * kTileFloats;
      ForEachPair(sum, lane, [&](int place, float* pair) {
        const float2 part = *reinterpret_cast<const float2*>(raw + place);
        pair[0] += part.x;
        pair[1] += part.y;
      });
    }
    const int i = TileRow(tile);
    finish(i, tile - TileIndex(i, 0), sum);
  }
#pragma unroll 1
  for (int e = threadIdx.x; e < system.blocks * kTile; e += kWarps * kWarpSize) {
    float sum = 0;
    for (int chunk = first; chunk < last; ++chunk) {
      sum += chunks.sums[chunk * chunks.stride + num_tiles * kTileFloats + e];
    }
    system.rhs[e] = sum;
  }
  __syncthreads();
}

// Blocks that registers must leave room for on a multiprocessor.
constexpr int MinBlocks(int warps) { return warps == 1 ? 16 : warps == 2 ? 8 : warps == 4 ? 3 : 1; }

// Solves the rows of a list, a block a row, blocks taking every gridDim.x-th row.
// Where the tiles lie is known when compiling, or every access to them would be a generic one.
template <int kWarps, int kUnits, int kDepth, bool kShort, typename Element, bool kTilesInShared>
__global__ void __launch_bounds__(kWarps* kWarpSize, MinBlocks(kWarps))
    SolveRowsKernel(RowProblem p, RowList rows, SolveLayout layout, float* global_tiles,
                    ChunkSums chunks) {
  PENCHANT_SHARED(shared);
  const Workspace w = LayOut<kTilesInShared>(
      layout, reinterpret_cast<float*>(shared),
      kTilesInShared ? nullptr : global_tiles + int64_t{blockIdx.x} * layout.system());
  // What lies in a panel's lines beyond a row's is of rows before, and weighs nothing.
  if (kShort && PanelStays<kWarps>(layout)) ClearStages<kWarps>(layout, w, 0, layout.stage);
  for (int k = blockIdx.x; k < rows.count;) {
    const int32_t row = rows.order[k];
    const Observations observations = ObservationsOf(p, row);
    if (ThreadIndex() == 0) *w.number = k;
    k += gridDim.x;
    if (observations.count == 0) {
      float* out = p.out + int64_t{row} * p.stride;
#pragma unroll 1
      for (int i = threadIdx.x; i < p.stride; i += kWarps * kWarpSize) out[i] = 0.0f;
      continue;
    }
    const int order =
        kShort ? (observations.count + kTile - 1) / kTile * kTile : layout.padded_factors;
    TileSystem system = w.system;
    system.blocks = order / kTile;
    if (kShort && !PanelStays<kWarps>(layout)) {  // lines that are not gathered, but multiplied
      using Strips = Strips<kDepth, kShort>;
      const int line = Strips::Line(layout.padded_factors);
      const int gathered =
          (observations.count + Strips::kLines - 1) / Strips::kLines * Strips::kLines;
      ClearStages<kWarps>(layout, w, gathered * line, min(order * line, layout.stage));
    }
    PrepareRow<kWarps, kShort>(p, observations, row, order, layout, w);
    const auto write = [&](int i, int j, const TileSum& sum) {
      const int blocks = IsCorner<kWarps, kShort>(observations) ? 2 : 4;
      const float square = kShort ? 1.0f : w.half->inverse * w.half->inverse;
      const auto scale = [&](int r, int c, float2 raw) -> float2 {
        if constexpr (!kShort) return {raw.x * square, raw.y * square};
        const float own = w.scale[i * kTile + r];
        const float2 other = *reinterpret_cast<const float2*>(w.scale + j * kTile + c);
        return {raw.x * own * other.x, raw.y * own * other.y};
      };
      if (kWarps == 1 || i == j) {
        WriteTile<true>(system, i, j, sum, blocks, scale);
      } else {
        WriteTile<false>(system, i, j, sum, blocks, scale);
      }
    };
    if (!kShort && chunks.chunk_begin != nullptr) {
      SumChunks<kWarps>(chunks, *w.number, system, write);
    } else {
      FormTiles<kWarps, kUnits, kDepth, kShort, Element, !kTilesInShared>(p, observations, layout,
                                                                          w, order, write);
    }
    const int32_t solved = rows.order[*w.number];
    system.used = kShort ? RowLength(p, solved) : p.factors;
    if constexpr (kWarps == 1) {
      const bool good = SolveTile(system.tiles, system.diagonal, system.pivot_rows, system.rhs,
                                  system.used, LaneIndex());
      if (ThreadIndex() == 0 && !good) *system.bad_pivots = 1;
    } else {
      const float largest = Factor<kWarps, kTilesInShared>(system);
      SubstituteBack<kWarps, kTilesInShared>(system, largest);
    }
    if (ThreadIndex() == 0 && *system.bad_pivots > 0) {
      rows.failed[atomicAdd(rows.num_failed, 1)] = solved;
    }
    WriteRow<kWarps, kDepth, kShort, Element>(p, ObservationsOf(p, solved), layout, w,
                                              p.out + int64_t{solved} * p.stride);
    k = *w.number + gridDim.x;
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
  for (int k = blockIdx.x; k < num_chunks; k += gridDim.x) {
    const RowChunk chunk = chunks.chunks[k];
    const Observations observations = {p.offsets[chunk.row] + chunk.first, chunk.count};
    PrepareRow<kWarps, false>(p, observations, chunk.row, order, layout, w);
    float* sums = chunks.sums + k * chunks.stride;
    FormTiles<kWarps, kUnits, kDepth, false, Element, (kWarps * kUnits > 12)>(
        p, observations, layout, w, order, [&](int i, int j, const TileSum& sum) {
          ForEachPair(sum, LaneIndex(), [&](int place, const float* pair) {
            float* tile = sums + TileIndex(i, j) * kTileFloats;
            *reinterpret_cast<float2*>(tile + place) = {pair[0], pair[1]};
          });
        });
#pragma unroll 1
    for (int e = threadIdx.x; e < order; e += kWarps * kWarpSize) {
      sums[NumTiles(order / kTile) * kTileFloats + e] = w.system.rhs[e];
    }
    __syncthreads();
  }
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_ALS_SOLVE_KERNELS_CUH_
