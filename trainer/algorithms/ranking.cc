// Ranking by SGD over sampled pairs (kernels/sgd).
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "kernels/base/errors.h"
#include "kernels/linalg/finite.h"
#include "kernels/sgd/ranking_epoch.h"
#include "trainer/initial_tables.h"
#include "trainer/registry.h"

namespace penchant {
namespace {

// What the loss and the data decide by default: chosen on Gowalla and MovieLens-100K, sparse and
// dense; bench/ranking.py shows what they reach.
struct LossDefaults {
  const char* name;
  RankingLoss loss;
  int epochs;
  double learning_rate;
  double regularization;  // a mean positive interaction of a user
  int negatives;
  const char* optimizer;
};
constexpr LossDefaults kLosses[] = {
    {"bpr", RankingLoss::kBpr, 40, 0.3, 0.0001, 32, "sgd"},
    {"warp", RankingLoss::kWarp, 30, 0.03, 0.0008, 32, "adagrad"},
    {"logistic", RankingLoss::kLogistic, 40, 0.1, 0.0005, 50, "adagrad"},
    {"ccl", RankingLoss::kCcl, 60, 0.1, 0.0, 50, "adagrad"},
    {"softmax", RankingLoss::kSoftmax, 60, 0.1, 0.0005, 100, "adagrad"},
};
constexpr double kLogisticNegativeWeight = 20.0;
constexpr double kCclNegativeWeight = 0.5;  // times sqrt(items)
constexpr double kMargin = 0.7;
constexpr double kStartDeviation = 0.1;
constexpr int32_t kParts = 4;  // of an epoch

const LossDefaults& FindLoss(const config::RankingConfig& config) {
  for (const LossDefaults& entry : kLosses) {
    if (config.loss() == entry.name) return entry;
  }
  throw InvalidArgument(
      "loss must be \"bpr\", \"warp\", \"logistic\", \"ccl\" or \"softmax\"; got \"" +
      config.loss() + "\"");
}

Optimizer ParseOptimizer(const std::string& name) {
  if (name == "sgd") return Optimizer::kSgd;
  if (name == "adagrad") return Optimizer::kAdagrad;
  if (name == "adam") return Optimizer::kAdam;
  throw InvalidArgument("optimizer must be \"sgd\", \"adagrad\" or \"adam\"; got \"" + name + "\"");
}

Optimizer OptimizerOf(const config::RankingConfig& config) {
  return ParseOptimizer(config.has_optimizer() ? config.optimizer() : FindLoss(config).optimizer);
}

void Resolve(const Interactions& interactions, config::TrainConfig* config) {
  config::RankingConfig* ranking = config->mutable_ranking();
  const LossDefaults& defaults = FindLoss(*ranking);
  ranking->set_loss(defaults.name);
  if (!ranking->has_optimizer()) ranking->set_optimizer(defaults.optimizer);
  if (!ranking->has_epochs()) ranking->set_epochs(defaults.epochs);
  if (!ranking->has_learning_rate()) ranking->set_learning_rate(defaults.learning_rate);
  if (!ranking->has_regularization()) {
    ranking->set_regularization(defaults.regularization * static_cast<double>(interactions.nnz()) /
                                static_cast<double>(interactions.num_users()));
  }
  if (!ranking->has_negative_samples()) ranking->set_negative_samples(defaults.negatives);
  if (defaults.loss == RankingLoss::kLogistic && !ranking->has_negative_weight()) {
    ranking->set_negative_weight(kLogisticNegativeWeight);
  }
  if (defaults.loss != RankingLoss::kCcl) return;
  if (!ranking->has_margin()) ranking->set_margin(kMargin);
  if (!ranking->has_negative_weight()) {
    ranking->set_negative_weight(kCclNegativeWeight *
                                 std::sqrt(static_cast<double>(interactions.num_items())));
  }
}

// REQUIRES: a resolved config, or one whose other values alone are to be checked.
RankingObjective Objective(const config::RankingConfig& config) {
  RankingObjective objective;
  objective.loss = FindLoss(config).loss;
  if (config.has_regularization()) objective.regularization = config.regularization();
  objective.batch = config.batch_size();
  if (config.has_negative_samples()) objective.negatives = config.negative_samples();
  if (config.has_margin()) objective.margin = config.margin();
  if (config.has_negative_weight()) objective.negative_weight = config.negative_weight();
  objective.Validate();
  return objective;
}

int64_t Columns(const config::RankingConfig& config, const RankingObjective& objective) {
  return config.factors() + (objective.has_biases() ? 1 : 0);
}

// What an optimizer remembers of the rows of one table, on the context's device.
class Moments {
 public:
  Moments() = default;
  Moments(Context& context, Optimizer optimizer, int64_t rows, int64_t cols)
      : squares_(context, 1, optimizer == Optimizer::kSgd ? 0 : rows),
        steps_(context, 1, optimizer == Optimizer::kAdam ? rows : 0),
        means_(context, optimizer == Optimizer::kAdam ? rows : 0, cols) {}
  // Goes on from what Save wrote; the rows of a grown table start anew.
  void Restore(Context& context, const std::string& side, const FactorTables& tables) {
    const auto restore = [&](const char* name, DeviceMatrix* table) {
      const auto found = tables.state.find(side + name);
      if (found == tables.state.end()) return;
      Matrix host = table->Download(context);
      const Matrix& saved = found->second;
      PENCHANT_REQUIRE(saved.rows() <= host.rows() && saved.cols() <= host.cols(), "the state \"",
                       side, name, "\" is ", saved.rows(), " x ", saved.cols(), ", wanted ",
                       host.rows(), " x ", host.cols());
      for (int64_t i = 0; i < saved.rows(); ++i) {
        std::copy(saved.row(i), saved.row(i) + saved.cols(), host.row(i));
      }
      *table = DeviceMatrix(context, std::move(host));
    };
    restore("_squares", &squares_);
    restore("_steps", &steps_);
    restore("_means", &means_);
  }
  void Save(Context& context, const std::string& side, FactorTables* tables) const {
    const auto save = [&](const char* name, const DeviceMatrix& table) {
      if (table.rows() * table.cols() == 0) return;
      tables->state.emplace(side + name, table.Download(context));
    };
    save("_squares", squares_);
    save("_steps", steps_);
    save("_means", means_);
  }
  RowMoments view() {
    const auto data = [](DeviceMatrix& table) {
      return table.rows() * table.cols() > 0 ? table.view().data : nullptr;
    };
    return {data(squares_), data(steps_), data(means_)};
  }

 private:
  DeviceMatrix squares_, steps_, means_;  // 1 x rows, 1 x rows, rows x cols
};

class Ranking : public Algorithm {
 public:
  explicit Ranking(const config::RankingConfig& config)
      : config_(config), objective_(Objective(config)), optimizer_(OptimizerOf(config)) {
    PENCHANT_REQUIRE(config.factors() >= 1 && config.factors() <= 65535,
                     "factors must be in [1, 65535]; got ", config.factors());
    PENCHANT_REQUIRE(!config.has_epochs() || config.epochs() >= 1,
                     "epochs must be at least 1; got ", config.epochs());
    PENCHANT_REQUIRE(!config.has_learning_rate() ||
                         (config.learning_rate() > 0 && std::isfinite(config.learning_rate())),
                     "learning_rate must be > 0; got ", config.learning_rate());
    PENCHANT_REQUIRE(config.negative_power() >= 0 && config.negative_power() <= 2,
                     "negative_power must be in [0, 2]; got ", config.negative_power());
    const std::string& schedule = config.learning_rate_schedule();
    PENCHANT_REQUIRE(schedule == "constant" || schedule == "linear",
                     "learning_rate_schedule must be \"constant\" or \"linear\"; got \"", schedule,
                     "\"");
  }

  int num_iterations() const override { return config_.epochs(); }

  void Initialize(Context& context, const Interactions& interactions,
                  const TrainingStart& start) override {
    seed_ = start.seed;
    epoch_ = start.iterations_done;
    host_user_items_ = interactions.user_items.view();
    user_items_ = DeviceCsr(context, host_user_items_);
    const int64_t columns = Columns(config_, objective_);
    Matrix users(interactions.num_users(), columns), items(interactions.num_items(), columns);
    const double deviation = kStartDeviation / std::sqrt(static_cast<double>(config_.factors()));
    // The two tables draw from streams of their own.
    DrawNormal(context, 2 * seed_, deviation, &users, config_.factors());
    DrawNormal(context, 2 * seed_ + 1, deviation, &items, config_.factors());
    if (objective_.has_biases()) {
      for (int64_t u = 0; u < users.rows(); ++u) users.row(u)[columns - 1] = 1.0f;
    }
    user_moments_ = Moments(context, optimizer_, users.rows(), columns);
    item_moments_ = Moments(context, optimizer_, items.rows(), columns);
    if (start.tables != nullptr) {
      CopyRows(start.tables->users, "users", &users);
      CopyRows(start.tables->items, "items", &items);
      user_moments_.Restore(context, "user", *start.tables);
      item_moments_.Restore(context, "item", *start.tables);
    }
    users_ = DeviceMatrix(context, std::move(users));
    items_ = DeviceMatrix(context, std::move(items));
    if (!objective_.has_biases()) {
      NormalizeRows(context, users_.view());
      NormalizeRows(context, items_.view());
    }
    negatives_ =
        NegativeItems(context, items_.rows(), WeighItems(context, interactions.item_users.view()));
  }

  void RunIteration(Context& context) override {
    RankingEpoch epoch;
    epoch.objective = objective_;
    epoch.optimizer = optimizer_;
    epoch.learning_rate = LearningRate();
    epoch.negatives = negatives_.table();
    epoch.log_expected = log_expected_.size() > 0 ? log_expected_.data() : nullptr;
    EpochReport whole;
    for (int32_t part = 0; part < kParts && whole.failed < 0; ++part) {
      epoch.part = {seed_, epoch_, part, kParts};
      const EpochOrder order(context, host_user_items_, epoch.part, objective_.batch,
                             config_.deterministic());
      const auto report = RunRankingEpoch(
          context, epoch, order, user_items_.view(),
          {users_.view(), items_.view(), user_moments_.view(), item_moments_.view()});
      context.Synchronize();
      whole.loss += report->loss;
      whole.positives += report->positives;
      whole.failed = report->failed;
    }
    if (!objective_.has_biases()) {
      NormalizeRows(context, users_.view());
      NormalizeRows(context, items_.view());
    }
    context.Synchronize();
    ++epoch_;
    PENCHANT_CHECK(whole.failed < 0, NumericError, "epoch ", epoch_, ": the loss of interaction ",
                   whole.failed, " is not finite: training diverged; a smaller learning_rate (now ",
                   config_.learning_rate(), ") or a larger regularization (now ",
                   config_.regularization(), ") keeps it stable");
    RequireFinite(context, users_.view(), internal::Concat("epoch ", epoch_, ": user_factors"));
    RequireFinite(context, items_.view(), internal::Concat("epoch ", epoch_, ": item_factors"));
    context.Synchronize();
    mean_loss_ = whole.positives > 0 ? whole.loss / static_cast<double>(whole.positives) : 0.0;
  }

  // The mean over the samples of the last epoch, each at the tables it met.
  double Loss(Context&) const override { return mean_loss_; }

  FactorViews factors() const override { return {users_.view(), items_.view()}; }
  FactorTables Snapshot(Context& context) const override {
    FactorTables tables{users_.Download(context), items_.Download(context), {}};
    user_moments_.Save(context, "user", &tables);
    item_moments_.Save(context, "item", &tables);
    return tables;
  }
  FactorTables TakeTables(Context& context) override {
    return {users_.Release(context), items_.Release(context), {}};
  }
  void Finalize(Context&, FactorTables*) const override {}

 private:
  double LearningRate() const {
    if (config_.learning_rate_schedule() == "constant") return config_.learning_rate();
    return config_.learning_rate() * (1.0 - static_cast<double>(epoch_) / config_.epochs());
  }

  // How likely items are to be drawn; empty: all alike.
  std::vector<double> WeighItems(Context& context, const CsrView& item_users) {
    std::vector<double> weights;
    if (config_.negative_power() == 0) return weights;
    double total = 0;
    for (int64_t i = 0; i < item_users.rows; ++i) {
      weights.push_back(
          std::pow(static_cast<double>(item_users.row_size(i)), config_.negative_power()));
      total += weights.back();
    }
    if (objective_.loss != RankingLoss::kSoftmax) return weights;
    std::vector<float> expected;
    for (double weight : weights) {
      const double share = std::max(weight / total, 1e-30);  // never drawn: never looked up
      expected.push_back(
          static_cast<float>(std::log(static_cast<double>(objective_.negatives) * share)));
    }
    log_expected_ = Upload<float>(context, expected);
    return weights;
  }

  config::RankingConfig config_;
  RankingObjective objective_;
  Optimizer optimizer_;
  uint64_t seed_ = 0;
  int64_t epoch_ = 0;  // done
  double mean_loss_ = 0;
  CsrView host_user_items_;
  DeviceCsr user_items_;
  DeviceMatrix users_, items_;
  Moments user_moments_, item_moments_;
  NegativeItems negatives_;
  DeviceBuffer<float> log_expected_;
};

// New rows learn as training would, against a table that stays: the loss is convex in them but for
// warp and ccl. New items are ranked for users as users are for items, so their bias is zero.
class RankingFoldIn : public FoldIn {
 public:
  explicit RankingFoldIn(std::shared_ptr<const Model> model)
      : model_(std::move(model)),
        config_(model_->manifest.config().ranking()),
        objective_(Objective(config_)) {}

  Matrix Users(Context& context, const CsrView& user_items) override {
    return Learn(context, model_->factors.items, user_items);
  }

  Matrix Items(Context& context, const CsrView& item_users) override {
    const int64_t last = model_->factors.users.cols() - 1;
    Matrix users = model_->factors.users.Clone();
    // As the fixed side, users have no bias; as the learned one, items get a constant to leave out.
    if (objective_.has_biases()) {
      for (int64_t u = 0; u < users.rows(); ++u) users.row(u)[last] = 0.0f;
    }
    Matrix items = Learn(context, users, item_users);
    if (objective_.has_biases()) {
      for (int64_t i = 0; i < items.rows(); ++i) items.row(i)[last] = 0.0f;
    }
    return items;
  }

  std::vector<double> Explain(Context&, const CsrView&, int32_t) override {
    throw InvalidArgument(
        "a ranking model's score is no sum over the user's interactions; ImplicitALS explains");
  }

 private:
  static constexpr int kEpochs = 30;
  static constexpr double kLearningRate = 0.1;

  Matrix Learn(Context& context, const Matrix& fixed, const CsrView& host_rows) {
    const DeviceCsr rows(context, host_rows);
    DeviceMatrix table(context, fixed.Clone());
    DeviceMatrix learned(context, Start(fixed, host_rows));
    Moments moments(context, Optimizer::kAdagrad, host_rows.rows, fixed.cols());
    if (!objective_.has_biases()) NormalizeRows(context, learned.view());
    for (int e = 0; e < kEpochs; ++e) {
      RankingEpoch epoch;
      epoch.objective = objective_;
      epoch.optimizer = Optimizer::kAdagrad;
      epoch.negatives = {.num_items = fixed.rows()};
      epoch.learning_rate = kLearningRate * (1.0 - static_cast<double>(e) / kEpochs);
      epoch.move_items = false;
      epoch.part = {model_->manifest.config().seed(), e, 0, 1};
      const EpochOrder order(context, host_rows, epoch.part, objective_.batch,
                             /*deterministic=*/false);
      const auto report = RunRankingEpoch(context, epoch, order, rows.view(),
                                          {learned.view(), table.view(), moments.view(), {}});
      context.Synchronize();
      PENCHANT_CHECK(report->failed < 0, NumericError,
                     "fold-in: the loss of an interaction is not finite");
    }
    return learned.Release(context);
  }

  // Zeros; on the sphere the mean of the interactions' rows.
  Matrix Start(const Matrix& fixed, const CsrView& rows) const {
    Matrix start(rows.rows, fixed.cols());
    for (int64_t i = 0; i < rows.rows; ++i) {
      if (objective_.has_biases()) {
        start.row(i)[fixed.cols() - 1] = 1.0f;
        continue;
      }
      for (int32_t id : rows.row_indices(i)) {
        for (int64_t k = 0; k < fixed.cols(); ++k) start.row(i)[k] += fixed.row(id)[k];
      }
    }
    return start;
  }

  std::shared_ptr<const Model> model_;
  config::RankingConfig config_;
  RankingObjective objective_;
};

std::vector<MemoryItem> Estimate(const config::TrainConfig& config, const ProblemShape& shape,
                                 int num_threads, bool cuda) {
  const config::RankingConfig& ranking = config.ranking();
  const int64_t stride = PaddedStride(ranking.factors() + 1);
  const int64_t rows = shape.num_users + shape.num_items;
  std::vector<MemoryItem> items = {
      {"user factors", shape.num_users * stride * 4},
      {"item factors", shape.num_items * stride * 4},
      {"order of users and negatives", shape.num_users * 4 + shape.num_items * 13},
  };
  const Optimizer optimizer = OptimizerOf(ranking);
  if (optimizer != Optimizer::kSgd) {
    items.push_back(
        {"moments", rows * 4 + (optimizer == Optimizer::kAdam ? rows * (4 + stride * 4) : 0)});
  }
  if (!cuda) items.push_back({"threads", num_threads * (shape.num_items / 8 + (int64_t{1} << 20))});
  return items;
}

}  // namespace

const AlgorithmEntry kRankingEntry = {
    "ranking",
    config::TrainConfig::kRanking,
    Resolve,
    [](const config::TrainConfig& config) -> std::unique_ptr<Algorithm> {
      return std::make_unique<Ranking>(config.ranking());
    },
    [](std::shared_ptr<const Model> model) -> std::unique_ptr<FoldIn> {
      return std::make_unique<RankingFoldIn>(std::move(model));
    },
    Estimate,
    false,
    [](const config::TrainConfig& config) { return Objective(config.ranking()).has_biases(); },
};

}  // namespace penchant
