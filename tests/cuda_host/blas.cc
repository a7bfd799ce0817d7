// cuBLAS and cuSOLVER as the emulated device has them: BLAS and LAPACK.
#include "kernels/base/blas.h"

#include <algorithm>
#include <vector>

#include "kernels/base/cuda_blas.h"
#include "kernels/base/errors.h"
#include "tests/cuda_host/backend.h"
#include "tests/cuda_host/contexts.h"
#include "tests/cuda_host/streams.h"

namespace penchant::cuda_on_host {
namespace {

class HostBlas final : public CudaBlas {
 public:
  explicit HostBlas(CudaDevice& device) : stream_(static_cast<CudaHostStream*>(device.stream())) {
    Start();
  }

  void Multiply(int64_t m, int64_t n, int64_t k, const float* a, int64_t a_stride, const float* b,
                int64_t b_stride, float* c, int64_t c_stride) override {
    Start();
    blas::Multiply(m, n, k, a, a_stride, b, b_stride, c, c_stride);
  }

  void MultiplyTransposed(int64_t m, int64_t n, int64_t k, const float* a, int64_t a_stride,
                          const float* b, int64_t b_stride, float* c, int64_t c_stride) override {
    Start();
    std::vector<float> turned(k * n);
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t i = 0; i < k; ++i) turned[i * n + j] = b[j * b_stride + i];
    }
    blas::Multiply(m, n, k, a, a_stride, turned.data(), n, c, c_stride);
  }

  void GramBlocks(int64_t count, int64_t rows, int64_t k, const float* a, int64_t a_stride,
                  float* c) override {
    Start();
    std::vector<float> turned(k * rows);
    for (int64_t block = 0; block < count; ++block) {
      const float* first = a + block * rows * a_stride;
      for (int64_t i = 0; i < rows; ++i) {
        for (int64_t j = 0; j < k; ++j) turned[j * rows + i] = first[i * a_stride + j];
      }
      blas::Multiply(k, k, rows, turned.data(), rows, first, a_stride, c + block * k * k, k);
    }
  }

  void SymmetricEigen(int64_t n, double* a, double* eigenvalues) override {
    Start();
    blas::SymmetricEigen(n, a, eigenvalues);
  }

 private:
  // What the stream has comes first; the libraries want their device to be the thread's.
  void Start() {
    PENCHANT_CHECK(cuda_host::IsOf(cuda_host::NeededDevice(), stream_), DeviceError,
                   "cuBLAS called on another device");
    cuda_host::Finish(stream_);
  }

  CudaHostStream* stream_;
};

}  // namespace

std::unique_ptr<CudaBlas> LoadCudaBlas(CudaDevice& device) {
  return std::make_unique<HostBlas>(device);
}
std::string CudaBlasUnavailableReason() { return ""; }

}  // namespace penchant::cuda_on_host
