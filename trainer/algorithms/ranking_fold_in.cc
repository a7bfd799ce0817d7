#include "trainer/algorithms/ranking_fold_in.h"

#include <string>
#include <utility>

#include "kernels/base/device_memory.h"
#include "kernels/base/errors.h"
#include "kernels/linalg/normalize_rows.h"
#include "kernels/sgd/ranking_epoch.h"
#include "kernels/sparse/average_rows.h"
#include "trainer/algorithms/optimizer_state.h"
#include "trainer/algorithms/ranking_config.h"

namespace penchant {
namespace {

// New rows learn as training would, against a table that stays: the loss is convex in them but for
// warp and ccl. New items are ranked for users as users are for items, so their bias is zero.
class RankingFoldIn : public FoldIn {
 public:
  explicit RankingFoldIn(std::shared_ptr<const Model> model)
      : model_(std::move(model)), objective_(ObjectiveOf(model_->manifest.config().ranking())) {}

  Matrix Users(Context& context, const CsrView& user_items) override {
    DeviceMatrix& items =
        items_.Get(context, [&] { return DeviceMatrix(context, model_->factors.items.view()); });
    return Learn(context, items.view(), user_items);
  }

  Matrix Items(Context& context, const CsrView& item_users) override {
    DeviceMatrix& users = users_.Get(context, [&] { return UsersWithoutConstant(context); });
    Matrix items = Learn(context, users.view(), item_users);
    SetLastFactor(0.0f, &items);
    return items;
  }

  std::vector<double> Explain(Context&, const CsrView&, int32_t) override {
    throw InvalidArgument(
        "a ranking model's score is no sum over the user's interactions; ImplicitALS explains");
  }

 private:
  static constexpr int kEpochs = 30;
  static constexpr double kLearningRate = 0.1;

  // As the fixed side, users have no bias; as the learned one, items get a constant to leave out.
  DeviceMatrix UsersWithoutConstant(Context& context) const {
    Matrix users = model_->factors.users.Clone();
    SetLastFactor(0.0f, &users);
    return {context, std::move(users)};
  }

  void SetLastFactor(float value, Matrix* table) const {
    if (!objective_.has_biases()) return;
    for (int64_t i = 0; i < table->rows(); ++i) table->row(i)[table->cols() - 1] = value;
  }

  Matrix Learn(Context& context, MatrixView<float> fixed, const CsrView& host_rows) const {
    const DeviceCsr rows(context, host_rows);
    DeviceMatrix learned = Start(context, rows.view(), fixed);
    OptimizerState state(context, Optimizer::kAdagrad, host_rows.rows, fixed.cols);
    RankingEpoch epoch;
    epoch.objective = objective_;
    epoch.optimizer = Optimizer::kAdagrad;
    epoch.negatives = {.num_items = fixed.rows};
    epoch.move_items = false;
    for (int e = 0; e < kEpochs; ++e) {
      epoch.learning_rate = kLearningRate * (1.0 - static_cast<double>(e) / kEpochs);
      epoch.part = {model_->manifest.config().seed(), e, 0, 1};
      const EpochOrder order(context, CsrPositives{host_rows, /*rows_alike=*/true}, epoch.part,
                             objective_.batch,
                             /*deterministic=*/false);
      const auto report =
          RunRankingEpoch(context, epoch, order, CsrPositives{rows.view(), /*rows_alike=*/true},
                          {learned.view(), fixed, state.view(), {}});
      context.Synchronize();
      PENCHANT_CHECK(report->failed < 0, NumericError,
                     "fold-in: the loss of an interaction is not finite");
    }
    return learned.Release(context);
  }

  // Zeros; on the sphere the direction of the positives' mean.
  DeviceMatrix Start(Context& context, const CsrView& rows, MatrixView<const float> fixed) const {
    if (objective_.has_biases()) {
      Matrix start(rows.rows, fixed.cols);
      SetLastFactor(1.0f, &start);
      return {context, std::move(start)};
    }
    DeviceMatrix start(context, rows.rows, fixed.cols);
    AverageRows(context, rows, fixed, start.view());
    NormalizeRows(context, start.view());
    return start;
  }

  std::shared_ptr<const Model> model_;
  RankingObjective objective_;
  OnLastDevice<DeviceMatrix> items_, users_;
};

}  // namespace

std::unique_ptr<FoldIn> MakeRankingFoldIn(std::shared_ptr<const Model> model) {
  return std::make_unique<RankingFoldIn>(std::move(model));
}

}  // namespace penchant
