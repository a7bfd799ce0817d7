#include "kernels/sgd/negative_items.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace penchant {

// The alias table as Vose (1991) builds it.
NegativeItems::NegativeItems(Context& context, int64_t num_items, std::span<const double> weights)
    : num_items_(num_items) {
  if (weights.empty()) return;
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<double> left(num_items);  // of each item's share, times num_items
  std::vector<float> accept(num_items, 1.0f), log_shares(num_items);
  std::vector<int32_t> alias(num_items), small, large;
  std::iota(alias.begin(), alias.end(), 0);
  for (int64_t i = 0; i < num_items; ++i) {
    const double share = weights[i] / total;
    // An item of no weight is never drawn and its logarithm never read.
    log_shares[i] = static_cast<float>(std::log(std::max(share, 1e-30)));
    left[i] = share * static_cast<double>(num_items);
    (left[i] < 1.0 ? small : large).push_back(static_cast<int32_t>(i));
  }
  while (!small.empty() && !large.empty()) {
    const int32_t low = small.back(), high = large.back();
    small.pop_back();
    accept[low] = static_cast<float>(left[low]);
    alias[low] = high;
    left[high] -= 1.0 - left[low];
    if (left[high] < 1.0) {
      large.pop_back();
      small.push_back(high);
    }
  }
  accept_ = Upload<float>(context, accept);
  alias_ = Upload<int32_t>(context, alias);
  log_shares_ = Upload<float>(context, log_shares);
}

}  // namespace penchant
