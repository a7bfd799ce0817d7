// Cholesky of small systems, one a vector lane. For *.simd.cc files only (kernels/base/simd.h).
#ifndef PENCHANT_KERNELS_LINALG_LANE_CHOLESKY_SIMD_H_
#define PENCHANT_KERNELS_LINALG_LANE_CHOLESKY_SIMD_H_

#include "kernels/base/simd.h"

namespace penchant {
namespace {

// Systems are stored as 4 x 4 tiles of the lower triangle, tile (I, J) at TileIndex(I, J). Inside a
// tile the order is column, then row. "Row-major tiles" (16 floats each) hold one system;
// "lane tiles" (16 vectors each) hold kLanes systems side by side.
constexpr int kTile = 4;
constexpr int kTileFloats = kTile * kTile;

PENCHANT_INLINE int64_t TileIndex(int64_t i, int64_t j) { return i * (i + 1) / 2 + j; }
PENCHANT_INLINE int64_t NumTiles(int64_t size) {
  const int64_t blocks = (size + kTile - 1) / kTile;
  return blocks * (blocks + 1) / 2;
}
PENCHANT_INLINE int64_t RoundUp(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// lane_tiles <- the systems' row-major tiles, one system a lane.
__attribute__((noinline)) void InterleaveTiles(const float* const (&systems)[kLanes],
                                               int64_t floats, float* lane_tiles) {
  for (int64_t t = 0; t < floats; t += kLanes) {
    Vec m[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) m[lane] = Load(systems[lane] + t);
    Transpose(m);
    for (int i = 0; i < kLanes; ++i) Store(lane_tiles + (t + i) * kLanes, m[i]);
  }
}

// sum[c][r] -= sum_k a[k][r] * b[k][c] over k < depth; a and b are row blocks of lane tiles.
template <int kColumns>
PENCHANT_INLINE void SubtractProduct(const float* a, const float* b, int64_t depth,
                                     Vec (*sum)[kTile]) {
  for (int64_t k = 0; k < depth; ++k) {
    Vec left[kTile];
    for (int r = 0; r < kTile; ++r) left[r] = Load(a + (k * kTile + r) * kLanes);
    for (int c = 0; c < kColumns; ++c) {
      const Vec right = Load(b + (k * kTile + c) * kLanes);
      for (int r = 0; r < kTile; ++r) sum[c][r] -= left[r] * right;
    }
  }
}

constexpr int kUpdateColumns = kLanes == 16 ? 4 : 2;

// A pivot this far below its original diagonal entry keeps hardly two digits of float32.
constexpr float kLostDigits = 1.0f / (1 << 18);

// Cholesky of I + S in place for kLanes systems S given by lane tiles (left-looking, 4 columns at
// a time); solves in place for `rhs` (size x kLanes). S is positive semidefinite, so that every
// exact pivot is at least 1: a lane with a smaller one, or with one that is all rounding error, is
// marked in *bad and carries on with pivot 1.
__attribute__((noinline)) void FactorAndSolve(float* lane_tiles, int64_t size,
                                              float* inverse_pivots, float* rhs, VecMask* bad) {
  const int64_t blocks = size / kTile;
  const Vec one = Broadcast(1.0f), half = Broadcast(0.5f);
  for (int64_t j = 0; j < blocks; ++j) {
    float* row_j = lane_tiles + TileIndex(j, 0) * kTileFloats * kLanes;
    float* diagonal = row_j + j * kTileFloats * kLanes;
    const int64_t depth = j * kTile;

    // Diagonal tile, and the forward substitution of its four unknowns.
    Vec y[kTile];
    for (int r = 0; r < kTile; ++r) y[r] = Load(rhs + (depth + r) * kLanes);
    Vec t[kTile][kTile];
    Vec floor[kTile];
    for (int c = 0; c < kTile; ++c) {
      for (int r = 0; r < kTile; ++r) t[c][r] = Load(diagonal + (c * kTile + r) * kLanes);
      t[c][c] += one;
      floor[c] = t[c][c] * kLostDigits;
    }
    for (int64_t k = 0; k < depth; ++k) {
      const float* column = row_j + k * kTile * kLanes;
      Vec left[kTile];
      for (int r = 0; r < kTile; ++r) left[r] = Load(column + r * kLanes);
      const Vec solved = Load(rhs + k * kLanes);
      for (int c = 0; c < kTile; ++c) {
        for (int r = c; r < kTile; ++r) t[c][r] -= left[r] * left[c];
        y[c] -= left[c] * solved;
      }
    }
    Vec inverse[kTile];
    for (int c = 0; c < kTile; ++c) {
      const VecMask good = (t[c][c] > half) & (t[c][c] > floor[c]);  // false for NaN too
      *bad |= ~good;
      const Vec pivot = good ? t[c][c] : one;
      inverse[c] = one / Sqrt(pivot);
      t[c][c] = pivot * inverse[c];
      for (int r = c + 1; r < kTile; ++r) t[c][r] *= inverse[c];
      y[c] *= inverse[c];
      for (int c2 = c + 1; c2 < kTile; ++c2) {
        for (int r = c2; r < kTile; ++r) t[c2][r] -= t[c][r] * t[c][c2];
        y[c2] -= t[c][c2] * y[c];
      }
    }
    for (int c = 0; c < kTile; ++c) {
      Store(inverse_pivots + (depth + c) * kLanes, inverse[c]);
      Store(rhs + (depth + c) * kLanes, y[c]);
      for (int r = c; r < kTile; ++r) Store(diagonal + (c * kTile + r) * kLanes, t[c][r]);
    }

    // The tiles below it.
    for (int64_t i = j + 1; i < blocks; ++i) {
      float* row_i = lane_tiles + TileIndex(i, 0) * kTileFloats * kLanes;
      float* target = row_i + j * kTileFloats * kLanes;
      for (int c0 = 0; c0 < kTile; c0 += kUpdateColumns) {
        Vec x[kUpdateColumns][kTile];
        for (int c = 0; c < kUpdateColumns; ++c) {
          for (int r = 0; r < kTile; ++r) {
            x[c][r] = Load(target + ((c0 + c) * kTile + r) * kLanes);
          }
        }
        SubtractProduct<kUpdateColumns>(row_i, row_j + c0 * kLanes, depth + c0, x);
        for (int c = 0; c < kUpdateColumns; ++c) {
          for (int c2 = 0; c2 < c; ++c2) {
            const Vec factor = Load(diagonal + ((c0 + c2) * kTile + c0 + c) * kLanes);
            for (int r = 0; r < kTile; ++r) x[c][r] -= x[c2][r] * factor;
          }
          const Vec scale = Load(inverse_pivots + (depth + c0 + c) * kLanes);
          for (int r = 0; r < kTile; ++r) {
            x[c][r] *= scale;
            Store(target + ((c0 + c) * kTile + r) * kLanes, x[c][r]);
          }
        }
      }
    }
  }

  // Back substitution, streaming the factor's row blocks from the last to the first.
  for (int64_t i = blocks - 1; i >= 0; --i) {
    const float* row_i = lane_tiles + TileIndex(i, 0) * kTileFloats * kLanes;
    const float* diagonal = row_i + i * kTileFloats * kLanes;
    Vec z[kTile];
    for (int c = kTile - 1; c >= 0; --c) {
      z[c] = Load(rhs + (i * kTile + c) * kLanes);
      for (int r = c + 1; r < kTile; ++r) z[c] -= Load(diagonal + (c * kTile + r) * kLanes) * z[r];
      z[c] *= Load(inverse_pivots + (i * kTile + c) * kLanes);
      Store(rhs + (i * kTile + c) * kLanes, z[c]);
    }
    for (int64_t k = 0; k < i * kTile; ++k) {
      Vec value = Load(rhs + k * kLanes);
      for (int r = 0; r < kTile; ++r) value -= Load(row_i + (k * kTile + r) * kLanes) * z[r];
      Store(rhs + k * kLanes, value);
    }
  }
}

}  // namespace
}  // namespace penchant

#endif  // PENCHANT_KERNELS_LINALG_LANE_CHOLESKY_SIMD_H_
