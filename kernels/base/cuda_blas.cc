#define PENCHANT_CUDA_NAMESPACE cuda
#include "kernels/base/cuda_blas.h"

#include "kernels/base/cuda_device.h"
#include "kernels/base/errors.h"
#include "kernels/base/shared_library.h"

namespace penchant::cuda {
namespace {

// The libraries' own names and numbers (cublas_api.h, cusolverDn.h), so that no header of theirs is
// needed: both interfaces are C and have kept them since CUDA 12.
using Handle = void*;
constexpr int kNoTranspose = 0, kTranspose = 1;
constexpr int kWithVectors = 1, kLower = 0;

struct Cublas {
  SharedLibrary library{{"libcublas.so.13", "libcublas.so.12"}};
  int (*create)(Handle*) = nullptr;
  int (*destroy)(Handle) = nullptr;
  int (*set_stream)(Handle, void*) = nullptr;
  int (*sgemm)(Handle, int, int, int64_t, int64_t, int64_t, const float*, const float*, int64_t,
               const float*, int64_t, const float*, float*, int64_t) = nullptr;
  int (*sgemm_batched)(Handle, int, int, int64_t, int64_t, int64_t, const float*, const float*,
                       int64_t, long long, const float*, int64_t, long long, const float*, float*,
                       int64_t, long long, int64_t) = nullptr;

  Cublas() {
    library.Find("cublasCreate_v2", &create);
    library.Find("cublasDestroy_v2", &destroy);
    library.Find("cublasSetStream_v2", &set_stream);
    library.Find("cublasSgemm_v2_64", &sgemm);
    library.Find("cublasSgemmStridedBatched_64", &sgemm_batched);
  }
};

struct Cusolver {
  SharedLibrary library{{"libcusolver.so.12", "libcusolver.so.11"}};
  int (*create)(Handle*) = nullptr;
  int (*destroy)(Handle) = nullptr;
  int (*set_stream)(Handle, void*) = nullptr;
  int (*syevd_size)(Handle, int, int, int, const double*, int, const double*, int*) = nullptr;
  int (*syevd)(Handle, int, int, int, double*, int, double*, double*, int, int*) = nullptr;

  Cusolver() {
    library.Find("cusolverDnCreate", &create);
    library.Find("cusolverDnDestroy", &destroy);
    library.Find("cusolverDnSetStream", &set_stream);
    library.Find("cusolverDnDsyevd_bufferSize", &syevd_size);
    library.Find("cusolverDnDsyevd", &syevd);
  }
};

Cublas& LoadedCublas() {
  static Cublas cublas;
  return cublas;
}
Cusolver& LoadedCusolver() {
  static Cusolver cusolver;
  return cusolver;
}

void Check(int status, const char* what) {
  PENCHANT_CHECK(status == 0, DeviceError, "CUDA: ", what, " failed with status ", status);
}

class LoadedBlas final : public CudaBlas {
 public:
  explicit LoadedBlas(CudaDevice& device) : device_(device) {
    PENCHANT_CHECK(cublas_.library.reason().empty(), DeviceError, cublas_.library.reason());
    Check(cublas_.create(&handle_), "cublasCreate");
    Check(cublas_.set_stream(handle_, device.stream()), "cublasSetStream");
  }
  ~LoadedBlas() override {
    if (solver_ != nullptr) LoadedCusolver().destroy(solver_);
    cublas_.destroy(handle_);
  }

  // cuBLAS is column-major: what it calls a matrix is the transpose of ours.
  void Multiply(int64_t m, int64_t n, int64_t k, const float* a, int64_t a_stride, const float* b,
                int64_t b_stride, float* c, int64_t c_stride) override {
    Check(cublas_.sgemm(handle_, kNoTranspose, kNoTranspose, n, m, k, &kOne, b, b_stride, a,
                        a_stride, &kZero, c, c_stride),
          "cublasSgemm");
  }
  void MultiplyTransposed(int64_t m, int64_t n, int64_t k, const float* a, int64_t a_stride,
                          const float* b, int64_t b_stride, float* c, int64_t c_stride) override {
    Check(cublas_.sgemm(handle_, kTranspose, kNoTranspose, n, m, k, &kOne, b, b_stride, a, a_stride,
                        &kZero, c, c_stride),
          "cublasSgemm");
  }
  void GramBlocks(int64_t count, int64_t rows, int64_t k, const float* a, int64_t a_stride,
                  float* c) override {
    Check(cublas_.sgemm_batched(handle_, kNoTranspose, kTranspose, k, k, rows, &kOne, a, a_stride,
                                rows * a_stride, a, a_stride, rows * a_stride, &kZero, c, k, k * k,
                                count),
          "cublasSgemmStridedBatched");
  }
  void SymmetricEigen(int64_t n, double* a, double* eigenvalues) override {
    Cusolver& cusolver = LoadedCusolver();
    PENCHANT_CHECK(cusolver.library.reason().empty(), DeviceError, cusolver.library.reason());
    if (solver_ == nullptr) {
      Check(cusolver.create(&solver_), "cusolverDnCreate");
      Check(cusolver.set_stream(solver_, device_.stream()), "cusolverDnSetStream");
    }
    const int order = static_cast<int>(n);
    int size = 0;
    Check(cusolver.syevd_size(solver_, kWithVectors, kLower, order, a, order, eigenvalues, &size),
          "cusolverDnDsyevd_bufferSize");
    auto* work = static_cast<double*>(device_.Allocate(size * int64_t{sizeof(double)}));
    auto* info = static_cast<int*>(device_.Allocate(sizeof(int)));
    const int status = cusolver.syevd(solver_, kWithVectors, kLower, order, a, order, eigenvalues,
                                      work, size, info);
    device_.ReadLater(info, sizeof(int), [](const void* told) {
      const int failed = *static_cast<const int*>(told);
      PENCHANT_CHECK(failed == 0, NumericError,
                     "the eigendecomposition of a Gram matrix did not "
                     "converge (cuSOLVER info ",
                     failed, ")");
    });
    device_.Free(work);
    device_.Free(info);
    Check(status, "cusolverDnDsyevd");
  }

 private:
  static constexpr float kOne = 1.0f, kZero = 0.0f;

  CudaDevice& device_;
  Cublas& cublas_ = LoadedCublas();
  Handle handle_ = nullptr;
  Handle solver_ = nullptr;  // made when first needed
};

}  // namespace

std::unique_ptr<CudaBlas> LoadCudaBlas(CudaDevice& device) {
  return std::make_unique<LoadedBlas>(device);
}

std::string CudaBlasUnavailableReason() { return LoadedCublas().library.reason(); }

}  // namespace penchant::cuda
