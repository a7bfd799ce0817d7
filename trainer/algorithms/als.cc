// Exact implicit ALS (kernels/als): users, then items, each solved exactly given the other.
//
// Ending on the items ranked better than ending on the users when iterations are few, so that is
// the order.
#include <algorithm>
#include <cmath>
#include <optional>

#include "kernels/als/explain.h"
#include "kernels/als/loss.h"
#include "kernels/als/solve_rows.h"
#include "kernels/base/errors.h"
#include "kernels/base/log.h"
#include "kernels/base/philox.h"
#include "kernels/linalg/eigenbasis.h"
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
    PENCHANT_REQUIRE(config.iterations() >= 1, "iterations must be at least 1; got ",
                     config.iterations());
  }

  int num_iterations() const override { return config_.iterations(); }

  void Initialize(Context& context, const Interactions& interactions, uint64_t seed,
                  const FactorTables* start) override {
    interactions_ = &interactions;
    const int64_t d = config_.factors();
    user_plan_.emplace(interactions.user_items.view(), d);
    item_plan_.emplace(interactions.item_users.view(), d);
    tables_.users = Matrix(interactions.num_users(), d);
    tables_.items = Matrix(interactions.num_items(), d);
    if (start != nullptr) {
      Copy(start->users, "users", &tables_.users);
      Copy(start->items, "items", &tables_.items);
      return;
    }
    // The first half-iteration solves the users, so only the items need a start.
    const float scale = 0.1f / std::sqrt(static_cast<float>(d));
    const int64_t block = 1024;
    context.ParallelFor((tables_.items.rows() + block - 1) / block, [&](int64_t b, int) {
      const int64_t end = std::min(tables_.items.rows(), (b + 1) * block);
      for (int64_t i = b * block; i < end; ++i) {
        float* row = tables_.items.row(i);
        for (int64_t k = 0; k < d; k += 2) {
          const auto words = Philox(seed, static_cast<uint64_t>(i), static_cast<uint64_t>(k));
          const auto normal = StandardNormal(words[0], words[1]);
          row[k] = scale * normal[0];
          if (k + 1 < d) row[k + 1] = scale * normal[1];
        }
      }
    });
  }

  void RunIteration(Context& context) override {
    ++iteration_;
    Solve(context, tables_.items.view(), interactions_->user_items.view(), *user_plan_,
          tables_.users.view());
    RequireFinite(tables_.users.view(), "user_factors", iteration_);
    Solve(context, tables_.users.view(), interactions_->item_users.view(), *item_plan_,
          tables_.items.view());
    RequireFinite(tables_.items.view(), "item_factors", iteration_);
  }

  double Loss(Context& context) const override {
    return AlsLoss(context, objective_, tables_.users.view(), tables_.items.view(),
                   interactions_->user_items.view(), interactions_->item_users.view());
  }

  const FactorTables& tables() const override { return tables_; }
  FactorTables TakeTables() override { return std::move(tables_); }

  // Both tables turn to the items' eigenbasis, which fold-in of users works in.
  void Finalize(Context& context, FactorTables* tables) const override {
    const Eigenbasis basis = RotateToEigenbasis(context, tables->items.view());
    Rotate(context, basis.rotation, tables->users.view());
    tables->item_eigenvalues = basis.eigenvalues;
  }

 private:
  // One half-iteration: `fixed` turns to its eigenbasis, `out` is solved against it.
  void Solve(Context& context, MatrixView<float> fixed, const CsrView& observations,
             const RowPlan& plan, MatrixView<float> out) {
    const Eigenbasis basis = RotateToEigenbasis(context, fixed);
    if (basis.clamped > 0) {
      Log(LogLevel::kWarning, internal::Concat("iteration ", iteration_, ": ", basis.clamped,
                                               " negative eigenvalues of a Gram matrix set to 0"));
    }
    const SolveReport report =
        SolveRows(context, objective_, {fixed, &basis.eigenvalues}, observations, plan, out);
    if (report.retried_rows > 0) {
      Log(LogLevel::kWarning,
          internal::Concat("iteration ", iteration_, ": ", report.retried_rows,
                           " rows were not positive definite in float32 and were solved again in "
                           "float64, first row ",
                           report.first_retried_row));
    }
  }

  static void Copy(const Matrix& from, const char* side, Matrix* to) {
    PENCHANT_REQUIRE(from.cols() == to->cols(), "the model to start from has ", from.cols(),
                     " factors, the config ", to->cols());
    PENCHANT_REQUIRE(from.rows() <= to->rows(), "the model to start from has ", from.rows(), " ",
                     side, ", the interactions only ", to->rows(),
                     "; read them with the model's dictionaries");
    for (int64_t i = 0; i < from.rows(); ++i) {
      std::copy(from.row(i), from.row(i) + from.cols(), to->row(i));
    }
  }

  config::AlsConfig config_;
  AlsObjective objective_;
  const Interactions* interactions_ = nullptr;
  std::optional<RowPlan> user_plan_, item_plan_;
  FactorTables tables_;
  int iteration_ = 0;
};

class AlsFoldIn : public FoldIn {
 public:
  explicit AlsFoldIn(std::shared_ptr<const Model> model)
      : model_(std::move(model)), objective_(Objective(model_->manifest.config().als())) {}

  Matrix Users(Context& context, const CsrView& user_items) override {
    Matrix users(user_items.rows, model_->factors.items.cols());
    const RowPlan plan(user_items, users.cols());
    SolveRows(context, objective_, ItemSide(), user_items, plan, users.view());
    return users;
  }

  Matrix Items(Context& context, const CsrView& item_users) override {
    if (user_basis_.eigenvalues.empty()) {
      rotated_users_ = model_->factors.users.Clone();
      user_basis_ = RotateToEigenbasis(context, rotated_users_.view());
      const int64_t d = user_basis_.rotation.rows();
      rotate_back_ = Matrix(d, d);
      for (int64_t i = 0; i < d; ++i) {
        for (int64_t j = 0; j < d; ++j) rotate_back_.row(i)[j] = user_basis_.rotation.row(j)[i];
      }
    }
    Matrix items(item_users.rows, rotated_users_.cols());
    const RowPlan plan(item_users, items.cols());
    SolveRows(context, objective_, {rotated_users_.view(), &user_basis_.eigenvalues}, item_users,
              plan, items.view());
    Rotate(context, rotate_back_, items.view());
    return items;
  }

  std::vector<double> Explain(Context&, const CsrView& user, int32_t item) override {
    return ExplainScore(objective_, ItemSide(), user, item);
  }

 private:
  FixedSide ItemSide() const {
    PENCHANT_REQUIRE(!model_->factors.item_eigenvalues.empty(),
                     "this model has no item eigenvalues, which fold-in needs");
    return {model_->factors.items.view(), &model_->factors.item_eigenvalues};
  }

  std::shared_ptr<const Model> model_;
  AlsObjective objective_;
  Matrix rotated_users_;
  Eigenbasis user_basis_;
  Matrix rotate_back_;
};

std::vector<MemoryItem> Estimate(const config::TrainConfig& config, const ProblemShape& shape,
                                 int num_threads) {
  const int64_t d = config.als().factors();
  const int64_t stride = PaddedStride(d);
  const int64_t longest = shape.longest_row > 0
                              ? shape.longest_row
                              : std::min(shape.nnz, std::max(shape.num_users, shape.num_items));
  return {
      {"user factors", shape.num_users * stride * 4},
      {"item factors", shape.num_items * stride * 4},
      {"row order", (shape.num_users + shape.num_items) * 8},
      {"row solver", SolveRowsScratchBytes(longest, d, num_threads)},
      {"Gram, eigendecomposition and rotation",
       2 * num_threads * stride * stride * 4 + 6 * d * d * 8 + num_threads * 256 * stride * 4},
  };
}

}  // namespace

const AlgorithmEntry kAlsEntry = {
    "als",
    config::TrainConfig::kAls,
    Resolve,
    [](const config::TrainConfig& config) -> std::unique_ptr<Algorithm> {
      return std::make_unique<Als>(config.als());
    },
    [](std::shared_ptr<const Model> model) -> std::unique_ptr<FoldIn> {
      return std::make_unique<AlsFoldIn>(std::move(model));
    },
    Estimate,
};

}  // namespace penchant
