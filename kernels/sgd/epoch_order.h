// In what order a part of an epoch visits users.
#ifndef PENCHANT_KERNELS_SGD_EPOCH_ORDER_H_
#define PENCHANT_KERNELS_SGD_EPOCH_ORDER_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/base/context.h"
#include "kernels/base/device_memory.h"
#include "kernels/base/view.h"
#include "kernels/sgd/csr_positives.h"
#include "kernels/sgd/epoch_part.h"

namespace penchant {

// Users in an order that seed, epoch and part decide. Deterministic epochs work on a portion of
// them at a time: all their steps against the same items, which then move by the sum.
class EpochOrder {
 public:
  // Steps of a portion, if not one user alone has more.
  static constexpr int64_t kPortionSteps = 1024;

  // `source`: on the host. `batch`: positives of a step.
  template <typename Source>
  EpochOrder(Context& context, const Source& source, const EpochPart& part, int64_t batch,
             bool deterministic)
      : EpochOrder(context, source.num_rows(), part) {
    if (!deterministic) return;
    MakePortions(context, [&](int64_t user) {
      int64_t count = 0;
      Positive positive;
      for (auto cursor = source.Begin(user); source.Next(part, &cursor, &positive);) ++count;
      return (count + batch - 1) / batch;
    });
  }

  bool deterministic() const { return !portions_.empty(); }
  int64_t num_users() const { return static_cast<int64_t>(order_.size()); }
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
  EpochOrder(Context& context, int64_t num_users, const EpochPart& part);
  void MakePortions(Context& context, const std::function<int64_t(int64_t user)>& count_steps);

  std::vector<int32_t> order_;
  DeviceBuffer<int32_t> users_;
  DeviceBuffer<int64_t> first_steps_;
  std::vector<Portion> portions_;
  int64_t most_steps_ = 0;
};

}  // namespace penchant

#endif  // PENCHANT_KERNELS_SGD_EPOCH_ORDER_H_
