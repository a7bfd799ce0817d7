// Turns a factor table into the basis where its Gram matrix is diagonal.
#ifndef PENCHANT_KERNELS_LINALG_EIGENBASIS_H_
#define PENCHANT_KERNELS_LINALG_EIGENBASIS_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/base/context.h"
#include "kernels/base/device_memory.h"
#include "kernels/base/view.h"

namespace penchant {

struct GramDecomposition {
  std::vector<double> eigenvalues;  // of Y'Y, descending, clamped at 0
  Matrix rotation;                  // d x d; column k is the k-th eigenvector
  int64_t clamped = 0;              // eigenvalues below zero by more than rounding
};

// The eigendecomposition (double) of the d x d Gram matrix. Throws NumericError for non-finite
// values.
GramDecomposition DecomposeGram(std::span<const double> gram, int64_t d);

// table <- table * rotation, in place, block by block.
void Rotate(Context& context, MatrixView<const float> rotation, MatrixView<float> table);

// A GramDecomposition on the device.
struct Eigenbasis {
  DeviceBuffer<double> eigenvalues;
  DeviceMatrix rotation;
  std::shared_ptr<const int64_t> clamped;  // there after context.Synchronize()
};

// Gram, decomposition and rotation in one: afterwards table' table = diag(eigenvalues).
Eigenbasis RotateToEigenbasis(Context& context, MatrixView<float> table);

}  // namespace penchant

#endif  // PENCHANT_KERNELS_LINALG_EIGENBASIS_H_
