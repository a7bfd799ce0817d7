// The host side of the emulated CUDA runtime.
#include "tests/cuda_host/runtime.h"

#include <cstdlib>
#include <map>
#include <mutex>

#include "tests/cuda_host/contexts.h"
#include "tests/cuda_host/include/cuda_runtime.h"

namespace host = penchant::cuda_host;

namespace {

std::mutex allowed_mutex;
std::map<std::pair<const void*, int>, size_t> allowed_shared_bytes;  // by kernel and device

}  // namespace

const char* cuda_host_kernel_name = "?";
host::Faults host::faults;
host::Traffic host::traffic;

const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorMemoryAllocation ? "out of memory"
         : error == cudaErrorInvalidValue   ? "invalid argument"
         : error == cudaSuccess             ? "no error"
                                            : "an error";
}
cudaError_t cudaGetDeviceCount(int* count) {
  *count = host::kDevices;
  return static_cast<cudaError_t>(host::faults.count_error);
}
// The limits of an H100, so that launches choose what they would choose there;
// PENCHANT_CUDA_HOST_SM = 80 or 120 takes an A100's or an RTX 50's.
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  const char* chosen = std::getenv("PENCHANT_CUDA_HOST_SM");
  const int sm = chosen != nullptr ? std::atoi(chosen) : 90;
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      *value = sm == 80 ? 108 : sm == 120 ? 170 : 132;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = sm / 10;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = sm % 10;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = (sm == 80 ? 163 : sm == 120 ? 99 : 227) << 10;
      break;
  }
  return cudaSuccess;
}
cudaError_t host::AllowSharedBytes(const void* kernel, int bytes) {
  int most = 0;
  cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0);
  if (bytes > most) return cudaErrorInvalidValue;
  const std::lock_guard lock(allowed_mutex);
  allowed_shared_bytes[{kernel, NeededDevice()}] = static_cast<size_t>(bytes);
  return cudaSuccess;
}
bool host::AllowsSharedBytes(const void* kernel, size_t bytes) {
  const std::lock_guard lock(allowed_mutex);
  const auto found = allowed_shared_bytes.find({kernel, NeededDevice()});
  return bytes <= (found != allowed_shared_bytes.end() ? found->second : size_t{48} << 10);
}
cudaError_t host::FunctionAttributes() {
  NeededDevice();
  return static_cast<cudaError_t>(faults.kernel_error);
}
cudaError_t host::EnqueueOnDevice(cudaStream_t stream, std::function<void()> work) {
  if (!IsOf(NeededDevice(), stream)) return cudaErrorInvalidResourceHandle;
  Enqueue(stream, std::move(work));
  return cudaSuccess;
}
cudaError_t cudaGetDriverEntryPointByVersion(const char* symbol, void** function, unsigned,
                                             unsigned long long) {
  *function = host::DriverFunction(symbol);
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = host::faults.driver_version;
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  host::NeededDevice();
  *total = size_t{8} << 30;
  *free = *total;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  std::strcpy(properties->name, "CUDA threads run on the CPU");
  properties->totalGlobalMem = size_t{8} << 30;
  return cudaSuccess;
}
cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps*) {
  *pool = nullptr;
  return cudaSuccess;
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) { return cudaSuccess; }
cudaError_t cudaMemPoolDestroy(cudaMemPool_t) { return cudaSuccess; }
cudaError_t cudaMallocFromPoolAsync(void** pointer, size_t bytes, cudaMemPool_t,
                                    cudaStream_t stream) {
  if (!host::IsOf(host::NeededDevice(), stream)) return cudaErrorInvalidResourceHandle;
  *pointer = host::AllocateGuarded(bytes);
  return *pointer == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}
cudaError_t cudaFreeAsync(void* pointer, cudaStream_t stream) {
  return host::EnqueueOnDevice(stream, [=] { host::FreeGuarded(pointer); });
}
cudaError_t cudaMallocHost(void** pointer, size_t bytes) {
  host::NeededDevice();
  *pointer = std::malloc(bytes);
  return *pointer == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}
cudaError_t cudaFreeHost(void* pointer) {
  host::NeededDevice();
  std::free(pointer);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if (kind == cudaMemcpyHostToDevice) host::traffic.bytes_to_device += static_cast<int64_t>(bytes);
  if (kind == cudaMemcpyDeviceToHost) host::traffic.bytes_to_host += static_cast<int64_t>(bytes);
  return host::EnqueueOnDevice(stream, [=] {
    if (bytes > 0) std::memcpy(to, from, bytes);
  });
}
cudaError_t cudaMemsetAsync(void* pointer, int value, size_t bytes, cudaStream_t stream) {
  return host::EnqueueOnDevice(stream, [=] {
    if (bytes > 0) std::memset(pointer, value, bytes);
  });
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = host::MakeStream(host::NeededDevice());
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  host::NeededDevice();
  host::DestroyStream(stream);
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  host::NeededDevice();
  ++host::traffic.waits;
  host::Finish(stream);
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  host::WaitInStream(stream, event);
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  host::NeededDevice();
  *event = host::MakeEvent();
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (!host::IsOf(host::NeededDevice(), stream)) return cudaErrorInvalidResourceHandle;
  host::Record(event, stream);
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  host::NeededDevice();
  ++host::traffic.waits;
  host::WaitOnHost(event);
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  host::NeededDevice();
  host::DestroyEvent(event);
  return cudaSuccess;
}
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  return host::EnqueueOnDevice(stream, [=] { function(data); });
}
cudaError_t cudaGetLastError() { return cudaSuccess; }
