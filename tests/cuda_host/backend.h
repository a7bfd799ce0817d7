// The CUDA twins compiled for the CPU, as a device: "cuda-on-host".
#ifndef PENCHANT_TESTS_CUDA_HOST_BACKEND_H_
#define PENCHANT_TESTS_CUDA_HOST_BACKEND_H_

#include "kernels/base/cuda_blas.h"
#include "kernels/base/cuda_device.h"

namespace penchant::cuda_on_host {

extern const CudaBackend kBackend;

std::unique_ptr<CudaBlas> LoadCudaBlas(CudaDevice& device);
std::string CudaBlasUnavailableReason();

}  // namespace penchant::cuda_on_host

#endif  // PENCHANT_TESTS_CUDA_HOST_BACKEND_H_
