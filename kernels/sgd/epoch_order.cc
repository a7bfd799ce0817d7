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

}  // namespace

EpochOrder::EpochOrder(Context& context, int64_t num_users, const EpochPart& part)
    : order_(Shuffled(num_users, part)), users_(Upload<int32_t>(context, order_)) {}

void EpochOrder::MakePortions(Context& context,
                              const std::function<int64_t(int64_t user)>& count_steps) {
  std::vector<int64_t> first_steps;
  Portion portion{0, 0, 0};
  for (int32_t user : order_) {
    const int64_t steps = count_steps(user);
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
