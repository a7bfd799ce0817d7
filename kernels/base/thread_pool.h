// A small thread pool: one ParallelFor, dynamic blocks, exceptions carried to the caller.
#ifndef PENCHANT_KERNELS_BASE_THREAD_POOL_H_
#define PENCHANT_KERNELS_BASE_THREAD_POOL_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace penchant {

class ThreadPool {
 public:
  // num_threads = 0 takes the CPUs this process may run on. The caller is worker 0.
  explicit ThreadPool(int num_threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int num_threads() const { return static_cast<int>(threads_.size()) + 1; }

  // Calls body(block, worker) once for every block in [0, num_blocks); blocks are handed out in
  // order, workers are numbered [0, num_threads). Worker 0 calls `poll` (may be empty) between
  // its blocks; an exception from body or poll ends the loop and is rethrown here.
  // One ParallelFor at a time; not reentrant.
  void ParallelFor(int64_t num_blocks, const std::function<void(int64_t, int)>& body,
                   const std::function<void()>& poll = {});

 private:
  void Work(int worker);
  void RunBlocks(int worker);

  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  uint64_t generation_ = 0;
  int running_ = 0;
  bool quit_ = false;

  const std::function<void(int64_t, int)>* body_ = nullptr;
  const std::function<void()>* poll_ = nullptr;
  int64_t num_blocks_ = 0;
  std::atomic<int64_t> next_block_{0};
  std::atomic<bool> failed_{false};
  std::exception_ptr error_;
};

}  // namespace penchant

#endif  // PENCHANT_KERNELS_BASE_THREAD_POOL_H_
