// 32 x 32 tiles of symmetric systems, multiplied by one warp on the tensor cores.
//
// In three passes (3xTF32) every operand is split into a rounded TF32 value and what is left of it,
// and three of the four products are summed in float32, which keeps float32's accuracy. In one pass
// operands are rounded only: 1e-4 of accuracy, for solvers that refine what they get.
#ifndef PENCHANT_KERNELS_ALS_TILE_PRODUCT_CUH_
#define PENCHANT_KERNELS_ALS_TILE_PRODUCT_CUH_

#include "kernels/base/cuda.cuh"
#include "kernels/base/ptx.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

// 1 / sqrt(x) to float32's accuracy, without the division's slow path.
__device__ __forceinline__ float InverseRoot(float x) {
  const float root = rsqrtf(x);
  return root * (1.5f - 0.5f * x * root * root);
}

inline constexpr int kTile = 32;
// Rows of a tile in memory: 16-byte aligned, and the fragments' loads hit 32 distinct banks.
inline constexpr int kTileStride = 36;
inline constexpr int kTileFloats = kTile * kTileStride;

__host__ __device__ constexpr int NumTiles(int blocks) { return blocks * (blocks + 1) / 2; }
__host__ __device__ constexpr int TileIndex(int i, int j) { return i * (i + 1) / 2 + j; }

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

// Calls visit(row, column, value) for the elements that this lane holds.
template <typename Visit>
__device__ __forceinline__ void ForEachElement(const TileSum& sum, int lane, Visit visit) {
#pragma unroll
  for (int m = 0; m < 2; ++m) {
#pragma unroll
    for (int n = 0; n < 4; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        visit(m * 16 + lane / 4 + e / 2 * 8, n * 8 + lane % 4 * 2 + e % 2, sum.part[m][n][e]);
      }
    }
  }
}

// x = big + rest, both as mma takes them; in one pass big alone.
template <int kPasses>
__device__ __forceinline__ void Split(float x, uint32_t& big, uint32_t& rest) {
  static_assert(kPasses == 1 || kPasses == 3);
  big = RoundForTf32(x);
  if constexpr (kPasses == 3) {
    big &= ~0x1fffu;
    rest = RoundForTf32(x - __uint_as_float(big));
  }
}

// sum(r, c) += sum over k < kDepth of a(r, k) b(c, k), where a and b read one element each.
template <int kPasses, int kDepth, typename ReadA, typename ReadB>
__device__ __forceinline__ void MultiplyTile(int lane, ReadA a, ReadB b, TileSum& sum) {
  const int g = lane / 4, t = lane % 4;
  // Not unrolled: a step's fragments fill the registers, and other warps hide its latency.
#pragma unroll 1
  for (int k = 0; k < kDepth; k += 8) {
    uint32_t b_big[4][2], b_rest[4][2];
#pragma unroll
    for (int n = 0; n < 4; ++n) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        Split<kPasses>(b(n * 8 + g, k + t + 4 * h), b_big[n][h], b_rest[n][h]);
      }
    }
#pragma unroll
    for (int m = 0; m < 2; ++m) {
      uint32_t a_big[4], a_rest[4];
#pragma unroll
      for (int h = 0; h < 4; ++h) {
        Split<kPasses>(a(m * 16 + g + h % 2 * 8, k + t + h / 2 * 4), a_big[h], a_rest[h]);
      }
#pragma unroll
      for (int n = 0; n < 4; ++n) {
        if constexpr (kPasses == 3) {
          MmaTf32(sum.part[m][n], a_rest, b_big[n]);
          MmaTf32(sum.part[m][n], a_big, b_rest[n]);
        }
        MmaTf32(sum.part[m][n], a_big, b_big[n]);
      }
    }
  }
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_ALS_TILE_PRODUCT_CUH_
