// The innermost part of the exact row solve: one batch of rows, one per vector lane.
// solve_rows.cc plans the batches and calls the table of the selected instruction set.
//
// For a row with observations j = 1..n (fixed-side rows y_j, confidences above the unobserved
// weight w_j > 0, preferences p_j) in the basis where the unobserved part is diagonal, let
//     D = diag(l + lambda),   B = W^1/2 Y D^-1/2  (n x d),   g_j = (w0 + w_j) p_j / sqrt(w_j).
// The row's ridge solution x = (D + Y'WY)^-1 Y'(w0 + W)p is, exactly,
//     short side:  x = D^-1/2 B' (I_n + B B')^-1 g
//     long side:   x = D^-1/2 (I_d + B' B)^-1 B' g
// so both sides are "identity plus Gram matrix of a panel", one n x n, the other d x d.
#ifndef PENCHANT_KERNELS_ALS_ROW_BATCH_H_
#define PENCHANT_KERNELS_ALS_ROW_BATCH_H_

#include <cstdint>

#include "kernels/linalg/gram_panel.h"

namespace penchant {

inline constexpr int kMaxBatchLanes = 16;

struct BatchRow {
  int64_t n = 0;                                 // observations
  const int32_t* ids = nullptr;                  // n rows of the fixed table
  const float* root_weight = nullptr;            // n values sqrt(w_j)
  const float* target = nullptr;                 // n values g_j
  const float* root_inverse_diagonal = nullptr;  // D^-1/2: stride floats, zero in the padding
  float* out = nullptr;                          // stride floats; the padding is written with zeros
};

struct RowBatch {
  int count = 0;  // rows in use, 1..lanes
  BatchRow rows[kMaxBatchLanes];
  const float* table = nullptr;  // the fixed side, rotated; 64-byte aligned rows
  int64_t stride = 0;            // floats between rows, a multiple of 16, zero-padded
  int64_t size = 0;              // order of the lane systems: max n, or stride on the long side
  bool short_side = true;
  float* scratch = nullptr;             // ScratchFloats(...) floats, 64-byte aligned
  uint8_t failed[kMaxBatchLanes] = {};  // out: a pivot was not positive; `out` is not valid
};

// Order up to which systems are solved one a lane; larger ones go to LAPACK row by row.
inline constexpr int64_t kMaxLaneOrder = 256;
struct RowBatchKernels {
  int lanes;
  // Scratch needed by a batch of this order.
  int64_t (*scratch_floats)(int64_t size, int64_t stride, bool short_side);
  void (*solve)(RowBatch* batch);
  // Scales and packs `count` rows: panel_j = y_{ids_j} * root_weight_j * D^-1/2.
  void (*gather_panel)(const float* table, int64_t stride, const int32_t* ids,
                       const float* root_weight, const float* root_inverse_diagonal, int64_t count,
                       float* panel);
};

const RowBatchKernels& SelectedRowBatchKernels();

}  // namespace penchant

#endif  // PENCHANT_KERNELS_ALS_ROW_BATCH_H_
