#include "io/artifact/panel_decoder.h"

#include "kernels/base/simd.h"

namespace penchant {
namespace {

constexpr int kRows = 32;
constexpr int kVecs = kRows / kLanes;

typedef uint16_t Halves __attribute__((vector_size(kLanes * 2), may_alias));

template <typename V>
PENCHANT_INLINE V LoadAny(const uint8_t* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}

// Forms with a mask: GCC 12 takes the others' unused operands for uninitialized (bug 105593).
PENCHANT_INLINE Vec FromHalves(const uint8_t* p) {
#if defined(__AVX512F__)
  return (Vec)_mm512_maskz_cvtph_ps(0xffff,
                                    _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
#elif defined(__F16C__)
  return (Vec)_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
#else
  const VecMask bits = __builtin_convertvector(LoadAny<Halves>(p), VecMask);
  // The exponent is 112 too small, which a product mends for subnormal numbers too.
  const Vec size = (Vec)((bits & 0x7fff) << 13) * 0x1p112f;
  return (Vec)((VecMask)size | ((bits & 0x8000) << 16));
#endif
}

void Float16(const uint8_t* codes, int64_t cols, float* out) {
  for (int64_t i = 0; i < cols * kRows; i += kLanes) Store(out + i, FromHalves(codes + 2 * i));
}

void Bfloat16(const uint8_t* codes, int64_t cols, float* out) {
  for (int64_t i = 0; i < cols * kRows; i += kLanes) {
    Store(out + i, (Vec)(__builtin_convertvector(LoadAny<Halves>(codes + 2 * i), VecMask) << 16));
  }
}

// Bytes as numbers, of both signs or not.
PENCHANT_INLINE Vec FromBytes(const uint8_t* p, bool is_signed) {
#if defined(__AVX512F__)
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  const __m512i wide = is_signed ? _mm512_maskz_cvtepi8_epi32(0xffff, bytes)
                                 : _mm512_maskz_cvtepu8_epi32(0xffff, bytes);
  return (Vec)_mm512_maskz_cvtepi32_ps(0xffff, wide);
#elif defined(__AVX2__)
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  return (Vec)_mm256_cvtepi32_ps(is_signed ? _mm256_cvtepi8_epi32(bytes)
                                           : _mm256_cvtepu8_epi32(bytes));
#else
  Vec v;
  for (int lane = 0; lane < kLanes; ++lane) {
    v[lane] =
        is_signed ? static_cast<float>(static_cast<int8_t>(p[lane])) : static_cast<float>(p[lane]);
  }
  return v;
#endif
}

void Int8(const uint8_t* codes, const uint8_t* scales, const float* columns, int64_t cols,
          float* out) {
  Vec scale[kVecs];
  for (int v = 0; v < kVecs; ++v) scale[v] = LoadAny<Vec>(scales + v * kLanes * 4);
  for (int64_t k = 0; k < cols; ++k) {
    for (int v = 0; v < kVecs; ++v) {
      const int64_t at = k * kRows + v * kLanes;
      Store(out + at, FromBytes(codes + at, true) * (scale[v] * columns[k]));
    }
  }
}

void Int4(const uint8_t* codes, const uint8_t* scales, const float* columns, int64_t cols,
          float* out) {
  Vec scale[kVecs];
  for (int v = 0; v < kVecs; ++v) scale[v] = LoadAny<Vec>(scales + v * kLanes * 4);
  alignas(64) uint8_t split[kRows];  // one code a byte
  for (int64_t k = 0; k < cols; ++k) {
    uint64_t pairs[2];
    __builtin_memcpy(pairs, codes + k * kRows / 2, sizeof(pairs));
    constexpr uint64_t kLow = 0x0f0f0f0f0f0f0f0f;
    const uint64_t halves[4] = {pairs[0] & kLow, pairs[1] & kLow, pairs[0] >> 4 & kLow,
                                pairs[1] >> 4 & kLow};
    __builtin_memcpy(split, halves, sizeof(halves));
    for (int v = 0; v < kVecs; ++v) {
      const Vec code = FromBytes(split + v * kLanes, false) - 8.0f;
      Store(out + k * kRows + v * kLanes, code * (scale[v] * columns[k]));
    }
  }
}

PENCHANT_INLINE Vec Gather(const float* table, const uint8_t* codes) {
#if defined(__AVX512F__)
  const __m512i at =
      _mm512_maskz_cvtepu8_epi32(0xffff, _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)));
  return (Vec)_mm512_mask_i32gather_ps(_mm512_setzero_ps(), 0xffff, at, table, 4);
#else
  Vec v;
  for (int lane = 0; lane < kLanes; ++lane) v[lane] = table[codes[lane]];
  return v;
#endif
}

void Pq(const uint8_t* codes, const float* centroids, int64_t cols, int64_t width, float* out) {
  for (int64_t k = 0; k < cols; ++k) {
    for (int v = 0; v < kVecs; ++v) {
      Store(out + k * kRows + v * kLanes,
            Gather(centroids + k * 256, codes + k / width * kRows + v * kLanes));
    }
  }
}

}  // namespace

extern const PanelDecoders PENCHANT_ISA_SYMBOL(kPanelDecoders);
const PanelDecoders PENCHANT_ISA_SYMBOL(kPanelDecoders) = {Float16, Bfloat16, Int8, Int4, Pq};

}  // namespace penchant
