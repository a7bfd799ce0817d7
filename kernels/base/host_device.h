// Marks functions that CUDA kernels call as well.
#ifndef PENCHANT_KERNELS_BASE_HOST_DEVICE_H_
#define PENCHANT_KERNELS_BASE_HOST_DEVICE_H_

#ifdef __CUDACC__
#define PENCHANT_HOST_DEVICE __host__ __device__
#else
#define PENCHANT_HOST_DEVICE
#endif

#endif  // PENCHANT_KERNELS_BASE_HOST_DEVICE_H_
