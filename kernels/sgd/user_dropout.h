// Which elements of its user's row a step leaves out: a function of (seed, epoch, position of the
// step's first positive, element), so that every device leaves out the same.
#ifndef PENCHANT_KERNELS_SGD_USER_DROPOUT_H_
#define PENCHANT_KERNELS_SGD_USER_DROPOUT_H_

#include <cmath>
#include <cstdint>

#include "kernels/base/host_device.h"
#include "kernels/base/philox.h"
#include "kernels/sgd/epoch_part.h"

namespace penchant {

// Elements that one block of random words decides about, a byte each.
inline constexpr int64_t kElementsABlock = 16;

// Shares are rounded to 256ths: bytes below this many are dropped.
inline uint32_t DroppedBytes(double dropout) {
  return static_cast<uint32_t>(std::lround(256 * dropout));
}

// Where the words for element `k` are found; draws of negatives (negative_items.h) count from 0.
PENCHANT_HOST_DEVICE inline uint64_t DropoutCounter(const EpochPart& part, int64_t k) {
  return static_cast<uint64_t>(part.epoch) << 32 | uint64_t{1} << 31 |
         static_cast<uint64_t>(k / kElementsABlock);
}

// Whether the element is kept that `words[k % 16 / 4]` decides about.
PENCHANT_HOST_DEVICE inline bool WordKeeps(uint32_t word, int64_t k, uint32_t dropped_bytes) {
  return (word >> (k % 4 * 8) & 0xff) >= dropped_bytes;
}

PENCHANT_HOST_DEVICE inline bool KeepsElement(const EpochPart& part, int64_t position, int64_t k,
                                              uint32_t dropped_bytes) {
  const PhiloxWords words =
      Philox(part.seed, static_cast<uint64_t>(position), DropoutCounter(part, k));
  return WordKeeps(words[static_cast<int>(k % kElementsABlock / 4)], k, dropped_bytes);
}

// kept[k] = 1 for the elements of a row of `stride` that are kept, else 0.
inline void WriteKept(const EpochPart& part, int64_t position, uint32_t dropped_bytes,
                      int64_t stride, float* kept) {
  for (int64_t first = 0; first < stride; first += kElementsABlock) {
    const PhiloxWords words =
        Philox(part.seed, static_cast<uint64_t>(position), DropoutCounter(part, first));
    for (int64_t k = first; k < stride && k < first + kElementsABlock; ++k) {
      kept[k] = WordKeeps(words[static_cast<int>((k - first) / 4)], k, dropped_bytes) ? 1.0f : 0.0f;
    }
  }
}

// Rows with less than this left of their square are not dropped from.
inline constexpr float kLeastSeenSquare = 1e-6f;

}  // namespace penchant

#endif  // PENCHANT_KERNELS_SGD_USER_DROPOUT_H_
