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
#if defined(__x86_64__)
#include <immintrin.h>
#endif

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
typedef float Quad __attribute__((vector_size(16), may_alias));
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

// e^x to about 1 part in 10^7 for |x| < 87; beyond, that of the bound.
PENCHANT_INLINE Vec Exp(Vec x) {
  const Vec bound = Broadcast(87.0f);
  x = x > bound ? bound : x < -bound ? -bound : x;
  // x = n log 2 + r, n the nearest integer
  const Vec shifted = x * 1.44269504088896341f + Broadcast(12582912.0f);  // 1.5 2^23
  const Vec n = shifted - 12582912.0f;
  const Vec r = x - n * 0.693359375f + n * 2.12194440e-4f;
  Vec p = Broadcast(1.9875691500e-4f);  // Cephes' polynomial of (e^r - 1 - r) / r^2
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const Vec y = p * r * r + r + 1.0f;
  const VecMask power = (__builtin_convertvector(n, VecMask) + 127) << 23;
  return y * (Vec)power;
}

// log x to about 1 part in 10^6 of max(1, |log x|), for normal x > 0.
PENCHANT_INLINE Vec Log(Vec x) {
  // x = m 2^e with m in [sqrt(1/2), sqrt(2))
  const VecMask bits = (VecMask)x - 0x3f3504f3;
  const Vec e = __builtin_convertvector(bits >> 23, Vec);
  const Vec f = (Vec)((bits & 0x007fffff) + 0x3f3504f3) - 1.0f;
  // log((1 + s) / (1 - s)) = 2 (s + s^3 / 3 + ...) with s = f / (2 + f)
  const Vec s = f / (f + 2.0f), q = s * s;
  const Vec series = q * (q * (q * (q * 0.2222222f + 0.28571429f) + 0.4f) + 0.66666667f) + 2.0f;
  return e * 0.69314718056f + s * series + (x - x);  // NaN of NaN and infinity
}

// Bit p is set where lane p of a >= lane p of b.
PENCHANT_INLINE uint32_t GreaterEqualBits(Vec a, Vec b) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GE_OQ);
#elif defined(__AVX2__)
  return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_GE_OQ)));
#elif defined(__x86_64__)
  return static_cast<uint32_t>(_mm_movemask_ps(_mm_cmpge_ps((__m128)a, (__m128)b)));
#else
  uint32_t bits = 0;
  for (int lane = 0; lane < kLanes; ++lane) bits |= uint32_t{a[lane] >= b[lane]} << lane;
  return bits;
#endif
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

// The sum of a vector's lanes.
template <int H, int... I>
PENCHANT_INLINE Vec AddRotated(Vec v, Indices<I...>) {
  return v + __builtin_shufflevector(v, v, ((I + H) % kLanes)...);
}
template <int H = kLanes / 2>
PENCHANT_INLINE float Sum(Vec v) {
  if constexpr (H >= 1) {
    return Sum<H / 2>(AddRotated<H>(v, LaneIndices{}));
  } else {
    return v[0];
  }
}

// Source lane of result lane `p` when two vectors are folded into one that keeps, of each, the sum
// of two halves. kStep 0 folds 16 lanes to 8 a vector, 1 folds 8 to 4, 2 folds 4 to 2, 3 folds
// 2 to 1; every step is one cheap shuffle (whole 4-lane blocks first, then inside blocks).
template <int kStep, bool kOdd>
constexpr int FoldLane(int p) {
  if (kStep == 0) {  // [a0 a1 b0 b1] + [a2 a3 b2 b3], in blocks of four
    return (p < kLanes / 2 ? p : p - kLanes / 2 + kLanes) + (kOdd ? kLanes / 2 : 0);
  }
  if (kStep == 1) {  // [a0 a2 b0 b2] + [a1 a3 b1 b3] in blocks of four
    const int blocks = kLanes / 4, block = p / 4;
    const int source = block < blocks / 2 ? 2 * block : 2 * (block - blocks / 2) + blocks;
    return (source + (kOdd ? 1 : 0)) * 4 + p % 4;
  }
  const int base = p / 4 * 4, q = p % 4;
  if (kStep == 2) return base + (q < 2 ? q : q - 2 + kLanes) + (kOdd ? 2 : 0);
  return base + (q < 2 ? 2 * q : 2 * (q - 2) + kLanes) + (kOdd ? 1 : 0);
}

template <int kStep, int... I>
PENCHANT_INLINE Vec Fold(Vec a, Vec b, Indices<I...>) {
  return __builtin_shufflevector(a, b, FoldLane<kStep, false>(I)...) +
         __builtin_shufflevector(a, b, FoldLane<kStep, true>(I)...);
}

// Folds 2 * N vectors to N.
template <int kStep, int N>
PENCHANT_INLINE void FoldPairs(Vec* m) {
  for (int i = 0; i < N; ++i) m[i] = Fold<kStep>(m[2 * i], m[2 * i + 1], LaneIndices{});
}

// The sums over lanes of kLanes vectors, as one vector: lane p holds the sum of m[SumSlot(p)].
constexpr int SumSlot(int p) { return p % 4 * (kLanes / 4) + p / 4; }
PENCHANT_INLINE Vec SumLanes(Vec (&m)[kLanes]) {
  if constexpr (kLanes == 16) FoldPairs<0, 8>(m);
  if constexpr (kLanes >= 8) FoldPairs<1, 4>(m);
  FoldPairs<2, 2>(m);
  FoldPairs<3, 1>(m);
  return m[0];
}

}  // namespace
}  // namespace penchant

#endif  // PENCHANT_KERNELS_BASE_SIMD_H_
