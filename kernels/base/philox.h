// Philox4x32-10, the counter-based generator of Salmon et al., "Parallel random numbers: as easy
// as 1, 2, 3" (SC 2011). Randomness is a function of (seed, counter): same words on any device.
#ifndef PENCHANT_KERNELS_BASE_PHILOX_H_
#define PENCHANT_KERNELS_BASE_PHILOX_H_

#include <array>
#include <cmath>
#include <cstdint>

#include "kernels/base/host_device.h"

namespace penchant {

struct PhiloxWords {
  uint32_t words[4];
  PENCHANT_HOST_DEVICE uint32_t operator[](int i) const { return words[i]; }
  bool operator==(const PhiloxWords&) const = default;
};

// Four random words for 128 bits of counter under a 64-bit key.
PENCHANT_HOST_DEVICE inline PhiloxWords Philox(uint64_t key, uint64_t counter_low,
                                               uint64_t counter_high) {
  uint32_t c0 = static_cast<uint32_t>(counter_low);
  uint32_t c1 = static_cast<uint32_t>(counter_low >> 32);
  uint32_t c2 = static_cast<uint32_t>(counter_high);
  uint32_t c3 = static_cast<uint32_t>(counter_high >> 32);
  uint32_t k0 = static_cast<uint32_t>(key);
  uint32_t k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c0;
    const uint64_t p1 = uint64_t{0xCD9E8D57u} * c2;
    const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    const uint32_t n2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(p1);
    c3 = static_cast<uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// The key of one of several purposes that a seed serves.
inline uint64_t SubSeed(uint64_t seed, uint64_t purpose) {
  const PhiloxWords words = Philox(seed, purpose, 0);
  return uint64_t{words[0]} << 32 | words[1];
}

// Uniform in (0, 1): never an endpoint, so that log() of it is finite.
PENCHANT_HOST_DEVICE inline float UniformOpen(uint32_t word) {
  return (static_cast<float>(word >> 9) + 0.5f) * (1.0f / 8388608.0f);
}

// Uniform in [0, bound) by multiply-high (bias below bound / 2^64).
PENCHANT_HOST_DEVICE inline uint64_t UniformBelow(uint32_t high_word, uint32_t low_word,
                                                  uint64_t bound) {
  const uint64_t word = (uint64_t{high_word} << 32) | low_word;
  return static_cast<uint64_t>((static_cast<unsigned __int128>(word) * bound) >> 64);
}

// Two independent standard normals from two words (Box-Muller).
inline std::array<float, 2> StandardNormal(uint32_t word0, uint32_t word1) {
  const float radius = std::sqrt(-2.0f * std::log(UniformOpen(word0)));
  const float angle = 6.28318530717958647692f * UniformOpen(word1);
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

}  // namespace penchant

#endif  // PENCHANT_KERNELS_BASE_PHILOX_H_
