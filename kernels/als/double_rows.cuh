// The last resort of the row solver: rows whose float32 pivots failed, on their shorter side in
// float64.
#ifndef PENCHANT_KERNELS_ALS_DOUBLE_ROWS_CUH_
#define PENCHANT_KERNELS_ALS_DOUBLE_ROWS_CUH_

#include <limits>

#include "kernels/als/row_problem.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

constexpr unsigned long long kNoRow = std::numeric_limits<unsigned long long>::max();

// What the double solver tells: rows it took, the first of them, the first it could not solve.
struct DoubleStatus {
  unsigned long long first_retried;
  unsigned long long first_failed;
};

__global__ void ResetStatus(DoubleStatus* status) { *status = {kNoRow, kNoRow}; }

// Rows whose float32 pivots failed, on their shorter side in float64: rare, so plain.
__global__ void SolveInDoubleKernel(RowProblem p, RowList rows, double* scratch,
                                    int64_t scratch_stride, DoubleStatus* status) {
  double* system = scratch + blockIdx.x * scratch_stride;
  const int d = p.factors;
  for (int64_t f = blockIdx.x; f < *rows.num_failed; f += gridDim.x) {
    const int32_t row = rows.failed[f];
    const Observations seen = ObservationsOf(p, row);
    const int64_t n = seen.count;
    const bool short_side = n <= d;
    const int64_t m = short_side ? n : d;
    double* rhs = system + m * m;
    const double lambda = p.lambda[row];
    const auto diagonal = [&](int64_t k) {
      return p.unobserved_weight * p.eigenvalues[k] + lambda;
    };
    const auto weight = [&](int64_t j) {
      return static_cast<double>(Weight(p, seen, static_cast<int>(j)));
    };
    const auto factor = [&](int64_t j, int64_t k) {
      return static_cast<double>(TableRow<float>(p, seen, static_cast<int>(j))[k]);
    };
    for (int64_t e = threadIdx.x; e < m * m; e += blockDim.x) {
      const int64_t i = e / m, j = e % m;
      if (j > i) continue;
      double sum = 0;
      if (short_side) {
        for (int64_t k = 0; k < d; ++k) sum += factor(i, k) * factor(j, k) / diagonal(k);
        sum *= sqrt(weight(i) * weight(j));
      } else {
        for (int64_t k = 0; k < n; ++k) sum += weight(k) * factor(k, i) * factor(k, j);
        sum /= sqrt(diagonal(i) * diagonal(j));
      }
      system[e] = sum + (i == j ? 1.0 : 0.0);
    }
    for (int64_t i = threadIdx.x; i < m; i += blockDim.x) {
      double sum = 0;
      if (short_side) {
        const float w = Weight(p, seen, static_cast<int>(i));
        sum = Target(p, seen, static_cast<int>(i), w) / sqrt(static_cast<double>(w));
      } else {
        for (int k = 0; k < n; ++k) {
          sum += Target(p, seen, k, Weight(p, seen, k)) * factor(k, i);
        }
        sum /= sqrt(diagonal(i));
      }
      rhs[i] = sum;
    }
    __syncthreads();
    bool good = true;
    for (int64_t c = 0; c < m; ++c) {
      const double pivot = system[c * m + c];
      good &= pivot > 0;
      const double root = sqrt(good ? pivot : 1.0);
      __syncthreads();
      for (int64_t r = c + threadIdx.x; r < m; r += blockDim.x) {
        system[r * m + c] = r == c ? root : system[r * m + c] / root;
      }
      __syncthreads();
      for (int64_t e = threadIdx.x; e < (m - c - 1) * (m - c - 1); e += blockDim.x) {
        const int64_t r = c + 1 + e / (m - c - 1), s = c + 1 + e % (m - c - 1);
        if (s <= r) system[r * m + s] -= system[r * m + c] * system[s * m + c];
      }
      const double y = rhs[c] / root;
      __syncthreads();
      for (int64_t r = c + threadIdx.x; r < m; r += blockDim.x) {
        rhs[r] = r == c ? y : rhs[r] - system[r * m + c] * y;
      }
      __syncthreads();
    }
    for (int64_t c = m - 1; c >= 0; --c) {
      const double z = rhs[c] / system[c * m + c];
      __syncthreads();
      for (int64_t r = threadIdx.x; r <= c; r += blockDim.x) {
        rhs[r] = r == c ? z : rhs[r] - system[c * m + r] * z;
      }
      __syncthreads();
    }
    for (int64_t k = threadIdx.x; k < p.stride; k += blockDim.x) {
      double x = 0;
      if (k < d && short_side) {
        for (int64_t j = 0; j < n; ++j) x += sqrt(weight(j)) * rhs[j] * factor(j, k);
        x /= diagonal(k);
      } else if (k < d) {
        x = rhs[k] / sqrt(diagonal(k));
      }
      p.out[int64_t{row} * p.stride + k] = static_cast<float>(x);
    }
    if (threadIdx.x == 0) {
      atomicMin(&status->first_retried, static_cast<unsigned long long>(row));
      if (!good) atomicMin(&status->first_failed, static_cast<unsigned long long>(row));
    }
    __syncthreads();
  }
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_ALS_DOUBLE_ROWS_CUH_
