// Items ranked by summed interaction weight: one factor, 1 for every user.
#include <algorithm>

#include "kernels/base/errors.h"
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

  void Initialize(Context&, const Interactions& interactions, uint64_t,
                  const FactorTables*) override {
    interactions_ = &interactions;
    tables_.users = Ones(interactions.num_users());
    tables_.items = Matrix(interactions.num_items(), 1);
  }

  void RunIteration(Context&) override {
    const CsrView item_users = interactions_->item_users.view();
    for (int64_t i = 0; i < item_users.rows; ++i) {
      tables_.items.row(i)[0] = SummedWeight(item_users, i);
    }
    RequireFinite(tables_.items.view(), "item_factors", 1);
  }

  double Loss(Context&) const override { return 0.0; }  // a count has no objective
  const FactorTables& tables() const override { return tables_; }
  FactorTables TakeTables() override { return std::move(tables_); }
  void Finalize(Context&, FactorTables*) const override {}

 private:
  const Interactions* interactions_ = nullptr;
  FactorTables tables_;
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
    "popularity",
    config::TrainConfig::kPopularity,
    [](const Interactions&, config::TrainConfig*) {},
    [](const config::TrainConfig&) -> std::unique_ptr<Algorithm> {
      return std::make_unique<Popularity>();
    },
    [](std::shared_ptr<const Model>) -> std::unique_ptr<FoldIn> {
      return std::make_unique<PopularityFoldIn>();
    },
    [](const config::TrainConfig&, const ProblemShape& shape, int) -> std::vector<MemoryItem> {
      return {{"user factors", shape.num_users * PaddedStride(1) * 4},
              {"item factors", shape.num_items * PaddedStride(1) * 4}};
    },
};

}  // namespace penchant
