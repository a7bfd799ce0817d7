// bfloat16: a float32 without the lower half of its bits.
#ifndef PENCHANT_KERNELS_BASE_BFLOAT16_H_
#define PENCHANT_KERNELS_BASE_BFLOAT16_H_

#include <bit>
#include <cstdint>

#include "kernels/base/host_device.h"

namespace penchant {

struct Bfloat16 {
  uint16_t bits;

  // Ties to even. REQUIRES: no NaN.
  PENCHANT_HOST_DEVICE static Bfloat16 Nearest(float value) {
    const auto all = std::bit_cast<uint32_t>(value);
    return {static_cast<uint16_t>((all + 0x7fff + (all >> 16 & 1)) >> 16)};
  }
  PENCHANT_HOST_DEVICE float value() const { return std::bit_cast<float>(uint32_t{bits} << 16); }
};

}  // namespace penchant

#endif  // PENCHANT_KERNELS_BASE_BFLOAT16_H_
