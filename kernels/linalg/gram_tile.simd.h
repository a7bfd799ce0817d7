// Register tiles of panel' * panel. For *.simd.cc files only (kernels/base/simd.h).
#ifndef PENCHANT_KERNELS_LINALG_GRAM_TILE_SIMD_H_
#define PENCHANT_KERNELS_LINALG_GRAM_TILE_SIMD_H_

#include "kernels/base/simd.h"

namespace penchant {
namespace {

// Register tile of panel' * panel: 16 rows by kGramColumns columns, over `count` panel rows.
constexpr int kGramRows = 16;
constexpr int kGramVecs = kGramRows / kLanes;
constexpr int kGramColumns = kLanes == 16 ? 16 : 4;

struct GramTile {
  Vec sum[kGramColumns][kGramVecs];
};

PENCHANT_INLINE void ComputeGramTile(const float* panel_i, const float* panel_j, int64_t count,
                                     int64_t stride, GramTile* tile) {
  Vec sum[kGramColumns][kGramVecs] = {};
  for (int64_t k = 0; k < count; ++k) {
    Vec a[kGramVecs];
    for (int v = 0; v < kGramVecs; ++v) a[v] = Load(panel_i + k * stride + v * kLanes);
    for (int c = 0; c < kGramColumns; ++c) {
      const Vec b = Broadcast(panel_j[k * stride + c]);
      for (int v = 0; v < kGramVecs; ++v) sum[c][v] += a[v] * b;
    }
  }
  for (int c = 0; c < kGramColumns; ++c) {
    for (int v = 0; v < kGramVecs; ++v) tile->sum[c][v] = sum[c][v];
  }
}

// The same for a tile on the diagonal. What lies above the diagonal is not needed, so with 16
// lanes the last eight columns do with half a vector: rows 8 to 15 (the others come out zero).
PENCHANT_INLINE void ComputeDiagonalGramTile(const float* panel, int64_t count, int64_t stride,
                                             GramTile* tile) {
#if PENCHANT_ISA_LEVEL == 4
  typedef float HalfVec __attribute__((vector_size(32), may_alias));
  constexpr int kHalf = 8;
  Vec first[kHalf] = {};
  HalfVec last[kHalf] = {};
  for (int64_t k = 0; k < count; ++k) {
    const float* row = panel + k * stride;
    const Vec all = Load(row);
    const HalfVec low_rows = *reinterpret_cast<const HalfVec*>(row + kHalf);
    for (int c = 0; c < kHalf; ++c) {
      first[c] += all * Broadcast(row[c]);
      last[c] += low_rows * (row[kHalf + c] - HalfVec{});
    }
  }
  for (int c = 0; c < kHalf; ++c) {
    tile->sum[c][0] = first[c];
    float* column = reinterpret_cast<float*>(tile->sum[kHalf + c]);
    *reinterpret_cast<HalfVec*>(column) = HalfVec{};
    *reinterpret_cast<HalfVec*>(column + kHalf) = last[c];
  }
#else
  ComputeGramTile(panel, panel, count, stride, tile);
#endif
}

// The register tile at rows i0 and columns j0 of panel' * panel.
PENCHANT_INLINE void ComputeGramTileAt(const float* panel, int64_t i0, int64_t j0, int64_t count,
                                       int64_t stride, GramTile* tile) {
  if (i0 == j0) {
    ComputeDiagonalGramTile(panel + i0, count, stride, tile);
  } else {
    ComputeGramTile(panel + i0, panel + j0, count, stride, tile);
  }
}

}  // namespace
}  // namespace penchant

#endif  // PENCHANT_KERNELS_LINALG_GRAM_TILE_SIMD_H_
