// Cholesky factorisation and solution of one system of 32 x 32 tiles by one CUDA block:
// left-looking, a column of 16 x 16 blocks after the other. Those below the diagonal are multiplied
// by the inverse of that on it, so that all but the diagonal runs on the tensor cores. The
// right-hand side goes along as one more row.
#ifndef PENCHANT_KERNELS_ALS_TILE_CHOLESKY_CUH_
#define PENCHANT_KERNELS_ALS_TILE_CHOLESKY_CUH_

#include "kernels/als/diagonal_block.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

// A system in the block's hands. Tiles lie in shared or global memory, the rest in shared memory.
struct TileSystem {
  float* tiles;       // lower tiles (i, j) at TileOffset(i, j)
  float* rhs;         // in: the right-hand side; out: the solution
  float* diagonal;    // the diagonal entries, as they were before the factorisation
  float* pivot_rows;  // kPivotScratch floats of scratch
  int* bad_pivots;    // counts the blocks with a pivot below its floor
  int used;           // rows in use; those beyond are the identity's
  int side;           // tiles

  __device__ float* tile(int i, int j) const { return tiles + TileOffset(i, j); }
};

// sum += one of the factor's rows of blocks times another, transposed, up to column `end`. Rows and
// columns are told by their offsets from here on.
template <bool kInShared>
__device__ __forceinline__ void MultiplyRows(const TileSystem& s, int row, int other, int end,
                                             int lane, float (&sum)[2][4]) {
  const int left = row ^ OperandPlace<kInShared, true>(lane);
  const int right = other ^ OperandPlace<kInShared, false>(lane);
  const auto multiply = [&](const float* tiles, int block) {
    const HalfFragment a = ReadHalves<kInShared, true>(tiles, left ^ block);
    const HalfFragment b = ReadHalves<kInShared, false>(tiles, right ^ block);
    MultiplyAdd<0>(a, b, sum[0]);
    MultiplyAdd<1>(a, b, sum[1]);
  };
  const float* tiles = s.tiles;
  int k = 0;
#pragma unroll 1
  for (; k < end - 1; k += 2) {  // both of a tile
    multiply(tiles, 0);
    multiply(tiles, kBlock);
    tiles += kTileFloats;
  }
  if (k < end) multiply(tiles, 0);
}

// Calls visit(pair of floats in the block, pair of a product of 16 x 16 there).
template <typename Sum, typename Visit>
__device__ __forceinline__ void ForEachPairOfBlock(const TileSystem& s, int block, int lane,
                                                   Sum& sum, Visit visit) {
  const int place = block ^ TilePlace(lane / 4, lane % 4 * 2);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    visit(*reinterpret_cast<float2*>(s.tiles + (place ^ i / 2 * 8) + i % 2 * kEightRows),
          &sum[i / 2][i % 2 * 2]);
  }
}

// Takes a product of the factor's rows off a block on the diagonal.
__device__ __forceinline__ void SubtractProduct(const TileSystem& s, int block,
                                                const float (&sum)[2][4], const TileScales& scales,
                                                int lane) {
  const float scale = scales.factor.inverse * scales.factor.inverse;
  ForEachPairOfBlock(s, block, lane, sum, [&](float2& to, const float* pair) {
    to = {to.x - pair[0] * scale, to.y - pair[1] * scale};
  });
}

// The block in column c of a row, without the products of the factor's columns before, for the
// tensor cores; `pivot`: the row of the block on the diagonal.
template <bool kInShared>
__device__ __forceinline__ HalfFragment Reduce(const TileSystem& s, int row, int pivot, int c,
                                               const TileScales& scales, int lane) {
  float sum[2][4] = {};
  MultiplyRows<kInShared>(s, row, pivot, c, lane, sum);
  const float scale = scales.factor.inverse * scales.factor.inverse;
  ForEachPairOfBlock(s, row + ColumnOffset(c), lane, sum, [&](const float2& from, float* pair) {
    pair[0] = from.x - pair[0] * scale;
    pair[1] = from.y - pair[1] * scale;
  });
  return SplitSum(sum, scales.entry.scale);
}

// Makes of a reduced block that of the factor, once that on the diagonal is inverted, and takes its
// product with `solved`, 16 of rhs, off its own 16; by one warp.
template <bool kInShared>
__device__ __forceinline__ HalfFragment MultiplyByInverse(const TileSystem& s,
                                                          const HalfFragment& reduced, int block,
                                                          int inverse, const float* solved,
                                                          float* rhs, const TileScales& scales,
                                                          int lane) {
  float sum[2][4];
  Multiply(reduced, ReadHalves<kInShared, false>(s.tiles, inverse, lane), sum);
  __syncwarp();
  const float scale = scales.entry.inverse * scales.inverse.inverse;
  const HalfFragment halves = SplitSum(sum, scale * scales.factor.scale);
  WriteHalves(s.tiles, block, halves, lane);
  const float2 first = *reinterpret_cast<const float2*>(solved + lane % 4 * 2);
  const float2 second = *reinterpret_cast<const float2*>(solved + 8 + lane % 4 * 2);
  float taken[2];  // by the eights of rows
#pragma unroll
  for (int e = 0; e < 2; ++e) {
    taken[e] = sum[0][2 * e] * first.x + sum[0][2 * e + 1] * first.y + sum[1][2 * e] * second.x +
               sum[1][2 * e + 1] * second.y;
  }
  TakeOffRows(rhs, taken, scale, lane);
  return halves;
}

// On the diagonal, by each warp.
__device__ __forceinline__ float LargestEntry(const TileSystem& s) {
  float largest = 1.0f;
#pragma unroll 1
  for (int i = LaneIndex(); i < s.side * kTile; i += kWarpSize) {
    largest = fmaxf(largest, s.diagonal[i]);
  }
  return LargestOverWarp(largest);
}

// Factors the system in place and replaces rhs by the factor's inverse times it, with all warps.
// Tiles become halves: on the diagonal of their factors' inverses, below of the factor.
// Returns their scales. Ends with a barrier.
template <int kWarps, bool kInShared>
__device__ __forceinline__ TileScales Factor(const TileSystem& s) {
  const TileScales scales = ScalesFor(LargestEntry(s));
  const int lane = LaneIndex(), warp = WarpIndex();
  const int rows = (s.used + kBlock - 1) / kBlock;  // of blocks; the rest is the identity's
  for (int c = 0; c < rows; ++c) {
    // While warp 0 inverts the block on the diagonal, the others reduce one below each, and the
    // last the next on the diagonal, but for this column's product.
    const int column = ColumnOffset(c), pivot = RowOffset(c), below = c + warp;
    const int row = RowOffset(below);
    float* solved = s.rhs + c * kBlock;
    HalfFragment reduced = {};  // or it would hold registers from the kernel's beginning on
    if (warp == 0) {
      const bool good =
          InvertDiagonalBlock(s.tiles, pivot + column, s.diagonal + c * kBlock, s.pivot_rows,
                              solved, s.used - c * kBlock, scales.inverse, lane);
      if (lane == 0 && !good) ++*s.bad_pivots;
    } else {
      if (below < rows) reduced = Reduce<kInShared>(s, row, pivot, c, scales, lane);
      if (warp == kWarps - 1 && c > 0 && c + 1 < rows) {
        const int next = RowOffset(c + 1);
        float sum[2][4] = {};
        MultiplyRows<kInShared>(s, next, next, c, lane, sum);
        SubtractProduct(s, next + ColumnOffset(c + 1), sum, scales, lane);
      }
    }
    __syncthreads();
    const auto multiply = [&](const HalfFragment& left, int r, int r_offset) {
      return MultiplyByInverse<kInShared>(s, left, r_offset + column, pivot + column, solved,
                                          s.rhs + r * kBlock, scales, lane);
    };
    if (warp > 0 && below < rows) {
      const HalfFragment halves = multiply(reduced, below, row);
      if (warp == 1) {
        float sum[2][4];
        Multiply(halves, AsRight(halves), sum);
        SubtractProduct(s, row + ColumnOffset(below), sum, scales, lane);
      }
    }
#pragma unroll 1
    for (int r = below + kWarps; r < rows; r += kWarps) {
      const int other = RowOffset(r);
      multiply(Reduce<kInShared>(s, other, pivot, c, scales, lane), r, other);
    }
    __syncthreads();
  }
#pragma unroll 1
  for (int i = warp; 2 * i + 1 < rows; i += kWarps) {
    InvertCorner<kInShared>(s.tile(i, i), scales, lane);
  }
  __syncthreads();
  return scales;
}

// Replaces rhs, as Factor leaves it, by the system's solution, with all warps. Ends with a barrier.
template <int kWarps, bool kInShared>
__device__ __forceinline__ void SubstituteBack(const TileSystem& s, const TileScales& scales) {
  // Row j - 1 takes the last off from warp 0, which then solves it.
  for (int j = s.side; j > 0; --j) {
    const int warp = WarpIndex(), lane = LaneIndex();
    for (int i = j - 1 - warp; j < s.side && i >= 0; i -= kWarps) {
      s.rhs[i * kTile + OwnColumn(lane)] -=
          TransposedTimesVector<kInShared, false>(s.tile(j, i), s.rhs + j * kTile, lane) *
          scales.factor.inverse;
    }
    if (warp == 0) {
      __syncwarp();
      float* own = s.rhs + (j - 1) * kTile;
      const float solved = TransposedTimesVector<kInShared, true>(s.tile(j - 1, j - 1), own, lane);
      __syncwarp();
      own[OwnColumn(lane)] = solved * scales.inverse.inverse;
    }
    __syncthreads();
  }
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_ALS_TILE_CHOLESKY_CUH_
