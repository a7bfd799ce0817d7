#include "kernels/als/solve_rows.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <mutex>
#include <numeric>

#include "kernels/als/row_batch.h"
#include "kernels/base/blas.h"
#include "kernels/base/errors.h"
#include "kernels/base/isa.h"
#include "kernels/base/memory.h"
#include "kernels/cuda_ops.h"

namespace penchant {

PENCHANT_DEFINE_SELECTED(RowBatchKernels, RowBatchKernels)

namespace {

// Scratch of one worker for rows of up to `longest` observations.
int64_t ScratchFloats(int64_t longest, int64_t factors) {
  const RowBatchKernels& kernels = SelectedRowBatchKernels();
  const int64_t stride = PaddedStride(factors);
  const int64_t longest_short = std::min(longest, factors);
  int64_t floats = kernels.scratch_floats(std::min(longest_short, kMaxLaneOrder), stride, true);
  if (!IsShortSide(longest, factors)) {
    floats =
        std::max(floats, kernels.scratch_floats(std::min(stride, kMaxLaneOrder), stride, false));
  }
  const int64_t order = PaddedStride(std::min(longest, stride));  // of a system for LAPACK
  if (order > kMaxLaneOrder) {
    floats = std::max(floats, std::max(order, kPanelRows) * stride + order * order + order);
  }
  return floats;
}

// What one row's system needs besides the fixed table, in growing arrays a worker keeps.
struct RowInputs {
  std::vector<float> root_weight;
  std::vector<float> target;

  void Append(const AlsObjective& objective, const float* values, int64_t n) {
    const float w0 = static_cast<float>(objective.unobserved_weight);
    const float alpha = static_cast<float>(objective.alpha);
    const float unit_root = std::sqrt(alpha);
    const size_t begin = root_weight.size();
    root_weight.resize(begin + n, unit_root);
    target.resize(begin + n, (w0 + alpha) / unit_root);
    if (values == nullptr) return;
    for (int64_t j = 0; j < n; ++j) {
      const float w = alpha * std::abs(values[j]);
      root_weight[begin + j] = std::sqrt(w);
      target[begin + j] = values[j] > 0 ? (w0 + w) / root_weight[begin + j] : 0.0f;
    }
  }
};

// D^-1/2 for rows of one length.
void FillRootInverseDiagonal(const AlsObjective& objective, const FixedSide& fixed, int64_t n,
                             float* out) {
  const double lambda = objective.RowRegularization(n, fixed.table.rows);
  const int64_t d = fixed.table.cols;
  for (int64_t k = 0; k < d; ++k) {
    const double diagonal = objective.unobserved_weight * fixed.eigenvalues[k] + lambda;
    out[k] = static_cast<float>(1.0 / std::sqrt(diagonal));
  }
  std::fill(out + d, out + fixed.table.stride, 0.0f);
}

// The whole system of one row in float64, on its shorter side. False: not positive definite.
bool SolveRowInDouble(const FixedSide& fixed, const BatchRow& row, int64_t stride) {
  const int64_t d = fixed.table.cols, n = row.n;
  const bool short_side = IsShortSide(n, d);
  const int64_t order = short_side ? n : d;
  std::vector<double> panel(n * d);
  for (int64_t j = 0; j < n; ++j) {
    const float* y = fixed.table.row(row.ids[j]);
    for (int64_t k = 0; k < d; ++k) {
      panel[j * d + k] =
          double{y[k]} * double{row.root_weight[j]} * double{row.root_inverse_diagonal[k]};
    }
  }
  const auto at = [&](int64_t i, int64_t k) {  // element of the panel with `order` rows
    return short_side ? panel[i * d + k] : panel[k * d + i];
  };
  const int64_t depth = short_side ? d : n;
  std::vector<double> system(order * order);
  std::vector<double> rhs(order, 0.0);
  for (int64_t i = 0; i < order; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      double sum = i == j ? 1.0 : 0.0;
      for (int64_t k = 0; k < depth; ++k) sum += at(i, k) * at(j, k);
      system[i * order + j] = sum;
    }
    if (short_side) {
      rhs[i] = row.target[i];
    } else {
      for (int64_t k = 0; k < n; ++k) rhs[i] += at(i, k) * double{row.target[k]};
    }
  }
  if (!blas::CholeskySolve(order, system.data(), order, rhs.data())) return false;
  for (int64_t k = 0; k < d; ++k) {
    double x = 0;
    if (short_side) {
      for (int64_t j = 0; j < n; ++j) x += panel[j * d + k] * rhs[j];
    } else {
      x = rhs[k];
    }
    row.out[k] = static_cast<float>(x * double{row.root_inverse_diagonal[k]});
  }
  std::fill(row.out + d, row.out + stride, 0.0f);
  return true;
}

// A row whose system is too large for a lane: BLAS and LAPACK. False: a pivot failed.
bool SolveLargeRow(const RowBatchKernels& kernels, const FixedSide& fixed, const BatchRow& row,
                   float* scratch) {
  const int64_t d = fixed.table.cols, stride = fixed.table.stride, n = row.n;
  const bool short_side = IsShortSide(n, d);
  const int64_t order = short_side ? n : stride;
  const int64_t panel_rows = short_side ? n : kPanelRows;
  float* panel = scratch;
  const int64_t system_stride = PaddedStride(order);
  float* system = panel + panel_rows * stride;
  float* rhs = system + order * system_stride;
  if (short_side) {
    kernels.gather_panel(fixed.table.data, stride, row.ids, row.root_weight,
                         row.root_inverse_diagonal, n, panel);
    blas::OuterGram(n, stride, panel, stride, system, system_stride);
    for (int64_t i = 0; i < n; ++i) system[i * system_stride + i] += 1.0f;
    std::copy(row.target, row.target + n, rhs);
    if (!blas::CholeskySolve(n, system, system_stride, rhs)) return false;
    std::fill(row.out, row.out + stride, 0.0f);
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t k = 0; k < stride; ++k) row.out[k] += rhs[j] * panel[j * stride + k];
    }
  } else {
    std::fill(system, system + order * system_stride, 0.0f);
    std::fill(rhs, rhs + stride, 0.0f);
    for (int64_t first = 0; first < n; first += kPanelRows) {
      const int64_t count = std::min(kPanelRows, n - first);
      kernels.gather_panel(fixed.table.data, stride, row.ids + first, row.root_weight + first,
                           row.root_inverse_diagonal, count, panel);
      SelectedAccumulateGram()(panel, count, stride, system);
      for (int64_t j = 0; j < count; ++j) {
        const float target = row.target[first + j];
        for (int64_t k = 0; k < stride; ++k) rhs[k] += target * panel[j * stride + k];
      }
    }
    // The kernel fills the upper triangle; the solver reads the lower one.
    for (int64_t i = 0; i < stride; ++i) {
      system[i * system_stride + i] += 1.0f;
      for (int64_t j = 0; j < i; ++j) system[i * system_stride + j] = system[j * system_stride + i];
    }
    if (!blas::CholeskySolve(stride, system, system_stride, rhs)) return false;
    std::copy(rhs, rhs + stride, row.out);
  }
  for (int64_t k = 0; k < stride; ++k) row.out[k] *= row.root_inverse_diagonal[k];
  return true;
}

// Solves work units with memory of its own; one a thread.
class Worker {
 public:
  Worker(const AlsObjective& objective, const FixedSide& fixed, const CsrView& rows,
         const RowPlan& plan, MatrixView<float> out)
      : kernels_(SelectedRowBatchKernels()),
        objective_(objective),
        fixed_(fixed),
        rows_(rows),
        plan_(plan),
        out_(out),
        diagonals_(kMaxBatchLanes * fixed.table.stride),
        scratch_(ScratchFloats(plan.longest(), fixed.table.cols)) {}

  void SolveUnit(int64_t unit) {
    const int64_t end = plan_.unit_begin()[unit + 1];
    for (int64_t position = plan_.unit_begin()[unit]; position < end;) {
      position += SolveFrom(position, end);
    }
  }

  const std::vector<int32_t>& retried() const { return retried_; }

 private:
  int64_t Length(int64_t position) const { return rows_.row_size(plan_.order()[position]); }

  // Solves the next batch of rows at `position`; returns how many it took.
  int64_t SolveFrom(int64_t position, int64_t end) {
    const int64_t d = fixed_.table.cols;
    const int64_t longest = Length(position);
    if (longest == 0) {
      float* out = out_.row(plan_.order()[position]);
      std::fill(out, out + out_.stride, 0.0f);
      return 1;
    }
    const bool short_side = IsShortSide(longest, d);
    const int64_t size = short_side ? longest : fixed_.table.stride;
    const bool in_lanes = size <= kMaxLaneOrder;
    int64_t count = 1;
    if (in_lanes) {
      while (count < kernels_.lanes && position + count < end && Length(position + count) > 0 &&
             IsShortSide(Length(position + count), d) == short_side) {
        ++count;
      }
    }
    PrepareRows(position, count);
    if (in_lanes) {
      SolveInLanes(size, short_side);
    } else {
      batch_.failed[0] = !SolveLargeRow(kernels_, fixed_, batch_.rows[0], scratch_.data());
    }
    for (int64_t k = 0; k < count; ++k) {
      if (!batch_.failed[k]) continue;
      const int32_t row = plan_.order()[position + k];
      retried_.push_back(row);
      if (!SolveRowInDouble(fixed_, batch_.rows[k], out_.stride))
        ThrowNotPositive(plan_.first_row() + row);
    }
    return count;
  }

  void PrepareRows(int64_t position, int64_t count) {
    batch_.count = static_cast<int>(count);
    inputs_.root_weight.clear();
    inputs_.target.clear();
    for (int64_t k = 0; k < count; ++k) {
      const int32_t row = plan_.order()[position + k];
      inputs_.Append(objective_, rows_.row_values(row), rows_.row_size(row));
    }
    int64_t offset = 0, diagonal_length = -1;
    const float* diagonal = nullptr;
    for (int64_t k = 0; k < count; ++k) {
      const int32_t row = plan_.order()[position + k];
      BatchRow& entry = batch_.rows[k];
      entry.n = rows_.row_size(row);
      entry.ids = rows_.row_indices(row).data();
      entry.root_weight = inputs_.root_weight.data() + offset;
      entry.target = inputs_.target.data() + offset;
      entry.out = out_.row(row);
      if (entry.n != diagonal_length) {
        float* fresh = diagonals_.data() + k * fixed_.table.stride;
        FillRootInverseDiagonal(objective_, fixed_, entry.n, fresh);
        diagonal = fresh;
        diagonal_length = entry.n;
      }
      entry.root_inverse_diagonal = diagonal;
      offset += entry.n;
    }
  }

  void SolveInLanes(int64_t size, bool short_side) {
    const int64_t stride = fixed_.table.stride;
    batch_.table = fixed_.table.data;
    batch_.stride = stride;
    batch_.size = size;
    batch_.short_side = short_side;
    batch_.scratch = scratch_.data();
    kernels_.solve(&batch_);
  }

  const RowBatchKernels& kernels_;
  const AlsObjective& objective_;
  const FixedSide& fixed_;
  const CsrView& rows_;
  const RowPlan& plan_;
  MatrixView<float> out_;
  Buffer<float> diagonals_;
  RowInputs inputs_;
  RowBatch batch_;
  Buffer<float> scratch_;
  std::vector<int32_t> retried_;
};

}  // namespace

void ThrowNotPositive(int64_t row) {
  throw NumericError(
      internal::Concat("the system of row ", row,
                       " is not positive definite even in float64; its observations or "
                       "the other side's factors hold non-finite or extreme values"));
}

std::shared_ptr<const SolveReport> SolveRows(Context& context, const AlsObjective& objective,
                                             const FixedSide& fixed, const CsrView& rows,
                                             const RowPlan& plan, MatrixView<float> out) {
  PENCHANT_REQUIRE(rows.cols == fixed.table.rows, "SolveRows: the observations name ", rows.cols,
                   " fixed rows, the table has ", fixed.table.rows);
  PENCHANT_REQUIRE(out.rows == rows.rows && out.cols == fixed.table.cols,
                   "SolveRows: the result is ", out.rows, " x ", out.cols, ", wanted ", rows.rows,
                   " x ", fixed.table.cols);
  objective.Validate();
  if (context.cuda()) {
    return context.cuda()->ops()->solve_rows(context, objective, fixed, rows, plan, out);
  }
  std::vector<Worker> workers;
  for (int worker = 0; worker < context.num_threads(); ++worker) {
    workers.emplace_back(objective, fixed, rows, plan, out);
  }
  const int64_t units = static_cast<int64_t>(plan.unit_begin().size()) - 1;
  context.ParallelFor(units, [&](int64_t unit, int worker) { workers[worker].SolveUnit(unit); });
  const auto report = std::make_shared<SolveReport>();
  for (const Worker& worker : workers) {
    report->retried_rows += static_cast<int64_t>(worker.retried().size());
    for (int32_t row : worker.retried()) {
      if (report->first_retried_row < 0 || row < report->first_retried_row) {
        report->first_retried_row = row;
      }
    }
  }
  if (report->retried_rows > 0) report->first_retried_row += plan.first_row();
  return report;
}

int64_t SolveRowsScratchBytes(int64_t longest_row, int64_t factors, int num_threads) {
  const int64_t inputs = 2 * std::max(longest_row, kMaxBatchLanes * std::min(longest_row, factors));
  return num_threads * static_cast<int64_t>(sizeof(float)) *
         (ScratchFloats(longest_row, factors) + inputs + kMaxBatchLanes * PaddedStride(factors));
}

int64_t CudaSolveRowsBytes(int64_t rows, int64_t nnz, int64_t longest_row, int64_t factors) {
  const int64_t order = std::min(longest_row, factors);
  const int64_t blocks = (factors + 31) / 32;
  const int64_t chunk_bytes = (blocks * (blocks + 1) / 2 * 32 * 36 + 32 * blocks) * 4;  // of sums
  int64_t bytes = rows * (4 + 4 + 4) + kDoubleBlocks * (order * order + order) * 8;
  if (longest_row > kChunkObservations) {
    const int64_t chunks = nnz / kChunkObservations + rows;
    const int64_t of_longest = longest_row / kChunkObservations + 1;
    bytes += std::min(chunks * chunk_bytes, std::max(kChunkSumBytes, of_longest * chunk_bytes));
  }
  if (order > 128) bytes += kGlobalTileBytes;  // where a block's shared memory is too small
  return bytes;
}

}  // namespace penchant
