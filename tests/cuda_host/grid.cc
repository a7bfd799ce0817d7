#include "tests/cuda_host/grid.h"

#include <signal.h>

#include <boost/context/detail/fcontext.hpp>
#include <cstdio>
#include <cstdlib>

#ifdef PENCHANT_CUDA_HOST_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef PENCHANT_CUDA_HOST_TSAN
extern "C" {
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned flags);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void __tsan_acquire(void* address);
void __tsan_release(void* address);
}
#endif

namespace penchant::cuda_host {

namespace fcontext = boost::context::detail;

ThreadIndices current;

namespace {

constexpr int kMaxThreads = 1024;
constexpr int kWarp = 32;
constexpr size_t kStackBytes = 256 << 10;
constexpr size_t kMaxPendingCopies = 4096;

enum class State { kUnused, kRunnable, kAtBarrier, kInWarpOperation, kDone };

struct Fiber {
  State state = State::kUnused;
  fcontext::fcontext_t context = nullptr;
  unsigned char* stack = nullptr;
  dim3 index;
  Location where;
  const char* operation = nullptr;
  unsigned mask = 0;
  Lane lane;
  PendingCopy* copies = nullptr;
  size_t first_copy = 0, num_copies = 0;  // pending: [first_copy, num_copies)
  int64_t group = 0;
  void* tsan = nullptr;
  void* fake_stack = nullptr;
};

struct Grid {
  Fiber fibers[kMaxThreads];
  int num_threads = 0;
  int running = -1;  // -1: the scheduler
  int done = 0, at_barrier = 0;
  fcontext::fcontext_t scheduler = nullptr;
  void* scheduler_tsan = nullptr;
  void* scheduler_fake_stack = nullptr;
  const void* scheduler_stack = nullptr;
  size_t scheduler_stack_bytes = 0;
  const char* kernel = nullptr;
  void (*body)(void*) = nullptr;
  void* argument = nullptr;
  unsigned char* shared = nullptr;
  size_t shared_bytes = 0;
  uint64_t random = 0;
  // ThreadSanitizer's view of the barriers: two alternating objects each, or a thread that runs
  // ahead into the next barrier would hide what the present one fails to order.
  int barrier_phase = 0;
  char barrier_sync[2], launch_sync, done_sync;
  char warp_sync[kMaxThreads / kWarp][2];
  int warp_phase[kMaxThreads / kWarp];
};

Grid grid;
uint64_t schedule_seed = 0;
void (*launch_observer)(const char*, unsigned, size_t) = nullptr;

#ifdef PENCHANT_CUDA_HOST_TSAN
void Acquire(void* object) { __tsan_acquire(object); }
void Release(void* object) { __tsan_release(object); }
#else
void Acquire(void*) {}
void Release(void*) {}
#endif

// Plain loops: the C library's functions are instrumented wherever they are called from.
void CopyBytes(void* to, const void* from, size_t bytes) {
  auto* destination = static_cast<volatile unsigned char*>(to);
  auto* source = static_cast<const unsigned char*>(from);
  for (size_t i = 0; i < bytes; ++i) destination[i] = source[i];
}
void FillBytes(void* to, unsigned char value, size_t bytes) {
  auto* destination = static_cast<volatile unsigned char*>(to);
  for (size_t i = 0; i < bytes; ++i) destination[i] = value;
}

uint64_t NextRandom() {
  grid.random ^= grid.random << 13;
  grid.random ^= grid.random >> 7;
  grid.random ^= grid.random << 17;
  return grid.random;
}

void SwitchToFiber(int thread) {
  Fiber& fiber = grid.fibers[thread];
  grid.running = thread;
  current.thread = fiber.index;
#ifdef PENCHANT_CUDA_HOST_TSAN
  __tsan_switch_to_fiber(fiber.tsan, 1);
#endif
#ifdef PENCHANT_CUDA_HOST_ASAN
  __sanitizer_start_switch_fiber(&grid.scheduler_fake_stack, fiber.stack, kStackBytes);
#endif
  fiber.context = fcontext::jump_fcontext(fiber.context, nullptr).fctx;
#ifdef PENCHANT_CUDA_HOST_ASAN
  __sanitizer_finish_switch_fiber(grid.scheduler_fake_stack, nullptr, nullptr);
#endif
  grid.running = -1;
}

// From the running fiber back to the scheduler.
void Yield() {
  [[maybe_unused]] Fiber& fiber = grid.fibers[grid.running];
#ifdef PENCHANT_CUDA_HOST_TSAN
  __tsan_switch_to_fiber(grid.scheduler_tsan, 1);
#endif
#ifdef PENCHANT_CUDA_HOST_ASAN
  __sanitizer_start_switch_fiber(fiber.state == State::kDone ? nullptr : &fiber.fake_stack,
                                 grid.scheduler_stack, grid.scheduler_stack_bytes);
#endif
  grid.scheduler = fcontext::jump_fcontext(grid.scheduler, nullptr).fctx;
#ifdef PENCHANT_CUDA_HOST_ASAN
  __sanitizer_finish_switch_fiber(fiber.fake_stack, nullptr, nullptr);
#endif
}

void FiberMain(fcontext::transfer_t from) {
#ifdef PENCHANT_CUDA_HOST_ASAN
  __sanitizer_finish_switch_fiber(nullptr, &grid.scheduler_stack, &grid.scheduler_stack_bytes);
#endif
  grid.scheduler = from.fctx;
  Acquire(&grid.launch_sync);
  grid.body(grid.argument);
  Fiber& fiber = grid.fibers[grid.running];
  if (fiber.first_copy < fiber.num_copies)
    Abort("the thread ends with asynchronous copies not waited for");
  Release(&grid.done_sync);
  fiber.state = State::kDone;
  ++grid.done;
  Yield();
}

void Describe(const Fiber& fiber) {
  std::fprintf(stderr, "  thread (%u,%u,%u) waits in %s at %s:%u", fiber.index.x, fiber.index.y,
               fiber.index.z, fiber.operation, fiber.where.file_name(), fiber.where.line());
  if (fiber.state == State::kInWarpOperation) std::fprintf(stderr, ", mask %08x", fiber.mask);
  std::fprintf(stderr, "\n");
}

[[noreturn]] void AbortStuck() {
  std::fprintf(stderr, "CUDA on host: divergence in kernel %s, block (%u,%u,%u): ", grid.kernel,
               current.block.x, current.block.y, current.block.z);
  std::fprintf(stderr, "%d of %d threads have ended, the others wait for each other\n", grid.done,
               grid.num_threads);
  int shown = 0;
  const Fiber* last = nullptr;
  for (int t = 0; t < grid.num_threads && shown < 8; ++t) {
    const Fiber& fiber = grid.fibers[t];
    if (fiber.state == State::kDone) continue;
    if (last != nullptr && last->where.line() == fiber.where.line() && last->mask == fiber.mask) {
      continue;
    }
    Describe(fiber);
    last = &fiber;
    ++shown;
  }
  std::abort();
}

bool SamePlace(const Fiber& a, const Fiber& b) {
  return a.operation == b.operation && a.where.line() == b.where.line() &&
         a.where.file_name() == b.where.file_name();
}

void ReleaseBarrier() {
  const Fiber* first = nullptr;
  for (int t = 0; t < grid.num_threads; ++t) {
    if (first == nullptr) first = &grid.fibers[t];
    if (!SamePlace(*first, grid.fibers[t])) AbortStuck();
  }
  for (int t = 0; t < grid.num_threads; ++t) grid.fibers[t].state = State::kRunnable;
  grid.at_barrier = 0;
  grid.barrier_phase ^= 1;
}

int PickRunnable(int after) {
  const int n = grid.num_threads;
  const int start = grid.random != 0 ? static_cast<int>(NextRandom() % n) : after + 1;
  for (int i = 0; i < n; ++i) {
    const int t = (start + i) % n;
    if (grid.fibers[t].state == State::kRunnable) return t;
  }
  return -1;
}

void RunBlock() {
  grid.done = grid.at_barrier = 0;
  FillBytes(grid.shared, 0xff, grid.shared_bytes);
  for (int t = 0; t < grid.num_threads; ++t) {
    Fiber& fiber = grid.fibers[t];
    if (fiber.stack == nullptr) {
      fiber.stack = static_cast<unsigned char*>(std::malloc(kStackBytes));
      fiber.copies =
          static_cast<PendingCopy*>(std::malloc(kMaxPendingCopies * sizeof(PendingCopy)));
#ifdef PENCHANT_CUDA_HOST_TSAN
      fiber.tsan = __tsan_create_fiber(0);
#endif
    }
#ifdef PENCHANT_CUDA_HOST_ASAN
    __asan_unpoison_memory_region(fiber.stack, kStackBytes);
#endif
    fiber.context = fcontext::make_fcontext(fiber.stack + kStackBytes, kStackBytes, FiberMain);
    fiber.state = State::kRunnable;
    fiber.first_copy = fiber.num_copies = 0;
    fiber.group = 0;
    const unsigned flat = static_cast<unsigned>(t);
    fiber.index = {flat % current.block_size.x, flat / current.block_size.x % current.block_size.y,
                   flat / (current.block_size.x * current.block_size.y)};
  }
  int last = -1;
  while (grid.done < grid.num_threads) {
    const int next = PickRunnable(last);
    if (next < 0) AbortStuck();
    SwitchToFiber(next);
    last = next;
    if (grid.at_barrier > 0 && grid.at_barrier == grid.num_threads) ReleaseBarrier();
  }
}

void OnFault(int signal_number, siginfo_t* info, void*) {
  if (grid.running >= 0) {
    const dim3& thread = grid.fibers[grid.running].index;
    std::fprintf(stderr,
                 "CUDA on host: out of bounds (address %p) in kernel %s, block (%u,%u,%u), "
                 "thread (%u,%u,%u)\n",
                 info->si_addr, grid.kernel, current.block.x, current.block.y, current.block.z,
                 thread.x, thread.y, thread.z);
  }
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

#ifdef PENCHANT_CUDA_HOST_ASAN
void NameThread() {
  if (grid.running < 0) return;
  const dim3& thread = grid.fibers[grid.running].index;
  std::fprintf(stderr, "CUDA on host: in kernel %s, block (%u,%u,%u), thread (%u,%u,%u)\n",
               grid.kernel, current.block.x, current.block.y, current.block.z, thread.x, thread.y,
               thread.z);
}
#endif

// A stack for the handler of faults, the calling thread's while this lives; a sanitizer has one of
// its own there, and wants it back.
class FaultStack {
 public:
  FaultStack() {
    static thread_local unsigned char memory[64 << 10];
    stack_t stack = {};
    stack.ss_sp = memory;
    stack.ss_size = sizeof(memory);
    sigaltstack(&stack, &before_);
  }
  ~FaultStack() { sigaltstack(&before_, nullptr); }

 private:
  stack_t before_ = {};
};

void InstallHandlers() {
  static bool installed = false;
  if (installed) return;
  installed = true;
  struct sigaction action = {};
  action.sa_sigaction = OnFault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGSEGV, &action, nullptr);
  sigaction(SIGBUS, &action, nullptr);
#ifdef PENCHANT_CUDA_HOST_ASAN
  __sanitizer_set_death_callback(NameThread);
#endif
}

}  // namespace

void SetSchedule(uint64_t seed) { schedule_seed = seed; }

void SetLaunchObserver(void (*observe)(const char*, unsigned, size_t)) {
  launch_observer = observe;
}

void RunGrid(const char* kernel, dim3 grid_size, dim3 block_size, size_t shared_bytes,
             void (*body)(void*), void* argument) {
  InstallHandlers();
  const FaultStack fault_stack;
  grid.kernel = kernel;
  grid.body = body;
  grid.argument = argument;
  grid.num_threads = static_cast<int>(block_size.x * block_size.y * block_size.z);
  if (grid.num_threads < 1 || grid.num_threads > kMaxThreads) Abort("a block of too many threads");
  if (launch_observer != nullptr) {
    launch_observer(kernel, static_cast<unsigned>(grid.num_threads), shared_bytes);
  }
  grid.random = schedule_seed * 0x9E3779B97F4A7C15u;
  grid.shared_bytes = shared_bytes;
  grid.shared = static_cast<unsigned char*>(AllocateGuarded(shared_bytes));
  current.block_size = block_size;
  current.grid_size = grid_size;
#ifdef PENCHANT_CUDA_HOST_TSAN
  grid.scheduler_tsan = __tsan_get_current_fiber();
#endif
  Release(&grid.launch_sync);
  const uint64_t blocks = uint64_t{grid_size.x} * grid_size.y * grid_size.z;
  // A random schedule walks the blocks from a random start with a stride prime to their number.
  const uint64_t start = grid.random != 0 ? NextRandom() % blocks : 0;
  uint64_t stride = 1;
  if (grid.random != 0) {
    const uint64_t primes[] = {7919, 104729, 611953};
    for (uint64_t prime : primes) {
      if (blocks % prime != 0) stride = prime;
    }
  }
  for (uint64_t i = 0; i < blocks; ++i) {
    const uint64_t b = (start + i * stride) % blocks;
    current.block = {static_cast<unsigned>(b % grid_size.x),
                     static_cast<unsigned>(b / grid_size.x % grid_size.y),
                     static_cast<unsigned>(b / (uint64_t{grid_size.x} * grid_size.y))};
    RunBlock();
  }
  Acquire(&grid.done_sync);
  FreeGuarded(grid.shared);
}

unsigned char* SharedMemory() { return grid.shared; }

int LaneIndex() { return grid.running % kWarp; }

void BlockBarrier(Location where) {
  Fiber& fiber = grid.fibers[grid.running];
  fiber.state = State::kAtBarrier;
  fiber.operation = "__syncthreads";
  fiber.where = where;
  fiber.mask = 0;
  ++grid.at_barrier;
  char* sync = &grid.barrier_sync[grid.barrier_phase];
  Release(sync);
  Yield();
  Acquire(sync);
}

void WarpOperation(unsigned mask, const char* name, Location where, const void* in, size_t in_bytes,
                   void* out, size_t out_bytes, void (*combine)(unsigned mask, Lane* lanes)) {
  const int self = grid.running;
  const int warp_begin = self / kWarp * kWarp;
  Fiber& fiber = grid.fibers[self];
  if ((mask >> (self - warp_begin) & 1) == 0) {
    Abort("a thread takes part in a warp operation whose mask leaves it out", where);
  }
  fiber.state = State::kInWarpOperation;
  fiber.operation = name;
  fiber.where = where;
  fiber.mask = mask;
  CopyBytes(fiber.lane.in, in, in_bytes);
  const int warp = warp_begin / kWarp;
  char* sync = &grid.warp_sync[warp][grid.warp_phase[warp]];
  Release(sync);
  bool complete = true;
  for (int l = 0; l < kWarp && complete; ++l) {
    if ((mask >> l & 1) == 0) continue;
    const int t = warp_begin + l;
    if (t >= grid.num_threads) Abort("a warp operation's mask names lanes beyond the block", where);
    const Fiber& other = grid.fibers[t];
    if (other.state == State::kInWarpOperation && other.mask == mask && !SamePlace(other, fiber)) {
      AbortStuck();
    }
    complete = other.state == State::kInWarpOperation && other.mask == mask;
  }
  if (complete) {
    Lane lanes[kWarp];
    for (int l = 0; l < kWarp; ++l) {
      if (mask >> l & 1) lanes[l] = grid.fibers[warp_begin + l].lane;
    }
    if (combine != nullptr) combine(mask, lanes);
    for (int l = 0; l < kWarp; ++l) {
      if ((mask >> l & 1) == 0) continue;
      Fiber& other = grid.fibers[warp_begin + l];
      other.lane = lanes[l];
      other.state = State::kRunnable;
    }
    if (mask == 0xffffffffu) grid.warp_phase[warp] ^= 1;
  }
  // The last to come yields too, so that no lane runs ahead by being last.
  Yield();
  Acquire(sync);
  CopyBytes(out, fiber.lane.out, out_bytes);
}

void CopyLater(void* destination, const void* source, size_t bytes, bool zero) {
  Fiber& fiber = grid.fibers[grid.running];
  if (fiber.num_copies == kMaxPendingCopies) Abort("too many asynchronous copies in flight");
  const auto address = reinterpret_cast<uintptr_t>(destination);
  if (address % bytes != 0 || (!zero && reinterpret_cast<uintptr_t>(source) % bytes != 0)) {
    Abort("an asynchronous copy is not aligned to its size");
  }
  fiber.copies[fiber.num_copies++] = {static_cast<unsigned char*>(destination),
                                      static_cast<const unsigned char*>(source), bytes, zero,
                                      fiber.group};
}

void CommitCopies() { ++grid.fibers[grid.running].group; }

bool TakeCopy(int groups_left, PendingCopy* copy) {
  Fiber& fiber = grid.fibers[grid.running];
  if (fiber.first_copy == fiber.num_copies) {
    fiber.first_copy = fiber.num_copies = 0;
    return false;
  }
  if (fiber.copies[fiber.first_copy].group >= fiber.group - groups_left) return false;
  *copy = fiber.copies[fiber.first_copy++];
  return true;
}

void Abort(const char* what, Location where) {
  std::fprintf(stderr, "CUDA on host: %s, at %s:%u\n", what, where.file_name(), where.line());
  if (grid.running >= 0) {
    const dim3& thread = grid.fibers[grid.running].index;
    std::fprintf(stderr, "  in kernel %s, block (%u,%u,%u), thread (%u,%u,%u)\n", grid.kernel,
                 current.block.x, current.block.y, current.block.z, thread.x, thread.y, thread.z);
  }
  std::abort();
}

}  // namespace penchant::cuda_host
