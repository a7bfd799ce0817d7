// What the .cu sources use of CUDA's runtime and language, for a C++ compiler: the same names, run
// on the CPU by tests/cuda_host/grid.h, its streams by tests/cuda_host/streams.h.
#ifndef PENCHANT_TESTS_CUDA_HOST_INCLUDE_CUDA_RUNTIME_H_
#define PENCHANT_TESTS_CUDA_HOST_INCLUDE_CUDA_RUNTIME_H_

#include <math.h>

#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "tests/cuda_host/grid.h"
#include "tests/cuda_host/streams.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)

inline const dim3& threadIdx = ::penchant::cuda_host::current.thread;
inline const dim3& blockIdx = ::penchant::cuda_host::current.block;
inline const dim3& blockDim = ::penchant::cuda_host::current.block_size;
inline const dim3& gridDim = ::penchant::cuda_host::current.grid_size;

struct alignas(8) float2 {
  float x, y;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(16) float4 {
  float x, y, z, w;
};

// ---- Host API -------------------------------------------------------------------------------

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorNoKernelImageForDevice = 209,
  cudaErrorInvalidResourceHandle = 400
};
enum cudaMemcpyKind {
  cudaMemcpyHostToDevice = 1,
  cudaMemcpyDeviceToHost,
  cudaMemcpyDeviceToDevice
};
enum cudaDeviceAttr {
  cudaDevAttrMultiProcessorCount = 16,
  cudaDevAttrComputeCapabilityMajor = 75,
  cudaDevAttrComputeCapabilityMinor = 76,
  cudaDevAttrMaxSharedMemoryPerBlockOptin = 97,
};
struct cudaDeviceProp {
  char name[256];
  size_t totalGlobalMem;
};
enum cudaMemAllocationType { cudaMemAllocationTypePinned = 1 };
enum cudaMemLocationType { cudaMemLocationTypeDevice = 1 };
enum cudaMemPoolAttr { cudaMemPoolAttrReleaseThreshold = 4 };
struct cudaMemPoolProps {
  cudaMemAllocationType allocType;
  struct {
    cudaMemLocationType type;
    int id;
  } location;
};
using cudaMemPool_t = struct CudaHostPool*;
#define CUDART_VERSION 13000
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
struct cudaFuncAttributes {};
enum { cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2, cudaEnableDefault = 0 };
using cudaStream_t = struct CudaHostStream*;
using cudaEvent_t = struct CudaHostEvent*;
using cudaHostFn_t = void (*)(void*);
struct cudaLaunchAttribute {};
struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  size_t dynamicSmemBytes = 0;
  cudaStream_t stream = nullptr;
  cudaLaunchAttribute* attrs = nullptr;
  unsigned numAttrs = 0;
};

const char* cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device);
cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaMemGetInfo(size_t* free, size_t* total);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps* properties);
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value);
cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool);
cudaError_t cudaMallocFromPoolAsync(void** pointer, size_t bytes, cudaMemPool_t pool,
                                    cudaStream_t stream);
cudaError_t cudaFreeAsync(void* pointer, cudaStream_t stream);
cudaError_t cudaMallocHost(void** pointer, size_t bytes);
cudaError_t cudaFreeHost(void* pointer);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* pointer, int value, size_t bytes, cudaStream_t stream);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data);
cudaError_t cudaGetLastError();
cudaError_t cudaGetDriverEntryPointByVersion(const char* symbol, void** function, unsigned version,
                                             unsigned long long flags);

namespace penchant::cuda_host {

// Lets a kernel's blocks on the thread's device take so much dynamic shared memory, where that has
// it; more than 48 KiB must be asked for so before a launch.
cudaError_t AllowSharedBytes(const void* kernel, int bytes);
bool AllowsSharedBytes(const void* kernel, size_t bytes);
cudaError_t FunctionAttributes();
// Enqueues work where the stream is of the thread's device. (CUDA lets copies pass, launches not.)
cudaError_t EnqueueOnDevice(cudaStream_t stream, std::function<void()> work);

}  // namespace penchant::cuda_host

template <typename... Parameters>
cudaError_t cudaFuncSetAttribute(void (*kernel)(Parameters...), cudaFuncAttribute, int bytes) {
  return ::penchant::cuda_host::AllowSharedBytes(reinterpret_cast<const void*>(kernel), bytes);
}
template <typename... Parameters>
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes*, void (*)(Parameters...)) {
  return ::penchant::cuda_host::FunctionAttributes();
}
template <typename... Parameters>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, void (*)(Parameters...), int,
                                                          size_t shared_bytes) {
  *blocks = shared_bytes > (100 << 10) ? 1 : 2;
  return cudaSuccess;
}

template <typename... Parameters, typename... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  if (!::penchant::cuda_host::AllowsSharedBytes(reinterpret_cast<const void*>(kernel),
                                                config->dynamicSmemBytes)) {
    return cudaErrorInvalidValue;
  }
  struct Call {
    void (*kernel)(Parameters...);
    std::tuple<Parameters...> arguments;
  };
  extern const char* cuda_host_kernel_name;
  return ::penchant::cuda_host::EnqueueOnDevice(
      config->stream, [name = std::string(cuda_host_kernel_name), shape = *config,
                       call = Call{kernel, {std::forward<Arguments>(arguments)...}}]() mutable {
        ::penchant::cuda_host::RunGrid(
            name.c_str(), shape.gridDim, shape.blockDim, shape.dynamicSmemBytes,
            [](void* argument) {
              Call copy = *static_cast<Call*>(argument);
              std::apply(copy.kernel, copy.arguments);
            },
            &call);
      });
}

// ---- Device functions -----------------------------------------------------------------------

namespace penchant::cuda_host {

template <typename T>
T Shuffle(unsigned mask, T value, int source, int width, Location where) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
  struct In {
    T value;
    int source, width;
  } in{value, source, width};
  T out;
  WarpOperation(mask, "a shuffle", where, &in, sizeof(in), &out, sizeof(out),
                [](unsigned lanes_in, Lane* lanes) {
                  for (int l = 0; l < 32; ++l) {
                    if ((lanes_in >> l & 1) == 0) continue;
                    In mine;
                    __builtin_memcpy(&mine, lanes[l].in, sizeof(In));
                    const int from = l / mine.width * mine.width + (mine.source & (mine.width - 1));
                    if ((lanes_in >> from & 1) == 0)
                      Abort("a shuffle reads a lane that is not in its mask");
                    __builtin_memcpy(lanes[l].out, lanes[from].in, sizeof(T));
                  }
                });
  return out;
}

}  // namespace penchant::cuda_host

#define PENCHANT_HERE \
  ::penchant::cuda_host::Location where = ::penchant::cuda_host::Location::current()

inline void __syncthreads(PENCHANT_HERE) { ::penchant::cuda_host::BlockBarrier(where); }
inline void __syncwarp(unsigned mask = 0xffffffffu, PENCHANT_HERE) {
  ::penchant::cuda_host::WarpOperation(mask, "__syncwarp", where, nullptr, 0, nullptr, 0, nullptr);
}
template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, PENCHANT_HERE) {
  return ::penchant::cuda_host::Shuffle(mask, value, source, width, where);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32, PENCHANT_HERE) {
  const int lane = ::penchant::cuda_host::LaneIndex();
  return ::penchant::cuda_host::Shuffle(mask, value, (lane ^ lane_mask) % width, width, where);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, PENCHANT_HERE) {
  const int lane = ::penchant::cuda_host::LaneIndex() % width;
  const int source = lane < static_cast<int>(delta) ? lane : lane - static_cast<int>(delta);
  return ::penchant::cuda_host::Shuffle(mask, value, source, width, where);
}
inline unsigned __ballot_sync(unsigned mask, bool predicate, PENCHANT_HERE) {
  using ::penchant::cuda_host::Lane;
  unsigned out;
  ::penchant::cuda_host::WarpOperation(mask, "__ballot_sync", where, &predicate, 1, &out, 4,
                                       [](unsigned in_mask, Lane* lanes) {
                                         unsigned bits = 0;
                                         for (int l = 0; l < 32; ++l) {
                                           if (in_mask >> l & 1 && lanes[l].in[0]) bits |= 1u << l;
                                         }
                                         for (int l = 0; l < 32; ++l) {
                                           __builtin_memcpy(lanes[l].out, &bits, 4);
                                         }
                                       });
  return out;
}

template <typename T>
T atomicAdd(T* address, T value) {
  return __atomic_fetch_add(address, value, __ATOMIC_RELAXED);
}
inline float atomicAdd(float* address, float value) {
  return std::atomic_ref<float>(*address).fetch_add(value, std::memory_order_relaxed);
}
template <typename T>
T atomicMin(T* address, T value) {
  T seen = __atomic_load_n(address, __ATOMIC_RELAXED);
  while (value < seen && !__atomic_compare_exchange_n(address, &seen, value, false,
                                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return seen;
}

inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
template <typename T>
T __ldg(const T* pointer) {
  return *pointer;
}
using std::isfinite;
using std::isnan;
using std::max;
using std::min;

#endif  // PENCHANT_TESTS_CUDA_HOST_INCLUDE_CUDA_RUNTIME_H_
