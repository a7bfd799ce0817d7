// Exact implicit ALS (kernels/als): users, then items, each solved exactly given the other.
//
// Ending on the items ranked better than ending on the users when iterations are few, so that is
// the order.
#include <algorithm>
#include <cmath>
#include <memory>

#include "kernels/als/explain.h"
#include "kernels/als/loss.h"
#include "kernels/als/solve_rows.h"
#include "kernels/base/errors.h"
#include "kernels/base/log.h"
#include "kernels/linalg/eigenbasis.h"
#include "kernels/linalg/finite.h"
#include "kernels/linalg/round_to_bfloat16.h"
#include "kernels/sparse/csr.h"
#include "kernels/sparse/csr_blocks.h"
#include "trainer/initial_tables.h"
#include "trainer/registry.h"

namespace penchant {
namespace {

// What the data decides by default. bench/defaults.py shows that these hold over sparse and dense
// data alike: how much more the unobserved pairs weigh together than the observed ones, and the
// penalty's scale, which denser data needs larger.
constexpr double kUnobservedShare = 10.0;
constexpr double kRegularizationScale = 0.0025;

void Resolve(const Interactions& interactions, config::TrainConfig* config) {
  config::AlsConfig* als = config->mutable_als();
  const double nnz = static_cast<double>(interactions.nnz());
  double weight = 0;
  for (float value : interactions.user_items.values) weight += std::abs(value);
  if (interactions.user_items.values.empty()) weight = nnz;
  if (!als->has_alpha()) als->set_alpha(nnz / weight);
  if (!als->has_regularization()) {
    als->set_regularization(
        kRegularizationScale *
        std::pow(nnz / static_cast<double>(interactions.num_users()), als->regularization_power()));
  }
  if (!als->has_unobserved_weight()) {
    als->set_unobserved_weight(kUnobservedShare * als->alpha() * weight /
                               static_cast<double>(interactions.num_users()) /
                               static_cast<double>(interactions.num_items()));
  }
}

// REQUIRES: a resolved config, or one whose other values alone are to be checked.
AlsObjective Objective(const config::AlsConfig& config) {
  AlsObjective objective;
  if (config.has_alpha()) objective.alpha = config.alpha();
  if (config.has_unobserved_weight()) objective.unobserved_weight = config.unobserved_weight();
  if (config.has_regularization()) objective.regularization = config.regularization();
  objective.regularization_power = config.regularization_power();
  objective.Validate();
  return objective;
}

class Als : public Algorithm {
 public:
  explicit Als(const config::AlsConfig& config) : config_(config), objective_(Objective(config)) {
    PENCHANT_REQUIRE(config.factors() >= 1 && config.factors() <= 65536,
                     "factors must be in [1, 65536]; got ", config.factors());
    PENCHANT_REQUIRE(config.dtype() == "float32" || config.dtype() == "bfloat16",
                     "dtype must be \"float32\" or \"bfloat16\"; got \"", config.dtype(), "\"");
    PENCHANT_REQUIRE(config.iterations() >= 1, "iterations must be at least 1; got ",
                     config.iterations());
  }

  int num_iterations() const override { return config_.iterations(); }

  void Initialize(Context& context, const Interactions& interactions,
                  const TrainingStart& start) override {
    iteration_ = start.iterations_done;
    const int64_t d = config_.factors();
    const CsrView user_items = interactions.user_items.view();
    if (context.cuda() && start.block_bytes == 0) {
      // CUDA devices transpose faster than the other orientation travels.
      DeviceCsr by_user(context, user_items);
      item_users_ = CsrBlocks(Transpose(context, by_user.view(), by_user.nnz()));
      user_items_ = CsrBlocks(std::move(by_user));
    } else {
      user_items_ = CsrBlocks(context, user_items, start.block_bytes);
      item_users_ = CsrBlocks(context, interactions.item_users.view(), start.block_bytes);
    }
    user_plans_ = Plan(context, user_items_, d);
    item_plans_ = Plan(context, item_users_, d);
    Matrix users(interactions.num_users(), d), items(interactions.num_items(), d);
    if (start.tables != nullptr) {
      CopyRows(start.tables->users, "users", &users);
      CopyRows(start.tables->items, "items", &items);
    } else {
      // The first half-iteration solves the users, so only the items need a start.
      DrawNormal(context, start.seed, 0.1 / std::sqrt(static_cast<double>(d)), &items);
    }
    users_ = DeviceMatrix(context, std::move(users));
    items_ = DeviceMatrix(context, std::move(items));
    if (RoundsRows() && context.cuda()) {
      packed_ =
          DeviceBuffer<Bfloat16>(context, std::max(users_.rows(), items_.rows()) * users_.stride());
    }
  }

  bool RunIteration(Context& context, const StopRequest&) override {
    ++iteration_;
    const HalfReport users =
        Solve(context, items_.view(), user_items_, user_plans_, users_.view(), "user_factors");
    const HalfReport items =
        Solve(context, users_.view(), item_users_, item_plans_, items_.view(), "item_factors");
    context.Synchronize();
    Tell(users);
    Tell(items);
    return true;
  }

  double Loss(Context& context) const override {
    return AlsLoss(context, objective_, users_.view(), items_.view(), user_items_, item_users_);
  }

  FactorViews factors() const override { return {users_.view(), items_.view()}; }
  FactorTables Snapshot(Context& context) const override {
    return {users_.Download(context), items_.Download(context), {}};
  }
  void Restore(Context& context, FactorTables snapshot) override {
    users_.Replace(context, std::move(snapshot.users));
    items_.Replace(context, std::move(snapshot.items));
  }
  // Both tables turn to the items' eigenbasis, which fold-in of users works in.
  FactorTables TakeTables(Context& context) override {
    const Eigenbasis basis = RotateToEigenbasis(context, items_.view());
    Rotate(context, basis.rotation.view(), users_.view());
    context.Synchronize();
    return {users_.Release(context), items_.Release(context), Download(context, basis.eigenvalues)};
  }

 private:
  // What a half-iteration has to tell once the device is through with it.
  struct HalfReport {
    std::shared_ptr<const int64_t> clamped;
    std::vector<std::shared_ptr<const SolveReport>> blocks;
  };

  static std::vector<RowPlan> Plan(Context& context, const CsrBlocks& blocks, int64_t factors) {
    std::vector<RowPlan> plans;
    for (int64_t b = 0; b < blocks.num_blocks(); ++b) {
      plans.emplace_back(context, blocks.shape(b), factors, blocks.first_row(b));
    }
    return plans;
  }

  bool RoundsRows() const { return config_.dtype() == "bfloat16"; }

  // One half-iteration: `fixed` turns to its eigenbasis, and is rounded there if that is asked for;
  // `out` is solved against it.
  HalfReport Solve(Context& context, MatrixView<float> fixed, const CsrBlocks& observations,
                   const std::vector<RowPlan>& plans, MatrixView<float> out, const char* name) {
    const Eigenbasis basis = RotateToEigenbasis(context, fixed);
    Bfloat16* packed = packed_.size() > 0 ? packed_.data() : nullptr;
    if (RoundsRows()) RoundToBfloat16(context, fixed, packed);
    HalfReport report{basis.clamped, {}};
    observations.ForEach(context, [&](int64_t b, const CsrView& rows) {
      const MatrixView<float> solved{out.row(plans[b].first_row()), rows.rows, out.cols,
                                     out.stride};
      report.blocks.push_back(SolveRows(
          context, objective_, {fixed, basis.eigenvalues.data(), packed}, rows, plans[b], solved));
    });
    RequireFinite(context, out, internal::Concat("iteration ", iteration_, ": ", name));
    return report;
  }

  void Tell(const HalfReport& half) const {
    if (*half.clamped > 0) {
      Log(LogLevel::kWarning, internal::Concat("iteration ", iteration_, ": ", *half.clamped,
                                               " negative eigenvalues of a Gram matrix set to 0"));
    }
    SolveReport all;
    for (const auto& block : half.blocks) {
      if (all.retried_rows == 0) all.first_retried_row = block->first_retried_row;
      all.retried_rows += block->retried_rows;
    }
    if (all.retried_rows > 0) {
      Log(LogLevel::kWarning,
          internal::Concat("iteration ", iteration_, ": ", all.retried_rows,
                           " rows were not positive definite in float32 and were solved again in "
                           "float64, first row ",
                           all.first_retried_row));
    }
  }

  config::AlsConfig config_;
  AlsObjective objective_;
  CsrBlocks user_items_, item_users_;
  std::vector<RowPlan> user_plans_, item_plans_;  // a block each
  DeviceMatrix users_, items_;
  DeviceBuffer<Bfloat16> packed_;  // the fixed side's rows, on CUDA if rounded
  int iteration_ = 0;
};

class AlsFoldIn : public FoldIn {
 public:
  explicit AlsFoldIn(std::shared_ptr<const Model> model)
      : model_(std::move(model)), objective_(Objective(model_->manifest.config().als())) {}

  Matrix Users(Context& context, const CsrView& user_items) override {
    RequireEigenvalues();
    const Side& items = items_.Get(context, [&] {
      return Side{DeviceMatrix(context, model_->factors.items.view()),
                  Upload<double>(context, model_->factors.item_eigenvalues),
                  {}};
    });
    return Solve(context, items, user_items).Release(context);
  }

  Matrix Items(Context& context, const CsrView& item_users) override {
    const Side& users = users_.Get(context, [&] { return RotatedUsers(context); });
    DeviceMatrix items = Solve(context, users, item_users);
    Rotate(context, users.rotate_back.view(), items.view());
    return items.Release(context);
  }

  std::vector<double> Explain(Context&, const CsrView& user, int32_t item) override {
    RequireEigenvalues();
    return ExplainScore(objective_,
                        {model_->factors.items.view(), model_->factors.item_eigenvalues.data()},
                        user, item);
  }

 private:
  // A fixed side in its eigenbasis.
  struct Side {
    DeviceMatrix table;
    DeviceBuffer<double> eigenvalues;
    DeviceMatrix rotate_back;  // to the model's basis, where that is another
  };

  Side RotatedUsers(Context& context) const {
    DeviceMatrix table(context, model_->factors.users.view());
    Eigenbasis basis = RotateToEigenbasis(context, table.view());
    context.Synchronize();
    const Matrix rotation = basis.rotation.Download(context);
    Matrix back(rotation.rows(), rotation.cols());
    for (int64_t i = 0; i < back.rows(); ++i) {
      for (int64_t j = 0; j < back.cols(); ++j) back.row(i)[j] = rotation.row(j)[i];
    }
    return {std::move(table), std::move(basis.eigenvalues), DeviceMatrix(context, std::move(back))};
  }

  DeviceMatrix Solve(Context& context, const Side& fixed, const CsrView& host_rows) const {
    const DeviceCsr rows(context, host_rows);
    const RowPlan plan(context, rows.view(), fixed.table.cols());
    DeviceMatrix out(context, host_rows.rows, fixed.table.cols());
    SolveRows(context, objective_, {fixed.table.view(), fixed.eigenvalues.data()}, rows.view(),
              plan, out.view());
    context.Synchronize();
    return out;
  }

  void RequireEigenvalues() const {
    PENCHANT_REQUIRE(!model_->factors.item_eigenvalues.empty(),
                     "this model has no item eigenvalues, which fold-in needs");
  }

  std::shared_ptr<const Model> model_;
  AlsObjective objective_;
  OnLastDevice<Side> items_, users_;
};

std::vector<MemoryItem> Estimate(const config::TrainConfig& config, const ProblemShape& shape,
                                 int num_threads, bool cuda) {
  const int64_t d = config.als().factors();
  const int64_t stride = PaddedStride(d);
  const int64_t longest = LongestRow(shape);
  std::vector<MemoryItem> items = {
      {"user factors", shape.num_users * stride * 4},
      {"item factors", shape.num_items * stride * 4},
      {"row order", (shape.num_users + shape.num_items) * 8},
  };
  if (cuda) {
    if (config.als().dtype() == "bfloat16") {
      items.push_back(
          {"factors in bfloat16", std::max(shape.num_users, shape.num_items) * stride * 2});
    }
    items.push_back({"row solver", CudaSolveRowsBytes(std::max(shape.num_users, shape.num_items),
                                                      shape.nnz, longest, d)});
    items.push_back({"Gram, eigendecomposition and rotation",
                     64 * d * d * 4 + 8192 * stride * 4 + 4 * d * d * 8});
    return items;
  }
  items.insert(items.end(), {
                                {"row solver", SolveRowsScratchBytes(longest, d, num_threads)},
                                {"Gram, eigendecomposition and rotation",
                                 2 * num_threads * stride * stride * 4 + 6 * d * d * 8 +
                                     num_threads * 256 * stride * 4},
                            });
  return items;
}

}  // namespace

const AlgorithmEntry kAlsEntry = {
    .name = "als",
    .config_case = config::TrainConfig::kAls,
    .resolve = Resolve,
    .make = [](const config::TrainConfig& config) -> std::unique_ptr<Algorithm> {
      return std::make_unique<Als>(config.als());
    },
    .make_fold_in = [](std::shared_ptr<const Model> model) -> std::unique_ptr<FoldIn> {
      return std::make_unique<AlsFoldIn>(std::move(model));
    },
    .estimate = Estimate,
    .takes_blocks = true,
    .reads_events = false,
    .has_biases = [](const config::TrainConfig&) { return false; },
    .describe_fold_in =
        [](const config::TrainConfig& config, config::ArtifactManifest* manifest) {
          const AlsObjective objective = Objective(config.als());
          auto* als = manifest->mutable_als();
          als->set_alpha(objective.alpha);
          als->set_regularization(objective.regularization);
          als->set_regularization_power(objective.regularization_power);
          als->set_unobserved_weight(objective.unobserved_weight);
        },
};

}  // namespace penchant
