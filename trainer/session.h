// The training loop: iterations, callbacks, early stopping, checkpoints and resume.
#ifndef PENCHANT_TRAINER_SESSION_H_
#define PENCHANT_TRAINER_SESSION_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "configs/train_config.pb.h"
#include "io/dataset/interactions.h"
#include "io/model/model.h"
#include "kernels/base/context.h"
#include "trainer/algorithm.h"

namespace penchant {

// What a callback learns after an iteration.
struct IterationReport {
  int iteration = 0;  // 1, 2, ...
  int num_iterations = 0;
  double seconds = 0;          // wall time of this iteration
  std::optional<double> loss;  // where it was computed
  std::optional<double> validation;
  bool checkpointed = false;
};

struct SessionOptions {
  config::TrainConfig config;
  std::shared_ptr<const Interactions> train;
  std::shared_ptr<const Model> warm_start;  // null: start from the seed
  bool resume = false;                      // go on from the checkpoint, if there is one
  bool compute_loss = false;                // the objective after every iteration
};

class Session {
 public:
  // Called after each iteration; false stops training (with a checkpoint, if they are on).
  using Callback = std::function<bool(const IterationReport&)>;

  // Checks config and data: InvalidArgument says what is wrong.
  explicit Session(SessionOptions options);

  // Trains and returns the model: of the best iteration under early stopping, else the last one.
  // DeviceError with the estimate when the run cannot fit the context's device.
  std::shared_ptr<Model> Run(Context& context, const Callback& callback);

  static std::string CheckpointPath(const config::TrainConfig& config);

 private:
  void PrepareParts();
  // Throws DeviceError when the run cannot fit the device. Returns the bytes of interactions that
  // may be there at a time, 0 for all.
  int64_t FitMemory(const Context& context) const;
  struct Progress {
    int iterations = 0;
    int parts = 0;  // of the next one
  };
  // Restores a checkpoint; returns how far it had come.
  Progress Resume();
  bool WriteCheckpoint(Context& context, const Algorithm& algorithm);
  // Judges an iteration, remembers it and keeps the best tables.
  IterationReport Judge(Context& context, const Algorithm& algorithm, int iteration);
  double Validate(Context& context, const FactorViews& factors) const;

  SessionOptions options_;
  std::shared_ptr<const Interactions> train_;
  std::shared_ptr<const Interactions> validation_;
  config::ModelManifest manifest_;
  std::shared_ptr<Model> checkpoint_;  // the one resumed from
  FactorTables best_;
  double best_value_ = 0;
  int since_best_ = 0;
};

// The library's version.
const char* Version();

}  // namespace penchant

#endif  // PENCHANT_TRAINER_SESSION_H_
