#include "kernels/sgd/epoch_order.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace penchant {
namespace {

// What Philox counters of shuffles carry where those of samples carry a position.
constexpr uint64_t kShuffle = ~uint64_t{0};

// Fisher-Yates.
std::vector<int32_t> Shuffled(int64_t size, const EpochPart& part) {
  const uint64_t purpose = kShuffle - static_cast<uint64_t>(part.part);
  std::vector<int32_t> order(size);
  std::iota(order.begin(), order.end(), 0);
  for (int64_t i = size - 1; i > 0; --i) {
    const PhiloxWords words = Philox(
        part.seed, purpose, static_cast<uint64_t>(part.epoch) << 32 | static_cast<uint64_t>(i));
    std::swap(order[i], order[UniformBelow(words[0], words[1], static_cast<uint64_t>(i) + 1)]);
  }
  return order;
}

int64_t CountPositives(const CsrView& rows, int64_t i, const EpochPart& part) {
  const float* values = rows.row_values(i);
  int64_t count = 0;
  for (int64_t j = 0; j < rows.row_size(i); ++j) {
    count += (values == nullptr || values[j] > 0) && part.Has(rows.offsets[i] + j);
  }
  return count;
}

}  // namespace

EpochOrder::EpochOrder(Context& context, const CsrView& user_items, const EpochPart& part,
                       int64_t batch, bool deterministic) {
  const std::vector<int32_t> users = Shuffled(user_items.rows, part);
  users_ = Upload<int32_t>(context, users);
  if (!deterministic) return;
  std::vector<int64_t> first_steps;
  Portion portion{0, 0, 0};
  for (int32_t user : users) {
    const int64_t steps = (CountPositives(user_items, user, part) + batch - 1) / batch;
    if (portion.steps > 0 && portion.steps + steps > kPortionSteps) {
      portions_.push_back(portion);
      portion = {portion.end, portion.end, 0};
    }
    first_steps.push_back(portion.steps);
    portion.steps += steps;
    ++portion.end;
  }
  portions_.push_back(portion);
  for (const Portion& each : portions_) most_steps_ = std::max(most_steps_, each.steps);
  first_steps_ = Upload<int64_t>(context, first_steps);
}

// Vose 1991.
NegativeItems::NegativeItems(Context& context, int64_t num_items, std::span<const double> weights)
    : num_items_(num_items) {
  if (weights.empty()) return;
  double total = 0;
  for (double weight : weights) total += weight;
  std::vector<double> share(num_items);
  std::vector<float> accept(num_items, 1.0f);
  std::vector<int32_t> alias(num_items), small, large;
  std::iota(alias.begin(), alias.end(), 0);
  for (int64_t i = 0; i < num_items; ++i) {
    share[i] = weights[i] * static_cast<double>(num_items) / total;
    (share[i] < 1.0 ? small : large).push_back(static_cast<int32_t>(i));
  }
  while (!small.empty() && !large.empty()) {
    const int32_t low = small.back(), high = large.back();
    small.pop_back();
    accept[low] = static_cast<float>(share[low]);
    alias[low] = high;
    share[high] -= 1.0 - share[low];
    if (share[high] < 1.0) {
      large.pop_back();
      small.push_back(high);
    }
  }
  accept_ = Upload<float>(context, accept);
  alias_ = Upload<int32_t>(context, alias);
}

}  // namespace penchant
