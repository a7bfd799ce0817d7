// Runs a CUDA grid on the CPU: one fiber a CUDA thread, one block at a time, so that .cu sources
// compiled by a C++ compiler execute thread for thread, barriers, shuffles and all.
//
// What it catches, naming kernel, block, thread and line before it aborts: threads of a block at
// different barriers, or gone while others wait; lanes missing from a warp operation's mask, or
// at another operation; shuffles from lanes outside the mask; any access past a device allocation
// or past the launch's shared memory (guard pages). Shared memory starts as NaN. Under
// ThreadSanitizer every CUDA thread is a TSan fiber, so that a missing barrier is a reported race.
//
// This file and grid.cc are compiled without instrumentation: their bookkeeping is no part of the
// program under test.
#ifndef PENCHANT_TESTS_CUDA_HOST_GRID_H_
#define PENCHANT_TESTS_CUDA_HOST_GRID_H_

#include <cstddef>
#include <cstdint>
#include <source_location>

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3() = default;
  constexpr dim3(unsigned x_, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

namespace penchant::cuda_host {

using Location = std::source_location;

// The indices of the running CUDA thread.
struct ThreadIndices {
  dim3 thread, block, block_size, grid_size;
};
extern ThreadIndices current;

// Runs `body(argument)` once for every thread of the grid.
void RunGrid(const char* kernel, dim3 grid, dim3 block, size_t shared_bytes,
             void (*body)(void* argument), void* argument);

// 0 runs threads and blocks in order; any other seed draws a random order at every switch.
void SetSchedule(uint64_t seed);

// Called at every launch, with the name of the kernel.
void SetLaunchObserver(void (*observe)(const char* kernel, unsigned threads, size_t shared_bytes));

// The block's dynamic shared memory: exactly the launch's bytes, then a guard page.
unsigned char* SharedMemory();

void BlockBarrier(Location where);

// One lane's part in a warp operation.
struct Lane {
  alignas(16) unsigned char in[64];
  alignas(16) unsigned char out[64];
};

// Waits until every lane of `mask` has come to the same operation and line; the last to come calls
// `combine` once, which fills the `out` of every lane of the mask from their `in`.
void WarpOperation(unsigned mask, const char* name, Location where, const void* in, size_t in_bytes,
                   void* out, size_t out_bytes, void (*combine)(unsigned mask, Lane* lanes));

int LaneIndex();

// cp.async: performed at the wait, as late as the hardware may (by the instrumented caller, so that
// the sanitizers see the bytes move).
struct PendingCopy {
  unsigned char* destination;
  const unsigned char* source;
  size_t bytes;
  bool zero;
  int64_t group;
};
void CopyLater(void* destination, const void* source, size_t bytes, bool zero);
void CommitCopies();
// The next copy due when at most `groups_left` groups may stay in flight; false: none.
bool TakeCopy(int groups_left, PendingCopy* copy);

// Ends the test run with a message that names the running kernel, block and thread.
[[noreturn]] void Abort(const char* what, Location where = Location::current());

// Memory that ends at a page nobody may touch, filled with NaN bytes.
void* AllocateGuarded(size_t bytes);
void FreeGuarded(void* pointer);

}  // namespace penchant::cuda_host

#endif  // PENCHANT_TESTS_CUDA_HOST_GRID_H_
