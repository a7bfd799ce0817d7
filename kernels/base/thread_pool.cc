#include "kernels/base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <utility>

#include "kernels/base/errors.h"

namespace penchant {
namespace {

int AvailableCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

ThreadPool::ThreadPool(int num_threads) {
  PENCHANT_REQUIRE(num_threads >= 0 && num_threads <= 4096,
                   "num_threads must be in [0, 4096], 0 for all CPUs; got ", num_threads);
  if (num_threads == 0) num_threads = AvailableCpus();
  for (int worker = 1; worker < num_threads; ++worker) {
    threads_.emplace_back([this, worker] { Work(worker); });
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    quit_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::ParallelFor(int64_t num_blocks, const std::function<void(int64_t, int)>& body,
                             const std::function<void()>& poll) {
  if (num_blocks <= 0) return;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    body_ = &body;
    poll_ = poll ? &poll : nullptr;
    num_blocks_ = num_blocks;
    next_block_.store(0, std::memory_order_relaxed);
    failed_.store(false, std::memory_order_relaxed);
    error_ = nullptr;
    running_ = static_cast<int>(threads_.size());
    ++generation_;
  }
  if (!threads_.empty()) wake_.notify_all();
  RunBlocks(0);
  std::exception_ptr error;
  {
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return running_ == 0; });
    error = std::exchange(error_, nullptr);
  }
  if (error) std::rethrow_exception(error);
}

void ThreadPool::RunBlocks(int worker) {
  try {
    while (!failed_.load(std::memory_order_relaxed)) {
      const int64_t block = next_block_.fetch_add(1, std::memory_order_relaxed);
      if (block >= num_blocks_) break;
      if (worker == 0 && poll_) (*poll_)();
      (*body_)(block, worker);
    }
  } catch (...) {
    failed_.store(true, std::memory_order_relaxed);
    std::lock_guard<std::mutex> lock(mutex_);
    if (!error_) error_ = std::current_exception();
  }
}

void ThreadPool::Work(int worker) {
  uint64_t seen = 0;
  for (;;) {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [&] { return quit_ || generation_ != seen; });
      if (quit_) return;
      seen = generation_;
    }
    RunBlocks(worker);
    bool last;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      last = --running_ == 0;
    }
    if (last) done_.notify_one();
  }
}

}  // namespace penchant
