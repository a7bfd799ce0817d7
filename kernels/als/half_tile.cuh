// 32 x 32 tiles stored as mma reads them: each element as the sum of two halves, split once for all
// products that it enters.
//
// They take the place of a tile of floats: 32 words a row, in eight units of four, which hold the
// highs of eight columns each, then the lows. Units are twisted by the row, so that the eight rows
// of a matrix that ldmatrix loads have all banks.
#ifndef PENCHANT_KERNELS_ALS_HALF_TILE_CUH_
#define PENCHANT_KERNELS_ALS_HALF_TILE_CUH_

#include "kernels/als/tile_product.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

// The word with the highs of two neighbouring columns. That with their lows is at place ^ kToLows;
// eight rows on lies the same, kEightRows further; other eights of columns, c on, at place ^ 4 c.
__device__ __forceinline__ int HalvesPlace(int row, int column) {
  return row * kTile + (column >> 3 ^ (row & 7)) * 4 + ((column & 7) >> 1);
}
inline constexpr int kToLows = 16;

// Rows [16 m, 16 m + 16) of columns [k, k + 16) as one of mma's operands.
template <bool kInShared, bool kLeft>
__device__ __forceinline__ HalfFragment ReadHalves(const float* tile, int k, int m, int lane) {
  HalfFragment fragment;
  const float* rows = tile + m * 2 * kEightRows;
  if constexpr (kInShared) {
    const int eight = (kLeft ? lane >> 3 : lane >> 4) & 1;
    const int column = ((kLeft ? lane >> 4 : lane >> 3) & 1) * 8;
    const int place = HalvesPlace(lane & 7, k + column) + eight * kEightRows;
    LoadMatrices<false>(SharedAddressOf(rows + place), fragment.high);
    LoadMatrices<false>(SharedAddressOf(rows + (place ^ kToLows)), fragment.low);
  } else {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int eight = kLeft ? i % 2 : i / 2, column = (kLeft ? i / 2 : i % 2) * 8;
      const int place = HalvesPlace(lane / 4, k + column + lane % 4 * 2) + eight * kEightRows;
      fragment.high[i] = __float_as_uint(rows[place]);
      fragment.low[i] = __float_as_uint(rows[place ^ kToLows]);
    }
  }
  return fragment;
}

// Columns [16 m, 16 m + 16) of rows [k, k + 16), turned about: as the left operand.
template <bool kInShared>
__device__ __forceinline__ HalfFragment ReadHalvesTransposed(const float* tile, int k, int m,
                                                             int lane) {
  HalfFragment fragment;
  const float* rows = tile + k * kTile;
  if constexpr (kInShared) {
    const int place =
        HalvesPlace(lane & 7, m * 16 + (lane >> 3 & 1) * 8) + (lane >> 4) * kEightRows;
    LoadMatrices<true>(SharedAddressOf(rows + place), fragment.high);
    LoadMatrices<true>(SharedAddressOf(rows + (place ^ kToLows)), fragment.low);
  } else {
    const int column = m * 16 + lane / 4, row = lane % 4 * 2;
    const auto pair = [&](int i, int to) {  // two rows of one column
      uint32_t halves[2];
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const int place = HalvesPlace(row + e, column + i % 2 * 8) + i / 2 * kEightRows;
        halves[e] = __float_as_uint(rows[place ^ to]) >> column % 2 * 16 & 0xffffu;
      }
      return halves[0] | halves[1] << 16;
    };
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      fragment.high[i] = pair(i, 0);
      fragment.low[i] = pair(i, kToLows);
    }
  }
  return fragment;
}

// sum += a b', what of it is wanted and not zero (MultiplyFragments).
template <bool kInShared, TilePart kWanted>
__device__ __forceinline__ void MultiplyHalfTiles(bool tall, const float* a, const float* b,
                                                  int lane, TileSum& sum) {
  // Not unrolled: a step's fragments fill the registers, and other warps hide its latency.
#pragma unroll 1
  for (int k = 0; k < kTile; k += 16) {
    MultiplyFragments<kWanted>(
        tall, ReadHalves<kInShared, true>(a, k, 0, lane),
        ReadHalves<kInShared, true>(a, k, 1, lane),
        [&](int m) { return ReadHalves<kInShared, false>(b, k, m, lane); }, sum);
  }
}

// sum += a b' for rows [16 m, 16 m + 16) of a, a tile of floats that are to be scaled for halves:
// by eights of columns, as mma leaves them.
template <bool kInShared>
__device__ __forceinline__ void SplitAndMultiply(const float* a, int m, float scale, const float* b,
                                                 int lane, float (&sum)[4][4]) {
#pragma unroll 1
  for (int k = 0; k < kTile; k += 16) {
    const HalfFragment left = SplitFragment(a, k, m, scale, lane);
    const HalfFragment first = ReadHalves<kInShared, false>(b, k, 0, lane);
    MultiplyAdd<0>(left, first, sum[0]);
    MultiplyAdd<1>(left, first, sum[1]);
    const HalfFragment second = ReadHalves<kInShared, false>(b, k, 1, lane);
    MultiplyAdd<0>(left, second, sum[2]);
    MultiplyAdd<1>(left, second, sum[3]);
  }
}

// 16 elements of a vector as the right operand, whose columns are their highs and lows in turns.
struct VectorFragment {
  uint32_t begin, end;
};
__device__ __forceinline__ VectorFragment SplitVector(const float* vector, float scale, int lane) {
  const float is_low = (lane & 4) != 0 ? 1.0f : 0.0f;
  const auto pair = [&](int k) {
    const float2 own = *reinterpret_cast<const float2*>(vector + k + lane % 4 * 2);
    const float2 scaled = {own.x * scale, own.y * scale};
    const float2 high = UnpackHalves(PackHalves(scaled.x, scaled.y));
    return PackHalves(scaled.x - is_low * high.x, scaled.y - is_low * high.y);
  };
  return {pair(0), pair(8)};
}

// sum += 16 rows times the vector: elements lane / 4 and lane / 4 + 8, each as two parts of a sum.
// For a few of them: mma drops the digits that float has no room for.
__device__ __forceinline__ void MultiplyAdd(const HalfFragment& rows, const VectorFragment& vector,
                                            float (&sum)[4]) {
  MmaHalf(sum, rows.low, vector.begin, vector.end);
  MmaHalf(sum, rows.high, vector.begin, vector.end);
}

// Of 32 such elements, which four lanes have each, the one with this number.
__device__ __forceinline__ int OwnColumn(int lane) { return lane % 4 * 8 + lane / 4; }
__device__ __forceinline__ float OwnSum(const float (&sum)[2][4], int lane) {
  float rows[2];  // of the upper or lower half, by eights
#pragma unroll
  for (int e = 0; e < 2; ++e) {
    const float upper = sum[0][2 * e] + sum[0][2 * e + 1],
                lower = sum[1][2 * e] + sum[1][2 * e + 1];
    rows[e] = lane % 4 < 2 ? upper : lower;
  }
  return lane % 2 == 0 ? rows[0] : rows[1];
}

// A tile, transposed, times a vector of 32: the element number OwnColumn(lane), by one warp.
template <bool kInShared>
__device__ __forceinline__ float TransposedTimesVector(const float* tile, const float* vector,
                                                       int lane) {
  const HalfScale half = HalfScaleOf(LargestOverWarp(vector[lane]));
  float sum[2][4] = {};
#pragma unroll
  for (int k = 0; k < kTile; k += 16) {
    const VectorFragment part = SplitVector(vector + k, half.scale, lane);
#pragma unroll
    for (int m = 0; m < 2; ++m) {
      MultiplyAdd(ReadHalvesTransposed<kInShared>(tile, k, m, lane), part, sum[m]);
    }
  }
  return OwnSum(sum, lane) * half.inverse;
}

// Stores two neighbouring columns, scaled for halves.
__device__ __forceinline__ void WriteHalves(float* rows, int place, float2 pair) {
  uint32_t high, low;
  SplitPair(pair.x, pair.y, high, low);
  rows[place] = __uint_as_float(high);
  rows[place ^ kToLows] = __uint_as_float(low);
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_ALS_HALF_TILE_CUH_
