// Which positives a pass of an epoch takes, and which items are drawn for them as negatives:
// functions of (seed, epoch, position of the positive, index), so that every device draws the same.
#ifndef PENCHANT_KERNELS_SGD_SAMPLING_H_
#define PENCHANT_KERNELS_SGD_SAMPLING_H_

#include <cstdint>

#include "kernels/base/host_device.h"
#include "kernels/base/philox.h"

namespace penchant {

// One of several passes that make an epoch: each takes a random share of every user's positives, so
// that a user's are not met all in a row.
struct EpochPart {
  uint64_t seed = 0;
  int64_t epoch = 0;
  int32_t part = 0;
  int32_t parts = 1;

  // Whether the positive at `position` of the interactions is of this part.
  PENCHANT_HOST_DEVICE bool Has(int64_t position) const {
    if (parts == 1) return true;
    // SplitMix64 (Steele, Lea, Flood 2014): one number a position and epoch.
    uint64_t z = seed + static_cast<uint64_t>(epoch) * 0xD1B54A32D192ED03u +
                 static_cast<uint64_t>(position) * 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return static_cast<int32_t>((z >> 32) * static_cast<uint64_t>(parts) >> 32) == part;
  }
};

// Walker's alias method: slot s stands for item s with probability accept[s], else for alias[s].
// Without the tables all items are equally likely. On the device that draws.
struct NegativeTable {
  int64_t num_items = 0;
  const float* accept = nullptr;
  const int32_t* alias = nullptr;
};

// Draws until the item is no positive, this often.
inline constexpr int kDrawRounds = 16;

// Draw number `index` for the positive at `position` of the interactions.
PENCHANT_HOST_DEVICE inline int32_t DrawItem(const NegativeTable& table, const EpochPart& part,
                                             int64_t position, int64_t index) {
  const PhiloxWords words =
      Philox(part.seed, static_cast<uint64_t>(position),
             static_cast<uint64_t>(part.epoch) << 32 | static_cast<uint64_t>(index / 2));
  const uint32_t first = words[index % 2 * 2], second = words[index % 2 * 2 + 1];
  const auto count = static_cast<uint64_t>(table.num_items);
  if (table.accept == nullptr) return static_cast<int32_t>(UniformBelow(first, second, count));
  const auto slot = static_cast<int32_t>(static_cast<uint64_t>(first) * count >> 32);
  return UniformOpen(second) < table.accept[slot] ? slot : table.alias[slot];
}

// The k-th of m negatives; -1 when kDrawRounds draws were all positives.
template <typename IsPositive>
PENCHANT_HOST_DEVICE inline int32_t DrawNegative(const NegativeTable& table, const EpochPart& part,
                                                 int64_t position, int64_t k, int64_t m,
                                                 const IsPositive& is_positive) {
  for (int round = 0; round < kDrawRounds; ++round) {
    const int32_t item = DrawItem(table, part, position, round * m + k);
    if (!is_positive(item)) return item;
  }
  return -1;
}

}  // namespace penchant

#endif  // PENCHANT_KERNELS_SGD_SAMPLING_H_
