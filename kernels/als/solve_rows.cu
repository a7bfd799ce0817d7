#include "kernels/als/double_rows.cuh"
#include "kernels/als/solve_rows.h"
#include "kernels/cuda_twins.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {
namespace {

// The largest |value| of each listed row, a warp a row.
__global__ void LargestValues(const int64_t* offsets, const float* values, const int32_t* rows,
                              int64_t count, float* largest) {
  const int64_t warp = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / kWarpSize;
  const int lane = threadIdx.x % kWarpSize;
  if (warp >= count) return;
  const int32_t row = rows[warp];
  float most = 0.0f;
  for (int64_t k = offsets[row] + lane; k < offsets[row + 1]; k += kWarpSize) {
    most = fmaxf(most, fabsf(values[k]));
  }
  most = MaxOverWarp(most);
  if (lane == 0) largest[row] = most;
}

__global__ void RowLambda(const int64_t* offsets, int64_t rows, double regularization,
                          double unobserved, double power, float* lambda) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= rows) return;
  const double n = static_cast<double>(offsets[i + 1] - offsets[i]);
  lambda[i] = static_cast<float>(regularization * pow(n + unobserved, power));
}

__global__ void Shifts(const double* eigenvalues, int factors, int padded, double unobserved,
                       float* shifts) {
  for (int k = threadIdx.x; k < padded; k += blockDim.x) {
    shifts[k] = k < factors ? static_cast<float>(unobserved * eigenvalues[k])
                            : std::numeric_limits<float>::max();
  }
}

// Sets the listed rows to zero, a block a row.
__global__ void ClearRows(const int32_t* rows, int64_t stride, float* out) {
  float* row = out + rows[blockIdx.x] * stride;
  for (int64_t k = threadIdx.x; k < stride; k += blockDim.x) row[k] = 0.0f;
}

}  // namespace

std::shared_ptr<const SolveReport> SolveRows(Context& context, const AlsObjective& objective,
                                             const FixedSide& fixed, const CsrView& rows,
                                             const RowPlan& plan, MatrixView<float> out) {
  const auto report = std::make_shared<SolveReport>();
  if (rows.rows == 0) return report;
  const CudaRowPlan& cuda = plan.cuda();
  DeviceBuffer<float> lambda(context, rows.rows);
  PENCHANT_LAUNCH(context, (LaunchShape{DivideUp(rows.rows, 256), 256}), RowLambda, rows.offsets,
                  rows.rows, objective.regularization,
                  objective.unobserved_weight * static_cast<double>(rows.cols),
                  objective.regularization_power, lambda.data());
  // Only the long side asks for these, and the plan lists its rows first.
  DeviceBuffer<float> largest(context, rows.values != nullptr ? rows.rows : 0);
  if (rows.values != nullptr) {
    int64_t long_rows = 0;
    for (const CudaRowPart& part : cuda.parts) {
      if (!part.short_side) long_rows = part.end;
    }
    PENCHANT_LAUNCH(context, (LaunchShape{DivideUp(long_rows * kWarpSize, 256), 256}),
                    LargestValues, rows.offsets, rows.values, cuda.order.data(), long_rows,
                    largest.data());
  }
  const int factors = static_cast<int>(fixed.table.cols);
  DeviceBuffer<float> shifts(context, RoundUpToTile(factors));
  PENCHANT_LAUNCH(context, (LaunchShape{1, 256}), Shifts, fixed.eigenvalues, factors,
                  static_cast<int>(shifts.size()), objective.unobserved_weight, shifts.data());
  DeviceBuffer<int32_t> failed(context, rows.rows);
  DeviceBuffer<int> num_failed(context, 1);
  const RowProblem problem{fixed.table.data,
                           fixed.packed,
                           static_cast<int>(fixed.table.stride),
                           factors,
                           fixed.eigenvalues,
                           shifts.data(),
                           rows.offsets,
                           rows.indices,
                           rows.values,
                           lambda.data(),
                           rows.values != nullptr ? largest.data() : nullptr,
                           static_cast<float>(objective.alpha),
                           static_cast<float>(objective.unobserved_weight),
                           out.data};
  const RowList list{cuda.order.data(), static_cast<int>(rows.rows), failed.data(),
                     num_failed.data()};
  if (fixed.packed != nullptr) {
    LaunchRowSolves<Bfloat16>(context, problem, list, cuda);
  } else {
    LaunchRowSolves<float>(context, problem, list, cuda);
  }
  if (const int64_t empty = rows.rows - cuda.first_empty; empty > 0) {
    PENCHANT_LAUNCH(context, (LaunchShape{empty, kWarpSize}), ClearRows,
                    cuda.order.data() + cuda.first_empty, fixed.table.stride, out.data);
  }
  int64_t longest_side = 1;
  for (const CudaRowPart& part : cuda.parts) {
    longest_side = std::max(longest_side, std::min(part.longest, fixed.table.cols));
  }
  const int64_t scratch_stride = longest_side * longest_side + longest_side;
  DeviceBuffer<double> scratch(context, kDoubleBlocks * scratch_stride);
  DeviceBuffer<DoubleStatus> status(context, 1);
  PENCHANT_LAUNCH(context, (LaunchShape{1, 1}), ResetStatus, status.data());
  PENCHANT_LAUNCH(context, (LaunchShape{kDoubleBlocks, 256}), SolveInDoubleKernel, problem, list,
                  scratch.data(), scratch_stride, status.data());
  CudaDevice& device = *context.cuda();
  device.ReadLater(num_failed.data(), sizeof(int), [report](const void* host) {
    report->retried_rows = *static_cast<const int*>(host);
  });
  device.ReadLater(status.data(), sizeof(DoubleStatus),
                   [report, first = plan.first_row()](const void* host) {
                     const auto& told = *static_cast<const DoubleStatus*>(host);
                     if (told.first_retried != kNoRow) {
                       report->first_retried_row = first + static_cast<int64_t>(told.first_retried);
                     }
                     if (told.first_failed != kNoRow) {
                       ThrowNotPositive(first + static_cast<int64_t>(told.first_failed));
                     }
                   });
  return report;
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE
