// Splits interactions into training and test parts that share their dictionaries.
#ifndef PENCHANT_IO_DATASET_SPLIT_H_
#define PENCHANT_IO_DATASET_SPLIT_H_

#include <cstdint>
#include <memory>

#include "io/dataset/interactions.h"

namespace penchant {

struct Split {
  std::shared_ptr<Interactions> train;
  std::shared_ptr<Interactions> test;
};

// Events at or after the time of the last `test_fraction` of all events form the test part; pairs
// the training part already has are left out of it, and so are, unless `keep_cold_users`, users
// the training part does not know (counted in report.rows_cold): no model can tell them apart.
// Throws InvalidArgument without times.
Split SplitByTime(const Interactions& interactions, double test_fraction, bool keep_cold_users);

// Events at `cut` or later form the test part (same unit as the time column).
Split SplitAtTime(const Interactions& interactions, int64_t cut, bool keep_cold_users);

// The item a user turned to last (by its latest event; ties: the larger row) is the test part, for
// users with at least two items. All of that item's events leave the training part.
Split SplitLastItem(const Interactions& interactions);

// Every pair goes to the test part with probability `test_fraction`, decided by Philox(seed, pair).
Split SplitRandom(const Interactions& interactions, double test_fraction, uint64_t seed);

}  // namespace penchant

#endif  // PENCHANT_IO_DATASET_SPLIT_H_
