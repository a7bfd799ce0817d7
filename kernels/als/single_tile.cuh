// The solution of a system that is a single tile, or of two that share one, by one warp.
#ifndef PENCHANT_KERNELS_ALS_SINGLE_TILE_CUH_
#define PENCHANT_KERNELS_ALS_SINGLE_TILE_CUH_

#include "kernels/als/diagonal_block.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

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
    // Of the pivots' 2 x 2 block, [a b; b d]: loaded with the columns beside it.
    const float4 first_four = *reinterpret_cast<const float4*>(first + c / 4 * 4);
    const float4 second_four = *reinterpret_cast<const float4*>(second + c / 4 * 4);
    const bool left = c % 4 == 0;
    const float a = left ? first_four.x : first_four.z, b = left ? first_four.y : first_four.w,
                d = left ? second_four.y : second_four.w;
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

#endif  // PENCHANT_KERNELS_ALS_SINGLE_TILE_CUH_
