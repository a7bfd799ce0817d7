// In what order a part of an epoch visits users, and how likely items are drawn as negatives.
#ifndef PENCHANT_KERNELS_SGD_EPOCH_ORDER_H_
#define PENCHANT_KERNELS_SGD_EPOCH_ORDER_H_

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/base/context.h"
#include "kernels/base/device_memory.h"
#include "kernels/base/view.h"
#include "kernels/sgd/sampling.h"

namespace penchant {

// Users in an order that seed, epoch and part decide. Deterministic epochs work on a portion of
// them at a time: all their steps against the same items, which then move by the sum.
class EpochOrder {
 public:
  // Steps of a portion, if not one user alone has more.
  static constexpr int64_t kPortionSteps = 1024;

  // `user_items`: on the host. `batch`: positives of a step.
  EpochOrder(Context& context, const CsrView& user_items, const EpochPart& part, int64_t batch,
             bool deterministic);

  bool deterministic() const { return !portions_.empty(); }
  int64_t num_users() const { return users_.size(); }
  // On the context's device: users in order, and each one's first step within its portion.
  const int32_t* users() const { return users_.data(); }
  const int64_t* first_steps() const { return first_steps_.data(); }
  // Deterministic: [begin, end) of the order, and how many steps they take.
  struct Portion {
    int64_t begin, end, steps;
  };
  const std::vector<Portion>& portions() const { return portions_; }
  int64_t most_steps() const { return most_steps_; }  // of a portion

 private:
  DeviceBuffer<int32_t> users_;
  DeviceBuffer<int64_t> first_steps_;
  std::vector<Portion> portions_;
  int64_t most_steps_ = 0;
};

// A NegativeTable and its memory, on the context's device.
class NegativeItems {
 public:
  NegativeItems() = default;
  // `weights`: how likely each of the items is to be drawn, up to scale (empty: all alike).
  NegativeItems(Context& context, int64_t num_items, std::span<const double> weights);

  NegativeTable table() const {
    return {num_items_, accept_.size() > 0 ? accept_.data() : nullptr, alias_.data()};
  }

 private:
  int64_t num_items_ = 0;
  DeviceBuffer<float> accept_;
  DeviceBuffer<int32_t> alias_;
};

}  // namespace penchant

#endif  // PENCHANT_KERNELS_SGD_EPOCH_ORDER_H_
