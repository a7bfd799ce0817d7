#ifndef PENCHANT_TRAINER_ALGORITHMS_NEGATIVE_WEIGHTS_H_
#define PENCHANT_TRAINER_ALGORITHMS_NEGATIVE_WEIGHTS_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

namespace penchant {

// How likely items are to be drawn as negatives, up to scale: max(1, count)^power, item i's count
// being offsets[i + 1] - offsets[i]: items that no user has would else never learn to rank low.
// Empty: all alike.
inline std::vector<double> NegativeWeights(std::span<const int64_t> offsets, double power) {
  std::vector<double> weights;
  if (power == 0) return weights;
  for (size_t i = 0; i + 1 < offsets.size(); ++i) {
    const int64_t count = std::max<int64_t>(1, offsets[i + 1] - offsets[i]);
    weights.push_back(std::pow(static_cast<double>(count), power));
  }
  return weights;
}

}  // namespace penchant

#endif  // PENCHANT_TRAINER_ALGORITHMS_NEGATIVE_WEIGHTS_H_
