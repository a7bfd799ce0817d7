#include "kernels/linalg/eigenbasis.h"

#include <algorithm>
#include <cmath>

#include "kernels/base/blas.h"
#include "kernels/base/errors.h"
#include "kernels/cuda_ops.h"
#include "kernels/linalg/gram.h"

namespace penchant {
namespace {

constexpr int64_t kBlockRows = 256;

}  // namespace

GramDecomposition DecomposeGram(std::span<const double> gram, int64_t d) {
  for (double value : gram) {
    PENCHANT_CHECK(std::isfinite(value), NumericError,
                   "the factors' Gram matrix holds a non-finite value");
  }
  std::vector<double> vectors(gram.begin(), gram.end());
  std::vector<double> ascending(d);
  blas::SymmetricEigen(d, vectors.data(), ascending.data());
  GramDecomposition basis;
  basis.eigenvalues.resize(d);
  basis.rotation = Matrix(d, d);
  const double largest = d > 0 ? std::max(ascending.back(), 0.0) : 0.0;
  for (int64_t k = 0; k < d; ++k) {
    const int64_t source = d - 1 - k;
    const double value = ascending[source];
    if (value < -1e-10 * largest) ++basis.clamped;
    basis.eigenvalues[k] = std::max(value, 0.0);
    // The sign of an eigenvector is LAPACK's choice; fix it, so that it is ours.
    const double* vector = vectors.data() + source * d;
    const double* peak = std::max_element(
        vector, vector + d, [](double a, double b) { return std::abs(a) < std::abs(b); });
    const double sign = *peak < 0 ? -1.0 : 1.0;
    for (int64_t i = 0; i < d; ++i) {
      basis.rotation.row(i)[k] = static_cast<float>(sign * vector[i]);
    }
  }
  return basis;
}

void Rotate(Context& context, MatrixView<const float> rotation, MatrixView<float> table) {
  if (context.cuda()) return context.cuda()->ops()->rotate(context, rotation, table);
  const int64_t d = table.cols;
  const int64_t stride = table.stride;
  Buffer<float> scratch(context.num_threads() * kBlockRows * stride);
  const int64_t num_blocks = (table.rows + kBlockRows - 1) / kBlockRows;
  context.ParallelFor(num_blocks, [&](int64_t block, int worker) {
    const int64_t begin = block * kBlockRows;
    const int64_t count = std::min(kBlockRows, table.rows - begin);
    float* rotated = scratch.data() + worker * kBlockRows * stride;
    blas::Multiply(count, d, d, table.row(begin), stride, rotation.data, rotation.stride, rotated,
                   stride);
    for (int64_t i = 0; i < count; ++i) {
      std::copy(rotated + i * stride, rotated + i * stride + d, table.row(begin + i));
    }
  });
}

Eigenbasis RotateToEigenbasis(Context& context, MatrixView<float> table) {
  if (context.cuda()) return context.cuda()->ops()->rotate_to_eigenbasis(context, table);
  GramDecomposition decomposition = DecomposeGram(Gram(context, table), table.cols);
  Rotate(context, decomposition.rotation.view(), table);
  return {Upload<double>(context, decomposition.eigenvalues),
          DeviceMatrix(context, std::move(decomposition.rotation)),
          std::make_shared<const int64_t>(decomposition.clamped)};
}

}  // namespace penchant
