// What an optimizer remembers of the rows of one factor table (kernels/sgd/optimizer.h).
#ifndef PENCHANT_TRAINER_ALGORITHMS_OPTIMIZER_STATE_H_
#define PENCHANT_TRAINER_ALGORITHMS_OPTIMIZER_STATE_H_

#include <cstdint>
#include <string>

#include "io/model/model.h"
#include "kernels/base/context.h"
#include "kernels/base/device_memory.h"
#include "kernels/sgd/optimizer.h"

namespace penchant {

// On the context's device.
class OptimizerState {
 public:
  OptimizerState() = default;
  OptimizerState(Context& context, Optimizer optimizer, int64_t rows, int64_t cols);

  // Goes on from what Save wrote under the same name; the rows of a grown table start anew.
  void Restore(Context& context, const std::string& name, const FactorTables& tables);
  void Save(Context& context, const std::string& name, FactorTables* tables) const;

  RowMoments view();

  static int64_t Bytes(Optimizer optimizer, int64_t rows, int64_t cols);

 private:
  DeviceMatrix squares_, steps_, means_;  // 1 x rows, 1 x rows, rows x cols
};

}  // namespace penchant

#endif  // PENCHANT_TRAINER_ALGORITHMS_OPTIMIZER_STATE_H_
