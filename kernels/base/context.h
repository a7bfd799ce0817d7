// What every op needs to run: the device, its worker threads, and a way to be stopped.
#ifndef PENCHANT_KERNELS_BASE_CONTEXT_H_
#define PENCHANT_KERNELS_BASE_CONTEXT_H_

#include <functional>
#include <string>

#include "kernels/base/thread_pool.h"

namespace penchant {

// The devices a caller can ask for. Only "auto" may choose; "cuda" without one is a DeviceError.
enum class Device { kCpu, kCuda };

// Parses "auto", "cpu", "cuda" or "cuda:N". Throws InvalidArgument for other words and
// DeviceError, saying what is in the way, when CUDA is asked for and cannot be had.
Device ResolveDevice(const std::string& name);

// Why CUDA cannot be used by this build on this machine; empty when it can.
std::string CudaUnavailableReason();

class Context {
 public:
  explicit Context(int num_threads = 0, const std::string& device = "cpu")
      : device_(ResolveDevice(device)), pool_(num_threads) {}

  Device device() const { return device_; }
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
  Device device_;
  ThreadPool pool_;
  std::function<void()> poll_;
};

}  // namespace penchant

#endif  // PENCHANT_KERNELS_BASE_CONTEXT_H_
