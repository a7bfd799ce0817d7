// The PTX that CUDA C++ has no words for, one small function each, with a plain C++ twin for
// tests/cuda_host.
#ifndef PENCHANT_KERNELS_BASE_PTX_CUH_
#define PENCHANT_KERNELS_BASE_PTX_CUH_

#include <cuda_runtime.h>

#include <cstdint>

namespace penchant::PENCHANT_CUDA_NAMESPACE {

#ifndef PENCHANT_CUDA_ON_HOST

// Copies 16 bytes to shared memory asynchronously; writes zeros when `copy` is false (the source
// is then not read, but must be a valid address).
__device__ __forceinline__ void CopyAsync16(void* shared, const void* global, bool copy) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  const int bytes = copy ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(address), "l"(global),
               "r"(bytes)
               : "memory");
}
// Ends a group of copies.
__device__ __forceinline__ void CommitCopies() {
  asm volatile("cp.async.commit_group;\n" ::: "memory");
}
// Waits until at most `kLeft` groups of this thread are in flight.
template <int kLeft>
__device__ __forceinline__ void WaitForCopies() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(kLeft) : "memory");
}

// c (16 x 8) += a (16 x 8) b (8 x 8), one warp. With g = lane / 4, t = lane % 4:
// a = rows g, g + 8 at column t, then at t + 4; b = rows t, t + 4 of column g;
// c = row g columns 2t, 2t + 1, then row g + 8.
__device__ __forceinline__ void MmaTf32(float (&c)[4], const uint32_t (&a)[4],
                                        const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};\n"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

#else

inline void CopyAsync16(void* shared, const void* global, bool copy) {
  // The bytes may arrive from now on: nobody may still read, nor yet read, what was there.
  auto* words = static_cast<uint32_t*>(shared);
  for (int i = 0; i < 4; ++i) words[i] = 0xffffffffu;
  cuda_host::CopyLater(shared, global, 16, !copy);
}
inline void CommitCopies() { cuda_host::CommitCopies(); }
template <int kLeft>
inline void WaitForCopies() {
  cuda_host::PendingCopy copy;
  while (cuda_host::TakeCopy(kLeft, &copy)) {
    auto* to = reinterpret_cast<uint32_t*>(copy.destination);
    const auto* from = reinterpret_cast<const uint32_t*>(copy.source);
    for (size_t i = 0; i < copy.bytes / 4; ++i) to[i] = copy.zero ? 0u : from[i];
  }
}

inline void MmaTf32(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                    cuda_host::Location where = cuda_host::Location::current()) {
  struct In {
    float c[4];
    uint32_t a[4], b[2];
  } in;
  for (int i = 0; i < 4; ++i) {
    in.c[i] = c[i];
    in.a[i] = a[i];
  }
  in.b[0] = b[0];
  in.b[1] = b[1];
  cuda_host::WarpOperation(
      kAllLanes, "mma", where, &in, sizeof(in), c, sizeof(c), [](unsigned, cuda_host::Lane* lanes) {
        // The hardware ignores the low 13 bits of its operands.
        float left[16][8], right[8][8];
        const auto value = [](uint32_t bits) { return __uint_as_float(bits & ~0x1fffu); };
        for (int l = 0; l < 32; ++l) {
          const auto* lane = reinterpret_cast<const In*>(lanes[l].in);
          const int g = l / 4, t = l % 4;
          left[g][t] = value(lane->a[0]);
          left[g + 8][t] = value(lane->a[1]);
          left[g][t + 4] = value(lane->a[2]);
          left[g + 8][t + 4] = value(lane->a[3]);
          right[t][g] = value(lane->b[0]);
          right[t + 4][g] = value(lane->b[1]);
        }
        for (int l = 0; l < 32; ++l) {
          const auto* lane = reinterpret_cast<const In*>(lanes[l].in);
          auto* out = reinterpret_cast<float*>(lanes[l].out);
          const int g = l / 4, t = l % 4;
          for (int i = 0; i < 4; ++i) {
            const int row = g + i / 2 * 8, column = 2 * t + i % 2;
            float sum = lane->c[i];
            for (int k = 0; k < 8; ++k) sum += left[row][k] * right[k][column];
            out[i] = sum;
          }
        }
      });
}

#endif  // PENCHANT_CUDA_ON_HOST

// The bits of a finite x such that mma, which ignores the low 13, takes it rounded to TF32 (ties
// away from zero): cvt.rna does the same with four times the instructions, for infinities' sake.
__device__ __forceinline__ uint32_t RoundForTf32(float x) { return __float_as_uint(x) + 0x1000u; }

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_BASE_PTX_CUH_
