// Interactions as sequences of items, a user each.
#ifndef PENCHANT_IO_DATASET_SEQUENCES_H_
#define PENCHANT_IO_DATASET_SEQUENCES_H_

#include <cstdint>
#include <vector>

#include "io/dataset/interactions.h"

namespace penchant {

struct Sequences {
  std::vector<int32_t> tokens;  // items, a user's one after the other
  std::vector<int64_t> bounds;  // user u's are tokens [bounds[u], bounds[u + 1])
  // Tokens follow the times of their events (those of one time as they were read). False: there are
  // no times, and tokens are the user's distinct items in no order.
  bool ordered = false;

  // Occurrences by item: item i's are [offsets[i], offsets[i + 1]) of the others.
  std::vector<int64_t> offsets;
  std::vector<int64_t> positions;  // among tokens, ascending
  std::vector<int32_t> users;      // whose
};

// Events or pairs of weight <= 0 are left out.
Sequences MakeSequences(const Interactions& interactions);

}  // namespace penchant

#endif  // PENCHANT_IO_DATASET_SEQUENCES_H_
