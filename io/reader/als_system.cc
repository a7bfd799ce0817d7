#include "io/reader/als_system.h"

#include <algorithm>
#include <cmath>

#include "kernels/base/errors.h"

namespace penchant {
namespace {

double Dot(const double* a, const double* b, int64_t n) {
  // Four sums, so that additions need not wait for each other.
  double sums[4] = {};
  int64_t k = 0;
  for (; k + 4 <= n; k += 4) {
    for (int j = 0; j < 4; ++j) sums[j] += a[k + j] * b[k + j];
  }
  for (; k < n; ++k) sums[0] += a[k] * b[k];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// Lower Cholesky factor in place, row by row.
void Factor(int64_t order, double* a) {
  for (int64_t i = 0; i < order; ++i) {
    double* row = a + i * order;
    for (int64_t j = 0; j < i; ++j)
      row[j] = (row[j] - Dot(row, a + j * order, j)) / a[j * order + j];
    const double pivot = row[i] - Dot(row, row, i);
    PENCHANT_CHECK(pivot > 0 && std::isfinite(pivot), NumericError,
                   "folding in: the system of the history is not positive definite");
    row[i] = std::sqrt(pivot);
  }
}

void SolveFactored(int64_t order, const double* a, double* x) {
  for (int64_t i = 0; i < order; ++i) x[i] = (x[i] - Dot(a + i * order, x, i)) / a[i * order + i];
  for (int64_t i = order - 1; i >= 0; --i) {
    x[i] /= a[i * order + i];
    for (int64_t j = 0; j < i; ++j) x[j] -= a[i * order + j] * x[i];
  }
}

}  // namespace

AlsSystem::AlsSystem(std::span<const float> items, std::span<const double> weights,
                     std::span<const double> diagonal)
    : n_(static_cast<int64_t>(weights.size())),
      d_(static_cast<int64_t>(diagonal.size())),
      short_side_(n_ < d_),
      roots_(diagonal.size()),
      b_(items.size()) {
  for (int64_t k = 0; k < d_; ++k) {
    PENCHANT_CHECK(diagonal[k] > 0 && std::isfinite(diagonal[k]), NumericError,
                   "folding in: the system's diagonal is ", diagonal[k], ", wanted > 0");
    roots_[k] = std::sqrt(diagonal[k]);
  }
  for (int64_t j = 0; j < n_; ++j) {
    const double root = std::sqrt(weights[j]);
    for (int64_t k = 0; k < d_; ++k) {
      b_[j * d_ + k] = root * double{items[j * d_ + k]} / roots_[k];
    }
  }
  const int64_t order = std::min(n_, d_);
  factor_.assign(static_cast<size_t>(order * order), 0.0);
  for (int64_t i = 0; i < order; ++i) factor_[i * order + i] = 1.0;
  if (short_side_) {
    for (int64_t i = 0; i < n_; ++i) {
      for (int64_t j = 0; j <= i; ++j) {
        factor_[i * n_ + j] += Dot(b_.data() + i * d_, b_.data() + j * d_, d_);
      }
    }
  } else {
    for (int64_t r = 0; r < n_; ++r) {
      const double* row = b_.data() + r * d_;
      for (int64_t i = 0; i < d_; ++i) {
        for (int64_t j = 0; j <= i; ++j) factor_[i * d_ + j] += row[i] * row[j];
      }
    }
  }
  Factor(order, factor_.data());
}

std::vector<double> AlsSystem::Solve(std::span<const double> v) const {
  std::vector<double> z(v.begin(), v.end());
  for (int64_t k = 0; k < d_; ++k) z[k] /= roots_[k];
  if (short_side_) {
    std::vector<double> s(static_cast<size_t>(n_));
    for (int64_t j = 0; j < n_; ++j) s[j] = Dot(b_.data() + j * d_, z.data(), d_);
    SolveFactored(n_, factor_.data(), s.data());
    for (int64_t j = 0; j < n_; ++j) {
      for (int64_t k = 0; k < d_; ++k) z[k] -= b_[j * d_ + k] * s[j];
    }
  } else {
    SolveFactored(d_, factor_.data(), z.data());
  }
  for (int64_t k = 0; k < d_; ++k) z[k] /= roots_[k];
  return z;
}

}  // namespace penchant
