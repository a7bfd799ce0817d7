// Item embeddings by skip-gram with negative sampling (Mikolov et al. 2013; Barkan and Koenigstein
// 2016). An item has a vector as center and one as context; a user is the mean of its items'
// centers and ranks items by their contexts, as training did.
#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "io/dataset/sequences.h"
#include "kernels/base/errors.h"
#include "kernels/linalg/finite.h"
#include "kernels/sgd/ranking_epoch.h"
#include "kernels/sparse/average_rows.h"
#include "trainer/algorithms/item2vec_fold_in.h"
#include "trainer/algorithms/negative_weights.h"
#include "trainer/algorithms/optimizer_state.h"
#include "trainer/algorithms/sgd_training.h"
#include "trainer/initial_tables.h"
#include "trainer/registry.h"

namespace penchant {
namespace {

constexpr Optimizer kOptimizer = Optimizer::kAdagrad;
// Contexts of an item that step together, and how many draws each shared negative sample stands
// for.
constexpr int64_t kBatch = 8;
constexpr int64_t kDrawsASample = 4;

// What draws random numbers of its own.
enum Purpose : uint64_t { kStart, kSampling };

RankingObjective Objective(const config::Item2VecConfig& config) {
  PENCHANT_REQUIRE(config.negative_samples() >= 1 && config.negative_samples() <= 1000,
                   "negative_samples must be in [1, 1000]; got ", config.negative_samples());
  RankingObjective objective;
  objective.loss = RankingLoss::kLogistic;
  objective.biases = false;
  objective.batch = kBatch;
  objective.negatives = kDrawsASample * config.negative_samples();
  objective.negative_weight = config.negative_samples();
  return objective;
}

// Frequent items are left out at random, so that they keep about sqrt(subsample * share) of all
// tokens; empty: none is.
std::vector<float> KeepProbabilities(const Sequences& sequences, double subsample) {
  std::vector<float> keep;
  if (subsample == 0) return keep;
  const auto total = static_cast<double>(sequences.tokens.size());
  for (size_t i = 0; i + 1 < sequences.offsets.size(); ++i) {
    const double share =
        static_cast<double>(sequences.offsets[i + 1] - sequences.offsets[i]) / total;
    keep.push_back(share > subsample ? static_cast<float>(std::sqrt(subsample / share)) : 1.0f);
  }
  return keep;
}

class Item2Vec : public Algorithm {
 public:
  explicit Item2Vec(const config::Item2VecConfig& config)
      : config_(config), objective_(Objective(config)) {
    PENCHANT_REQUIRE(config.factors() >= 1 && config.factors() <= 65535,
                     "factors must be in [1, 65535]; got ", config.factors());
    PENCHANT_REQUIRE(config.epochs() >= 1, "epochs must be at least 1; got ", config.epochs());
    PENCHANT_REQUIRE(config.window() >= 1 && config.window() <= 65535,
                     "window must be in [1, 65535]; got ", config.window());
    PENCHANT_REQUIRE(config.learning_rate() > 0 && std::isfinite(config.learning_rate()),
                     "learning_rate must be > 0; got ", config.learning_rate());
    PENCHANT_REQUIRE(config.subsample() >= 0 && config.subsample() <= 1,
                     "subsample must be in [0, 1]; got ", config.subsample());
    PENCHANT_REQUIRE(config.negative_power() >= 0 && config.negative_power() <= 2,
                     "negative_power must be in [0, 2]; got ", config.negative_power());
  }

  int num_iterations() const override { return config_.epochs(); }

  void Initialize(Context& context, const Interactions& interactions,
                  const TrainingStart& start) override {
    progress_ = EpochProgress(SubSeed(start.seed, kSampling), start);
    sequences_ = MakeSequences(interactions);
    keep_ = KeepProbabilities(sequences_, config_.subsample());
    user_items_ = DeviceCsr(context, interactions.user_items.view());
    CopySequences(context);
    const int64_t d = config_.factors();
    Matrix centers(interactions.num_items(), d), contexts(interactions.num_items(), d);
    DrawNormal(context, SubSeed(start.seed, kStart),
               kStartDeviation / std::sqrt(static_cast<double>(d)), &centers);
    center_state_ = OptimizerState(context, kOptimizer, centers.rows(), d);
    context_state_ = OptimizerState(context, kOptimizer, contexts.rows(), d);
    if (start.tables != nullptr) {
      CopyRows(start.tables->item_centers, "items", &centers);
      CopyRows(start.tables->items, "items", &contexts);
      center_state_.Restore(context, "center", *start.tables);
      context_state_.Restore(context, "context", *start.tables);
    }
    centers_ = DeviceMatrix(context, std::move(centers));
    contexts_ = DeviceMatrix(context, std::move(contexts));
    users_ = DeviceMatrix(context, interactions.num_users(), d);
    negatives_ = NegativeItems(context, centers_.rows(),
                               NegativeWeights(sequences_.offsets, config_.negative_power()));
  }

  bool RunIteration(Context& context, const StopRequest& stop) override {
    RankingEpoch epoch;
    epoch.objective = objective_;
    epoch.optimizer = kOptimizer;
    epoch.learning_rate =
        config_.learning_rate() * ScheduleShare("linear", progress_.part().epoch, config_.epochs());
    epoch.negatives = negatives_.table();
    const EpochReport report = progress_.GoOn(stop, [&](const EpochPart& part) {
      epoch.part = part;
      return RunPart(
          context, epoch, host_contexts_, device_contexts_,
          {centers_.view(), contexts_.view(), center_state_.view(), context_state_.view()},
          config_.deterministic());
    });
    const int64_t number = progress_.epoch_number();
    PENCHANT_CHECK(report.failed < 0, NumericError, "epoch ", number,
                   ": the loss of a context is not finite: training diverged; a smaller "
                   "learning_rate (now ",
                   config_.learning_rate(), ") keeps it stable");
    RequireFinite(context, centers_.view(), internal::Concat("epoch ", number, ": item_centers"));
    RequireFinite(context, contexts_.view(), internal::Concat("epoch ", number, ": item_factors"));
    AverageRows(context, user_items_.view(), centers_.view(), users_.view());
    context.Synchronize();
    mean_loss_ = MeanLoss(report);
    return progress_.Advance();
  }
  int parts_done() const override { return progress_.part().part; }

  // The mean over the contexts of the last epoch, each at the tables it met.
  double Loss(Context&) const override { return mean_loss_; }

  FactorViews factors() const override { return {users_.view(), contexts_.view()}; }
  FactorTables Snapshot(Context& context) const override {
    return {users_.Download(context), contexts_.Download(context), {}, centers_.Download(context)};
  }
  void SaveState(Context& context, FactorTables* tables) const override {
    center_state_.Save(context, "center", tables);
    context_state_.Save(context, "context", tables);
  }
  void Restore(Context& context, FactorTables snapshot) override {
    users_.Replace(context, std::move(snapshot.users));
    contexts_.Replace(context, std::move(snapshot.items));
    centers_.Replace(context, std::move(snapshot.item_centers));
  }
  FactorTables TakeTables(Context& context) override {
    return {users_.Release(context), contexts_.Release(context), {}, centers_.Release(context)};
  }

 private:
  void CopySequences(Context& context) {
    const auto view = [&](const auto& tokens, const auto& bounds, const auto& offsets,
                          const auto& positions, const auto& sequences, const auto& keep) {
      return SkipGramContexts{static_cast<int64_t>(sequences_.offsets.size()) - 1,
                              tokens.data(),
                              bounds.data(),
                              offsets.data(),
                              positions.data(),
                              sequences.data(),
                              keep_.empty() ? nullptr : keep.data(),
                              config_.window(),
                              sequences_.ordered};
    };
    host_contexts_ = view(sequences_.tokens, sequences_.bounds, sequences_.offsets,
                          sequences_.positions, sequences_.users, keep_);
    device_contexts_ = host_contexts_;
    if (!context.cuda()) return;
    tokens_ = Upload<int32_t>(context, sequences_.tokens);
    bounds_ = Upload<int64_t>(context, sequences_.bounds);
    offsets_ = Upload<int64_t>(context, sequences_.offsets);
    positions_ = Upload<int64_t>(context, sequences_.positions);
    token_users_ = Upload<int32_t>(context, sequences_.users);
    device_keep_ = Upload<float>(context, keep_);
    device_contexts_ = view(tokens_, bounds_, offsets_, positions_, token_users_, device_keep_);
  }

  config::Item2VecConfig config_;
  RankingObjective objective_;
  EpochProgress progress_;
  double mean_loss_ = 0;
  Sequences sequences_;
  std::vector<float> keep_;
  SkipGramContexts host_contexts_, device_contexts_;
  DeviceBuffer<int32_t> tokens_, token_users_;
  DeviceBuffer<int64_t> bounds_, offsets_, positions_;
  DeviceBuffer<float> device_keep_;
  DeviceCsr user_items_;
  DeviceMatrix users_, centers_, contexts_;
  OptimizerState center_state_, context_state_;
  NegativeItems negatives_;
};

std::vector<MemoryItem> Estimate(const config::TrainConfig& config, const ProblemShape& shape,
                                 int num_threads, bool cuda) {
  const config::Item2VecConfig& item2vec = config.item2vec();
  const int64_t d = item2vec.factors(), stride = PaddedStride(d);
  const RankingObjective objective = Objective(item2vec);
  const int64_t tokens = std::max(shape.nnz, shape.num_events);
  const int64_t sequences = tokens * 16 + (shape.num_users + shape.num_items) * 8;
  std::vector<MemoryItem> items = {
      {"user factors", shape.num_users * stride * 4},
      {"item factors", shape.num_items * stride * 4},
      {"item centers", shape.num_items * stride * 4},
      {"optimizer state", OptimizerState::Bytes(kOptimizer, 2 * shape.num_items, d)},
      {"sequences", sequences},
      {"shares of negatives", shape.num_items * 12},
  };
  EstimateEpochs(objective, item2vec.deterministic(), shape.num_items, shape.num_items,
                 LongestRow(shape) * 2 * item2vec.window(), stride, num_threads, cuda, &items);
  return items;
}

}  // namespace

const AlgorithmEntry kItem2VecEntry = {
    .name = "item2vec",
    .config_case = config::TrainConfig::kItem2Vec,
    .resolve = [](const Interactions&, config::TrainConfig*) {},
    .make = [](const config::TrainConfig& config) -> std::unique_ptr<Algorithm> {
      return std::make_unique<Item2Vec>(config.item2vec());
    },
    .make_fold_in = MakeItem2VecFoldIn,
    .estimate = Estimate,
    .takes_blocks = false,
    .reads_events = true,
    .has_biases = [](const config::TrainConfig&) { return false; },
    .describe_fold_in = [](const config::TrainConfig&,
                           config::ArtifactManifest* manifest) { manifest->mutable_mean(); },
};

}  // namespace penchant
