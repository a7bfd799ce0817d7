// What the algorithms that learn by sampled steps (kernels/sgd) share.
#ifndef PENCHANT_TRAINER_ALGORITHMS_SGD_TRAINING_H_
#define PENCHANT_TRAINER_ALGORITHMS_SGD_TRAINING_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/base/context.h"
#include "kernels/sgd/ranking_epoch.h"
#include "trainer/algorithm.h"

namespace penchant {

inline constexpr double kStartDeviation = 0.1;  // of a start's row lengths
inline constexpr int32_t kEpochParts = 4;

// An epoch in its parts, finished on return; `epoch.part` says the seed and the epoch. The source
// lies on the host and on the device.
template <typename Source>
EpochReport RunParts(Context& context, RankingEpoch epoch, const Source& on_host,
                     const Source& on_device, const RankingTables& tables, bool deterministic) {
  EpochReport whole;
  epoch.part.parts = kEpochParts;
  for (epoch.part.part = 0; epoch.part.part < kEpochParts && whole.failed < 0; ++epoch.part.part) {
    const EpochOrder order(context, on_host, epoch.part, epoch.objective.batch, deterministic);
    const auto report = RunRankingEpoch(context, epoch, order, on_device, tables);
    context.Synchronize();
    whole.Add(*report);
  }
  return whole;
}

// The loss of a positive, on average.
inline double MeanLoss(const EpochReport& report) {
  return report.positives > 0 ? report.loss / static_cast<double>(report.positives) : 0.0;
}

// Appends what epochs take beside their tables. `longest`: most positives of a row.
inline void EstimateEpochs(const RankingObjective& objective, bool deterministic, int64_t rows,
                           int64_t items, int64_t longest, int64_t stride, int num_threads,
                           bool cuda, std::vector<MemoryItem>* estimate) {
  const int64_t rows_a_step = objective.batch + objective.negatives;
  estimate->push_back({"order of rows", rows * (deterministic ? 16 : 8)});
  if (deterministic) {
    // One row alone may have more steps than a portion otherwise takes.
    const int64_t steps =
        std::max(EpochOrder::kPortionSteps, (longest + objective.batch - 1) / objective.batch);
    estimate->push_back({"steps of a portion", steps * (rows_a_step * 24 + stride * 4)});
  }
  if (!cuda) {
    estimate->push_back({"marked positives and drawn rows of threads",
                         num_threads * (items / 8 + (int64_t{1} << 17) + rows_a_step * 16)});
  }
}

}  // namespace penchant

#endif  // PENCHANT_TRAINER_ALGORITHMS_SGD_TRAINING_H_
