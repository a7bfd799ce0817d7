// The tiles on a system's diagonal, by one warp: the inverse of one's Cholesky factor, and the
// solution of a system that is a single tile.
#ifndef PENCHANT_KERNELS_ALS_DIAGONAL_TILE_CUH_
#define PENCHANT_KERNELS_ALS_DIAGONAL_TILE_CUH_

#include "kernels/als/half_tile.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

// Floats of scratch of an elimination: two pairs of rows, in turns.
inline constexpr int kPivotScratch = 4 * kTile;

// A pivot this far below its original diagonal entry keeps hardly two digits of float32; and
// systems are the identity plus something positive semidefinite, so that exact pivots are at
// least 1.
__device__ __forceinline__ float PivotFloor(float diagonal) {
  return fmaxf(0.5f, diagonal * (1.0f / (1 << 18)));
}

// The scales of a system's halves. Its largest entry is one on the diagonal: it bounds the tiles,
// its root the factor's. The inverses' entries are at most 1, as pivots are at least 1.
struct TileScales {
  HalfScale entry, factor, inverse;
};
__device__ __forceinline__ TileScales ScalesFor(float largest) {
  return {HalfScaleFor(largest * largest), HalfScaleFor(largest), HalfScaleFor(1.0f)};
}

// Half of a tile's order. Each lane has eight columns of a row of such a block.
inline constexpr int kBlock = kTile / 2;
__device__ __forceinline__ int BlockRow(int lane) { return lane % kBlock; }
__device__ __forceinline__ int BlockColumn(int lane) { return lane / kBlock * 8; }

// Replaces a symmetric block by the inverse of its Cholesky factor, scaled: an elimination in
// place, two pivots a step. After step c a row holds the inverse left of column c + 2 and what is
// left of the block right of it, and what stands above the diagonal is of no use. Rows from `used`
// on are those of the identity, which need no step. Returns whether this row's pivot was above its
// floor; one that is not leaves numbers without meaning.
__device__ __forceinline__ bool InvertBlock(float (&row)[8], float floor, float scale,
                                            float* pivot_rows, int used, int lane) {
  const int r = BlockRow(lane), column = BlockColumn(lane);
  float pivot = 1.0f, coupling = 0.0f;  // of this row; to the first row of its pair
#pragma unroll
  for (int c = 0; c < kBlock; c += 2) {
    if (c >= used) break;
    // Two pairs in turn: nobody still reads the one that is written. They are columns as well.
    float* first = pivot_rows + c / 2 % 2 * kTile;
    float* second = first + kBlock;
    if (r / 2 == c / 2) {
      float* own = first + r % 2 * kBlock + column;
      *reinterpret_cast<float4*>(own) = {row[0], row[1], row[2], row[3]};
      *reinterpret_cast<float4*>(own + 4) = {row[4], row[5], row[6], row[7]};
    }
    __syncwarp();
    // Of the pivots' 2 x 2 block, [a b; b d].
    const float2 a_b = *reinterpret_cast<const float2*>(first + c);
    const float a = a_b.x, b = a_b.y, d = second[c + 1];
    const float determinant = a * d - b * b;
    const float over_a = Reciprocal(a), over_determinant = Reciprocal(determinant);
    if (r == c) pivot = a;
    if (r == c + 1) {
      pivot = determinant * over_a;
      coupling = b * over_a;
    }
    if (c + 2 == kBlock) {  // no rows are left below
      if (column == c / 8 * 8) {
        row[c % 8] = r == c ? 1.0f : 0.0f;
        row[c % 8 + 1] = r == c + 1 ? 1.0f : 0.0f;
      }
      break;
    }
    // How often the pair's rows are in this one: such that its columns of theirs vanish.
    const float of_first = first[r], of_second = second[r];
    const bool below = r > c + 1;
    const float q = below ? (of_second * a - of_first * b) * over_determinant : 0.0f;
    const float p = below ? (of_first - q * b) * over_a : 0.0f;
#pragma unroll
    for (int k = 0; k < 8; k += 4) {
      const float4 four = *reinterpret_cast<const float4*>(second + column + k);
      row[k] -= q * four.x;
      row[k + 1] -= q * four.y;
      row[k + 2] -= q * four.z;
      row[k + 3] -= q * four.w;
    }
#pragma unroll
    for (int k = 0; k < 8; k += 4) {
      const float4 four = *reinterpret_cast<const float4*>(first + column + k);
      row[k] -= p * four.x;
      row[k + 1] -= p * four.y;
      row[k + 2] -= p * four.z;
      row[k + 3] -= p * four.w;
    }
    if (column == c / 8 * 8) {
      row[c % 8] = r == c ? 1.0f : -p;
      row[c % 8 + 1] = r == c + 1 ? 1.0f : -q;
    }
  }
  scale *= InverseRoot(pivot);
  int reach = r - column;
  ComputeAnew(reach);
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    const float other = __shfl_xor_sync(kAllLanes, row[k], 1);
    row[k] = k <= reach ? (row[k] - coupling * other) * scale : 0.0f;
  }
  return pivot > floor;  // false for NaN too
}

// Takes a product with 16 rows off their elements of a vector: taken[i] is the lane's part of rows
// [8 i, 8 i + 8), as mma spreads them over lanes.
__device__ __forceinline__ void TakeOffRows(float* vector, float (&taken)[2], float scale,
                                            int lane) {
  float own = SumSpread<1>(taken, lane);  // row lane % 2 * 8 + lane / 4, over half of the columns
  own += __shfl_xor_sync(kAllLanes, own, 2);
  if (lane % 4 < 2) vector[lane % 2 * 8 + lane / 4] -= own * scale;
}

// The block of a tile that begins at row and column 16 m: the lane's part of it, in floats.
__device__ __forceinline__ void ReadBlock(const float* tile, int m, int lane, float (&row)[8]) {
  const int place =
      (TilePlace(BlockRow(lane), BlockColumn(lane)) ^ m * kBlock) + m * kBlock * kTile;
#pragma unroll
  for (int k = 0; k < 8; k += 4) {
    const float4 four = *reinterpret_cast<const float4*>(tile + (place ^ k));
    row[k] = four.x;
    row[k + 1] = four.y;
    row[k + 2] = four.z;
    row[k + 3] = four.w;
  }
}

// Stores it as halves, and that beside it as zeros where `alone`.
__device__ __forceinline__ void WriteBlock(const float (&row)[8], float* tile, int m, bool alone,
                                           int lane) {
  uint32_t high[4], low[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) SplitPair(row[2 * i], row[2 * i + 1], high[i], low[i]);
  constexpr int kToNext = 2 * 4;  // units of eight columns, twisted
  const int place = HalvesPlace(BlockRow(lane), BlockColumn(lane)) ^ m * kToNext;
  tile += m * kBlock * kTile;
  *reinterpret_cast<uint4*>(tile + place) = {high[0], high[1], high[2], high[3]};
  *reinterpret_cast<uint4*>(tile + (place ^ kToLows)) = {low[0], low[1], low[2], low[3]};
  if (!alone) return;
  *reinterpret_cast<uint4*>(tile + (place ^ kToNext)) = {0, 0, 0, 0};
  *reinterpret_cast<uint4*>(tile + (place ^ kToNext ^ kToLows)) = {0, 0, 0, 0};
}

// Replaces a block by halves of its Cholesky factor's inverse, and its rows of `rhs` by the inverse
// times them; `alone` as above. Returns whether the pivots of this lane's row were good.
__device__ __forceinline__ bool FinishBlock(float* tile, const float* diagonal, float* pivot_rows,
                                            float* rhs, int used, const HalfScale& half, int m,
                                            bool alone, int lane) {
  const int r = m * kBlock + BlockRow(lane);
  float row[8];
  ReadBlock(tile, m, lane, row);
  const bool good =
      InvertBlock(row, PivotFloor(diagonal[r]), half.scale, pivot_rows, used - m * kBlock, lane);
  float sum = 0.0f;
#pragma unroll
  for (int k = 0; k < 8; k += 4) {
    const float4 four = *reinterpret_cast<const float4*>(rhs + m * kBlock + BlockColumn(lane) + k);
    sum += row[k] * four.x + row[k + 1] * four.y + row[k + 2] * four.z + row[k + 3] * four.w;
  }
  sum += __shfl_xor_sync(kAllLanes, sum, kBlock);
  __syncwarp();
  if (lane < kBlock) rhs[r] = sum * half.inverse;
  WriteBlock(row, tile, m, alone, lane);
  __syncwarp();
  return good;
}

// Replaces a symmetric diagonal tile by halves of the inverse of its Cholesky factor, and `rhs` by
// the inverse times it:
//   [A1   ]     [I1          ]   I1 = L1^-1, B = C I1', I2 = L2^-1, with
//   [C  A2]  -> [-I2 B I1  I2]   L1 L1' = A1 and L2 L2' = A2 - B B'.
// Returns whether all pivots were good.
template <bool kInShared>
__device__ __forceinline__ bool InvertDiagonalTile(float* tile, const float* diagonal,
                                                   float* pivot_rows, float* rhs, int used,
                                                   const TileScales& scales, int lane) {
  bool good = FinishBlock(tile, diagonal, pivot_rows, rhs, used, scales.inverse, 0, true, lane);
  if (used <= kBlock) {  // the rest is the identity
    float row[8];
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      row[k] = BlockColumn(lane) + k == BlockRow(lane) ? scales.inverse.scale : 0.0f;
    }
    WriteBlock(row, tile, 1, true, lane);
    return __ballot_sync(kAllLanes, good) == kAllLanes;
  }

  HalfFragment product;  // B I1, transposed
  {
    float b[2][4];
    Multiply(SplitFragment(tile, 0, 1, scales.entry.scale, lane),
             ReadHalves<kInShared, false>(tile, 0, 0, lane), b);
    const float unscale = scales.entry.inverse * scales.inverse.inverse;
    const int pair = lane % 4 * 2;
    float taken[2] = {};
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      const float2 solved = *reinterpret_cast<const float2*>(rhs + c * 8 + pair);
#pragma unroll
      for (int e = 0; e < 2; ++e) taken[e] += b[c][2 * e] * solved.x + b[c][2 * e + 1] * solved.y;
    }
    TakeOffRows(rhs + kBlock, taken, unscale, lane);
    const HalfFragment halves = SplitSum(b, unscale * scales.factor.scale);
    float square[2][4], turned[2][4];
    Multiply(halves, AsRight(halves), square);
    const float scale = scales.factor.inverse * scales.factor.inverse;
    const int place = TilePlace(lane / 4, kBlock + pair);
#pragma unroll
    for (int c = 0; c < 2; ++c) {
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        auto* to = reinterpret_cast<float2*>(tile + (place ^ c * 8) + (2 + e) * kEightRows);
        const float2 old = *to;
        *to = {old.x - square[c][2 * e] * scale, old.y - square[c][2 * e + 1] * scale};
      }
    }
    Multiply(ReadHalvesTransposed<kInShared>(tile, 0, 0, lane), AsRight(halves), turned);
    product = SplitSum(turned, -scales.inverse.inverse);
  }
  __syncwarp();
  good &= FinishBlock(tile, diagonal, pivot_rows, rhs, used, scales.inverse, 1, false, lane);
  float corner[2][4];
  Multiply(ReadHalves<kInShared, true>(tile, kBlock, 1, lane), AsRight(product), corner);
  const int place = HalvesPlace(lane / 4, lane % 4 * 2);
#pragma unroll
  for (int c = 0; c < 2; ++c) {
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      const float scale = scales.factor.inverse;
      WriteHalves(tile + (2 + e) * kEightRows, place ^ c * 4,
                  {corner[c][2 * e] * scale, corner[c][2 * e + 1] * scale});
    }
  }
  return __ballot_sync(kAllLanes, good) == kAllLanes;
}

// Where the elements of two systems of 16 rows lie, one below the other. Twisted so that fours of
// columns of eight rows have all banks.
__device__ __forceinline__ int PairPlace(int row, int column) {
  return row * kBlock + (column ^ (row & 6) * 2);
}

// Replaces rhs by the solution of a system of one tile, by one warp, or of two of 16 rows: an
// elimination in registers, lane = row, two pivots a step, and the substitution back through what
// it left there. Rows from `used` on of each are those of the identity, which need no step. Returns
// whether this row's pivot was good; one that is not leaves numbers of its system without meaning.
template <int kOrder>
__device__ __forceinline__ bool SolveTile(const float* tile, const float* diagonal,
                                          float* pivot_rows, float* rhs, int used, int lane) {
  constexpr int kSpared = kOrder - 8;  // columns from here on are often the identity's
  const int r = lane % kOrder, base = lane - r;
  float row[kOrder];
#pragma unroll
  for (int k = 0; k < kOrder; k += 4) {
    const int place = kOrder == kTile ? TilePlace(lane, k) : PairPlace(lane, k);
    const float4 four = *reinterpret_cast<const float4*>(tile + place);
    row[k] = four.x;
    row[k + 1] = four.y;
    row[k + 2] = four.z;
    row[k + 3] = four.w;
  }
  float right = rhs[lane], inverse = 1.0f;
#pragma unroll
  for (int c = 0; c < kOrder; c += 2) {
    if (c >= used) break;
    // Two pairs in turn: nobody still reads the one that is written. They are columns as well.
    float* first = pivot_rows + c / 2 % 2 * 2 * kTile + base;
    float* second = first + kTile;
    first[r] = row[c];
    second[r] = row[c + 1];
    __syncwarp();
    // Of the pivots' 2 x 2 block, [a b; b d].
    const float a = first[c], b = first[c + 1], d = second[c + 1];
    const float determinant = a * d - b * b;
    const float over_a = Reciprocal(a), over_determinant = Reciprocal(determinant);
    // How often the pair's rows are in this one: the first in the second too.
    const float q = r > c + 1 ? (row[c + 1] * a - row[c] * b) * over_determinant : 0.0f;
    const float p = r > c ? (row[c] - q * b) * over_a : 0.0f;
    if (r == c) inverse = over_a;
    if (r == c + 1) inverse = a * over_determinant;
    const float one = __shfl_sync(kAllLanes, right, c, kOrder),
                two = __shfl_sync(kAllLanes, right, c + 1, kOrder);
    right = right - q * two - p * one;
#pragma unroll
    for (int k = (c + 2) / 4 * 4; k < kOrder; k += 4) {
      if (k == kSpared && used <= kSpared) break;
      const float4 of_one = *reinterpret_cast<const float4*>(first + k);
      const float4 of_two = *reinterpret_cast<const float4*>(second + k);
      if (k > c) row[k] = row[k] - q * of_two.x - p * of_one.x;
      if (k > c) row[k + 1] = row[k + 1] - q * of_two.y - p * of_one.y;
      row[k + 2] = row[k + 2] - q * of_two.z - p * of_one.z;
      row[k + 3] = row[k + 3] - q * of_two.w - p * of_one.w;
    }
  }
  const unsigned above = ~((2u << r) - 1);  // the columns right of the diagonal
#pragma unroll
  for (int fours = kOrder - 4; fours >= 0; fours -= 4) {
    if (fours >= used) continue;
#pragma unroll
    for (int c = fours + 3; c >= fours; --c) {
      const float solved = __shfl_sync(kAllLanes, right * inverse, c, kOrder);
      if ((above >> c & 1) != 0) right -= row[c] * solved;
    }
  }
  rhs[lane] = right * inverse;
  __syncwarp();
  // Pivots, inverted, against their floors; false for NaN too.
  return inverse > 0.0f && inverse * PivotFloor(diagonal[lane]) < 1.0f;
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_ALS_DIAGONAL_TILE_CUH_
