#include "trainer/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "io/dataset/split.h"
#include "kernels/base/errors.h"
#include "kernels/base/log.h"
#include "tests/support/devices.h"
#include "tests/support/random_data.h"
#include "tests/support/training.h"
#include "trainer/config.h"
#include "trainer/evaluator.h"
#include "trainer/memory_estimate.h"
#include "trainer/partial_fit.h"
#include "trainer/registry.h"

namespace penchant {
namespace {

using testing::ExpectFinite;
using testing::ExpectSameBits;
using testing::Options;
using testing::PlantedInteractions;
using testing::TemporaryFolder;
using testing::Train;

constexpr char kAls[] = "als { factors: 8 iterations: 6 }";

TEST(SessionTest, ResumeEqualsAnUnbrokenRun) {
  const auto data = PlantedInteractions(60, 40, 2);
  const auto unbroken = Train(Options(kAls, data));
  for (int stop_after : {1, 3, 5}) {
    TemporaryFolder folder;
    const std::string config =
        std::string(kAls) + " checkpoint { directory: \"" + folder.root() + "\" }";
    Train(Options(config, data), 2,
          [&](const IterationReport& report) { return report.iteration < stop_after; });
    SessionOptions options = Options(config, data);
    options.resume = true;
    int first = 0;
    const auto resumed = Train(std::move(options), 1, [&](const IterationReport& report) {
      if (first == 0) first = report.iteration;
      return true;
    });
    EXPECT_EQ(first, stop_after + 1);
    ExpectSameBits(unbroken->factors.users, resumed->factors.users);
    ExpectSameBits(unbroken->factors.items, resumed->factors.items);
  }
}

TEST(SessionTest, RankingResumesWithItsOptimizersState) {
  const auto data = PlantedInteractions(60, 40, 2);
  for (const char* optimizer : {"sgd", "adagrad", "adam"}) {
    const std::string ranking = std::string("ranking { factors: 8 epochs: 6 deterministic: true ") +
                                "learning_rate: 0.05 optimizer: \"" + optimizer + "\" }";
    const auto unbroken = Train(Options(ranking, data));
    EXPECT_TRUE(unbroken->factors.state.empty());
    TemporaryFolder folder;
    const std::string config = ranking + " checkpoint { directory: \"" + folder.root() + "\" }";
    Train(Options(config, data), 2,
          [](const IterationReport& report) { return report.iteration < 3; });
    SessionOptions options = Options(config, data);
    options.resume = true;
    const auto resumed = Train(std::move(options), 1);
    ExpectSameBits(unbroken->factors.users, resumed->factors.users);
    ExpectSameBits(unbroken->factors.items, resumed->factors.items);
  }
}

TEST(SessionTest, TimeThatEndsWithinAnEpochIsResumedThere) {
  TemporaryFolder folder;
  const auto data = PlantedInteractions(60, 40, 4);
  const std::string config =
      "ranking { factors: 6 epochs: 3 deterministic: true } checkpoint { directory: \"" +
      folder.path("checkpoints") + "\" every: 100 }";
  const auto cut = Train(Options(config + " max_seconds: 1e-9", data));
  EXPECT_EQ(cut->manifest.iterations_done(), 0);
  EXPECT_EQ(cut->manifest.parts_done(), 1);
  ExpectFinite(cut->factors.items);
  SessionOptions options = Options(config, data);
  options.resume = true;
  const auto resumed = Train(options);
  const auto whole = Train(Options("ranking { factors: 6 epochs: 3 deterministic: true }", data));
  EXPECT_EQ(resumed->manifest.iterations_done(), 3);
  EXPECT_EQ(resumed->manifest.parts_done(), 0);
  ExpectSameBits(resumed->factors.users, whole->factors.users);
  ExpectSameBits(resumed->factors.items, whole->factors.items);
}

TEST(SessionTest, DivergingRankingSaysWhereAndWhatToDo) {
  try {
    Train(Options("ranking { factors: 8 epochs: 9 optimizer: \"sgd\" learning_rate: 1e6 }",
                  PlantedInteractions(60, 40, 2)));
    FAIL() << "did not diverge";
  } catch (const NumericError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("epoch"));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("learning_rate"));
  }
}

TEST(SessionTest, ResumeEqualsAnUnbrokenRunUnderEarlyStopping) {
  const auto data = PlantedInteractions(80, 60, 2);
  const std::string config =
      "als { factors: 8 iterations: 12 } early_stopping { validation_fraction: 0.2 "
      "metric: \"recall@5\" patience: 2 } ";
  const auto unbroken = Train(Options(config, data));
  TemporaryFolder folder;
  const std::string with = config + "checkpoint { directory: \"" + folder.root() + "\" }";
  Train(Options(with, data), 2, [](const IterationReport& report) { return report.iteration < 2; });
  SessionOptions options = Options(with, data);
  options.resume = true;
  const auto resumed = Train(std::move(options));
  EXPECT_EQ(unbroken->manifest.best_iteration(), resumed->manifest.best_iteration());
  EXPECT_EQ(unbroken->manifest.iterations_done(), resumed->manifest.iterations_done());
  ExpectSameBits(unbroken->factors.items, resumed->factors.items);
}

TEST(SessionTest, ResumeRefusesOtherDataAndOtherParameters) {
  TemporaryFolder folder;
  const std::string checkpoint = " checkpoint { directory: \"" + folder.root() + "\" }";
  Train(Options(kAls + checkpoint, PlantedInteractions(60, 40, 2)));
  SessionOptions other_data = Options(kAls + checkpoint, PlantedInteractions(60, 40, 3));
  other_data.resume = true;
  EXPECT_THROW(Train(std::move(other_data)), InvalidArgument);
  SessionOptions other_config =
      Options("als { factors: 9 iterations: 6 }" + checkpoint, PlantedInteractions(60, 40, 2));
  other_config.resume = true;
  EXPECT_THROW(Train(std::move(other_config)), InvalidArgument);
}

TEST(SessionTest, EarlyStoppingKeepsTheBestIteration) {
  const auto data = PlantedInteractions(80, 60, 2);
  const SessionOptions options = Options(
      "als { factors: 32 iterations: 40 regularization: 1e-4 } "
      "early_stopping { validation_fraction: 0.2 metric: 'ndcg@20' patience: 2 }",
      data);
  const Split split = SplitRandom(*data, 0.2, options.config.seed());
  const CsrView train = split.train->user_items.view();
  for (const std::string target : {"cpu", "cuda_on_host"}) {
    std::vector<double> seen;
    const auto model = Train(
        options, 2,
        [&](const IterationReport& report) {
          seen.push_back(*report.validation);
          return true;
        },
        target);
    EXPECT_LT(model->manifest.iterations_done(), 40);
    const auto best = std::max_element(seen.begin(), seen.end());
    EXPECT_NE(best, seen.end() - 1);
    EXPECT_EQ(model->manifest.best_iteration(), best - seen.begin() + 1);
    Context context(1);
    const Evaluation kept =
        Evaluate(context, model->factors.users.view(), model->factors.items.view(),
                 split.test->user_items.view(), &train, {20});
    EXPECT_NEAR(MeanMetric(kept.at_k[0], "ndcg"), *best, 1e-6) << target;
  }
}

TEST(SessionTest, LossFallsEveryIteration) {
  SessionOptions options = Options(kAls, PlantedInteractions(60, 40, 2));
  options.compute_loss = true;
  double last = INFINITY;
  Train(std::move(options), 2, [&](const IterationReport& report) {
    EXPECT_LT(*report.loss, last);
    last = *report.loss;
    return true;
  });
}

TEST(SessionTest, WarmStartGoesOnFromTheModelWithNewRows) {
  const auto data = PlantedInteractions(60, 40, 2);
  const auto model = Train(Options(kAls, data));
  // Two new users behind the old ones.
  std::vector<int32_t> rows, cols;
  for (int64_t u = 0; u < 60; ++u) {
    for (int32_t i : data->user_items.view().row_indices(u)) {
      rows.push_back(static_cast<int32_t>(u));
      cols.push_back(i);
    }
  }
  rows.insert(rows.end(), {60, 61});
  cols.insert(cols.end(), {0, 1});
  auto grown = MakeInteractions(std::make_shared<IdDictionary>(IdDictionary::Range(62)),
                                data->items, {rows, cols, {}}, Duplicates::kSum);
  const auto first_loss = [&](std::shared_ptr<const Model> start) {
    SessionOptions options = Options("als { factors: 8 iterations: 1 }", grown);
    options.warm_start = start;
    options.compute_loss = true;
    double loss = 0;
    Train(std::move(options), 1, [&](const IterationReport& report) {
      loss = *report.loss;
      return true;
    });
    return loss;
  };
  EXPECT_LT(first_loss(model), first_loss(nullptr));
  SessionOptions wrong = Options("als { factors: 9 }", grown);
  wrong.warm_start = model;
  EXPECT_THROW(Train(std::move(wrong)), InvalidArgument);
}

TEST(SessionTest, RefusesWhatCannotFitBeforeItStarts) {
  SessionOptions options =
      Options(std::string(kAls) + " memory_budget: '1000'", PlantedInteractions(60, 40, 2));
  try {
    Train(std::move(options));
    FAIL();
  } catch (const DeviceError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("user factors"));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("memory_budget"));
  }
}

TEST(SessionTest, ABudgetEndsWithItsSession) {
  const auto context = testing::ContextOn("cuda_on_host", 1);
  Session(Options(std::string(kAls) + " memory_budget: '40MB'", PlantedInteractions(60, 40, 2)))
      .Run(*context, {});
  const DeviceBuffer<float> larger(*context, 20'000'000);
  EXPECT_EQ(context->cuda()->bytes_in_use(), 80'000'000);
}

TEST(SessionTest, InteractionsBeyondTheBudgetPassThroughInBlocks) {
  const auto data = PlantedInteractions(200, 60, 5);
  const auto config = ParseTrainConfig(kAls, "test");
  const ProblemShape shape{200, 60, data->nnz(), !data->user_items.values.empty(), 200};
  const int64_t whole = EstimateMemory(config, shape, 1, true).total();
  const auto within = [&](int64_t bytes) {
    return Train(
        Options(std::string(kAls) + " memory_budget: '" + std::to_string(bytes) + "'", data), 1, {},
        "cuda_on_host");
  };
  std::string told;
  SetLogSink([&](LogLevel, const std::string& message) { told += message; });
  const auto in_blocks = within(whole - 1);
  SetLogSink({});
  EXPECT_THAT(told, ::testing::HasSubstr("pass through it in blocks"));
  ExpectSameBits(in_blocks->factors.items, within(whole)->factors.items);
  EXPECT_THROW(within(100'000), DeviceError);
}

TEST(SessionTest, BudgetsAreAmountsOfBytes) {
  EXPECT_EQ(ParseBytes("12GB"), 12000000000);
  EXPECT_EQ(ParseBytes("1.5 MiB"), 3 << 19);
  EXPECT_EQ(ParseBytes("800"), 800);
  EXPECT_EQ(ParseBytes(""), 0);
  for (const char* wrong : {"GB", "-1GB", "12 XB", "0", "nan", "1e30GB", "12GB "}) {
    EXPECT_THROW(ParseBytes(wrong), InvalidArgument) << wrong;
  }
}

TEST(SessionTest, EstimatesAreSixtyFourBit) {
  const auto config = ParseTrainConfig("als { factors: 1024 }", "c");
  const MemoryEstimate estimate =
      EstimateMemory(config, {int64_t{1} << 30, 1 << 24, int64_t{1} << 36, true, 0}, 64);
  EXPECT_GT(estimate.total(), int64_t{1} << 40);
}

TEST(SessionTest, ExtremeWeightsStopWithANameNotWithNaN) {
  auto data = PlantedInteractions(20, 10, 2);
  auto bad = std::make_shared<Interactions>(*data);
  bad->user_items.values.assign(bad->nnz(), 1.0f);
  bad->user_items.values[3] = 1e-38f;
  EXPECT_THROW(Train(Options(kAls, bad)), InvalidArgument);
}

TEST(PartialFitTest, ReplacedItemsKeepScoresAndEigenbasis) {
  const auto data = PlantedInteractions(60, 40, 2);
  auto model = Train(Options(kAls, data));
  Context context(1);
  const auto fold =
      FindAlgorithm(model->manifest.config())
          .make_fold_in(std::make_shared<Model>(
              Model{model->manifest, model->users, model->items, model->factors.Clone(), {}}));
  const Matrix again = fold->Items(context, data->item_users.view());
  // The items were solved last, against these very users: folding them in again changes nothing.
  for (int64_t i = 0; i < 40; ++i) {
    for (int64_t k = 0; k < 8; ++k) {
      EXPECT_NEAR(again.row(i)[k], model->factors.items.row(i)[k], 1e-4);
    }
  }
  const auto score = [&](int64_t u, int64_t i) {
    double sum = 0;
    for (int64_t k = 0; k < 8; ++k) {
      sum += model->factors.users.row(u)[k] * model->factors.items.row(i)[k];
    }
    return sum;
  };
  const double before = score(7, 5);
  Matrix doubled(1, 8);
  for (int64_t k = 0; k < 8; ++k) doubled.row(0)[k] = 2 * model->factors.items.row(9)[k];
  const std::vector<int32_t> rows = {9};
  const double nine = score(7, 9);
  ReplaceItems(context, model->items, rows, doubled, model.get());
  EXPECT_NEAR(score(7, 5), before, 1e-5);
  EXPECT_NEAR(score(7, 9), 2 * nine, 1e-5);
  // The stored eigenvalues are those of the new table.
  for (int64_t k = 0; k < 8; ++k) {
    double gram = 0;
    for (int64_t i = 0; i < 40; ++i) {
      gram += model->factors.items.row(i)[k] * model->factors.items.row(i)[k];
    }
    EXPECT_NEAR(gram, model->factors.item_eigenvalues[k], 1e-3);
  }
}

}  // namespace
}  // namespace penchant
