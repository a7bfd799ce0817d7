// Cholesky factorisation and solution of one system of 32 x 32 tiles by one block (left-looking;
// the panel below a diagonal tile is multiplied by the tile's inverse, so that all but the
// diagonal runs on the tensor cores). The right-hand side goes along as one more row.
#ifndef PENCHANT_KERNELS_ALS_TILE_CHOLESKY_CUH_
#define PENCHANT_KERNELS_ALS_TILE_CHOLESKY_CUH_

#include "kernels/als/half_tile.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

inline constexpr int kPivotRow = kTile + 4;

// A system in the block's hands. Tiles lie in shared or global memory, the rest in shared memory.
struct TileSystem {
  float* tiles;       // lower tiles (i, j) at TileIndex(i, j) * kTileFloats
  float* rhs;         // in: the right-hand side; out: the solution
  float* diagonal;    // the diagonal entries, as they were before the factorisation
  float* pivot_rows;  // 2 * kPivotRow floats of scratch
  int* bad_pivots;    // counts the tiles with a pivot below its floor
  int used;           // rows in use; those beyond are the identity's
  int blocks;         // tiles a side

  __device__ float* tile(int i, int j) const { return tiles + TileIndex(i, j) * kTileFloats; }
};

// A pivot this far below its original diagonal entry keeps hardly two digits of float32; and
// systems are the identity plus something positive semidefinite, so that exact pivots are at
// least 1.
__device__ __forceinline__ float PivotFloor(float diagonal) {
  return fmaxf(0.5f, diagonal * (1.0f / (1 << 18)));
}

// Replaces a symmetric diagonal tile by halves of the inverse of its Cholesky factor, scaled by
// `half`, by one warp: one elimination in place, lane = row. At step c a row holds the inverse left
// of column c and what is left of the tile right of it, so that 32 registers are enough for both.
// Rows from `used` on are those of the identity, which need no step. Multiplies `rhs` by the
// inverse. Returns whether all pivots were good; a bad one is taken for 1.
__device__ __forceinline__ bool InvertDiagonalTile(float* tile, const float* diagonal,
                                                   float* pivot_rows, float* rhs, int used,
                                                   float half, int lane) {
  float row[kTile];
#pragma unroll
  for (int k = 0; k < kTile; k += 4) {
    const float4 four = *reinterpret_cast<const float4*>(tile + TilePlace(lane, k));
    row[k] = four.x;
    row[k + 1] = four.y;
    row[k + 2] = four.z;
    row[k + 3] = four.w;
  }
  const float floor = PivotFloor(diagonal[lane]);
  float own_pivot = 1.0f;
  bool good = true;
  // Where at most half of the rows are in use, the right half is zero and stays so.
  const int last = used > kTile / 2 ? kTile : kTile / 2;
#pragma unroll
  for (int c = 0; c < kTile; ++c) {
    if (c >= used) break;
    // Two pivot rows in turn: nobody still reads the one that is written. Each has one over its
    // pivot behind it, which its lane knows before the row is complete.
    float* pivot_row = pivot_rows + c % 2 * kPivotRow;
    const bool sound = row[c] > floor;  // false for NaN too; of interest in lane c
    good &= sound || lane != c;
    const float pivot = sound ? row[c] : 1.0f, inverse = Reciprocal(pivot);
    if (lane == c) {
      pivot_row[kTile] = inverse;
#pragma unroll
      for (int k = 0; k < kTile; k += 4) {
        if (k >= last) break;
        *reinterpret_cast<float4*>(pivot_row + k) = {row[k], row[k + 1], row[k + 2], row[k + 3]};
      }
    }
    own_pivot = lane == c ? pivot : own_pivot;
    __syncwarp();
    const float factor = lane > c && lane < last ? pivot_row[lane] * pivot_row[kTile] : 0.0f;
#pragma unroll
    for (int turn = 0; turn < kTile; turn += 4) {
      const int k = ((c + 1) / 4 * 4 + turn) % kTile;  // the next pivot's first
      if (k >= last) continue;
      const float4 four = *reinterpret_cast<const float4*>(pivot_row + k);
      row[k] -= factor * four.x;
      row[k + 1] -= factor * four.y;
      row[k + 2] -= factor * four.z;
      row[k + 3] -= factor * four.w;
    }
    row[c] = lane == c ? 1.0f : -factor;
  }
  const float scale = InverseRoot(own_pivot);
  float sum = 0.0f;
#pragma unroll
  for (int k = 0; k < kTile; k += 4) {
    const float4 inverse = {
        k <= lane ? row[k] * scale : 0.0f, k + 1 <= lane ? row[k + 1] * scale : 0.0f,
        k + 2 <= lane ? row[k + 2] * scale : 0.0f, k + 3 <= lane ? row[k + 3] * scale : 0.0f};
    row[k] = inverse.x * half;
    row[k + 1] = inverse.y * half;
    row[k + 2] = inverse.z * half;
    row[k + 3] = inverse.w * half;
    const float4 right = *reinterpret_cast<const float4*>(rhs + k);
    sum += inverse.x * right.x + inverse.y * right.y + inverse.z * right.z + inverse.w * right.w;
  }
#pragma unroll
  for (int k = 0; k < kTile; k += 8) {
    uint32_t high[4], low[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) SplitPair(row[k + 2 * i], row[k + 2 * i + 1], high[i], low[i]);
    const int place = HalvesPlace(lane, k);
    *reinterpret_cast<uint4*>(tile + place) = {high[0], high[1], high[2], high[3]};
    *reinterpret_cast<uint4*>(tile + (place ^ kToLows)) = {low[0], low[1], low[2], low[3]};
  }
  __syncwarp();
  rhs[lane] = sum;
  return __ballot_sync(kAllLanes, good) == kAllLanes;
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
    const float over_pivot = __shfl_sync(kAllLanes, Reciprocal(sound ? row[c] : 1.0f), c);
    const float factor = lane > c ? row[c] * over_pivot : 0.0f;
    inverse = lane == c ? over_pivot : inverse;
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

// The scales of a system's halves. Its largest entry is one on the diagonal: it bounds the tiles,
// its root the factor's. The inverses' entries are at most 1, as pivots are at least 1.
struct TileScales {
  HalfScale entry, factor, inverse;
};
__device__ __forceinline__ TileScales ScalesFor(float largest) {
  return {HalfScaleFor(largest * largest), HalfScaleFor(largest), HalfScaleFor(1.0f)};
}

// Takes the products of the factor's columns [first, end) off tile (i, j), by one warp.
template <bool kInShared>
__device__ __forceinline__ void SubtractProducts(const TileSystem& s, int i, int j, int first,
                                                 int end, float largest) {
  const int lane = LaneIndex();  // asked anew: or places stay in registers while tiles are inverted
  TileSum sum;
  Clear(sum);
  for (int k = first; k < end; ++k) {
    MultiplyHalfTiles<kInShared>(s.tile(i, k), s.tile(j, k), lane, sum);
  }
  float* tile = s.tile(i, j);
  const TileScales scales = ScalesFor(largest);
  const float scale = scales.factor.inverse * scales.factor.inverse;
  ForEachPair(sum, lane, [&](int place, const float* pair) {
    auto* to = reinterpret_cast<float2*>(tile + place);
    const float2 old = *to;
    *to = {old.x - pair[0] * scale, old.y - pair[1] * scale};
  });
}

// Makes rows [16 m, 16 m + 16) of tile (i, j) the factor's, as halves, once that on the diagonal is
// inverted, and takes their product with the solved part of rhs off theirs, by one warp.
template <bool kInShared>
__device__ __forceinline__ void FinishRows(const TileSystem& s, int i, int j, int m,
                                           float largest) {
  const int lane = LaneIndex();
  float* tile = s.tile(i, j);
  const TileScales scales = ScalesFor(largest);
  float sum[4][4] = {};
  SplitAndMultiply<kInShared>(tile, m, scales.entry.scale, s.tile(j, j), lane, sum);
  __syncwarp();
  const float scale = scales.entry.inverse * scales.inverse.inverse * scales.factor.scale;
  float taken[2] = {};  // by the eights of rows
#pragma unroll
  for (int c = 0; c < 4; ++c) {
    const int column = c * 8 + lane % 4 * 2, place = HalvesPlace(lane / 4, column);
    const float2 solved = *reinterpret_cast<const float2*>(s.rhs + j * kTile + column);
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const float2 scaled = {sum[c][2 * r] * scale, sum[c][2 * r + 1] * scale};
      WriteHalves(tile, place + (2 * m + r) * kEightRows, scaled);
      taken[r] += scaled.x * solved.x + scaled.y * solved.y;
    }
  }
  float own = SumSpread<1>(taken, lane);  // row lane % 2 * 8 + lane / 4, over half of the columns
  own += __shfl_xor_sync(kAllLanes, own, 2);
  if (lane % 4 < 2) {
    s.rhs[i * kTile + m * 16 + lane % 2 * 8 + lane / 4] -= own * scales.factor.inverse;
  }
}

// Factors the system in place and replaces rhs by the factor's inverse times it, with all warps of
// the block. Tiles become halves: on the diagonal of their factors' inverses, below of the factor.
// Returns the largest entry, which gives their scales. Ends with a barrier.
template <int kWarps, bool kInShared>
__device__ __forceinline__ float Factor(const TileSystem& s) {
  float largest = 1.0f;
#pragma unroll 1
  for (int i = LaneIndex(); i < s.blocks * kTile; i += kWarpSize) {
    largest = fmaxf(largest, s.diagonal[i]);
  }
  largest = MaxOverWarp(largest);
  for (int j = 0; j < s.blocks; ++j) {
    const int warp = WarpIndex();
    // Column j takes column j - 1 off; those before it has taken off while that one was factored.
    // Then warp 0 factors, and the others do so for column j + 1.
#pragma unroll 1
    for (int ahead = 0; ahead < 2; ++ahead) {
      for (int i = j + warp; j > 0 && i < s.blocks; i += kWarps - ahead) {
        SubtractProducts<kInShared>(s, i, j + ahead, ahead == 0 ? j - 1 : 0, j, largest);
      }
      if (warp == 0) {
        __syncwarp();
        const bool good = InvertDiagonalTile(s.tile(j, j), s.diagonal + j * kTile, s.pivot_rows,
                                             s.rhs + j * kTile, s.used - j * kTile,
                                             ScalesFor(largest).inverse.scale, LaneIndex());
        if (threadIdx.x == 0 && !good) ++*s.bad_pivots;
        break;
      }
    }
    __syncthreads();
    for (int half = WarpIndex(); half < 2 * (s.blocks - 1 - j); half += kWarps) {
      FinishRows<kInShared>(s, j + 1 + half / 2, j, half % 2, largest);
    }
    __syncthreads();
  }
  return largest;
}

// Of a tile of halves, transposed, times a vector: the element that is the lane's, by one warp.
template <bool kInShared>
__device__ __forceinline__ float TransposedTimesVector(const float* tile, const float* vector,
                                                       int lane) {
  float sums[8] = {};  // two of each eight columns
#pragma unroll 1
  for (int r = 0; r < 4; ++r) {
    uint32_t high[4], low[4];
    ReadHalfRows<kInShared>(tile, r, lane, high, low);
    const float element = vector[r * 8 + lane / 4];
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      const float2 highs = UnpackHalves(high[c]), lows = UnpackHalves(low[c]);
      sums[2 * c] += (highs.x + lows.x) * element;
      sums[2 * c + 1] += (highs.y + lows.y) * element;
    }
  }
  return SumSpread<4>(sums, lane);
}
__device__ __forceinline__ int OwnColumn(int lane) {
  return lane / 8 * 8 + lane % 4 * 2 + lane / 4 % 2;
}

// Replaces rhs, as Factor leaves it, by the system's solution, with all warps. Ends with a barrier.
template <int kWarps, bool kInShared>
__device__ __forceinline__ void SubstituteBack(const TileSystem& s, float largest) {
  // Row j - 1 takes the last off from warp 0, which then solves it.
  for (int j = s.blocks; j > 0; --j) {
    const int warp = WarpIndex(), lane = LaneIndex();
    const TileScales scales = ScalesFor(largest);
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
