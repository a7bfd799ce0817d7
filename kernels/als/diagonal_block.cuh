// The blocks of 16 x 16 on a system's diagonal, by one warp: the inverse of one's Cholesky factor,
// and that of the tile which two of them make.
#ifndef PENCHANT_KERNELS_ALS_DIAGONAL_BLOCK_CUH_
#define PENCHANT_KERNELS_ALS_DIAGONAL_BLOCK_CUH_

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

// Each lane has eight columns of a row of a block.
__device__ __forceinline__ int BlockRow(int lane) { return lane % kBlock; }
__device__ __forceinline__ int BlockColumn(int lane) { return lane / kBlock * 8; }

// row -= factor times the eight floats at `other`.
__device__ __forceinline__ void SubtractRow(float (&row)[8], float factor, const float* other) {
#pragma unroll
  for (int k = 0; k < 8; k += 4) {
    const float4 four = *reinterpret_cast<const float4*>(other + k);
    row[k] -= factor * four.x;
    row[k + 1] -= factor * four.y;
    row[k + 2] -= factor * four.z;
    row[k + 3] -= factor * four.w;
  }
}

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
    SubtractRow(row, q, second + column);
    SubtractRow(row, p, first + column);
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

// The lane's part of a block of floats.
__device__ __forceinline__ void ReadBlock(const float* tiles, int block, int lane,
                                          float (&row)[8]) {
  const int place = block ^ TilePlace(BlockRow(lane), BlockColumn(lane));
#pragma unroll
  for (int k = 0; k < 8; k += 4) {
    const float4 four = *reinterpret_cast<const float4*>(tiles + (place ^ k));
    row[k] = four.x;
    row[k + 1] = four.y;
    row[k + 2] = four.z;
    row[k + 3] = four.w;
  }
}

// Stores it as halves.
__device__ __forceinline__ void WriteBlock(const float (&row)[8], float* tiles, int block,
                                           int lane) {
  uint32_t high[4], low[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) SplitPair(row[2 * i], row[2 * i + 1], high[i], low[i]);
  const int place = block ^ HalvesPlace(BlockRow(lane), BlockColumn(lane));
  *reinterpret_cast<uint4*>(tiles + place) = {high[0], high[1], high[2], high[3]};
  *reinterpret_cast<uint4*>(tiles + (place ^ kToLows)) = {low[0], low[1], low[2], low[3]};
}

// Replaces a block by halves of its Cholesky factor's inverse, and its rows of `rhs` by the inverse
// times them. Returns whether all pivots were good.
__device__ __forceinline__ bool InvertDiagonalBlock(float* tiles, int block, const float* diagonal,
                                                    float* pivot_rows, float* rhs, int used,
                                                    const HalfScale& half, int lane) {
  float row[8];
  ReadBlock(tiles, block, lane, row);
  const bool good =
      InvertBlock(row, PivotFloor(diagonal[BlockRow(lane)]), half.scale, pivot_rows, used, lane);
  const auto* right = reinterpret_cast<const float4*>(rhs + BlockColumn(lane));
  float sum = row[0] * right[0].x + row[1] * right[0].y + row[2] * right[0].z +
              row[3] * right[0].w + row[4] * right[1].x + row[5] * right[1].y +
              row[6] * right[1].z + row[7] * right[1].w;
  sum += __shfl_xor_sync(kAllLanes, sum, kBlock);
  __syncwarp();
  if (lane < kBlock) rhs[lane] = sum * half.inverse;
  WriteBlock(row, tiles, block, lane);
  return __ballot_sync(kAllLanes, good) == kAllLanes;
}

// Makes a diagonal tile, in which the blocks on the diagonal are inverted, the inverse of the whole
// factor:
//   [I1   ]     [I1          ]
//   [B  I2]  -> [-I2 B I1  I2].
template <bool kInShared>
__device__ __forceinline__ void InvertCorner(float* tile, const TileScales& scales, int lane) {
  float* below = tile + kBlock * kTile;
  float turned[2][4], corner[2][4];  // the first is B I1, transposed
  Multiply(ReadHalvesTransposed<kInShared>(tile, 0, lane),
           ReadHalves<kInShared, false>(below, 0, lane), turned);
  const HalfFragment product = SplitSum(turned, -scales.inverse.inverse);
  Multiply(ReadHalves<kInShared, true>(below, kBlock, lane), AsRight(product), corner);
  __syncwarp();
  WriteHalves(below, 0, SplitSum(corner, scales.factor.inverse), lane);
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_ALS_DIAGONAL_BLOCK_CUH_
