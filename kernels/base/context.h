// What every op needs to run: the device, its worker threads, and a way to be stopped.
#ifndef PENCHANT_KERNELS_BASE_CONTEXT_H_
#define PENCHANT_KERNELS_BASE_CONTEXT_H_

#include <functional>
#include <memory>
#include <string>

#include "kernels/base/cuda_device.h"
#include "kernels/base/thread_pool.h"

namespace penchant {

// Opens "auto", "cpu", "cuda" or "cuda:N"; null is the CPU. Only "auto" may choose the CPU, and
// says so once, with the reason. Throws InvalidArgument for other words and DeviceError, saying
// what is in the way, when CUDA is asked for and cannot be had.
std::shared_ptr<CudaDevice> OpenDevice(const std::string& name);

// Throws what OpenDevice would, without opening anything.
void RequireDevice(const std::string& name);

// Why CUDA device `index` cannot be used by this build on this machine; empty when it can.
std::string CudaUnavailableReason(int index = 0);

class Context {
 public:
  explicit Context(int num_threads = 0, const std::string& device = "cpu")
      : cuda_(OpenDevice(device)), pool_(num_threads) {}

  // The CUDA device that ops run on; null: the CPU. Views given to an op lie in its memory.
  CudaDevice* cuda() const { return cuda_.get(); }
  const std::shared_ptr<CudaDevice>& shared_cuda() const { return cuda_; }
  // "cpu" or "cuda:N".
  std::string device_name() const;
  // Waits for the device and settles deferred checks, which may throw; then polls. Nothing on the
  // CPU.
  void Synchronize() const {
    if (!cuda_) return;
    cuda_->Synchronize();
    Poll();
  }

  ThreadPool& pool() { return pool_; }
  int num_threads() const { return pool_.num_threads(); }

  // `poll` is called on the calling thread between blocks of long work; it throws to stop it.
  void set_poll(std::function<void()> poll) { poll_ = std::move(poll); }
  void Poll() const {
    if (poll_) poll_();
  }

  // ThreadPool::ParallelFor that can be stopped by the poll.
  void ParallelFor(int64_t num_blocks, const std::function<void(int64_t, int)>& body) {
    pool_.ParallelFor(num_blocks, body, poll_);
  }

 private:
  std::shared_ptr<CudaDevice> cuda_;
  ThreadPool pool_;
  std::function<void()> poll_;
};

}  // namespace penchant

#endif  // PENCHANT_KERNELS_BASE_CONTEXT_H_
