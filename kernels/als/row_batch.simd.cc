#include "kernels/als/row_batch.h"

#include "kernels/base/simd.h"
#include "kernels/linalg/gram_tile.simd.h"
#include "kernels/linalg/lane_cholesky.simd.h"

namespace penchant {
namespace {

PENCHANT_INLINE void Zero(float* p, int64_t count) {
  __builtin_memset(p, 0, count * sizeof(float));
}

// ---- Building one system -------------------------------------------------------------------

// Rows of the fixed table that will be gathered next: asked for a little at a time while the
// arithmetic of the present row runs, because gathers miss every cache.
struct Upcoming {
  const float* table;
  int64_t stride;
  const int32_t* ids;
  int64_t count;
  int64_t next = 0;
  int64_t credit = 0;

  PENCHANT_INLINE void Prefetch() {
    const float* row = table + ids[next++] * stride;
    for (int64_t k = 0; k < stride; k += 16) __builtin_prefetch(row + k, 0, 1);
  }
  // Called once in each of `steps` steps: spreads `count` rows over them.
  PENCHANT_INLINE void Step(int64_t steps) {
    credit += count;
    while (credit >= steps && next < count) {
      credit -= steps;
      Prefetch();
    }
  }
};

// Rows prefetched inside PackPanel itself, for what no earlier arithmetic could cover.
constexpr int64_t kPackAhead = 12;

// panel_j = y_j * root_weight_j * D^-1/2 for `count` rows.
__attribute__((noinline)) void PackPanel(const float* table, int64_t stride, const int32_t* ids,
                                         const float* root_weight,
                                         const float* root_inverse_diagonal, int64_t count,
                                         bool prefetch, float* panel) {
  Upcoming ahead{table, stride, ids, prefetch ? count : 0};
  while (ahead.next < ahead.count && ahead.next < kPackAhead) ahead.Prefetch();
  for (int64_t j = 0; j < count; ++j) {
    if (ahead.next < ahead.count) ahead.Prefetch();
    const float* row = table + ids[j] * stride;
    float* out = panel + j * stride;
    const Vec weight = Broadcast(root_weight[j]);
    for (int64_t k = 0; k < stride; k += kLanes) {
      Store(out + k, Load(row + k) * weight * Load(root_inverse_diagonal + k));
    }
  }
}

// One 4 x 4 tile of panel * panel', kLanes sums at a time. A diagonal tile leaves out what lies
// above its diagonal: those entries are never read.
template <bool kDiagonal>
PENCHANT_INLINE void DotTile(const float* rows_i, const float* rows_j, int64_t stride,
                             float* tile) {
  constexpr int kColumns = kLanes / kTile;  // columns whose 4 sums fill one vector
  for (int c0 = 0; c0 < kTile; c0 += kColumns) {
    Vec sums[kLanes] = {};
    for (int64_t k = 0; k < stride; k += kLanes) {
      Vec a[kTile];
      for (int r = 0; r < kTile; ++r) a[r] = Load(rows_i + r * stride + k);
      for (int c = 0; c < kColumns; ++c) {
        const Vec b = kDiagonal ? a[c0 + c] : Load(rows_j + (c0 + c) * stride + k);
        for (int r = kDiagonal ? c0 + c : 0; r < kTile; ++r) {
          sums[SumSlot(c * kTile + r)] += a[r] * b;
        }
      }
    }
    Store(tile + c0 * kTile, SumLanes(sums));
  }
}

// tiles = lower triangle of panel * panel'; panel has a multiple of 4 rows.
__attribute__((noinline)) void PanelTimesTranspose(const float* panel, int64_t rows, int64_t stride,
                                                   Upcoming upcoming, float* tiles) {
  const int64_t blocks = rows / kTile;
  const int64_t steps = NumTiles(rows);
  for (int64_t i = 0; i < blocks; ++i) {
    const float* rows_i = panel + i * kTile * stride;
    for (int64_t j = 0; j < i; ++j) {
      DotTile<false>(rows_i, panel + j * kTile * stride, stride, tiles);
      tiles += kTileFloats;
      upcoming.Step(steps);
    }
    DotTile<true>(rows_i, rows_i, stride, tiles);
    tiles += kTileFloats;
    upcoming.Step(steps);
  }
}

// tiles += lower triangle of panel' * panel, for `count` panel rows of `stride` columns.
__attribute__((noinline)) void TransposeTimesPanel(const float* panel, int64_t count,
                                                   int64_t stride, Upcoming upcoming,
                                                   float* tiles) {
  const int64_t steps = stride / kGramRows * (stride / kGramColumns + 1) / 2;
  for (int64_t i0 = 0; i0 < stride; i0 += kGramRows) {
    for (int64_t j0 = 0; j0 <= i0 + kGramRows - kGramColumns; j0 += kGramColumns) {
      GramTile sums;
      ComputeGramTileAt(panel, i0, j0, count, stride, &sums);
      upcoming.Step(steps);
      // A quarter of every column belongs to tile row q, where the columns follow each other.
      for (int q = 0; q < kGramRows / kTile; ++q) {
        const int64_t tile_row = i0 / kTile + q;
        const int64_t below_diagonal = (tile_row + 1) * kTile - j0;
        const int64_t columns = below_diagonal < kGramColumns ? below_diagonal : kGramColumns;
        float* out = tiles + TileIndex(tile_row, j0 / kTile) * kTileFloats;
        for (int64_t c = 0; c < columns; ++c) {
          const float* column = reinterpret_cast<const float*>(sums.sum[c]) + q * kTile;
          *reinterpret_cast<Quad*>(out + c * kTile) += *reinterpret_cast<const Quad*>(column);
        }
      }
    }
  }
}

// sum += panel' * vector, for `count` panel rows.
void AddTransposeTimesVector(const float* panel, const float* vector, int64_t count, int64_t stride,
                             float* sum) {
  constexpr int kBlock = 16 / kLanes;  // the stride is a multiple of 16 floats
  for (int64_t k = 0; k < stride; k += kBlock * kLanes) {
    // Even and odd rows apart: two chains of additions instead of one.
    Vec even[kBlock] = {}, odd[kBlock] = {};
    int64_t j = 0;
    for (; j + 2 <= count; j += 2) {
      for (int b = 0; b < kBlock; ++b) {
        even[b] += vector[j] * Load(panel + j * stride + k + b * kLanes);
        odd[b] += vector[j + 1] * Load(panel + (j + 1) * stride + k + b * kLanes);
      }
    }
    if (j < count) {
      for (int b = 0; b < kBlock; ++b)
        even[b] += vector[j] * Load(panel + j * stride + k + b * kLanes);
    }
    for (int b = 0; b < kBlock; ++b) {
      Store(sum + k + b * kLanes, Load(sum + k + b * kLanes) + even[b] + odd[b]);
    }
  }
}

// ---- From the systems' solutions to the rows -----------------------------------------------

// out = D^-1 sum_j coefficient_j y_j
template <int kBlock>
PENCHANT_INLINE void WeightedSumBlock(const float* table, int64_t stride, const int32_t* ids,
                                      const float* coefficients, int64_t n,
                                      const float* root_inverse_diagonal, float* out) {
  Vec sum[kBlock] = {};
  for (int64_t j = 0; j < n; ++j) {
    const float* row = table + ids[j] * stride;
    const Vec coefficient = Broadcast(coefficients[j]);
    for (int b = 0; b < kBlock; ++b) sum[b] += coefficient * Load(row + b * kLanes);
  }
  for (int b = 0; b < kBlock; ++b) {
    const Vec scale = Load(root_inverse_diagonal + b * kLanes);
    Store(out + b * kLanes, sum[b] * scale * scale);
  }
}

__attribute__((noinline)) void WeightedSum(const float* table, int64_t stride, const int32_t* ids,
                                           const float* coefficients, int64_t n,
                                           const float* root_inverse_diagonal, float* out) {
  int64_t k = 0;
  for (; k + 8 * kLanes <= stride; k += 8 * kLanes) {
    WeightedSumBlock<8>(table + k, stride, ids, coefficients, n, root_inverse_diagonal + k,
                        out + k);
  }
  for (; k + 4 * kLanes <= stride; k += 4 * kLanes) {
    WeightedSumBlock<4>(table + k, stride, ids, coefficients, n, root_inverse_diagonal + k,
                        out + k);
  }
  for (; k < stride; k += kLanes) {
    WeightedSumBlock<1>(table + k, stride, ids, coefficients, n, root_inverse_diagonal + k,
                        out + k);
  }
}

// ---- The batch ------------------------------------------------------------------------------

struct Scratch {
  float* panel;           // one row's panel, or one chunk of a long row's
  float* systems;         // kLanes systems in row-major tiles
  float* lane_tiles;      // the same, interleaved
  float* rhs;             // size x kLanes
  float* inverse_pivots;  // size x kLanes
  float* coefficients;    // max(size, stride)
  int64_t floats;
};

PENCHANT_INLINE Scratch LayOut(float* base, int64_t size, int64_t stride, bool short_side) {
  size = RoundUp(size, kTile);
  const int64_t system = RoundUp(NumTiles(size) * kTileFloats, 16);
  const int64_t longest = size > stride ? size : stride;
  Scratch s;
  s.panel = base;
  s.systems = s.panel + (short_side ? size : kPanelRows) * stride;
  s.lane_tiles = s.systems + system * kLanes;
  s.rhs = s.lane_tiles + system * kLanes;
  s.inverse_pivots = s.rhs + size * kLanes;
  s.coefficients = s.inverse_pivots + size * kLanes;
  s.floats = s.coefficients + RoundUp(longest, 16) - base;
  return s;
}

int64_t ScratchFloats(int64_t size, int64_t stride, bool short_side) {
  return LayOut(nullptr, size, stride, short_side).floats;
}

// What the lane after `lane` will gather first.
PENCHANT_INLINE Upcoming NextLane(const RowBatch& batch, int lane) {
  if (lane + 1 >= batch.count) return {batch.table, batch.stride, nullptr, 0};
  const BatchRow& next = batch.rows[lane + 1];
  const int64_t count = batch.short_side || next.n < kPanelRows ? next.n : kPanelRows;
  return {batch.table, batch.stride, next.ids, count};
}

void BuildShort(const RowBatch& batch, int64_t size, const Scratch& s, int lane, float* system) {
  const BatchRow& row = batch.rows[lane];
  PackPanel(batch.table, batch.stride, row.ids, row.root_weight, row.root_inverse_diagonal, row.n,
            lane == 0, s.panel);
  // The row's own tiles are a prefix of the batch's; the rest of its system is the identity.
  const int64_t own_size = RoundUp(row.n, kTile);
  Zero(s.panel + row.n * batch.stride, (own_size - row.n) * batch.stride);
  PanelTimesTranspose(s.panel, own_size, batch.stride, NextLane(batch, lane), system);
  Zero(system + NumTiles(own_size) * kTileFloats,
       (NumTiles(size) - NumTiles(own_size)) * kTileFloats);
  for (int64_t j = 0; j < size; ++j) s.rhs[j * kLanes + lane] = j < row.n ? row.target[j] : 0.0f;
}

void BuildLong(const RowBatch& batch, int64_t size, const Scratch& s, int lane, float* system) {
  const BatchRow& row = batch.rows[lane];
  Zero(system, NumTiles(size) * kTileFloats);
  Zero(s.coefficients, batch.stride);
  for (int64_t first = 0; first < row.n; first += kPanelRows) {
    const int64_t count = row.n - first < kPanelRows ? row.n - first : kPanelRows;
    PackPanel(batch.table, batch.stride, row.ids + first, row.root_weight + first,
              row.root_inverse_diagonal, count, lane == 0 && first == 0, s.panel);
    AddTransposeTimesVector(s.panel, row.target + first, count, batch.stride, s.coefficients);
    const int64_t after = first + count;
    const int64_t rest = row.n - after < kPanelRows ? row.n - after : kPanelRows;
    TransposeTimesPanel(s.panel, count, batch.stride,
                        rest > 0 ? Upcoming{batch.table, batch.stride, row.ids + after, rest}
                                 : NextLane(batch, lane),
                        system);
  }
  for (int64_t k = 0; k < size; ++k) s.rhs[k * kLanes + lane] = s.coefficients[k];
}

void Solve(RowBatch* batch) {
  const int64_t size = RoundUp(batch->size, kTile);
  const int64_t stride = batch->stride;
  const Scratch s = LayOut(batch->scratch, size, stride, batch->short_side);
  const int64_t system_floats = NumTiles(size) * kTileFloats;
  const int64_t system_stride = RoundUp(system_floats, 16);

  const float* systems[kLanes];
  for (int lane = 0; lane < kLanes; ++lane) {
    float* system = s.systems + lane * system_stride;
    systems[lane] = system;
    if (lane >= batch->count) {
      Zero(system, system_floats);
      for (int64_t k = 0; k < size; ++k) s.rhs[k * kLanes + lane] = 0.0f;
    } else if (batch->short_side) {
      BuildShort(*batch, size, s, lane, system);
    } else {
      BuildLong(*batch, size, s, lane, system);
    }
  }
  InterleaveTiles(systems, system_floats, s.lane_tiles);
  VecMask bad = {};
  FactorAndSolve(s.lane_tiles, size, s.inverse_pivots, s.rhs, &bad);

  for (int lane = 0; lane < batch->count; ++lane) {
    const BatchRow& row = batch->rows[lane];
    batch->failed[lane] = bad[lane] != 0;
    if (batch->short_side) {
      for (int64_t j = 0; j < row.n; ++j) {
        s.coefficients[j] = s.rhs[j * kLanes + lane] * row.root_weight[j];
      }
      WeightedSum(batch->table, stride, row.ids, s.coefficients, row.n, row.root_inverse_diagonal,
                  row.out);
    } else {
      for (int64_t k = 0; k < stride; ++k) {
        row.out[k] = s.rhs[k * kLanes + lane] * row.root_inverse_diagonal[k];
      }
    }
  }
}

void GatherPanel(const float* table, int64_t stride, const int32_t* ids, const float* root_weight,
                 const float* root_inverse_diagonal, int64_t count, float* panel) {
  PackPanel(table, stride, ids, root_weight, root_inverse_diagonal, count, true, panel);
}

}  // namespace

extern const RowBatchKernels PENCHANT_ISA_SYMBOL(kRowBatchKernels);
const RowBatchKernels PENCHANT_ISA_SYMBOL(kRowBatchKernels) = {kLanes, ScratchFloats, Solve,
                                                               GatherPanel};

}  // namespace penchant
