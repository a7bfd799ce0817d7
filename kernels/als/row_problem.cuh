// What the row solver's kernels share: the problem, and how a launch lays out a block's shared
// memory.
#ifndef PENCHANT_KERNELS_ALS_ROW_PROBLEM_CUH_
#define PENCHANT_KERNELS_ALS_ROW_PROBLEM_CUH_

#include <algorithm>
#include <type_traits>
#include <utility>

#include "kernels/als/row_plan.h"
#include "kernels/als/tile_cholesky.cuh"
#include "kernels/base/bfloat16.h"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

inline int RoundUpToTile(int64_t n) { return static_cast<int>(DivideUp(n, kTile)) * kTile; }

// What all rows of a half-iteration share.
struct RowProblem {
  const float* table;      // fixed side, rotated
  const Bfloat16* packed;  // the same, or null
  int stride;              // elements between rows of both, zero-padded
  int factors;
  const double* eigenvalues;
  const float* shifts;  // w0 times them; so large in padding that D^-1/2 is next to nothing
  const int64_t* offsets;
  const int32_t* indices;
  const float* values;   // null: all ones
  const float* lambda;   // a row of the solved side
  const float* largest;  // largest |value| a row; null where `values` is
  float alpha;
  float unobserved_weight;
  float* out;  // stride as the table's
};

// Rows order[0, count), and where those are listed that need another solver.
struct RowList {
  const int32_t* order;
  int count;
  int32_t* failed;  // ill-conditioned for float32
  int* num_failed;
};

// Launches what solves the rows of a plan, with the table read in elements of this type: float
// (solve_rows_float.cu) or Bfloat16 (solve_rows_bfloat16.cu).
template <typename Element>
void LaunchRowSolves(Context& context, const RowProblem& problem, const RowList& rows,
                     const CudaRowPlan& plan);

// What a launch decides about shared memory; sizes in floats.
struct SolveLayout {
  int order;           // of the largest system, a multiple of 32
  int padded_factors;  // a multiple of 32
  int slots;           // stages of gathered data
  int stage;           // floats of one
  int strip_bits;      // 2^strip_bits warps share a strip (long side)
  bool panel_stays;    // until pairs are written; else the stages begin where the tiles do
  int four_bits;       // 2^four_bits threads read four columns each, as rows are gathered for that

  // Where the block's arrays begin (Workspace), in floats. Those of one size come first: a constant
  // takes no register.
  static constexpr int kPivotRows = 0, kBadPivots = kPivotRows + kPivotScratch,
                       kHalf = kBadPivots + 2, kRow = kHalf + 4,
                       kTiles = kPivotRows + (kRow + 6 + kTile - 1) / kTile * kTile;
  int stages, factors, scale, rhs, diagonal, confidences, rhs_parts;
  int floats;  // of all

  // Groups of so many of a block's warps that share the observations there.
  template <int kWarps>
  __host__ __device__ int row_groups() const {
    return kWarps == 1 || four_bits <= 5 ? kWarps : kWarps >> (four_bits - 5);
  }
  __host__ __device__ int system() const { return NumTiles(order / kTile) * kTileFloats; }

  // For one or two rows, with so many floats of tiles.
  void Place(int depth, bool long_side, int tiles, int rows = 1) {
    stages = kTiles + (panel_stays ? tiles : 0);
    // A row's sums by groups of warps take the stages' place too: they are fewer.
    int end = std::max(stages + slots * stage, kTiles + tiles);
    const auto next = [&end](int size) { return std::exchange(end, end + size); };
    factors = next(rows * padded_factors);
    scale = next(order);
    rhs = next(order);
    diagonal = next(order);
    confidences = next(long_side ? slots * depth * 2 : 0);
    rhs_parts = next(long_side ? padded_factors << strip_bits : 0);
    floats = end;
  }
};

// Partial sums of long rows: for every chunk the raw tiles, then the raw right-hand side.
struct ChunkSums {
  const RowChunk* chunks;
  const int64_t* chunk_begin;  // of the k-th row of the list; null: rows are not in chunks
  float* sums;
  int64_t stride;  // floats between chunks
};

// A row, or a stretch of one: some of the problem's observations.
struct Observations {
  int64_t begin;
  int count;  // distinct 32-bit ids: fewer than 2^31
};

// The row that a block solves, or forms a stretch of, and its place in the list.
struct RowInHand {
  Observations observations;
  int32_t row;
  int number;
};

// The table as kernels of this element type read it.
template <typename Element>
__device__ __forceinline__ const Element* TableOf(const RowProblem& p) {
  if constexpr (sizeof(Element) == sizeof(Bfloat16)) {
    return p.packed;
  } else {
    return p.table;
  }
}
// Four of its elements.
template <typename Element>
using Four = std::conditional_t<sizeof(Element) == sizeof(Bfloat16), uint2, float4>;
__device__ __forceinline__ float4 AsFloats(float4 four) { return four; }
__device__ __forceinline__ float4 AsFloats(uint2 pairs) {
  const auto low = [](uint32_t pair) { return __uint_as_float(pair << 16); };
  const auto high = [](uint32_t pair) { return __uint_as_float(pair & 0xffff0000u); };
  return {low(pairs.x), high(pairs.x), low(pairs.y), high(pairs.y)};
}

// The table's row that observation j is about, and its confidence.
template <typename Element>
__device__ __forceinline__ const Element* TableRow(const RowProblem& p, const Observations& o,
                                                   int j) {
  return TableOf<Element>(p) + int64_t{p.indices[o.begin + j]} * p.stride;
}
__device__ __forceinline__ float Weight(const RowProblem& p, const Observations& o, int j) {
  return p.values != nullptr ? p.alpha * fabsf(p.values[o.begin + j]) : p.alpha;
}
// c p = w0 + w for a liked item, 0 for a disliked one.
__device__ __forceinline__ float Target(const RowProblem& p, const Observations& o, int j,
                                        float weight) {
  return p.values == nullptr || p.values[o.begin + j] > 0 ? p.unobserved_weight + weight : 0.0f;
}

__device__ __forceinline__ int RowLength(const RowProblem& p, int32_t row) {
  return static_cast<int>(p.offsets[row + 1] - p.offsets[row]);
}

__device__ __forceinline__ Observations ObservationsOf(const RowProblem& p, int32_t row) {
  return {p.offsets[row], RowLength(p, row)};
}

// The scale of a row's elements: those of Y D^-1/2 (short side), of W^1/2 Y D^-1/2 (long side).
// The largest eigenvalue e bounds all of Y^2, and e / (w0 e + lambda) all of Y^2 D^-1.
template <bool kShort>
__device__ __forceinline__ HalfScale RowScale(const RowProblem& p, int32_t row) {
  const float largest = static_cast<float>(p.eigenvalues[0]);
  const float inverse = InverseRootEstimate(p.shifts[0] + p.lambda[row]);
  float square = largest * inverse * inverse;
  if constexpr (!kShort) square *= p.alpha * (p.largest != nullptr ? p.largest[row] : 1.0f);
  return HalfScaleFor(square);
}

// Of an observation of the short side: a row of the system.
struct SystemLine {
  float scale;  // W^1/2, unscaled
  float rhs;    // c p W^-1/2
};
__device__ __forceinline__ SystemLine LineOf(const RowProblem& p, const Observations& o, int j,
                                             const HalfScale& half) {
  if (j >= o.count) return {0.0f, 0.0f};
  float weight = Weight(p, o, j);
  ComputeAnew(weight);
  const float inverse = InverseRoot(weight);
  return {weight * inverse * half.inverse, Target(p, o, j, weight) * inverse};
}

// Of an observation of the long side.
struct Confidence {
  float root;    // W^1/2, scaled for halves
  float target;  // c p W^-1/2, unscaled
};

// The block's shared memory. Stages hold gathered rows of the table, as floats while they arrive,
// then split into halves (tile_product.cuh); beside each lie the confidences of its observations
// (long side).
struct Workspace {
  float* diagonal;  // D^-1/2, scaled for halves on the short side
  float* scale;     // of the system's rows: W^1/2, unscaled (short side)
  float* stages;
  Confidence* confidences;
  float* rhs_parts;  // of the right-hand side, of each of the strips' warps
  HalfScale* half;   // of the row, or of both of a pair: not worth registers, nor is
  RowInHand* row;
  TileSystem system;
};

template <bool kTilesInShared>
__device__ __forceinline__ Workspace LayOut(const SolveLayout& layout, float* shared,
                                            float* global_tiles) {
  Workspace w;
  w.diagonal = shared + layout.factors;
  w.scale = shared + layout.scale;
  w.stages = shared + layout.stages;
  w.confidences = reinterpret_cast<Confidence*>(shared + layout.confidences);
  w.rhs_parts = shared + layout.rhs_parts;
  w.half = reinterpret_cast<HalfScale*>(shared + SolveLayout::kHalf);
  static_assert(sizeof(RowInHand) == 6 * sizeof(float) && SolveLayout::kRow % 2 == 0);
  w.row = reinterpret_cast<RowInHand*>(shared + SolveLayout::kRow);
  w.system.rhs = shared + layout.rhs;
  w.system.diagonal = shared + layout.diagonal;
  w.system.pivot_rows = shared + SolveLayout::kPivotRows;
  w.system.bad_pivots = reinterpret_cast<int*>(shared + SolveLayout::kBadPivots);
  w.system.tiles = kTilesInShared ? shared + SolveLayout::kTiles : global_tiles;
  return w;
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_ALS_ROW_PROBLEM_CUH_
