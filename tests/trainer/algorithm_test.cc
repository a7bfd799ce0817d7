// The behaviour suite: what every registered algorithm does.
#include "trainer/algorithm.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <tuple>

#include "io/dataset/split.h"
#include "kernels/base/errors.h"
#include "tests/support/devices.h"
#include "tests/support/random_data.h"
#include "tests/support/training.h"
#include "trainer/evaluator.h"
#include "trainer/registry.h"

namespace penchant {
namespace {

using testing::ExpectFinite;
using testing::ExpectSameBits;
using testing::Options;
using testing::PlantedInteractions;
using testing::TemporaryFolder;

class AlgorithmTest : public ::testing::TestWithParam<std::tuple<std::string, std::string>> {
 protected:
  void SetUp() override {
    isa_ = testing::SelectIsaOf(target());
    const std::string reason = testing::SkipReason(target());
    if (!reason.empty()) GTEST_SKIP() << reason;
  }
  const std::string& algorithm() const { return std::get<0>(GetParam()); }
  const std::string& target() const { return std::get<1>(GetParam()); }
  // "als_bfloat16", "ranking_warp" and so on.
  std::string config() const {
    if (algorithm() == "als") return "als { factors: 8 iterations: 6 }";
    if (algorithm() == "als_bfloat16") return "als { factors: 8 iterations: 6 dtype: 'bfloat16' }";
    if (algorithm() == "item2vec") return "item2vec { factors: 8 epochs: 8 deterministic: true }";
    const std::string prefix = "ranking_";
    if (!algorithm().starts_with(prefix)) return algorithm() + " {}";
    return "ranking { loss: \"" + algorithm().substr(prefix.size()) +
           (algorithm().ends_with("ccl") ? "\" dropout: 0.2" : "\"") +
           " factors: 8 epochs: 8 negative_samples: 8 batch_size: 8 deterministic: true }";
  }
  std::shared_ptr<Model> Train(std::shared_ptr<Interactions> data, int threads = 2) const {
    return testing::Train(Options(config(), std::move(data)), threads, {}, target());
  }
  std::shared_ptr<Interactions> data_ = PlantedInteractions(80, 60, 5);
  std::unique_ptr<testing::ScopedIsa> isa_;
};

TEST_P(AlgorithmTest, BeatsChanceOnPlantedData) {
  const Split split = SplitRandom(*data_, 0.2, 1);
  const auto model = Train(split.train);
  const auto context = testing::ContextOn(target(), 1);
  const DeviceMatrix users(*context, model->factors.users.view());
  const DeviceMatrix items(*context, model->factors.items.view());
  const CsrView train = split.train->user_items.view();
  const auto evaluation =
      Evaluate(*context, users.view(), items.view(), split.test->user_items.view(), &train, {10});
  const double chance = 10.0 / 60.0;
  EXPECT_GT(MeanMetric(evaluation.at_k[0], "recall"), chance);
}

TEST_P(AlgorithmTest, SameSeedSameBitsForAnyThreads) {
  const auto one = Train(data_, 1);
  const auto three = Train(data_, 3);
  ExpectSameBits(one->factors.users, three->factors.users);
  ExpectSameBits(one->factors.items, three->factors.items);
}

TEST_P(AlgorithmTest, InteractionsInBlocksGiveTheSameBits) {
  const auto context = testing::ContextOn(target(), 2);
  const auto tables = [&](int64_t block_bytes) {
    config::TrainConfig resolved = ParseTrainConfig(config(), "test");
    const AlgorithmEntry& entry = FindAlgorithm(resolved);
    entry.resolve(*data_, &resolved);
    const auto algorithm = entry.make(resolved);
    algorithm->Initialize(*context, *data_, {.seed = 1, .block_bytes = block_bytes});
    algorithm->RunIteration(*context, [] { return false; });
    EXPECT_GE(algorithm->Loss(*context), 0.0);
    return algorithm->TakeTables(*context);
  };
  const FactorTables whole = tables(0), in_blocks = tables(500);
  ExpectSameBits(in_blocks.users, whole.users);
  ExpectSameBits(in_blocks.items, whole.items);
}

TEST_P(AlgorithmTest, RunsCutIntoPartsGiveTheSameBits) {
  const auto context = testing::ContextOn(target(), 2);
  config::TrainConfig resolved = ParseTrainConfig(config(), "test");
  const AlgorithmEntry& entry = FindAlgorithm(resolved);
  entry.resolve(*data_, &resolved);
  const auto whole = entry.make(resolved);
  whole->Initialize(*context, *data_, {.seed = 1});
  for (int iteration = 0; iteration < 2; ++iteration) {
    EXPECT_TRUE(whole->RunIteration(*context, [] { return false; }));
  }
  FactorTables tables;
  int iterations = 0, parts = 0, cuts = 0;
  while (iterations < 2) {
    const auto cut = entry.make(resolved);
    const bool start = iterations == 0 && parts == 0;
    cut->Initialize(*context, *data_,
                    {.seed = 1,
                     .tables = start ? nullptr : &tables,
                     .iterations_done = iterations,
                     .parts_done = parts});
    if (cut->RunIteration(*context, [] { return true; })) {
      ++iterations;
    } else {
      ++cuts;
    }
    parts = cut->parts_done();
    tables = cut->Snapshot(*context);
    cut->SaveState(*context, &tables);
  }
  EXPECT_EQ(cuts, algorithm().starts_with("als") || algorithm() == "popularity" ? 0 : 6);
  const FactorTables expected = whole->Snapshot(*context);
  ExpectSameBits(tables.users, expected.users);
  ExpectSameBits(tables.items, expected.items);
}

TEST_P(AlgorithmTest, SavedModelsComeBackAndFoldIn) {
  TemporaryFolder folder;
  const auto model = Train(data_);
  SaveModel(*model, folder.path("m"));
  const std::shared_ptr<const Model> loaded = LoadModel(folder.path("m"));
  ExpectSameBits(loaded->factors.items, model->factors.items);
  const auto context = testing::ContextOn(target(), 1);
  const auto fold = FindAlgorithm(loaded->manifest.config()).make_fold_in(loaded);
  const Matrix users = fold->Users(*context, data_->user_items.view());
  const Matrix items = fold->Items(*context, data_->item_users.view());
  EXPECT_EQ(users.rows(), 80);
  EXPECT_EQ(items.rows(), 60);
  ExpectFinite(users);
  ExpectFinite(items);
}

TEST_P(AlgorithmTest, EmptyInteractionsAreRefused) {
  auto empty = MakeInteractions(data_->users, data_->items, {}, Duplicates::kSum);
  EXPECT_THROW(Train(empty), InvalidArgument);
}

TEST_P(AlgorithmTest, UsersWithoutInteractionsGetFiniteFactors) {
  const std::vector<int32_t> users = {0, 0, 3}, items = {1, 2, 2};
  auto sparse = MakeInteractions(std::make_shared<IdDictionary>(IdDictionary::Range(5)),
                                 std::make_shared<IdDictionary>(IdDictionary::Range(4)),
                                 {users, items, {}}, Duplicates::kSum);
  ExpectFinite(Train(sparse)->factors.users);
}

std::string NameOf(const ::testing::TestParamInfo<std::tuple<std::string, std::string>>& info) {
  return std::get<0>(info.param) + "_on_" + std::get<1>(info.param);
}

INSTANTIATE_TEST_SUITE_P(All, AlgorithmTest,
                         ::testing::Combine(::testing::Values("als", "als_bfloat16", "popularity"),
                                            ::testing::ValuesIn(testing::Targets())),
                         NameOf);

// Their steps are emulated one by one: the kernels' suite runs them under every schedule.
INSTANTIATE_TEST_SUITE_P(Ranking, AlgorithmTest,
                         ::testing::Combine(::testing::Values("ranking_bpr", "ranking_warp",
                                                              "ranking_logistic", "ranking_ccl",
                                                              "ranking_softmax", "item2vec"),
                                            ::testing::ValuesIn([] {
                                              std::vector<std::string> targets = testing::Targets();
                                              std::erase_if(targets, [](const std::string& target) {
                                                return target.find("_random") != std::string::npos;
                                              });
                                              return targets;
                                            }())),
                         NameOf);

}  // namespace
}  // namespace penchant
