#include "kernels/sgd/epoch_order.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "kernels/base/philox.h"

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

}  // namespace penchant
