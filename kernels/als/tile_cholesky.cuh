// Cholesky factorisation and solution of one system of 32 x 32 tiles by one block (left-looking;
// the panel below a diagonal tile is multiplied by the tile's inverse, so that all but the
// diagonal runs on the tensor cores). The right-hand side goes along as one more row.
#ifndef PENCHANT_KERNELS_ALS_TILE_CHOLESKY_CUH_
#define PENCHANT_KERNELS_ALS_TILE_CHOLESKY_CUH_

#include "kernels/als/diagonal_tile.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

// A system in the block's hands. Tiles lie in shared or global memory, the rest in shared memory.
struct TileSystem {
  float* tiles;       // lower tiles (i, j) at TileOffset(i, j)
  float* rhs;         // in: the right-hand side; out: the solution
  float* diagonal;    // the diagonal entries, as they were before the factorisation
  float* pivot_rows;  // kPivotScratch floats of scratch
  int* bad_pivots;    // counts the tiles with a pivot below its floor
  int used;           // rows in use; those beyond are the identity's
  int blocks;         // tiles a side

  __device__ float* tile(int i, int j) const { return tiles + TileOffset(i, j); }
};

// Takes the products of the factor's columns [first, end) off tile (i, j), by one warp.
template <bool kInShared, TilePart kWanted>
__device__ __forceinline__ void SubtractProducts(const TileSystem& s, int i, int j, int first,
                                                 int end, const TileScales& scales) {
  const int lane = LaneIndex();  // asked anew: or places stay in registers while tiles are inverted
  TileSum sum;
  Clear(sum);
  for (int k = first; k < end; ++k) {
    MultiplyHalfTiles<kInShared, kWanted>(s.used > i * kTile + kTile / 2, s.tile(i, k),
                                          s.tile(j, k), lane, sum);
  }
  const float scale = scales.factor.inverse * scales.factor.inverse;
  ForEachPair<kWanted>(sum, TileOffset(i, j), lane, [&](int place, const float* pair) {
    auto* to = reinterpret_cast<float2*>(s.tiles + place);
    const float2 old = *to;
    *to = {old.x - pair[0] * scale, old.y - pair[1] * scale};
  });
}

// Makes rows [16 m, 16 m + 16) of tile (i, j) the factor's, as halves, once that on the diagonal is
// inverted, and takes their product with the solved part of rhs off theirs, by one warp.
template <bool kInShared>
__device__ __forceinline__ void FinishRows(const TileSystem& s, int i, int j, int m,
                                           const TileScales& scales) {
  const int lane = LaneIndex();
  float sum[4][4] = {};
  SplitAndMultiply<kInShared>(s.tile(i, j), m, scales.entry.scale, s.tile(j, j), lane, sum);
  __syncwarp();
  const float scale = scales.entry.inverse * scales.inverse.inverse * scales.factor.scale;
  const int column = lane % 4 * 2;
  const int place = TileOffset(i, j) + 2 * m * kEightRows + HalvesPlace(lane / 4, column);
  float taken[2] = {};  // by the eights of rows
#pragma unroll
  for (int c = 0; c < 4; ++c) {
    const float2 solved = *reinterpret_cast<const float2*>(s.rhs + j * kTile + c * 8 + column);
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const float2 scaled = {sum[c][2 * r] * scale, sum[c][2 * r + 1] * scale};
      WriteHalves(s.tiles + r * kEightRows, place ^ c * 4, scaled);
      taken[r] += scaled.x * solved.x + scaled.y * solved.y;
    }
  }
  TakeOffRows(s.rhs + i * kTile + m * 16, taken, scales.factor.inverse, lane);
}

// Factors the system in place and replaces rhs by the factor's inverse times it, with all warps of
// the block. Tiles become halves: on the diagonal of their factors' inverses, below of the factor.
// Returns their scales. Ends with a barrier.
template <int kWarps, bool kInShared>
__device__ __forceinline__ TileScales Factor(const TileSystem& s) {
  float largest = 1.0f;
#pragma unroll 1
  for (int i = LaneIndex(); i < s.blocks * kTile; i += kWarpSize) {
    largest = fmaxf(largest, s.diagonal[i]);
  }
  largest = LargestOverWarp(largest);
  const TileScales scales = ScalesFor(largest);
  for (int j = 0; j < s.blocks; ++j) {
    const int warp = WarpIndex();
    // Column j takes column j - 1 off; those before it has taken off while that one was factored.
    // Then warp 0 factors, and the others do so for column j + 1.
#pragma unroll 1
    for (int ahead = 0; ahead < 2; ++ahead) {
      for (int i = j + warp; j > 0 && i < s.blocks; i += kWarps - ahead) {
        const int column = j + ahead, first = ahead == 0 ? j - 1 : 0;
        if (i == column) {
          SubtractProducts<kInShared, TilePart::kLower>(s, i, column, first, j, scales);
        } else {
          SubtractProducts<kInShared, TilePart::kAll>(s, i, column, first, j, scales);
        }
      }
      if (warp == 0) {
        __syncwarp();
        const bool good = InvertDiagonalTile<kInShared>(s.tile(j, j), s.diagonal + j * kTile,
                                                        s.pivot_rows, s.rhs + j * kTile,
                                                        s.used - j * kTile, scales, LaneIndex());
        if (ThreadIndex() == 0 && !good) ++*s.bad_pivots;
        break;
      }
    }
    __syncthreads();
    const int halves_in_use =
        (s.used + kTile / 2 - 1) / (kTile / 2) - 2 * (j + 1);  // the rest is zero
    for (int half = WarpIndex(); half < halves_in_use; half += kWarps) {
      FinishRows<kInShared>(s, j + 1 + half / 2, j, half % 2, scales);
    }
    __syncthreads();
  }
  return scales;
}

// Replaces rhs, as Factor leaves it, by the system's solution, with all warps. Ends with a barrier.
template <int kWarps, bool kInShared>
__device__ __forceinline__ void SubstituteBack(const TileSystem& s, const TileScales& scales) {
  // Row j - 1 takes the last off from warp 0, which then solves it.
  for (int j = s.blocks; j > 0; --j) {
    const int warp = WarpIndex(), lane = LaneIndex();
    for (int i = j - 1 - warp; j < s.blocks && i >= 0; i -= kWarps) {
      s.rhs[i * kTile + OwnColumn(lane)] -=
          TransposedTimesVector<kInShared>(s.tile(j, i), s.rhs + j * kTile, lane) *
          scales.factor.inverse;
    }
    if (warp == 0) {
      __syncwarp();
      float* own = s.rhs + (j - 1) * kTile;
      const float solved = TransposedTimesVector<kInShared>(s.tile(j - 1, j - 1), own, lane);
      __syncwarp();
      own[OwnColumn(lane)] = solved * scales.inverse.inverse;
    }
    __syncthreads();
  }
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_ALS_TILE_CHOLESKY_CUH_
