// 32 x 32 tiles stored as mma reads them: each element as the sum of two halves, split once for all
// products that it enters.
//
// Every block of 16 x 16 takes its place as floats: 16 words a row, in four units of four, which
// hold the highs of eight columns each, then the lows. They are twisted by the row as floats are,
// so that the eight rows of a matrix that ldmatrix loads have all banks.
#ifndef PENCHANT_KERNELS_ALS_HALF_TILE_CUH_
#define PENCHANT_KERNELS_ALS_HALF_TILE_CUH_

#include "kernels/als/tile_product.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

// The word of a block with the highs of two neighbouring columns. That with their lows is at place
// ^ kToLows; eight rows on lies the same, kEightRows further; the other eight columns at place ^
// kToEight.
__device__ __forceinline__ int HalvesPlace(int row, int column) {
  return TilePlace(row, column >> 3 << 2) + ((column & 7) >> 1);
}
inline constexpr int kToEight = 4, kToLows = 8;

// Where a lane finds its part of one of mma's operands in the first block; ^ any block's offset in
// that one.
template <bool kInShared, bool kLeft>
__device__ __forceinline__ int OperandPlace(int lane) {
  if constexpr (!kInShared) return HalvesPlace(lane / 4, lane % 4 * 2);
  const int eight = (kLeft ? lane >> 3 : lane >> 4) & 1;
  const int column = ((kLeft ? lane >> 4 : lane >> 3) & 1) * 8;
  return HalvesPlace(lane & 7, column) + eight * kEightRows;
}

// The operand whose part for this lane lies there.
template <bool kInShared, bool kLeft>
__device__ __forceinline__ HalfFragment ReadHalves(const float* tiles, int place) {
  HalfFragment fragment;
  if constexpr (kInShared) {
    LoadMatrices<false>(SharedAddressOf(tiles + place), fragment.high);
    LoadMatrices<false>(SharedAddressOf(tiles + (place ^ kToLows)), fragment.low);
  } else {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int eight = kLeft ? i % 2 : i / 2, column = kLeft ? i / 2 : i % 2;
      const int word = (place ^ column * kToEight) + eight * kEightRows;
      fragment.high[i] = __float_as_uint(tiles[word]);
      fragment.low[i] = __float_as_uint(tiles[word ^ kToLows]);
    }
  }
  return fragment;
}
template <bool kInShared, bool kLeft>
__device__ __forceinline__ HalfFragment ReadHalves(const float* tiles, int block, int lane) {
  return ReadHalves<kInShared, kLeft>(tiles, block ^ OperandPlace<kInShared, kLeft>(lane));
}

// The same turned about, as the left operand.
template <bool kInShared>
__device__ __forceinline__ HalfFragment ReadHalvesTransposed(const float* tiles, int block,
                                                             int lane) {
  HalfFragment fragment;
  if constexpr (kInShared) {
    const int place =
        block ^ (HalvesPlace(lane & 7, (lane >> 3 & 1) * 8) + (lane >> 4) * kEightRows);
    LoadMatrices<true>(SharedAddressOf(tiles + place), fragment.high);
    LoadMatrices<true>(SharedAddressOf(tiles + (place ^ kToLows)), fragment.low);
  } else {
    const int column = lane / 4, row = lane % 4 * 2;
    const auto pair = [&](int i, int to) {  // two rows of one column
      uint32_t halves[2];
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const int place = (block ^ HalvesPlace(row + e, column + i % 2 * 8)) + i / 2 * kEightRows;
        halves[e] = __float_as_uint(tiles[place ^ to]) >> column % 2 * 16 & 0xffffu;
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

// A tile, or a lower triangular one, transposed, times a vector of 32: the element number
// OwnColumn(lane), by one warp. Above a triangle's blocks on the diagonal nothing is read.
template <bool kInShared, bool kTriangle>
__device__ __forceinline__ float TransposedTimesVector(const float* tile, const float* vector,
                                                       int lane) {
  const HalfScale half = HalfScaleOf(LargestOverWarp(vector[lane]));
  float sum[2][4] = {};
#pragma unroll
  for (int k = 0; k < 2; ++k) {
    const VectorFragment part = SplitVector(vector + k * kBlock, half.scale, lane);
#pragma unroll
    for (int m = 0; m < (kTriangle ? k + 1 : 2); ++m) {
      const float* rows = tile + k * kBlock * kTile;
      MultiplyAdd(ReadHalvesTransposed<kInShared>(rows, m * kBlock, lane), part, sum[m]);
    }
  }
  return OwnSum(sum, lane) * half.inverse;
}

// Stores a left operand as a block.
__device__ __forceinline__ void WriteHalves(float* tiles, int block, const HalfFragment& halves,
                                            int lane) {
  const int place = block ^ HalvesPlace(lane / 4, lane % 4 * 2);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int to = place ^ i / 2 * kToEight;
    tiles[to + i % 2 * kEightRows] = __uint_as_float(halves.high[i]);
    tiles[(to ^ kToLows) + i % 2 * kEightRows] = __uint_as_float(halves.low[i]);
  }
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_ALS_HALF_TILE_CUH_
