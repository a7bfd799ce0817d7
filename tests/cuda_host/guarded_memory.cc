#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "tests/cuda_host/grid.h"

namespace penchant::cuda_host {
namespace {

size_t PageBytes() {
  static const size_t bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

}  // namespace

void* AllocateGuarded(size_t bytes) {
  const size_t page = PageBytes();
  const size_t rounded = (bytes + 15) / 16 * 16;
  const size_t data_pages = (rounded + page - 1) / page;
  const size_t total = (data_pages + 2) * page;  // a first page for the size, a last one as guard
  void* base = mmap(nullptr, total, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return nullptr;
  auto* end = static_cast<unsigned char*>(base) + (data_pages + 1) * page;
  mprotect(end, page, PROT_NONE);
  auto* pointer = end - rounded;
  // A plain loop: the C library's functions are instrumented wherever they are called from.
  for (size_t i = 0; i < bytes; ++i) static_cast<volatile unsigned char*>(pointer)[i] = 0xff;
  const auto first = reinterpret_cast<size_t*>(base);
  first[0] = total;
  return pointer;
}

void FreeGuarded(void* pointer) {
  if (pointer == nullptr) return;
  const size_t page = PageBytes();
  // The base is the page before the one that holds the first byte (or the byte itself at its end).
  auto* base = reinterpret_cast<unsigned char*>(reinterpret_cast<uintptr_t>(pointer) / page * page);
  base -= page;
  const size_t total = *reinterpret_cast<size_t*>(base);
  munmap(base, total);
}

}  // namespace penchant::cuda_host
