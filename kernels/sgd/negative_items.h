// Which items are drawn as negatives: a function of (seed, epoch, position of the positive, index),
// so that every device draws the same.
#ifndef PENCHANT_KERNELS_SGD_NEGATIVE_ITEMS_H_
#define PENCHANT_KERNELS_SGD_NEGATIVE_ITEMS_H_

#include <cstdint>
#include <span>

#include "kernels/base/context.h"
#include "kernels/base/device_memory.h"
#include "kernels/base/host_device.h"
#include "kernels/base/philox.h"
#include "kernels/sgd/epoch_part.h"

namespace penchant {

// Walker's alias method: slot s stands for item s with probability accept[s], else for alias[s].
// Without the tables all items are equally likely. On the device that draws.
struct NegativeTable {
  int64_t num_items = 0;
  const float* accept = nullptr;
  const int32_t* alias = nullptr;
  const float* log_shares = nullptr;  // log of how likely each item is
};

// A NegativeTable and its memory, on the context's device.
class NegativeItems {
 public:
  NegativeItems() = default;
  // `weights`: how likely each of the items is to be drawn, up to scale (empty: all alike).
  NegativeItems(Context& context, int64_t num_items, std::span<const double> weights);

  NegativeTable table() const {
    if (accept_.size() == 0) return {.num_items = num_items_};
    return {num_items_, accept_.data(), alias_.data(), log_shares_.data()};
  }

 private:
  int64_t num_items_ = 0;
  DeviceBuffer<float> accept_, log_shares_;
  DeviceBuffer<int32_t> alias_;
};

// Draws until the item is no positive, this often.
inline constexpr int kDrawRounds = 16;

// The item that two random words stand for.
PENCHANT_HOST_DEVICE inline int32_t ItemOfWords(const NegativeTable& table, uint32_t first,
                                                uint32_t second) {
  const auto count = static_cast<uint64_t>(table.num_items);
  if (table.accept == nullptr) return static_cast<int32_t>(UniformBelow(first, second, count));
  // A slot's share is off by less than num_items / 2^32 of itself.
  const auto slot = static_cast<int32_t>(static_cast<uint64_t>(first) * count >> 32);
  return UniformOpen(second) < table.accept[slot] ? slot : table.alias[slot];
}

// Where draws for the positive at `position` of the interactions find their words: two draws in
// each block of four.
PENCHANT_HOST_DEVICE inline uint64_t DrawCounter(const EpochPart& part, int64_t index) {
  return static_cast<uint64_t>(part.epoch) << 32 | static_cast<uint64_t>(index / 2);
}

// Draw number `index` for the positive at `position` of the interactions.
PENCHANT_HOST_DEVICE inline int32_t DrawItem(const NegativeTable& table, const EpochPart& part,
                                             int64_t position, int64_t index) {
  const PhiloxWords words =
      Philox(part.seed, static_cast<uint64_t>(position), DrawCounter(part, index));
  return ItemOfWords(table, words[index % 2 * 2], words[index % 2 * 2 + 1]);
}

// The k-th of m negatives; -1 when kDrawRounds draws, the rounds before `round` counted, were all
// positives.
template <typename IsPositive>
PENCHANT_HOST_DEVICE inline int32_t DrawNegative(const NegativeTable& table, const EpochPart& part,
                                                 int64_t position, int64_t k, int64_t m,
                                                 const IsPositive& is_positive, int round = 0) {
  for (; round < kDrawRounds; ++round) {
    const int32_t item = DrawItem(table, part, position, round * m + k);
    if (!is_positive(item)) return item;
  }
  return -1;
}

}  // namespace penchant

#endif  // PENCHANT_KERNELS_SGD_NEGATIVE_ITEMS_H_
