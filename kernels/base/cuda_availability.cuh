// Which CUDA devices there are, and what is in the way of using one.
#ifndef PENCHANT_KERNELS_BASE_CUDA_AVAILABILITY_CUH_
#define PENCHANT_KERNELS_BASE_CUDA_AVAILABILITY_CUH_

#include <string>

#include "kernels/base/cuda.cuh"
#include "kernels/base/cuda_device.h"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

// As CudaBackend's. The reason is the driver, the runtime, the architecture, the memory or a
// library, with what to do about it.
int NumDevices();
CudaDeviceFacts FactsOf(int index);
std::string UnavailableReason(int index);

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_BASE_CUDA_AVAILABILITY_CUH_
