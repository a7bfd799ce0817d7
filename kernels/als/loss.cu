#include "kernels/als/loss.h"
#include "kernels/base/ptx.cuh"
#include "kernels/cuda_twins.cuh"
#include "kernels/linalg/gram.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {
namespace {

constexpr int kThreads = 128;

struct LossProblem {
  double alpha, unobserved_weight, regularization, power;
  MatrixView<const float> rows;  // the side whose rows are summed
  MatrixView<const float> other;
  CsrView observations;
  int64_t first_row;  // the rows' place in the sums
  bool observed;      // add the observed pairs' part to the penalty's
};

// sums[first_row + i] = penalty of row i, and what its observations add: a warp a row.
__global__ void RowLoss(LossProblem p, double* sums) {
  const int lane = threadIdx.x % kWarpSize;
  const int64_t warps = int64_t{gridDim.x} * (blockDim.x / kWarpSize);
  const int64_t first = int64_t{blockIdx.x} * (blockDim.x / kWarpSize) + WarpIndex();
  for (int64_t i = first; i < p.rows.rows; i += warps) {
    const int64_t begin = p.observations.offsets[i], n = p.observations.offsets[i + 1] - begin;
    const float* row = p.rows.row(i);
    double square = 0;
    ForEachOwn(p.rows.cols, lane, [&](int64_t k) { square += double{row[k]} * row[k]; });
    square = SumOverWarp(square);
    double total =
        p.regularization *
        pow(static_cast<double>(n) + p.unobserved_weight * p.observations.cols, p.power) * square;
    for (int64_t j = 0; p.observed && j < n; ++j) {
      const float* other = p.other.row(p.observations.indices[begin + j]);
      double score = 0;
      ForEachOwn(p.rows.cols, lane, [&](int64_t k) { score += double{row[k]} * other[k]; });
      score = SumOverWarp(score);
      const double r = p.observations.values != nullptr ? p.observations.values[begin + j] : 1.0f;
      const double preference = r > 0 ? 1.0 : 0.0;
      const double confidence = p.unobserved_weight + p.alpha * fabs(r);
      total += confidence * (preference - score) * (preference - score) -
               p.unobserved_weight * score * score;
    }
    if (lane == 0) sums[p.first_row + i] = total;
  }
}

// *sum = all values added in a fixed order, by one block.
__global__ void SumInOrder(const double* values, int64_t count, double* sum) {
  PENCHANT_SHARED(shared);
  auto* partial = reinterpret_cast<double*>(shared);
  double mine = 0;
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x) mine += values[i];
  partial[threadIdx.x] = mine;
  __syncthreads();
  for (int half = blockDim.x / 2; half > 0; half /= 2) {
    if (static_cast<int>(threadIdx.x) < half) {
      partial[threadIdx.x] += partial[threadIdx.x + half];
    }
    __syncthreads();
  }
  if (threadIdx.x == 0) *sum = partial[0];
}

__global__ void Multiply(const double* a, const double* b, int64_t count, double* product) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < count) product[i] = a[i] * b[i];
}

double Sum(Context& context, const DeviceBuffer<double>& values) {
  DeviceBuffer<double> sum(context, 1);
  PENCHANT_LAUNCH(context, (LaunchShape{1, 256, 256 * static_cast<int64_t>(sizeof(double))}),
                  SumInOrder, values.data(), values.size(), sum.data());
  return Download(context, sum)[0];
}

// The penalty of one side's rows and, when `observed`, what their observations add.
double SideLoss(Context& context, const AlsObjective& objective, MatrixView<const float> rows,
                MatrixView<const float> other, const CsrBlocks& observations, bool observed) {
  if (rows.rows == 0) return 0;
  DeviceBuffer<double> sums(context, rows.rows);
  const auto add = [&](int64_t block, const CsrView& seen) {
    const int64_t first = observations.first_row(block);
    const LossProblem problem{objective.alpha,
                              objective.unobserved_weight,
                              objective.regularization,
                              objective.regularization_power,
                              {rows.row(first), seen.rows, rows.cols, rows.stride},
                              other,
                              seen,
                              first,
                              observed};
    LaunchShape shape{0, kThreads};
    shape.blocks =
        ResidentBlocks(context, RowLoss, shape, DivideUp(seen.rows, kThreads / kWarpSize));
    PENCHANT_LAUNCH(context, shape, RowLoss, problem, sums.data());
  };
  if (observed) {
    observations.ForEach(context, add);
  } else {
    // The penalty needs the rows' lengths alone.
    for (int64_t b = 0; b < observations.num_blocks(); ++b) add(b, observations.shape(b));
  }
  return Sum(context, sums);
}

}  // namespace

double AlsLoss(Context& context, const AlsObjective& objective, MatrixView<const float> users,
               MatrixView<const float> items, const CsrBlocks& user_items,
               const CsrBlocks& item_users) {
  double loss = SideLoss(context, objective, users, items, user_items, /*observed=*/true) +
                SideLoss(context, objective, items, users, item_users, /*observed=*/false);
  if (objective.unobserved_weight > 0) {
    const DeviceBuffer<double> user_gram = GramOnDevice(context, users);
    const DeviceBuffer<double> item_gram = GramOnDevice(context, items);
    DeviceBuffer<double> product(context, user_gram.size());
    PENCHANT_LAUNCH(context, (LaunchShape{DivideUp(product.size(), 256), 256}), Multiply,
                    user_gram.data(), item_gram.data(), product.size(), product.data());
    loss += objective.unobserved_weight * Sum(context, product);
  }
  return loss;
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE
