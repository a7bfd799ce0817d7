// Items ranked by summed interaction weight: one factor, 1 for every user.
#include <algorithm>

#include "kernels/base/device_memory.h"
#include "kernels/base/errors.h"
#include "kernels/linalg/finite.h"
#include "trainer/registry.h"

namespace penchant {
namespace {

Matrix Ones(int64_t rows) {
  Matrix table(rows, 1);
  for (int64_t i = 0; i < rows; ++i) table.row(i)[0] = 1.0f;
  return table;
}

float SummedWeight(const CsrView& rows, int64_t i) {
  const float* values = rows.row_values(i);
  double sum = 0;
  for (int64_t j = 0; j < rows.row_size(i); ++j) sum += values ? values[j] : 1.0;
  return static_cast<float>(sum);
}

class Popularity : public Algorithm {
 public:
  int num_iterations() const override { return 1; }

  void Initialize(Context& context, const Interactions& interactions,
                  const TrainingStart&) override {
    interactions_ = &interactions;
    users_ = DeviceMatrix(context, Ones(interactions.num_users()));
    items_ = DeviceMatrix(context, interactions.num_items(), 1);
  }

  // A count of what the host holds: not worth a kernel.
  bool RunIteration(Context& context, const StopRequest&) override {
    const CsrView item_users = interactions_->item_users.view();
    Matrix items(item_users.rows, 1);
    for (int64_t i = 0; i < item_users.rows; ++i) items.row(i)[0] = SummedWeight(item_users, i);
    items_ = DeviceMatrix(context, std::move(items));
    RequireFinite(context, items_.view(), "item_factors");
    context.Synchronize();
    return true;
  }

  double Loss(Context&) const override { return 0.0; }  // a count has no objective
  FactorViews factors() const override { return {users_.view(), items_.view()}; }
  FactorTables Snapshot(Context& context) const override {
    return {users_.Download(context), items_.Download(context), {}};
  }
  void Restore(Context& context, FactorTables snapshot) override {
    users_.Replace(context, std::move(snapshot.users));
    items_.Replace(context, std::move(snapshot.items));
  }
  FactorTables TakeTables(Context& context) override {
    return {users_.Release(context), items_.Release(context), {}};
  }

 private:
  const Interactions* interactions_ = nullptr;
  DeviceMatrix users_, items_;
};

class PopularityFoldIn : public FoldIn {
 public:
  Matrix Users(Context&, const CsrView& user_items) override { return Ones(user_items.rows); }

  Matrix Items(Context&, const CsrView& item_users) override {
    Matrix items(item_users.rows, 1);
    for (int64_t i = 0; i < item_users.rows; ++i) {
      items.row(i)[0] = SummedWeight(item_users, i);
    }
    return items;
  }

  std::vector<double> Explain(Context&, const CsrView&, int32_t) override {
    throw InvalidArgument(
        "popularity scores do not depend on the user, so there is nothing to "
        "explain by their interactions");
  }
};

}  // namespace

const AlgorithmEntry kPopularityEntry = {
    .name = "popularity",
    .config_case = config::TrainConfig::kPopularity,
    .resolve = [](const Interactions&, config::TrainConfig*) {},
    .make = [](const config::TrainConfig&) -> std::unique_ptr<Algorithm> {
      return std::make_unique<Popularity>();
    },
    .make_fold_in = [](std::shared_ptr<const Model>) -> std::unique_ptr<FoldIn> {
      return std::make_unique<PopularityFoldIn>();
    },
    .estimate = [](const config::TrainConfig&, const ProblemShape& shape, int,
                   bool) -> std::vector<MemoryItem> {
      return {{"user factors", shape.num_users * PaddedStride(1) * 4},
              {"item factors", shape.num_items * PaddedStride(1) * 4}};
    },
    .takes_blocks = true,
    .reads_events = false,
    .has_biases = [](const config::TrainConfig&) { return false; },
    .describe_fold_in = [](const config::TrainConfig&,
                           config::ArtifactManifest* manifest) { manifest->mutable_constant(); },
};

}  // namespace penchant
