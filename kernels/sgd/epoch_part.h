// Which positives a pass of an epoch takes.
#ifndef PENCHANT_KERNELS_SGD_EPOCH_PART_H_
#define PENCHANT_KERNELS_SGD_EPOCH_PART_H_

#include <cstdint>

#include "kernels/base/host_device.h"

namespace penchant {

// One of several passes that make an epoch: each takes a random share of every user's positives, so
// that a user's are not met all in a row.
struct EpochPart {
  uint64_t seed = 0;
  int64_t epoch = 0;
  int32_t part = 0;
  int32_t parts = 1;

  // 32 random bits for a position of the epoch, others for each purpose.
  PENCHANT_HOST_DEVICE uint64_t Random(int64_t position, uint64_t purpose) const {
    // SplitMix64 (Steele, Lea, Flood 2014).
    uint64_t z = seed + static_cast<uint64_t>(epoch) * 0xD1B54A32D192ED03u +
                 static_cast<uint64_t>(position) * 0x9E3779B97F4A7C15u +
                 purpose * 0x8CB92BA72F3D8DD7u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (z ^ z >> 31) >> 32;
  }

  // Whether the positive at `position` is of this part.
  PENCHANT_HOST_DEVICE bool Has(int64_t position) const {
    return parts == 1 ||
           static_cast<int32_t>(Random(position, 0) * static_cast<uint64_t>(parts) >> 32) == part;
  }
};

}  // namespace penchant

#endif  // PENCHANT_KERNELS_SGD_EPOCH_PART_H_
