// One CUDA device as host code sees it: memory, copies and the end of asynchronous work. This
// header needs no CUDA toolkit; cuda_device.cu implements it.
#ifndef PENCHANT_KERNELS_BASE_CUDA_DEVICE_H_
#define PENCHANT_KERNELS_BASE_CUDA_DEVICE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace penchant {

struct CudaOps;  // kernels/cuda_ops.h
class CudaBlas;  // kernels/base/cuda_blas.h

// A point in the order of a stream.
using CudaMark = std::shared_ptr<void>;

struct CudaDeviceFacts {
  int index = 0;
  std::string name;
  int compute_capability = 0;  // 80, 90, ...
  int multiprocessors = 0;
  int64_t shared_bytes = 0;  // a block may take
  int64_t memory_bytes = 0;
  int64_t free_bytes = 0;
};

// The ops of a device, which is the calling thread's while this lives.
class CudaOpsOnDevice {
 public:
  CudaOpsOnDevice(const CudaOps& ops, std::shared_ptr<void> current)
      : ops_(&ops), current_(std::move(current)) {}
  const CudaOps* operator->() const { return ops_; }

 private:
  const CudaOps* ops_;
  std::shared_ptr<void> current_;
};

// May be called from any thread, one at a time, whatever device of its own that has.
class CudaDevice {
 public:
  virtual ~CudaDevice() = default;

  virtual const CudaDeviceFacts& facts() const = 0;
  virtual CudaOpsOnDevice ops() = 0;
  virtual CudaBlas& blas() = 0;
  virtual void* stream() = 0;  // a cudaStream_t; all work of this object is in its order

  // Zeroed memory from a stream-ordered pool. DeviceError when the device or the budget has too
  // little, with what was asked and what is in use.
  virtual void* Allocate(int64_t bytes) = 0;
  virtual void Free(void* pointer) noexcept = 0;
  // Most bytes that may be allocated at a time; 0: what the device has.
  virtual void set_memory_budget(int64_t bytes) = 0;
  virtual int64_t bytes_in_use() const = 0;

  // Copies through pinned staging memory. The host side may be reused on return; CopyToHost waits
  // for the work before it.
  virtual void CopyToDevice(void* device, const void* host, int64_t bytes) = 0;
  virtual void CopyToHost(void* host, const void* device, int64_t bytes) = 0;

  // A second stream copies beside the work, from pinned memory, each in its own order; marks order
  // them between each other. The pinned memory may be reused after WaitOnHost.
  virtual void CopyBeside(void* device, const void* pinned, int64_t bytes) = 0;
  virtual CudaMark MarkWork() = 0;
  virtual CudaMark MarkCopies() = 0;
  // What is put on the stream from here on waits for the mark.
  virtual void WorkWaitsFor(const CudaMark& copies) = 0;
  virtual void CopiesWaitFor(const CudaMark& work) = 0;
  virtual void WaitOnHost(const CudaMark& mark) noexcept = 0;

  // Host memory that copies in stream order may use; goes back to the device's store at the end.
  virtual std::shared_ptr<void> PinnedMemory(int64_t bytes) = 0;

  // Copies `bytes` (a few) to the host in stream order; Synchronize() hands them to `use`, which
  // may throw.
  virtual void ReadLater(const void* device, int64_t bytes,
                         std::function<void(const void* host)> use) = 0;
  // Runs `work` on a host thread in stream order; an exception of its comes out of Synchronize().
  // `work` calls no CUDA function.
  virtual void RunOnHost(std::function<void()> work) = 0;
  // Waits for all work, then settles what was deferred, in its order.
  virtual void Synchronize() = 0;
};

// A way to get CUDA devices: the real one, or the one tests register.
struct CudaBackend {
  // Why device `index` cannot be used; empty when it can. Starts it.
  std::string (*unavailable_reason)(int index);
  int (*num_devices)();
  // REQUIRES: index < num_devices(). Starts the device; where that cannot be, none of its memory is
  // free.
  CudaDeviceFacts (*facts)(int index);
  // Throws DeviceError with the reason.
  std::shared_ptr<CudaDevice> (*open)(int index);
};

// The backend that this build has; null without one.
const CudaBackend* BuiltCudaBackend();

// Lets device `name` ("cuda_on_host") resolve to `backend`: how tests run the CUDA twins.
void RegisterCudaBackend(const std::string& name, const CudaBackend* backend);
const CudaBackend* FindCudaBackend(const std::string& name);

}  // namespace penchant

#endif  // PENCHANT_KERNELS_BASE_CUDA_DEVICE_H_
