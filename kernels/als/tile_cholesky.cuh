// Cholesky factorisation and solution of one system of 32 x 32 tiles by one block (left-looking;
// the panel below a diagonal tile is multiplied by the tile's inverse, so that all but the
// diagonal runs on the tensor cores).
#ifndef PENCHANT_KERNELS_ALS_TILE_CHOLESKY_CUH_
#define PENCHANT_KERNELS_ALS_TILE_CHOLESKY_CUH_

#include "kernels/als/tile_product.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

// A system in the block's hands. Tiles lie in shared or global memory, the rest in shared memory.
struct TileSystem {
  float* tiles;       // lower tiles (i, j) at TileIndex(i, j) * kTileFloats
  float* rhs;         // in: the right-hand side; out: the solution
  float* diagonal;    // the diagonal entries, as they were before the factorisation
  float* pivot_rows;  // 2 * kTile floats of scratch
  int* bad_pivots;    // counts the tiles with a pivot below its floor
  int used;           // rows in use; those beyond are the identity's
  int blocks;         // tiles a side
};

// A pivot this far below its original diagonal entry keeps hardly two digits of float32; and
// systems are the identity plus something positive semidefinite, so that exact pivots are at
// least 1.
__device__ __forceinline__ float PivotFloor(float diagonal) {
  return fmaxf(0.5f, diagonal * (1.0f / (1 << 18)));
}

// Replaces a symmetric diagonal tile by the inverse of its Cholesky factor, by one warp: one
// elimination in place, lane = row. At step c a row holds the inverse left of column c and what is
// left of the tile right of it, so that 32 registers are enough for both. Rows from `used` on are
// those of the identity, which need no step. Returns whether all pivots were good; a bad one is
// taken for 1.
__device__ __forceinline__ bool InvertDiagonalTile(float* tile, const float* diagonal,
                                                   float* pivot_rows, int used, int lane) {
  float row[kTile];
#pragma unroll
  for (int k = 0; k < kTile; k += 4) {
    const float4 four = *reinterpret_cast<const float4*>(tile + TilePlace(lane, k));
    row[k] = four.x;
    row[k + 1] = four.y;
    row[k + 2] = four.z;
    row[k + 3] = four.w;
  }
  bool good = true;
  float scale = 1.0f;
  // Where at most half of the rows are in use, the right half is zero and stays so.
  const int last = used > kTile / 2 ? kTile : kTile / 2;
#pragma unroll
  for (int c = 0; c < kTile; ++c) {
    if (c >= used) break;
    // Two pivot rows in turn: nobody still reads the one that is written.
    float* pivot_row = pivot_rows + c % 2 * kTile;
    if (lane == c) {
#pragma unroll
      for (int k = 0; k < kTile; k += 4) {
        if (k >= last) break;
        *reinterpret_cast<float4*>(pivot_row + k) = {row[k], row[k + 1], row[k + 2], row[k + 3]};
      }
    }
    __syncwarp();
    const float pivot = pivot_row[c];
    const bool sound = pivot > PivotFloor(diagonal[c]);  // false for NaN too
    good &= sound;
    const float inverse_root = InverseRoot(sound ? pivot : 1.0f);
    const float factor =
        lane > c && lane < last ? pivot_row[lane] * inverse_root * inverse_root : 0.0f;
#pragma unroll
    for (int k = 0; k < kTile; k += 4) {
      if (k >= last) break;
      const float4 four = *reinterpret_cast<const float4*>(pivot_row + k);
      row[k] -= factor * four.x;
      row[k + 1] -= factor * four.y;
      row[k + 2] -= factor * four.z;
      row[k + 3] -= factor * four.w;
    }
    row[c] = lane == c ? 1.0f : -factor;
    scale = lane == c ? inverse_root : scale;
  }
#pragma unroll
  for (int k = 0; k < kTile; k += 4) {
    *reinterpret_cast<float4*>(tile + TilePlace(lane, k)) = {
        k <= lane ? row[k] * scale : 0.0f, k + 1 <= lane ? row[k + 1] * scale : 0.0f,
        k + 2 <= lane ? row[k + 2] * scale : 0.0f, k + 3 <= lane ? row[k + 3] * scale : 0.0f};
  }
  __syncwarp();
  return good;
}

// Replaces rhs by the solution of a system of one tile, by one warp: an elimination in registers,
// lane = row, and the substitution back through what it left there. Rows from `used` on are those
// of the identity, which need no step. Returns whether all pivots were good; a bad one is taken
// for 1.
__device__ __forceinline__ bool SolveTile(const float* tile, const float* diagonal,
                                          float* pivot_rows, float* rhs, int used, int lane) {
  // Where at most half of the rows are in use, the others and their columns are left alone.
  const int last = used > kTile / 2 ? kTile : kTile / 2;
  float row[kTile] = {};
#pragma unroll
  for (int k = 0; k < kTile; k += 4) {
    if (k >= last) break;
    const float4 four = *reinterpret_cast<const float4*>(tile + TilePlace(lane, k));
    row[k] = four.x;
    row[k + 1] = four.y;
    row[k + 2] = four.z;
    row[k + 3] = four.w;
  }
  const float floor = PivotFloor(diagonal[lane]);
  float right = rhs[lane], inverse = 1.0f;
  bool good = true;
#pragma unroll
  for (int c = 0; c < kTile; ++c) {
    if (c >= used) break;
    // Two pivot rows in turn: nobody still reads the one that is written. They are columns as well.
    float* pivot_row = pivot_rows + c % 2 * kTile;
    pivot_row[lane] = row[c];
    const bool sound = row[c] > floor;  // false for NaN too; of interest in lane c
    good &= sound || lane != c;
    const float root = InverseRoot(__shfl_sync(kAllLanes, sound ? row[c] : 1.0f, c));
    const float factor = lane > c ? row[c] * root * root : 0.0f;
    inverse = lane == c ? root * root : inverse;
    right -= factor * __shfl_sync(kAllLanes, right, c);
    __syncwarp();
#pragma unroll
    for (int k = (c + 1) / 4 * 4; k < kTile; k += 4) {
      if (k >= last) break;
      const float4 four = *reinterpret_cast<const float4*>(pivot_row + k);
      if (k > c) row[k] -= factor * four.x;
      if (k + 1 > c) row[k + 1] -= factor * four.y;
      if (k + 2 > c) row[k + 2] -= factor * four.z;
      row[k + 3] -= factor * four.w;
    }
  }
#pragma unroll
  for (int c = kTile - 1; c > 0; --c) {
    if (c >= used) continue;
    const float solved = __shfl_sync(kAllLanes, right * inverse, c);
    if (lane < c) right -= row[c] * solved;
  }
  rhs[lane] = right * inverse;
  __syncwarp();
  return __ballot_sync(kAllLanes, good) == kAllLanes;
}

// Element `lane` of tile * vector.
__device__ __forceinline__ float TileTimesVector(const float* tile, const float* vector, int lane) {
  float sum = 0;
#pragma unroll 2
  for (int c = 0; c < kTile; c += 4) {
    const float4 left = *reinterpret_cast<const float4*>(tile + TilePlace(lane, c));
    const float4 right = *reinterpret_cast<const float4*>(vector + c);
    sum += left.x * right.x + left.y * right.y + left.z * right.z + left.w * right.w;
  }
  return sum;
}

// Element `lane` of tile' * vector.
__device__ __forceinline__ float TransposedTileTimesVector(const float* tile, const float* vector,
                                                           int lane) {
  float sum = 0;
#pragma unroll 2
  for (int r = 0; r < kTile; r += 4) {
    const float4 four = *reinterpret_cast<const float4*>(vector + r);
    sum += tile[TilePlace(r, lane)] * four.x + tile[TilePlace(r + 1, lane)] * four.y +
           tile[TilePlace(r + 2, lane)] * four.z + tile[TilePlace(r + 3, lane)] * four.w;
  }
  return sum;
}

// Factors the system in place with all warps of the block: diagonal tiles become the inverses of
// their factors. Ends with a barrier.
template <int kWarps>
__device__ __forceinline__ void Factor(const TileSystem& s) {
  const int warp = WarpIndex(), lane = LaneIndex();
  // The largest entry S is one on the diagonal. It bounds the tiles, its root the factor's; and
  // those of the inverses are at most 1, as pivots are at least 1.
  float largest = 1.0f;
  for (int i = lane; i < s.blocks * kTile; i += kWarpSize) largest = fmaxf(largest, s.diagonal[i]);
  largest = MaxOverWarp(largest);
  const HalfScale factor = HalfScaleFor(largest), entry = HalfScaleFor(largest * largest);
  const HalfScale inverse = HalfScaleFor(1.0f);
  for (int j = 0; j < s.blocks; ++j) {
    float* diagonal = s.tiles + TileIndex(j, j) * kTileFloats;
    for (int i = j + warp; j > 0 && i < s.blocks; i += kWarps) {
      float* tile = s.tiles + TileIndex(i, j) * kTileFloats;
      TileSum sum;
      Clear(sum);
      for (int k = 0; k < j; ++k) {
        MultiplyTiles(s.tiles + TileIndex(i, k) * kTileFloats, factor.scale,
                      s.tiles + TileIndex(j, k) * kTileFloats, factor.scale, lane, sum);
      }
      ForEachPair(sum, lane, [&](int r, int c, const float* pair) {
        auto* to = reinterpret_cast<float2*>(tile + TilePlace(r, c));
        const float2 old = *to;
        *to = {old.x - pair[0] * factor.inverse * factor.inverse,
               old.y - pair[1] * factor.inverse * factor.inverse};
      });
    }
    __syncthreads();
    if (warp == 0) {
      const bool good = InvertDiagonalTile(diagonal, s.diagonal + j * kTile, s.pivot_rows,
                                           s.used - j * kTile, lane);
      if (lane == 0 && !good) ++*s.bad_pivots;
    }
    __syncthreads();
    for (int i = j + 1 + warp; i < s.blocks; i += kWarps) {
      float* tile = s.tiles + TileIndex(i, j) * kTileFloats;
      TileSum sum;
      Clear(sum);
      MultiplyTiles(tile, entry.scale, diagonal, inverse.scale, lane, sum);
      __syncwarp();
      ForEachPair(sum, lane, [&](int r, int c, const float* pair) {
        *reinterpret_cast<float2*>(tile + TilePlace(r, c)) = {
            pair[0] * entry.inverse * inverse.inverse, pair[1] * entry.inverse * inverse.inverse};
      });
    }
    __syncthreads();
  }
}

// Replaces rhs by the solution of a factored system, with all warps. Ends with a barrier.
template <int kWarps>
__device__ __forceinline__ void Substitute(const TileSystem& s) {
  const int warp = WarpIndex(), lane = LaneIndex();
  for (int j = 0; j < s.blocks; ++j) {
    if (warp == 0) {
      const float* diagonal = s.tiles + TileIndex(j, j) * kTileFloats;
      const float y = TileTimesVector(diagonal, s.rhs + j * kTile, lane);
      __syncwarp();
      s.rhs[j * kTile + lane] = y;
    }
    __syncthreads();
    for (int i = j + 1 + warp; i < s.blocks; i += kWarps) {
      const float* tile = s.tiles + TileIndex(i, j) * kTileFloats;
      s.rhs[i * kTile + lane] -= TileTimesVector(tile, s.rhs + j * kTile, lane);
    }
    __syncthreads();
  }
  for (int j = s.blocks - 1; j >= 0; --j) {
    if (warp == 0) {
      const float* diagonal = s.tiles + TileIndex(j, j) * kTileFloats;
      const float z = TransposedTileTimesVector(diagonal, s.rhs + j * kTile, lane);
      __syncwarp();
      s.rhs[j * kTile + lane] = z;
    }
    __syncthreads();
    for (int i = warp; i < j; i += kWarps) {
      const float* tile = s.tiles + TileIndex(j, i) * kTileFloats;
      s.rhs[i * kTile + lane] -= TransposedTileTimesVector(tile, s.rhs + j * kTile, lane);
    }
    __syncthreads();
  }
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_ALS_TILE_CHOLESKY_CUH_
