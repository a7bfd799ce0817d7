// The few dense operations taken from BLAS and LAPACK, always single-threaded: the callers
// divide the work, so that results do not depend on the number of threads.
#ifndef PENCHANT_KERNELS_BASE_BLAS_H_
#define PENCHANT_KERNELS_BASE_BLAS_H_

#include <cstdint>
#include <string>

namespace penchant::blas {

// c (m x n) = a (m x k) * b (k x n), all row-major with the given strides.
void Multiply(int64_t m, int64_t n, int64_t k, const float* a, int64_t a_stride, const float* b,
              int64_t b_stride, float* c, int64_t c_stride);

// lower(c) (n x n) = a (n x k) * a'.
void OuterGram(int64_t n, int64_t k, const float* a, int64_t a_stride, float* c, int64_t c_stride);

// Solves (lower-triangle) a x = b in place for symmetric positive definite a (n x n, row-major);
// false when a pivot is not positive. a is overwritten.
bool CholeskySolve(int64_t n, float* a, int64_t a_stride, float* b);
bool CholeskySolve(int64_t n, double* a, int64_t a_stride, double* b);

// Eigenvalues (ascending) and eigenvectors of a symmetric matrix (n x n, full storage). On return
// row i of `a` is the i-th eigenvector. Throws NumericError when the iteration does not converge.
void SymmetricEigen(int64_t n, double* a, double* eigenvalues);

// What the library calls itself, for `penchant doctor`.
std::string Description();

}  // namespace penchant::blas

#endif  // PENCHANT_KERNELS_BASE_BLAS_H_
