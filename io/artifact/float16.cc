#include "io/artifact/float16.h"

#include <bit>

namespace penchant {
namespace {

// Drops the low `bits` bits of `value`, rounding to nearest, ties to even.
uint32_t RoundOff(uint32_t value, int bits) {
  const uint32_t half = (1u << (bits - 1)) - 1;
  return (value + half + (value >> bits & 1)) >> bits;
}

}  // namespace

uint16_t ToFloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
  constexpr uint32_t kLeastNormal = 113u << 23, kBeyond = 143u << 23;
  if (size >= kBeyond) return static_cast<uint16_t>(sign | 0x7c00);
  if (size >= kLeastNormal) {
    return static_cast<uint16_t>(sign | RoundOff(size - (112u << 23), 13));
  }
  // Added to 1/2, what is left of a subnormal number is counted in its last bits.
  const float counted = std::bit_cast<float>(size) + 0.5f;
  return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(counted) - (126u << 23)));
}

float FromFloat16(uint16_t bits) {
  const float size = std::bit_cast<float>(static_cast<uint32_t>(bits & 0x7fff) << 13) * 0x1p112f;
  return (bits & 0x8000) != 0 ? -size : size;
}

}  // namespace penchant
