// What the algorithms that learn by sampled steps (kernels/sgd) share.
#ifndef PENCHANT_TRAINER_ALGORITHMS_SGD_TRAINING_H_
#define PENCHANT_TRAINER_ALGORITHMS_SGD_TRAINING_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string>
#include <vector>

#include "kernels/base/context.h"
#include "kernels/base/errors.h"
#include "kernels/sgd/ranking_epoch.h"
#include "trainer/algorithm.h"

namespace penchant {

inline constexpr double kStartDeviation = 0.1;  // of a start's row lengths
inline constexpr int32_t kEpochParts = 4;

// One part of an epoch, finished on return. The source lies on the host and on the device.
template <typename Source>
EpochReport RunPart(Context& context, const RankingEpoch& epoch, const Source& on_host,
                    const Source& on_device, const RankingTables& tables, bool deterministic) {
  const EpochOrder order(context, on_host, epoch.part, epoch.objective.batch, deterministic);
  const auto report = RunRankingEpoch(context, epoch, order, on_device, tables);
  context.Synchronize();
  return *report;
}

// How far a run of epochs in parts has come.
class EpochProgress {
 public:
  EpochProgress() = default;
  // Throws DataError when the start claims parts that no epoch has: a damaged checkpoint.
  EpochProgress(uint64_t seed, const TrainingStart& start)
      : part_{seed, start.iterations_done, start.parts_done, kEpochParts} {
    PENCHANT_CHECK(start.parts_done >= 0 && start.parts_done < kEpochParts, DataError,
                   "the checkpoint says that ", start.parts_done,
                   " parts of an epoch are done; it ", "has ", kEpochParts,
                   ", and wanted are 0 to ", kEpochParts - 1);
  }

  // What comes next, and the number of its epoch as people count.
  const EpochPart& part() const { return part_; }
  int64_t epoch_number() const { return part_.epoch + 1; }

  // Runs parts, each by `run` on the part, until the epoch is over, a loss is not finite, or `stop`
  // says so. Returns what they reported.
  template <typename Run>
  EpochReport GoOn(const StopRequest& stop, const Run& run) {
    EpochReport report;
    do {
      report.Add(run(part_));
      if (report.failed >= 0) break;
      ++part_.part;
    } while (part_.part < part_.parts && !stop());
    return report;
  }
  // Goes over to the next epoch if this one is over; returns whether it is.
  bool Advance() {
    if (part_.part < part_.parts) return false;
    part_.part = 0;
    ++part_.epoch;
    return true;
  }

 private:
  EpochPart part_;
};

// Throws InvalidArgument for unknown schedules.
inline void ValidateSchedule(const std::string& schedule) {
  PENCHANT_REQUIRE(schedule == "constant" || schedule == "linear" || schedule == "cosine",
                   "learning_rate_schedule must be \"constant\", \"linear\" or \"cosine\"; got \"",
                   schedule, "\"");
}

// The share of the learning rate that an epoch (0, 1, ...) of `epochs` takes.
inline double ScheduleShare(const std::string& schedule, int64_t epoch, int64_t epochs) {
  const double done = static_cast<double>(epoch) / static_cast<double>(epochs);
  if (schedule == "linear") return 1.0 - done;
  if (schedule == "cosine") return 0.5 + 0.5 * std::cos(std::numbers::pi * done);
  return 1.0;
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
