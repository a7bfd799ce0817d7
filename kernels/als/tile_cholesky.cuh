// Cholesky factorisation and solution of one system of 32 x 32 tiles by one block (left-looking;
// the panel below a diagonal tile is multiplied by the tile's inverse, so that all but the
// diagonal runs on the tensor cores).
#ifndef PENCHANT_KERNELS_ALS_TILE_CHOLESKY_CUH_
#define PENCHANT_KERNELS_ALS_TILE_CHOLESKY_CUH_

#include "kernels/als/tile_product.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

// A system in the block's hands. Tiles lie in shared or global memory, the rest in shared memory.
struct TileSystem {
  float* tiles;        // lower tiles (i, j) at TileIndex(i, j) * kTileFloats
  float* rhs;          // in: the right-hand side; out: the solution
  float* pivot_floor;  // a pivot below it keeps hardly two digits of float32
  float* column;       // 3 * kTile floats of scratch
  int blocks;          // tiles a side
};

// Replaces a diagonal tile by the inverse of its Cholesky factor, by one warp. Returns whether all
// pivots were good; a bad one is taken for 1.
__device__ __forceinline__ bool InvertDiagonalTile(float* tile, const float* pivot_floor,
                                                   float* column, int lane) {
  float row[kTile];
#pragma unroll
  for (int c = 0; c < kTile; c += 4) {
    const float4 four = *reinterpret_cast<const float4*>(tile + lane * kTileStride + c);
    row[c] = four.x;
    row[c + 1] = four.y;
    row[c + 2] = four.z;
    row[c + 3] = four.w;
  }
  const float floor = pivot_floor[lane];
  float* inverse_pivots = column + 2 * kTile;
  bool good = true;
#pragma unroll
  for (int c = 0; c < kTile; ++c) {
    float pivot = __shfl_sync(kAllLanes, row[c], c);
    const bool sound = pivot > __shfl_sync(kAllLanes, floor, c);  // false for NaN too
    good &= sound;
    pivot = sound ? pivot : 1.0f;
    float inverse = rsqrtf(pivot);
    inverse *= 1.5f - 0.5f * pivot * inverse * inverse;
    row[c] = lane == c ? pivot * inverse : lane > c ? row[c] * inverse : 0.0f;
    // Two columns in turn: nobody still reads the one that is written.
    float* shared_column = column + c % 2 * kTile;
    shared_column[lane] = row[c];
    if (lane == c) inverse_pivots[c] = inverse;
    __syncwarp();
#pragma unroll
    for (int other = c + 1; other < kTile; ++other) row[other] -= row[c] * shared_column[other];
  }
#pragma unroll
  for (int c = 0; c < kTile; ++c) tile[lane * kTileStride + c] = row[c];
  __syncwarp();
  // Lane = column of the inverse.
  float x[kTile];
#pragma unroll
  for (int i = 0; i < kTile; ++i) {
    float sum = lane == i ? 1.0f : 0.0f;
#pragma unroll
    for (int k = 0; k < i; ++k) sum -= tile[i * kTileStride + k] * x[k];
    x[i] = sum * inverse_pivots[i];
  }
  __syncwarp();
#pragma unroll
  for (int i = 0; i < kTile; ++i) tile[i * kTileStride + lane] = x[i];
  __syncwarp();
  return good;
}

// Element `lane` of tile * vector.
__device__ __forceinline__ float TileTimesVector(const float* tile, const float* vector, int lane) {
  float sum = 0;
#pragma unroll
  for (int c = 0; c < kTile; c += 4) {
    const float4 left = *reinterpret_cast<const float4*>(tile + lane * kTileStride + c);
    const float4 right = *reinterpret_cast<const float4*>(vector + c);
    sum += left.x * right.x + left.y * right.y + left.z * right.z + left.w * right.w;
  }
  return sum;
}

// Element `lane` of tile' * vector.
__device__ __forceinline__ float TransposedTileTimesVector(const float* tile, const float* vector,
                                                           int lane) {
  float sum = 0;
#pragma unroll
  for (int r = 0; r < kTile; ++r) sum += tile[r * kTileStride + lane] * vector[r];
  return sum;
}

// Solves the system in place with all warps of the block; the tiles are overwritten. Returns
// whether all pivots were good (the same for every thread of warp 0). Ends with a barrier.
template <int kWarps>
__device__ __forceinline__ bool FactorAndSolve(const TileSystem& s, int warp, int lane) {
  bool good = true;
  for (int j = 0; j < s.blocks; ++j) {
    float* diagonal = s.tiles + TileIndex(j, j) * kTileFloats;
    for (int i = j + warp; i < s.blocks; i += kWarps) {
      float* tile = s.tiles + TileIndex(i, j) * kTileFloats;
      TileSum sum;
      Clear(sum);
      for (int k = 0; k < j; ++k) {
        const float* left = s.tiles + TileIndex(i, k) * kTileFloats;
        const float* right = s.tiles + TileIndex(j, k) * kTileFloats;
        MultiplyTile<kTile>(
            lane, [&](int r, int c) { return left[r * kTileStride + c]; },
            [&](int r, int c) { return right[r * kTileStride + c]; }, sum);
      }
      ForEachElement(sum, lane, [&](int r, int c, float value) {
        tile[r * kTileStride + c] -= value;
      });
    }
    __syncthreads();
    if (warp == 0) {
      good &= InvertDiagonalTile(diagonal, s.pivot_floor + j * kTile, s.column, lane);
      const float y = TileTimesVector(diagonal, s.rhs + j * kTile, lane);
      __syncwarp();
      s.rhs[j * kTile + lane] = y;
    }
    __syncthreads();
    for (int i = j + 1 + warp; i < s.blocks; i += kWarps) {
      float* tile = s.tiles + TileIndex(i, j) * kTileFloats;
      TileSum sum;
      Clear(sum);
      MultiplyTile<kTile>(
          lane, [&](int r, int c) { return tile[r * kTileStride + c]; },
          [&](int r, int c) { return diagonal[r * kTileStride + c]; }, sum);
      __syncwarp();
      ForEachElement(sum, lane,
                     [&](int r, int c, float value) { tile[r * kTileStride + c] = value; });
      __syncwarp();
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
  return good;
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_ALS_TILE_CHOLESKY_CUH_
