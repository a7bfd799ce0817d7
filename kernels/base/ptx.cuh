// The PTX that CUDA C++ has no words for, one small function each, with a plain C++ twin for
// tests/cuda_host.
#ifndef PENCHANT_KERNELS_BASE_PTX_CUH_
#define PENCHANT_KERNELS_BASE_PTX_CUH_

#ifdef PENCHANT_CUDA_ON_HOST
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>
#endif

#include <cstdint>

#include "kernels/base/cuda.cuh"

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

// c (16 x 8) += a (16 x 16) b (16 x 8) of halves, one warp. A register holds two neighbours along
// the contraction. With g = lane / 4, t = lane % 4: a = rows g, g + 8 at columns 2t, then at 2t +
// 8; b = rows 2t, then 2t + 8, of column g; c = row g columns 2t, 2t + 1, then row g + 8.
__device__ __forceinline__ void MmaHalf(float (&c)[4], const uint32_t (&a)[4], uint32_t b_begin,
                                        uint32_t b_end) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};\n"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b_begin), "r"(b_end));
}

// Where something lies in shared memory, in bytes.
using SharedAddress = uint32_t;
__device__ __forceinline__ SharedAddress SharedAddressOf(const void* shared) {
  return static_cast<SharedAddress>(__cvta_generic_to_shared(shared));
}

// Four 8 x 8 matrices of halves from shared memory, one warp: lane i gives the address of row i % 8
// of matrix i / 8 (16 bytes), and gets of each matrix row g, columns 2t and 2t + 1; transposed:
// rows 2t and 2t + 1 of column g.
template <bool kTransposed>
__device__ __forceinline__ void LoadMatrices(SharedAddress address, uint32_t (&out)[4]) {
  if constexpr (kTransposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(address)
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(address)
                 : "memory");
  }
}

// Two floats rounded to halves, the first in the low 16 bits.
__device__ __forceinline__ uint32_t PackHalves(float first, float second) {
  uint32_t pair;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;\n" : "=r"(pair) : "f"(second), "f"(first));
  return pair;
}
__device__ __forceinline__ float2 UnpackHalves(uint32_t pair) {
  float2 both;
  asm("{ .reg .b16 first, second; mov.b32 {first, second}, %2; cvt.f32.f16 %0, first; "
      "cvt.f32.f16 %1, second; }\n"
      : "=f"(both.x), "=f"(both.y)
      : "r"(pair));
  return both;
}

// 1 / x but for its last bit; REQUIRES: neither x nor that subnormal.
__device__ __forceinline__ float Reciprocal(float x) {
  float inverse;
  asm("rcp.approx.ftz.f32 %0, %1;\n" : "=f"(inverse) : "f"(x));
  return inverse;
}
// 1 / sqrt(x) to within two of its last bits; REQUIRES: x is not subnormal.
__device__ __forceinline__ float InverseRootEstimate(float x) {
  float root;
  asm("rsqrt.approx.ftz.f32 %0, %1;\n" : "=f"(root) : "f"(x));
  return root;
}

// The `index`-th of rows of so many bytes in global memory: one instruction, where 64-bit
// arithmetic is five, if `rows` was computed anew (else it lies in two registers far apart).
__device__ __forceinline__ const char* RowAt(const char* rows, unsigned index, unsigned bytes) {
  uint64_t offset;
  asm("mul.wide.u32 %0, %1, %2;\n" : "=l"(offset) : "r"(index), "r"(bytes));
  const char* row = rows + offset;
  __builtin_assume(__isGlobal(row));
  return row;
}

// Four elements that other threads may move at the same time; 16-byte aligned.
__device__ __forceinline__ float4 LoadFourRelaxed(const float* from) {
  float4 out;
  asm volatile("ld.volatile.global.v4.f32 {%0, %1, %2, %3}, [%4];\n"
               : "=f"(out.x), "=f"(out.y), "=f"(out.z), "=f"(out.w)
               : "l"(__cvta_generic_to_global(from)));
  return out;
}

// Has what depends on `x` computed here, not earlier and kept in registers until now.
__device__ __forceinline__ void ComputeAnew(int& x) { asm volatile("" : "+r"(x)); }
__device__ __forceinline__ void ComputeAnew(float& x) { asm volatile("" : "+f"(x)); }
__device__ __forceinline__ void ComputeAnew(const char*& x) {  // in global memory
  asm volatile("" : "+l"(x));
  __builtin_assume(__isGlobal(x));
}

// Shared memory, its address kept. From sm_90 on each use would compute it anew, from the block's
// rank in its cluster; before, it is a constant.
__device__ __forceinline__ float* ComputedOnce(float* shared) {
#if __CUDA_ARCH__ >= 900
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  return static_cast<float*>(__cvta_shared_to_generic(__reduce_max_sync(kAllLanes, address)));
#else
  return shared;
#endif
}

// Stores four floats at once; 16-byte aligned. (The compiler takes some such stores apart.)
__device__ __forceinline__ void StoreFour(float* shared, const float4& four) {
  asm volatile("st.shared.v4.f32 [%0], {%1, %2, %3, %4};\n" ::"r"(SharedAddressOf(shared)),
               "f"(four.x), "f"(four.y), "f"(four.z), "f"(four.w)
               : "memory");
}

// What is the same in all lanes, made known to be so by a vote: where a value or condition decides
// on branches and turns, the compiler then keeps the warp together. (Of shuffles it knows less.)
__device__ __forceinline__ int Agreed(int value) { return __reduce_max_sync(kAllLanes, value); }
__device__ __forceinline__ bool Agreed(bool condition) { return __any_sync(kAllLanes, condition); }

// The largest magnitude in the warp; NaN is larger than all.
__device__ __forceinline__ float LargestOverWarp(float value) {
  return __uint_as_float(__reduce_max_sync(kAllLanes, __float_as_uint(fabsf(value))));
}

// The thread's place in its warp and in its block, and the warp's: asked of the hardware each time,
// so that they take no registers between.
__device__ __forceinline__ int LaneIndex() {
  int lane;
  asm volatile("mov.u32 %0, %%laneid;\n" : "=r"(lane));
  __builtin_assume(0 <= lane && lane < kWarpSize);  // its quotients are shifts
  return lane;
}
__device__ __forceinline__ int ThreadIndex() {
  int thread;
  asm volatile("mov.u32 %0, %%tid.x;\n" : "=r"(thread));
  __builtin_assume(0 <= thread);
  return thread;
}
__device__ __forceinline__ int WarpIndex() { return Agreed(ThreadIndex() / kWarpSize); }

#else

inline float4 LoadFourRelaxed(const float* from) {
  return {LoadRelaxed(from), LoadRelaxed(from + 1), LoadRelaxed(from + 2), LoadRelaxed(from + 3)};
}
inline float Reciprocal(float x) { return 1.0f / x; }
inline float InverseRootEstimate(float x) { return rsqrtf(x); }
inline const char* RowAt(const char* rows, unsigned index, unsigned bytes) {
  return rows + uint64_t{index} * bytes;
}
inline float* ComputedOnce(float* shared) { return shared; }
inline void StoreFour(float* shared, const float4& four) {
  *reinterpret_cast<float4*>(shared) = four;
}
inline void ComputeAnew(int&) {}
inline void ComputeAnew(float&) {}
inline void ComputeAnew(const char*&) {}
inline int LaneIndex() { return static_cast<int>(threadIdx.x) % kWarpSize; }
inline int ThreadIndex() { return static_cast<int>(threadIdx.x); }
inline int WarpIndex() { return static_cast<int>(threadIdx.x) / kWarpSize; }
template <typename T>
T Agreed(T value) {
  return value;
}
inline float LargestOverWarp(float value) { return MaxOverWarp(std::fabs(value)); }

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

// What the tensor cores make of an exact sum: its digits beyond float's are dropped, not rounded.
inline float DropDigits(double sum) {
  const auto nearest = static_cast<float>(sum);
  const bool too_far = sum > 0 ? double{nearest} > sum : double{nearest} < sum;
  return too_far ? std::nextafterf(nearest, 0.0f) : nearest;
}

inline uint32_t PackHalves(float first, float second) {
  const auto bits = [](float x) {
    return uint32_t{std::bit_cast<uint16_t>(static_cast<_Float16>(x))};
  };
  return bits(first) | bits(second) << 16;
}
inline float2 UnpackHalves(uint32_t pair) {
  // Looked up: without hardware for it a conversion is a call.
  static const std::vector<float> values = [] {
    std::vector<float> all(1 << 16);
    for (size_t bits = 0; bits < all.size(); ++bits) {
      all[bits] = static_cast<float>(std::bit_cast<_Float16>(static_cast<uint16_t>(bits)));
    }
    return all;
  }();
  return {values[pair & 0xffff], values[pair >> 16]};
}

// A lane's part in MmaHalf.
struct MmaOperands {
  float c[4];
  uint32_t a[4], b[2];
};

inline void MultiplyOperands(unsigned, cuda_host::Lane* lanes) {
  const auto operands = [&](int lane) -> const MmaOperands& {
    return *reinterpret_cast<const MmaOperands*>(lanes[lane].in);
  };
  float left[16][16], right[16][8];
  for (int lane = 0; lane < kWarpSize; ++lane) {
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; ++i) {
      const float2 pair = UnpackHalves(operands(lane).a[i]);
      float* to = &left[g + i % 2 * 8][2 * t + i / 2 * 8];
      to[0] = pair.x;
      to[1] = pair.y;
    }
    for (int i = 0; i < 2; ++i) {
      const float2 pair = UnpackHalves(operands(lane).b[i]);
      right[2 * t + i * 8][g] = pair.x;
      right[2 * t + i * 8 + 1][g] = pair.y;
    }
  }
  for (int lane = 0; lane < kWarpSize; ++lane) {
    auto* out = reinterpret_cast<float*>(lanes[lane].out);
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
      double sum = operands(lane).c[i];
      for (int k = 0; k < 16; ++k) sum += double{left[row][k]} * double{right[k][column]};
      out[i] = DropDigits(sum);
    }
  }
}

inline void MmaHalf(float (&c)[4], const uint32_t (&a)[4], uint32_t b_begin, uint32_t b_end,
                    cuda_host::Location where = cuda_host::Location::current()) {
  const MmaOperands in = {{c[0], c[1], c[2], c[3]}, {a[0], a[1], a[2], a[3]}, {b_begin, b_end}};
  cuda_host::WarpOperation(kAllLanes, "mma", where, &in, sizeof(in), c, sizeof(c),
                           MultiplyOperands);
}

template <bool kTransposed>
void DistributeMatrices(unsigned, cuda_host::Lane* lanes) {
  for (int lane = 0; lane < kWarpSize; ++lane) {
    const int g = lane / 4, t = lane % 4;
    for (int matrix = 0; matrix < 4; ++matrix) {
      const auto half = [&](int row, int column) {
        uint16_t bits;
        std::memcpy(&bits, lanes[8 * matrix + row].in + 2 * column, sizeof(bits));
        return uint32_t{bits};
      };
      const uint32_t pair = kTransposed ? half(2 * t, g) | half(2 * t + 1, g) << 16
                                        : half(g, 2 * t) | half(g, 2 * t + 1) << 16;
      std::memcpy(lanes[lane].out + 4 * matrix, &pair, sizeof(pair));
    }
  }
}

using SharedAddress = const char*;
inline SharedAddress SharedAddressOf(const void* shared) {
  return static_cast<const char*>(shared);
}

template <bool kTransposed>
void LoadMatrices(SharedAddress shared_row, uint32_t (&out)[4],
                  cuda_host::Location where = cuda_host::Location::current()) {
  uint32_t row[4];  // read by its own lane, so that the sanitizers see it
  std::memcpy(row, shared_row, sizeof(row));
  cuda_host::WarpOperation(kAllLanes, "ldmatrix", where, row, sizeof(row), out, sizeof(out),
                           DistributeMatrices<kTransposed>);
}

#endif  // PENCHANT_CUDA_ON_HOST

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_BASE_PTX_CUH_
