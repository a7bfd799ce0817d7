// One half-iteration of exact implicit ALS: every row's ridge system, solved on its shorter side.
//
// als_objective.h states the objective. Given the other side's table it is a ridge system a row;
// row_batch.h says how it is solved. Rows without observations become zero, which is their exact
// minimum.
#ifndef PENCHANT_KERNELS_ALS_SOLVE_ROWS_H_
#define PENCHANT_KERNELS_ALS_SOLVE_ROWS_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/als/als_objective.h"
#include "kernels/als/row_plan.h"
#include "kernels/base/bfloat16.h"
#include "kernels/base/context.h"
#include "kernels/base/device_memory.h"
#include "kernels/base/view.h"

namespace penchant {

// The fixed side in its eigenbasis (linalg/eigenbasis.h), on the context's device.
struct FixedSide {
  MatrixView<const float> table;        // rotated; zero padding columns
  const double* eigenvalues = nullptr;  // of table' table, table.cols of them
  // Null, or the table once more, its elements being bfloat16 (linalg/round_to_bfloat16.h): CUDA
  // devices then gather half of the bytes. The eigenvalues may be those of before the rounding; the
  // unobserved pairs then weigh by the unrounded table, and rows are exact minima of just that.
  const Bfloat16* packed = nullptr;
};

struct SolveReport {
  int64_t retried_rows = 0;  // float32 pivots failed; solved again in float64
  int64_t first_retried_row = -1;
};

// Solves rows [0, rows.rows) into `out` (rows.rows x factors). Returns what needed float64, which
// is there after context.Synchronize(). The result has the same bits for any number of threads and
// any subset of rows in the plan's batches. REQUIRES: rows.cols == fixed.table.rows, finite
// non-zero values, out.cols == fixed.table.cols. Throws NumericError (on CUDA from Synchronize)
// when even float64 finds a row's system not positive.
std::shared_ptr<const SolveReport> SolveRows(Context& context, const AlsObjective& objective,
                                             const FixedSide& fixed, const CsrView& rows,
                                             const RowPlan& plan, MatrixView<float> out);

// The error's wording, for both twins.
[[noreturn]] void ThrowNotPositive(int64_t row);

// Bytes of scratch SolveRows takes for this shape, for memory estimates.
int64_t SolveRowsScratchBytes(int64_t longest_row, int64_t factors, int num_threads);
// The same on CUDA, for a side of `rows` rows with `nnz` observations.
int64_t CudaSolveRowsBytes(int64_t rows, int64_t nnz, int64_t longest_row, int64_t factors);

// Limits of the CUDA twin's scratch.
inline constexpr int64_t kChunkSumBytes = int64_t{256} << 20;
inline constexpr int64_t kGlobalTileBytes = int64_t{256} << 20;
inline constexpr int64_t kDoubleBlocks = 8;  // that solve failed rows in float64

}  // namespace penchant

#endif  // PENCHANT_KERNELS_ALS_SOLVE_ROWS_H_
