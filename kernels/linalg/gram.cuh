// The Gram matrix where it stays on the device.
#ifndef PENCHANT_KERNELS_LINALG_GRAM_CUH_
#define PENCHANT_KERNELS_LINALG_GRAM_CUH_

#include "kernels/base/cuda.cuh"
#include "kernels/base/device_memory.h"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

// Y'Y (cols x cols, row-major): the contract of linalg/gram.h, without waiting.
DeviceBuffer<double> GramOnDevice(Context& context, MatrixView<const float> table);

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_LINALG_GRAM_CUH_
