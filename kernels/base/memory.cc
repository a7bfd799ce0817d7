#include "kernels/base/memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <limits>

#include "kernels/base/errors.h"

namespace penchant::internal {
namespace {
constexpr int64_t kAlignment = 64;
constexpr int64_t kHugePage = int64_t{2} << 20;
}  // namespace

void* AllocateZeroed(int64_t bytes) {
  PENCHANT_REQUIRE(bytes >= 0, "cannot allocate ", bytes, " bytes: a size overflowed 64 bits");
  if (bytes == 0) return nullptr;
  const bool large = bytes >= 4 * kHugePage;
  const int64_t alignment = large ? kHugePage : kAlignment;
  PENCHANT_REQUIRE(bytes <= std::numeric_limits<int64_t>::max() - alignment, "cannot allocate ",
                   bytes, " bytes");
  const size_t rounded = static_cast<size_t>((bytes + alignment - 1) / alignment * alignment);
  void* pointer = std::aligned_alloc(static_cast<size_t>(alignment), rounded);
  PENCHANT_CHECK(pointer != nullptr, DeviceError, "out of memory: ", bytes,
                 " bytes were asked of the CPU allocator; penchant.estimate_memory() tells the "
                 "need of a training run before it starts");
  if (large) madvise(pointer, rounded, MADV_HUGEPAGE);  // a hint: failing costs only speed
  std::memset(pointer, 0, rounded);
  return pointer;
}

void Free(void* pointer) { std::free(pointer); }

}  // namespace penchant::internal
