// What every .cu file shares: checked calls, checked launches, and the namespace its twins live in.
//
// The same sources are compiled twice: by nvcc for GPUs (namespace cuda) and by the C++ compiler
// for tests/cuda_host, which runs them thread for thread on the CPU (namespace cuda_on_host).
#ifndef PENCHANT_KERNELS_BASE_CUDA_CUH_
#define PENCHANT_KERNELS_BASE_CUDA_CUH_

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>

#include "kernels/base/context.h"
#include "kernels/base/errors.h"

#ifdef PENCHANT_CUDA_ON_HOST
#define PENCHANT_CUDA_NAMESPACE cuda_on_host
// The block's dynamic shared memory, the only kind kernels use: its size is checked.
#define PENCHANT_SHARED(name) unsigned char* name = ::penchant::cuda_host::SharedMemory()
#define PENCHANT_NAME_LAUNCH(name) cuda_host_kernel_name = name
extern const char* cuda_host_kernel_name;
#else
#define PENCHANT_CUDA_NAMESPACE cuda
#define PENCHANT_SHARED(name) extern __shared__ __align__(16) unsigned char name[]
#define PENCHANT_NAME_LAUNCH(name) static_cast<void>(0)
#endif

namespace penchant::PENCHANT_CUDA_NAMESPACE {

inline constexpr int kWarpSize = 32;
inline constexpr unsigned kAllLanes = 0xffffffffu;

inline void Check(cudaError_t error, const char* what) {
  PENCHANT_CHECK(error == cudaSuccess, DeviceError, "CUDA: ", what,
                 " failed: ", cudaGetErrorString(error));
}

inline cudaStream_t StreamOf(const Context& context) {
  return static_cast<cudaStream_t>(context.cuda()->stream());
}

inline int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

// *byte = 1, where several threads may do so at once.
__device__ __forceinline__ void MarkByte(uint8_t* byte) {
#ifdef PENCHANT_CUDA_ON_HOST
  __atomic_store_n(byte, uint8_t{1}, __ATOMIC_RELAXED);
#else
  *byte = 1;
#endif
}

// The sum of the lanes' values, in every lane and in a fixed order.
template <typename T>
__device__ __forceinline__ T SumOverWarp(T value) {
#pragma unroll
  for (int lanes = kWarpSize / 2; lanes > 0; lanes /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, lanes);
  }
  return value;
}

// Sums each of kCount values over the kCount lanes whose numbers differ in the bits from kBit on; a
// lane gets the sum of value number lane / kBit % kCount. What is not its own, it hands over first.
template <int kBit, int kCount>
__device__ __forceinline__ float SumSpread(float (&values)[kCount], int lane) {
#pragma unroll
  for (int count = kCount / 2; count > 0; count /= 2) {
    const bool upper = (lane & kBit * count) != 0;
#pragma unroll
    for (int e = 0; e < count; ++e) {
      const float sent = upper ? values[e] : values[count + e];
      const float kept = upper ? values[count + e] : values[e];
      values[e] = kept + __shfl_xor_sync(kAllLanes, sent, kBit * count);
    }
  }
  return values[0];
}

__device__ __forceinline__ float MaxOverWarp(float value) {
#pragma unroll
  for (int lanes = kWarpSize / 2; lanes > 0; lanes /= 2) {
    value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, lanes));
  }
  return value;
}

// Calls visit(k) for the elements of a row that are this lane's. All lanes take the same turns, so
// that the compiler knows the warp to be together after it.
template <typename Visit>
__device__ __forceinline__ void ForEachOwn(int64_t stride, int lane, Visit visit) {
  for (int64_t first = 0; first < stride; first += kWarpSize) {
    if (first + lane < stride) visit(first + lane);
  }
}

// Elements that other threads may move at the same time.
__device__ __forceinline__ float LoadRelaxed(const float* from) {
#ifdef PENCHANT_CUDA_ON_HOST
  float value;
  __atomic_load(from, &value, __ATOMIC_RELAXED);
  return value;
#else
  return *static_cast<const volatile float*>(from);
#endif
}
__device__ __forceinline__ void StoreRelaxed(float* to, float value) {
#ifdef PENCHANT_CUDA_ON_HOST
  __atomic_store(to, &value, __ATOMIC_RELAXED);
#else
  *static_cast<volatile float*>(to) = value;
#endif
}

struct LaunchShape {
  int64_t blocks = 1;
  int threads = 128;
  int64_t shared_bytes = 0;
};

// Launches through PENCHANT_LAUNCH, which names the kernel in errors.
template <typename... Parameters, typename... Arguments>
void Launch(const Context& context, const char* name, const LaunchShape& shape,
            void (*kernel)(Parameters...), Arguments... arguments) {
  if (shape.blocks == 0) return;
  if (shape.shared_bytes > (48 << 10)) {
    Check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(shape.shared_bytes)),
          name);
  }
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(static_cast<unsigned>(shape.blocks));
  config.blockDim = dim3(static_cast<unsigned>(shape.threads));
  config.dynamicSmemBytes = static_cast<size_t>(shape.shared_bytes);
  config.stream = StreamOf(context);
  Check(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...), name);
}
#define PENCHANT_LAUNCH_NAMED(context, name, shape, kernel, ...)                            \
  do {                                                                                      \
    PENCHANT_NAME_LAUNCH(name);                                                             \
    ::penchant::PENCHANT_CUDA_NAMESPACE::Launch(context, name, shape, kernel, __VA_ARGS__); \
  } while (false)
#define PENCHANT_LAUNCH(context, shape, kernel, ...) \
  PENCHANT_LAUNCH_NAMED(context, #kernel, shape, kernel, __VA_ARGS__)

// Blocks that keep the device busy with one kernel, at most `most`.
template <typename... Parameters>
int64_t ResidentBlocks(const Context& context, void (*kernel)(Parameters...),
                       const LaunchShape& shape, int64_t most) {
  if (shape.shared_bytes > (48 << 10)) {
    Check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(shape.shared_bytes)),
          "reserving shared memory");
  }
  int blocks = 0;
  Check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, shape.threads,
                                                      static_cast<size_t>(shape.shared_bytes)),
        "occupancy");
  const int64_t resident = int64_t{std::max(blocks, 1)} * context.cuda()->facts().multiprocessors;
  return std::min(resident, most);
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_BASE_CUDA_CUH_
