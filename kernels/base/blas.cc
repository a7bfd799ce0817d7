#include "kernels/base/blas.h"

#include <cblas.h>
#include <openblas_config.h>

#include <limits>
#include <mutex>
#include <vector>

#include "kernels/base/errors.h"

extern "C" {
// LAPACK's Fortran entry points; OpenBLAS carries them, LAPACKE would be one more dependency.
void spotrf_(const char* uplo, const int* n, float* a, const int* lda, int* info);
void spotrs_(const char* uplo, const int* n, const int* nrhs, const float* a, const int* lda,
             float* b, const int* ldb, int* info);
void dpotrf_(const char* uplo, const int* n, double* a, const int* lda, int* info);
void dpotrs_(const char* uplo, const int* n, const int* nrhs, const double* a, const int* lda,
             double* b, const int* ldb, int* info);
void dsyevd_(const char* jobz, const char* uplo, const int* n, double* a, const int* lda, double* w,
             double* work, const int* lwork, int* iwork, const int* liwork, int* info);
}

namespace penchant::blas {
namespace {

int ToInt(int64_t n) {
  PENCHANT_REQUIRE(n >= 0 && n <= std::numeric_limits<int>::max(), "matrix dimension ", n,
                   " exceeds what BLAS can address");
  return static_cast<int>(n);
}

void UseOneThread() {
  static std::once_flag once;
  std::call_once(once, [] { openblas_set_num_threads(1); });
}

}  // namespace

void Multiply(int64_t m, int64_t n, int64_t k, const float* a, int64_t a_stride, const float* b,
              int64_t b_stride, float* c, int64_t c_stride) {
  UseOneThread();
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, ToInt(m), ToInt(n), ToInt(k), 1.0f, a,
              ToInt(a_stride), b, ToInt(b_stride), 0.0f, c, ToInt(c_stride));
}

void OuterGram(int64_t n, int64_t k, const float* a, int64_t a_stride, float* c, int64_t c_stride) {
  UseOneThread();
  cblas_ssyrk(CblasRowMajor, CblasLower, CblasNoTrans, ToInt(n), ToInt(k), 1.0f, a, ToInt(a_stride),
              0.0f, c, ToInt(c_stride));
}

// A row-major lower triangle is LAPACK's column-major upper one.
bool CholeskySolve(int64_t n, float* a, int64_t a_stride, float* b) {
  UseOneThread();
  const int order = ToInt(n), lda = ToInt(a_stride), one = 1;
  int info = 0;
  spotrf_("U", &order, a, &lda, &info);
  if (info != 0) return false;
  spotrs_("U", &order, &one, a, &lda, b, &order, &info);
  return info == 0;
}

bool CholeskySolve(int64_t n, double* a, int64_t a_stride, double* b) {
  UseOneThread();
  const int order = ToInt(n), lda = ToInt(a_stride), one = 1;
  int info = 0;
  dpotrf_("U", &order, a, &lda, &info);
  if (info != 0) return false;
  dpotrs_("U", &order, &one, a, &lda, b, &order, &info);
  return info == 0;
}

void SymmetricEigen(int64_t n, double* a, double* eigenvalues) {
  UseOneThread();
  const int order = ToInt(n), query = -1;
  int info = 0, int_size = 0;
  double size = 0;
  dsyevd_("V", "U", &order, a, &order, eigenvalues, &size, &query, &int_size, &query, &info);
  const int work_size = static_cast<int>(size);
  std::vector<double> work(work_size);
  std::vector<int> int_work(int_size);
  dsyevd_("V", "U", &order, a, &order, eigenvalues, work.data(), &work_size, int_work.data(),
          &int_size, &info);
  PENCHANT_CHECK(info == 0, NumericError, "the eigendecomposition of a ", n, " x ", n,
                 " Gram matrix did not converge (dsyevd info ", info, ")");
}

std::string Description() {
  return std::string(openblas_get_config()) + " kernels=" + openblas_get_corename();
}

}  // namespace penchant::blas
