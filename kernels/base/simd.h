// Vector lanes for the *.simd.cc files, which are compiled once per instruction set.
//
// Those files must not emit symbols that the linker could merge with another level's (an AVX-512
// copy of an inline function would crash older machines): everything in them lives in an
// anonymous namespace, and they include no standard library header that defines functions.
// tests/lint/isa_symbols_test.sh checks the objects.
#ifndef PENCHANT_KERNELS_BASE_SIMD_H_
#define PENCHANT_KERNELS_BASE_SIMD_H_

#include <cstddef>
#include <cstdint>

#if !defined(PENCHANT_ISA_LEVEL)
#error "simd.h is for sources listed in penchant_add_simd_sources()"
#endif

// The symbol `name` of this instruction set: PENCHANT_ISA_SYMBOL(kFoo) -> kFoo_v4.
#define PENCHANT_ISA_PASTE2(name, level) name##_v##level
#define PENCHANT_ISA_PASTE(name, level) PENCHANT_ISA_PASTE2(name, level)
#define PENCHANT_ISA_SYMBOL(name) PENCHANT_ISA_PASTE(name, PENCHANT_ISA_LEVEL)

namespace penchant {
namespace {

#if PENCHANT_ISA_LEVEL == 4
inline constexpr int kLanes = 16;
#elif PENCHANT_ISA_LEVEL == 3
inline constexpr int kLanes = 8;
#else
inline constexpr int kLanes = 4;
#endif

typedef float Vec __attribute__((vector_size(kLanes * 4), may_alias));
typedef float UnalignedVec __attribute__((vector_size(kLanes * 4), may_alias, aligned(4)));
typedef int32_t VecMask __attribute__((vector_size(kLanes * 4), may_alias));

#define PENCHANT_INLINE inline __attribute__((always_inline))

PENCHANT_INLINE Vec Load(const float* p) { return *reinterpret_cast<const Vec*>(p); }
PENCHANT_INLINE Vec LoadUnaligned(const float* p) {
  return *reinterpret_cast<const UnalignedVec*>(p);
}
PENCHANT_INLINE void Store(float* p, Vec v) { *reinterpret_cast<Vec*>(p) = v; }
PENCHANT_INLINE Vec Broadcast(float x) { return x - Vec{}; }

PENCHANT_INLINE Vec Sqrt(Vec v) {
  Vec root;
  for (int lane = 0; lane < kLanes; ++lane) root[lane] = __builtin_sqrtf(v[lane]);
  return root;
}

// Compile-time index lists, so that no <utility> is needed here.
template <int... I>
struct Indices {};
template <int N, int... I>
struct MakeIndices : MakeIndices<N - 1, N - 1, I...> {};
template <int... I>
struct MakeIndices<0, I...> {
  using type = Indices<I...>;
};
using LaneIndices = MakeIndices<kLanes>::type;

// Lane `p` of ZipGroups: even groups of H lanes come from the first operand, odd ones from the
// second, each taking that operand's even (or odd) group of the same pair.
template <int H, bool kOdd>
constexpr int ZipLane(int p) {
  const bool from_second = (p / H) % 2 == 1;
  const int source = p - (from_second ? H : 0) + (kOdd ? H : 0);
  return source + (from_second ? kLanes : 0);
}

// The building block of transposes and of many horizontal sums at once.
template <int H, bool kOdd, int... I>
PENCHANT_INLINE Vec ZipGroups(Vec a, Vec b, Indices<I...>) {
  return __builtin_shufflevector(a, b, ZipLane<H, kOdd>(I)...);
}

// Transposes kLanes x kLanes in place.
template <int H = kLanes / 2>
PENCHANT_INLINE void Transpose(Vec (&m)[kLanes]) {
  if constexpr (H >= 1) {
    for (int i = 0; i < kLanes; ++i) {
      if (i & H) continue;
      const Vec low = ZipGroups<H, false>(m[i], m[i + H], LaneIndices{});
      const Vec high = ZipGroups<H, true>(m[i], m[i + H], LaneIndices{});
      m[i] = low;
      m[i + H] = high;
    }
    Transpose<H / 2>(m);
  }
}

// The sums over lanes of kLanes vectors, as one vector: lane p holds the sum of m[p].
template <int H = kLanes / 2>
PENCHANT_INLINE Vec SumLanes(Vec (&m)[kLanes]) {
  for (int i = 0; i < H; ++i) {
    m[i] = ZipGroups<H, false>(m[i], m[i + H], LaneIndices{}) +
           ZipGroups<H, true>(m[i], m[i + H], LaneIndices{});
  }
  if constexpr (H > 1) {
    return SumLanes<H / 2>(m);
  } else {
    return m[0];
  }
}

}  // namespace
}  // namespace penchant

#endif  // PENCHANT_KERNELS_BASE_SIMD_H_
