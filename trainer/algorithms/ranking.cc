// Ranking by SGD over sampled pairs (kernels/sgd).
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "kernels/base/errors.h"
#include "kernels/linalg/finite.h"
#include "kernels/linalg/normalize_rows.h"
#include "kernels/sgd/ranking_epoch.h"
#include "trainer/algorithms/negative_weights.h"
#include "trainer/algorithms/optimizer_state.h"
#include "trainer/algorithms/ranking_config.h"
#include "trainer/algorithms/ranking_fold_in.h"
#include "trainer/algorithms/sgd_training.h"
#include "trainer/initial_tables.h"
#include "trainer/registry.h"

namespace penchant {
namespace {

// What draws random numbers of its own.
enum Purpose : uint64_t { kUserStart, kItemStart, kSampling };

int64_t Columns(const config::RankingConfig& config) {
  return config.factors() + (ObjectiveOf(config).has_biases() ? 1 : 0);
}

class Ranking : public Algorithm {
 public:
  explicit Ranking(const config::RankingConfig& config)
      : config_(config), objective_(ObjectiveOf(config)), optimizer_(OptimizerOf(config)) {
    PENCHANT_REQUIRE(config.factors() >= 1 && config.factors() <= 65535,
                     "factors must be in [1, 65535]; got ", config.factors());
    PENCHANT_REQUIRE(!config.has_epochs() || config.epochs() >= 1,
                     "epochs must be at least 1; got ", config.epochs());
    PENCHANT_REQUIRE(!config.has_learning_rate() ||
                         (config.learning_rate() > 0 && std::isfinite(config.learning_rate())),
                     "learning_rate must be > 0; got ", config.learning_rate());
    PENCHANT_REQUIRE(config.negative_power() >= 0 && config.negative_power() <= 2,
                     "negative_power must be in [0, 2]; got ", config.negative_power());
    ValidateSchedule(config.learning_rate_schedule());
  }

  int num_iterations() const override { return config_.epochs(); }

  void Initialize(Context& context, const Interactions& interactions,
                  const TrainingStart& start) override {
    progress_ = EpochProgress(SubSeed(start.seed, kSampling), start);
    host_user_items_ = interactions.user_items.view();
    user_items_ = DeviceCsr(context, host_user_items_);
    const int64_t columns = Columns(config_);
    Matrix users(interactions.num_users(), columns), items(interactions.num_items(), columns);
    const double deviation = kStartDeviation / std::sqrt(static_cast<double>(config_.factors()));
    DrawNormal(context, SubSeed(start.seed, kUserStart), deviation, &users, config_.factors());
    DrawNormal(context, SubSeed(start.seed, kItemStart), deviation, &items, config_.factors());
    if (objective_.has_biases()) {
      for (int64_t u = 0; u < users.rows(); ++u) users.row(u)[columns - 1] = 1.0f;
    }
    user_state_ = OptimizerState(context, optimizer_, users.rows(), columns);
    item_state_ = OptimizerState(context, optimizer_, items.rows(), columns);
    if (start.tables != nullptr) {
      CopyRows(start.tables->users, "users", &users);
      CopyRows(start.tables->items, "items", &items);
      user_state_.Restore(context, "user", *start.tables);
      item_state_.Restore(context, "item", *start.tables);
    }
    users_ = DeviceMatrix(context, std::move(users));
    items_ = DeviceMatrix(context, std::move(items));
    // A run that goes on finds its rows as it left them: to the bit.
    if (start.iterations_done == 0 && start.parts_done == 0) NormalizeTables(context);
    negatives_ =
        NegativeItems(context, items_.rows(),
                      NegativeWeights(interactions.item_users.offsets, config_.negative_power()));
  }

  bool RunIteration(Context& context, const StopRequest& stop) override {
    RankingEpoch epoch;
    epoch.objective = objective_;
    epoch.optimizer = optimizer_;
    epoch.learning_rate =
        config_.learning_rate() *
        ScheduleShare(config_.learning_rate_schedule(), progress_.part().epoch, config_.epochs());
    epoch.negatives = negatives_.table();
    const EpochReport report = progress_.GoOn(stop, [&](const EpochPart& part) {
      epoch.part = part;
      const EpochReport done =
          RunPart(context, epoch, CsrPositives{host_user_items_}, CsrPositives{user_items_.view()},
                  {users_.view(), items_.view(), user_state_.view(), item_state_.view()},
                  config_.deterministic());
      NormalizeTables(context);
      return done;
    });
    const int64_t number = progress_.epoch_number();
    PENCHANT_CHECK(report.failed < 0, NumericError, "epoch ", number, ": the loss of interaction ",
                   report.failed,
                   " is not finite: training diverged; a smaller learning_rate (now ",
                   config_.learning_rate(), ") or a larger regularization (now ",
                   config_.regularization(), ") keeps it stable");
    RequireFinite(context, users_.view(), internal::Concat("epoch ", number, ": user_factors"));
    RequireFinite(context, items_.view(), internal::Concat("epoch ", number, ": item_factors"));
    context.Synchronize();
    mean_loss_ = MeanLoss(report);
    return progress_.Advance();
  }
  int parts_done() const override { return progress_.part().part; }

  // The mean over the samples of the last epoch, each at the tables it met.
  double Loss(Context&) const override { return mean_loss_; }

  FactorViews factors() const override { return {users_.view(), items_.view()}; }
  FactorTables Snapshot(Context& context) const override {
    return {users_.Download(context), items_.Download(context), {}};
  }
  void SaveState(Context& context, FactorTables* tables) const override {
    user_state_.Save(context, "user", tables);
    item_state_.Save(context, "item", tables);
  }
  void Restore(Context& context, FactorTables snapshot) override {
    users_.Replace(context, std::move(snapshot.users));
    items_.Replace(context, std::move(snapshot.items));
  }
  FactorTables TakeTables(Context& context) override {
    return {users_.Release(context), items_.Release(context), {}};
  }

 private:
  // Steps keep rows at length 1 only up to rounding.
  void NormalizeTables(Context& context) {
    if (objective_.has_biases()) return;
    NormalizeRows(context, users_.view());
    NormalizeRows(context, items_.view());
  }

  config::RankingConfig config_;
  RankingObjective objective_;
  Optimizer optimizer_;
  EpochProgress progress_;
  double mean_loss_ = 0;
  CsrView host_user_items_;
  DeviceCsr user_items_;
  DeviceMatrix users_, items_;
  OptimizerState user_state_, item_state_;
  NegativeItems negatives_;
};

std::vector<MemoryItem> Estimate(const config::TrainConfig& config, const ProblemShape& shape,
                                 int num_threads, bool cuda) {
  const config::RankingConfig& ranking = config.ranking();
  const int64_t columns = Columns(ranking), stride = PaddedStride(columns);
  const Optimizer optimizer = OptimizerOf(ranking);
  std::vector<MemoryItem> items = {
      {"user factors", shape.num_users * stride * 4},
      {"item factors", shape.num_items * stride * 4},
      {"optimizer state",
       OptimizerState::Bytes(optimizer, shape.num_users + shape.num_items, columns)},
      {"shares of negatives", ranking.negative_power() > 0 ? shape.num_items * 12 : 0},
  };
  EstimateEpochs(ObjectiveOf(ranking), ranking.deterministic(), shape.num_users, shape.num_items,
                 LongestRow(shape), stride, num_threads, cuda, &items);
  return items;
}

}  // namespace

const AlgorithmEntry kRankingEntry = {
    .name = "ranking",
    .config_case = config::TrainConfig::kRanking,
    .resolve = ResolveRanking,
    .make = [](const config::TrainConfig& config) -> std::unique_ptr<Algorithm> {
      return std::make_unique<Ranking>(config.ranking());
    },
    .make_fold_in = MakeRankingFoldIn,
    .estimate = Estimate,
    .takes_blocks = false,
    .reads_events = false,
    .has_biases =
        [](const config::TrainConfig& config) {
          return ObjectiveOf(config.ranking()).has_biases();
        },
    .describe_fold_in =
        [](const config::TrainConfig& config, config::ArtifactManifest* manifest) {
          const RankingObjective objective = ObjectiveOf(config.ranking());
          auto* ranking = manifest->mutable_ranking();
          ranking->set_loss(RankingLossName(objective.loss));
          ranking->set_regularization(objective.regularization);
          ranking->set_batch(static_cast<int32_t>(objective.batch));
          ranking->set_negatives(static_cast<int32_t>(objective.negatives));
          ranking->set_margin(objective.margin);
          ranking->set_negative_weight(objective.negative_weight);
          if (objective.dropout > 0) ranking->set_dropout(objective.dropout);
        },
};

}  // namespace penchant
