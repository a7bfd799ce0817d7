#include "kernels/base/philox_words.h"

#include "kernels/base/simd.h"

namespace penchant {
namespace {

constexpr int kCounters = kLanes / 2;  // a vector
typedef uint64_t Words __attribute__((vector_size(kCounters * 8), may_alias));
typedef uint64_t UnalignedWords __attribute__((vector_size(kCounters * 8), may_alias, aligned(4)));

// The products of the lanes' low halves.
PENCHANT_INLINE Words MultiplyLow(Words a, uint32_t factor) {
  const Words b = Words{} + factor;
#if defined(__AVX512F__)
  // Without the mask GCC 12 warns of its own header's undefined vector.
  return (Words)_mm512_maskz_mul_epu32(0xff, (__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (Words)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__x86_64__)
  return (Words)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
  return (a & 0xffffffffu) * b;
#endif
}

template <int kFirst, int... I>
PENCHANT_INLINE Words Interleave(Words a, Words b, Indices<I...>) {
  return __builtin_shufflevector(a, b, (I % 2 * kCounters + kFirst + I / 2)...);
}

// As philox.h, on the low halves of lanes; what the high halves hold is never read.
void Fill(uint64_t key, uint64_t counter_low, uint64_t counter_high, int64_t count,
          uint32_t* words) {
  using Lanes = MakeIndices<kCounters>::type;
  Words lane;
  for (int i = 0; i < kCounters; ++i) lane[i] = static_cast<uint64_t>(i);
  for (int64_t i = 0; i < count; i += kCounters) {
    const Words high = lane + (counter_high + static_cast<uint64_t>(i));
    Words c0 = Words{} + counter_low, c1 = c0 >> 32, c2 = high, c3 = high >> 32;
    uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round) {
      const Words p0 = MultiplyLow(c0, 0xD2511F53u), p1 = MultiplyLow(c2, 0xCD9E8D57u);
      c0 = (p1 >> 32) ^ c1 ^ (Words{} + k0);
      c2 = (p0 >> 32) ^ c3 ^ (Words{} + k1);
      c1 = p1;
      c3 = p0;
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    const Words low_half = (c0 & 0xffffffffu) | c1 << 32, high_half = (c2 & 0xffffffffu) | c3 << 32;
    UnalignedWords* out = reinterpret_cast<UnalignedWords*>(words + 4 * i);  // auto would align
    out[0] = Interleave<0>(low_half, high_half, Lanes{});
    out[1] = Interleave<kCounters / 2>(low_half, high_half, Lanes{});
  }
}

}  // namespace

extern const FillPhiloxWordsKernel PENCHANT_ISA_SYMBOL(kFillPhiloxWords);
const FillPhiloxWordsKernel PENCHANT_ISA_SYMBOL(kFillPhiloxWords) = Fill;

}  // namespace penchant
