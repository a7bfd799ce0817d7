// The dense operations the CUDA twins take from cuBLAS and cuSOLVER, on row-major device memory, in
// the order of the device's stream. The libraries are loaded at first use, so that a build with
// CUDA starts on machines without them; tests bind this header to BLAS instead.
#ifndef PENCHANT_KERNELS_BASE_CUDA_BLAS_H_
#define PENCHANT_KERNELS_BASE_CUDA_BLAS_H_

#include <cstdint>
#include <memory>
#include <string>

namespace penchant {

class CudaDevice;

class CudaBlas {
 public:
  virtual ~CudaBlas() = default;

  // c (m x n) = a (m x k) * b (k x n), in float32 arithmetic (never TF32).
  virtual void Multiply(int64_t m, int64_t n, int64_t k, const float* a, int64_t a_stride,
                        const float* b, int64_t b_stride, float* c, int64_t c_stride) = 0;
  // c (m x n) = a (m x k) * b' with b n x k.
  virtual void MultiplyTransposed(int64_t m, int64_t n, int64_t k, const float* a, int64_t a_stride,
                                  const float* b, int64_t b_stride, float* c, int64_t c_stride) = 0;
  // For `count` blocks of `rows` rows each, one after the other in a (k columns):
  // c_b (k x k, stride k) = a_b' a_b.
  virtual void GramBlocks(int64_t count, int64_t rows, int64_t k, const float* a, int64_t a_stride,
                          float* c) = 0;
  // Eigenvalues (ascending) and eigenvectors (row i is the i-th) of a symmetric n x n matrix, in
  // place, all on the device.
  virtual void SymmetricEigen(int64_t n, double* a, double* eigenvalues) = 0;
};

#ifdef PENCHANT_CUDA_NAMESPACE
namespace PENCHANT_CUDA_NAMESPACE {

// Works in the order of the device's stream. DeviceError, naming the library, when one cannot be
// loaded.
std::unique_ptr<CudaBlas> LoadCudaBlas(CudaDevice& device);

// What is in the way of loading the libraries; empty when nothing is.
std::string CudaBlasUnavailableReason();

}  // namespace PENCHANT_CUDA_NAMESPACE
#endif

}  // namespace penchant

#endif  // PENCHANT_KERNELS_BASE_CUDA_BLAS_H_
