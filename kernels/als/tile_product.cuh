// 32 x 32 tiles of symmetric systems, multiplied by one warp on the tensor cores with float32's
// accuracy: every operand is scaled into the range of halves and split into the sum of two (22 bits
// together), and three of the four products are summed (Ootomo and Yokota 2022, "Recovering single
// precision accuracy from Tensor Cores"). TF32 has as many bits as a half and half its speed,
// bfloat16 three fewer.
//
// Tensor cores drop the digits that do not fit into their sums, always towards zero. So they sum
// few terms, and float32 adders, which round, sum the rest.
#ifndef PENCHANT_KERNELS_ALS_TILE_PRODUCT_CUH_
#define PENCHANT_KERNELS_ALS_TILE_PRODUCT_CUH_

#include "kernels/base/cuda.cuh"
#include "kernels/base/ptx.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

// 1 / sqrt(x) to float32's accuracy, without the slow paths; REQUIRES: x is not subnormal.
__device__ __forceinline__ float InverseRoot(float x) {
  const float root = InverseRootEstimate(x);
  return root * (1.5f - 0.5f * x * root * root);
}

inline constexpr int kTile = 32;
inline constexpr int kTileFloats = kTile * kTile;

// Where a tile's element lies in memory. Rows are twisted, each eight as eight fours of columns can
// be: so fours of columns of eight rows have all banks, and pairs of columns as mma holds them too.
// Eight rows on lies the same, kEightRows further; other eights of columns, c on, at place ^ 8 c.
__device__ __forceinline__ int TilePlace(int row, int column) {
  return row * kTile + (column ^ ((row & 3) * 8 + (row & 4)));
}

inline constexpr int kEightRows = 8 * kTile;

// A tile's quarters: blocks of half its order.
inline constexpr int kBlock = kTile / 2;

__host__ __device__ constexpr int NumTiles(int blocks) { return blocks * (blocks + 1) / 2; }
__host__ __device__ constexpr int TileIndex(int i, int j) { return i * (i + 1) / 2 + j; }
__host__ __device__ constexpr int TileOffset(int i, int j) { return TileIndex(i, j) * kTileFloats; }

// Where row r of a system's blocks begins, and from there its block c: a block's elements lie at
// the sum ^ their place in a tile.
__device__ __forceinline__ int RowOffset(int r) {
  const int i = r >> 1;
  return (i * (i + 1) + (r & 1)) * (kTileFloats / 2);
}
__device__ __forceinline__ int ColumnOffset(int c) {
  return (c >> 1) * kTileFloats + (c & 1) * kBlock;
}

// The row block of lower tile `index`.
__device__ __forceinline__ int TileRow(int index) {
  int i = 0;
  while (TileIndex(i + 1, 0) <= index) ++i;
  return i;
}

// One tile's sums, spread over a warp as mma leaves them.
struct TileSum {
  float part[2][4][4];
};

__device__ __forceinline__ void Clear(TileSum& sum) {
#pragma unroll
  for (int m = 0; m < 2; ++m) {
#pragma unroll
    for (int n = 0; n < 4; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) sum.part[m][n][e] = 0.0f;
    }
  }
}

// Calls visit(place in memory, pair) for the elements that this lane holds: two side by side in
// each 8 x 8 block. The tile begins at `offset`, a multiple of its size.
template <typename Sum, typename Visit>
__device__ __forceinline__ void ForEachPair(Sum& sum, int offset, int lane, Visit visit) {
  const int place = offset + TilePlace(lane / 4, lane % 4 * 2);
#pragma unroll
  for (int c = 0; c < 4; ++c) {
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      visit((place ^ c * 8) + r * kEightRows, &sum.part[r / 2][c][r % 2 * 2]);
    }
  }
}

// The power of two that takes numbers into the range of halves, and its inverse.
struct HalfScale {
  float scale, inverse;
};

// For numbers whose squares are at most `square`: they come to 2^14 at most, and keep all of 22
// bits down to a 2^16th of that. What smaller ones lose is nothing beside a system's identity.
__device__ __forceinline__ HalfScale HalfScaleFor(float square) {
  // Half of the exponent, rounded up, in its place in a float.
  const uint32_t exponent = max(__float_as_uint(square), 64u << 23);
  const uint32_t half = (exponent + (1u << 23)) / 2 & 0x7f800000u;
  return {__uint_as_float((204u << 23) - half), __uint_as_float((50u << 23) + half)};
}

// For numbers of at most this magnitude, which has all of float's range.
__device__ __forceinline__ HalfScale HalfScaleOf(float largest) {
  const int exponent = max(static_cast<int>(__float_as_uint(largest) >> 23), 14);
  return {__uint_as_float(static_cast<uint32_t>(267 - exponent) << 23),
          __uint_as_float(static_cast<uint32_t>(exponent - 13) << 23)};
}

// A 16 x 16 piece as mma takes it, high + low: the four 8 x 8 matrices of a left operand lie column
// by column, those of a right one, which is transposed, row by row.
struct HalfFragment {
  uint32_t high[4], low[4];
};

__device__ __forceinline__ void SplitPair(float first, float second, uint32_t& high,
                                          uint32_t& low) {
  high = PackHalves(first, second);
  const float2 rounded = UnpackHalves(high);
  low = PackHalves(first - rounded.x, second - rounded.y);
}

// From the lane's row of the highs' matrices; `low`: bytes from there to that of the lows'.
template <bool kTransposed>
__device__ __forceinline__ HalfFragment LoadFragment(SharedAddress lane_row, int low) {
  HalfFragment fragment;
  LoadMatrices<kTransposed>(lane_row, fragment.high);
  LoadMatrices<kTransposed>(lane_row + low, fragment.low);
  return fragment;
}

// product (16 x 8) = a (16 x 16) times the transposed rows [8 kBlock, 8 kBlock + 8) of b.
template <int kBlock>
__device__ __forceinline__ void Multiply(const HalfFragment& a, const HalfFragment& b,
                                         float (&product)[4]) {
#pragma unroll
  for (int e = 0; e < 4; ++e) product[e] = 0.0f;
  MmaHalf(product, a.low, b.high[2 * kBlock], b.high[2 * kBlock + 1]);
  MmaHalf(product, a.high, b.low[2 * kBlock], b.low[2 * kBlock + 1]);
  MmaHalf(product, a.high, b.high[2 * kBlock], b.high[2 * kBlock + 1]);
}
// A whole 16 x 16, by eights of columns.
__device__ __forceinline__ void Multiply(const HalfFragment& a, const HalfFragment& b,
                                         float (&product)[2][4]) {
  Multiply<0>(a, b, product[0]);
  Multiply<1>(a, b, product[1]);
}
// sum += the same.
template <int kBlock>
__device__ __forceinline__ void MultiplyAdd(const HalfFragment& a, const HalfFragment& b,
                                            float (&sum)[4]) {
  float part[4];
  Multiply<kBlock>(a, b, part);
#pragma unroll
  for (int e = 0; e < 4; ++e) sum[e] += part[e];
}

// Eight rows of a right operand, 16 kSteps columns: matrices of 8 x 8.
template <int kSteps>
struct EightRows {
  uint32_t high[2 * kSteps], low[2 * kSteps];
};

// Rows [8 eight, 8 eight + 8) of left operands side by side.
template <int kSteps>
__device__ __forceinline__ EightRows<kSteps> EightRowsOf(const HalfFragment (&left)[kSteps],
                                                         int eight) {
  EightRows<kSteps> rows;
#pragma unroll
  for (int k = 0; k < kSteps; ++k) {
#pragma unroll
    for (int m = 0; m < 2; ++m) {
      rows.high[2 * k + m] = left[k].high[eight + 2 * m];
      rows.low[2 * k + m] = left[k].low[eight + 2 * m];
    }
  }
  return rows;
}

// From the lane's row of their matrices: of two steps' highs, or of one step's highs and lows.
// `low`: bytes from two steps' highs to their lows.
template <bool kTransposed, int kSteps>
__device__ __forceinline__ EightRows<kSteps> LoadEightRows(SharedAddress lane_row, int low) {
  EightRows<kSteps> rows;
  if constexpr (kSteps == 2) {
    LoadMatrices<kTransposed>(lane_row, rows.high);
    LoadMatrices<kTransposed>(lane_row + low, rows.low);
  } else {
    uint32_t both[4];
    LoadMatrices<kTransposed>(lane_row, both);
    rows = {{both[0], both[1]}, {both[2], both[3]}};
  }
  return rows;
}

// sum += a times b, transposed, by eights of columns: tensor cores sum these few steps, of all
// eights in turns, since each waits for its last.
template <int kSteps, int kEights>
__device__ __forceinline__ void MultiplyAdd(const HalfFragment (&a)[kSteps],
                                            const EightRows<kSteps> (&b)[kEights],
                                            float (*sum)[4]) {
  float part[kEights][4] = {};
#pragma unroll
  for (int k = 0; k < kSteps; ++k) {
#pragma unroll
    for (int n = 0; n < kEights; ++n) {
      MmaHalf(part[n], a[k].low, b[n].high[2 * k], b[n].high[2 * k + 1]);
    }
#pragma unroll
    for (int n = 0; n < kEights; ++n) {
      MmaHalf(part[n], a[k].high, b[n].low[2 * k], b[n].low[2 * k + 1]);
    }
  }
#pragma unroll
  for (int k = 0; k < kSteps; ++k) {
#pragma unroll
    for (int n = 0; n < kEights; ++n) {
      MmaHalf(part[n], a[k].high, b[n].high[2 * k], b[n].high[2 * k + 1]);
    }
  }
#pragma unroll
  for (int e = 0; e < 4 * kEights; ++e) sum[e / 4][e % 4] += part[e / 4][e % 4];
}

// A product of 16 x 16, by eights of columns, as the left operand of another.
__device__ __forceinline__ HalfFragment SplitSum(const float (&sum)[2][4], float scale) {
  HalfFragment fragment;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float* pair = &sum[i / 2][i % 2 * 2];
    SplitPair(pair[0] * scale, pair[1] * scale, fragment.high[i], fragment.low[i]);
  }
  return fragment;
}

// The same piece as the other operand.
__device__ __forceinline__ HalfFragment AsRight(const HalfFragment& left) {
  return {{left.high[0], left.high[2], left.high[1], left.high[3]},
          {left.low[0], left.low[2], left.low[1], left.low[3]}};
}

// sum += 16 kSteps columns of 32 rows, above and below, times those of others, transposed, where
// right(n) gives the others' rows [8 n, 8 n + 8). On the diagonal these are the same rows, and the
// 16 x 16 right above is left out. Where the tile is not `tall`, all below is zero.
template <bool kDiagonal, int kSteps, typename Right>
__device__ __forceinline__ void MultiplyTile(bool tall, const HalfFragment (&above)[kSteps],
                                             const HalfFragment (&below)[kSteps], Right right,
                                             TileSum& sum) {
  constexpr int kEights = kSteps;  // at a time: with one step registers are scarce
#pragma unroll
  for (int n = 0; n < 4; n += kEights) {
    const bool is_above = !kDiagonal || n < 2;
    if (!is_above && !tall) continue;
    EightRows<kSteps> others[kEights];
#pragma unroll
    for (int m = 0; m < kEights; ++m) others[m] = right(n + m);
    if (is_above) MultiplyAdd(above, others, sum.part[0] + n);
    if (tall) MultiplyAdd(below, others, sum.part[1] + n);
  }
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_ALS_TILE_PRODUCT_CUH_
