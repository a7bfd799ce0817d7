#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "kernels/sgd/ranking_epoch.h"
#include "kernels/sparse/average_rows.h"
#include "tests/support/devices.h"
#include "tests/support/random_data.h"
#include "tests/support/ranking_oracle.h"

namespace penchant {
namespace {

using testing::RandomMatrix;

// Sequences of items and where they occur.
struct Corpus {
  explicit Corpus(const std::vector<std::vector<int32_t>>& sequences, int64_t items) {
    std::vector<std::vector<std::pair<int64_t, int32_t>>> occurrences(items);
    for (const auto& sequence : sequences) {
      for (int32_t item : sequence) {
        occurrences[item].emplace_back(tokens.size(), static_cast<int32_t>(bounds.size()) - 1);
        tokens.push_back(item);
      }
      bounds.push_back(static_cast<int64_t>(tokens.size()));
    }
    for (const auto& of_item : occurrences) {
      for (const auto& [position, sequence] : of_item) {
        positions.push_back(position);
        of.push_back(sequence);
      }
      offsets.push_back(static_cast<int64_t>(positions.size()));
    }
  }
  SkipGramContexts contexts(int32_t window, bool ordered) const {
    return {static_cast<int64_t>(offsets.size()) - 1,
            tokens.data(),
            bounds.data(),
            offsets.data(),
            positions.data(),
            of.data(),
            nullptr,
            window,
            ordered};
  }

  std::vector<int32_t> tokens, of;
  std::vector<int64_t> bounds{0}, offsets{0}, positions;
};

// Of every center: the items met over many epochs, and how often on average.
std::map<int32_t, double> MeetingsOf(const SkipGramContexts& contexts, int64_t center) {
  constexpr int kEpochs = 20000;
  std::map<int32_t, double> met;
  for (int e = 0; e < kEpochs; ++e) {
    const EpochPart part{.seed = 5, .epoch = e};
    Positive positive;
    for (auto cursor = contexts.Begin(center); contexts.Next(part, &cursor, &positive);) {
      met[positive.item] += 1.0 / kEpochs;
    }
  }
  return met;
}

TEST(SkipGramContextsTest, NearerItemsAreMetMoreOftenAndOtherSequencesNever) {
  const Corpus corpus({{7}, {0, 1, 2, 3, 4, 5}, {6, 0}}, 8);
  // A context at distance k needs a reach of at least k, of 1 to 3.
  const auto met = MeetingsOf(corpus.contexts(3, true), 2);
  EXPECT_EQ(met.size(), 5u);
  for (const auto& [item, rate] :
       std::map<int32_t, double>{{1, 1.0}, {3, 1.0}, {0, 2.0 / 3}, {4, 2.0 / 3}, {5, 1.0 / 3}}) {
    EXPECT_NEAR(met.at(item), rate, 0.02) << item;
  }
  const auto both = MeetingsOf(corpus.contexts(3, true), 0);  // occurs twice
  EXPECT_NEAR(both.at(6), 1.0, 1e-9);
  EXPECT_NEAR(both.at(1), 1.0, 1e-9);
  EXPECT_TRUE(MeetingsOf(corpus.contexts(3, true), 7).empty());
}

TEST(SkipGramContextsTest, BasketsDrawTheirOtherItemsEvenly) {
  const Corpus corpus({{0, 1, 2, 3, 4}, {5, 0}}, 6);
  const auto met = MeetingsOf(corpus.contexts(3, false), 2);
  EXPECT_EQ(met.size(), 4u);
  for (int32_t item : {0, 1, 3, 4}) EXPECT_NEAR(met.at(item), 1.0, 0.03);  // 2 * 2 draws of 4
}

TEST(SkipGramContextsTest, ItemsLeftOutBringFartherOnesNear) {
  const Corpus corpus({{0, 1, 2}}, 3);
  const std::vector<float> keep = {1.0f, 0.25f, 1.0f};
  for (bool ordered : {true, false}) {
    SkipGramContexts contexts = corpus.contexts(1, ordered);
    contexts.keep = keep.data();
    const auto met = MeetingsOf(contexts, 0);
    if (ordered) {
      EXPECT_NEAR(met.at(1), 0.25, 0.02);
      EXPECT_NEAR(met.at(2), 0.75, 0.02);
    } else {  // two draws of two others
      EXPECT_NEAR(met.at(1), 0.25, 0.02);
      EXPECT_NEAR(met.at(2), 1.0, 0.02);
    }
    double left_out = 0;
    for (const auto& [item, rate] : MeetingsOf(contexts, 1)) left_out += rate;
    EXPECT_NEAR(left_out, 2 * 0.25, 0.03);
  }
}

TEST(SkipGramContextsTest, PositionsAreDistinctAndPartsMakeTheWhole) {
  const Corpus corpus({{0, 1, 2, 3, 0, 1, 2}, {3, 2, 1, 0}}, 4);
  for (bool ordered : {true, false}) {
    const SkipGramContexts contexts = corpus.contexts(4, ordered);
    const auto walk = [&](int32_t part, int32_t parts) {
      std::map<int64_t, int32_t> walked;
      for (int64_t center = 0; center < 4; ++center) {
        Positive positive;
        for (auto c = contexts.Begin(center);
             contexts.Next({.seed = 2, .epoch = 3, .part = part, .parts = parts}, &c, &positive);) {
          EXPECT_TRUE(walked.emplace(positive.position, positive.item).second);
        }
      }
      return walked;
    };
    std::map<int64_t, int32_t> whole;
    for (int32_t part = 0; part < 3; ++part) {
      std::map<int64_t, int32_t> walked = walk(part, 3);
      whole.merge(walked);
      EXPECT_TRUE(walked.empty());  // no position is of two parts
    }
    EXPECT_EQ(whole, walk(0, 1));
  }
}

class SkipGramTest : public testing::DeviceTest {};

TEST_P(SkipGramTest, AnEpochFollowsItsNumericDerivative) {
  constexpr int64_t kItems = 30, kFactors = 19;
  std::vector<std::vector<int32_t>> sequences;
  for (int32_t s = 0; s < 12; ++s) {
    sequences.emplace_back();
    for (int32_t i = 0; i < 2 + s; ++i) sequences.back().push_back((7 * s + 3 * i * i) % kItems);
  }
  const Corpus corpus(sequences, kItems);
  std::vector<float> keep(kItems, 1.0f);
  keep[3] = 0.5f;
  const auto tokens = Upload<int32_t>(context(), corpus.tokens),
             of = Upload<int32_t>(context(), corpus.of);
  const auto bounds = Upload<int64_t>(context(), corpus.bounds),
             offsets = Upload<int64_t>(context(), corpus.offsets),
             positions = Upload<int64_t>(context(), corpus.positions);
  const auto device_keep = Upload<float>(context(), keep);
  for (bool ordered : {true, false}) {
    RankingEpoch epoch;
    epoch.objective = {.loss = RankingLoss::kLogistic,
                       .batch = 3,
                       .negatives = 5,
                       .negative_weight = 2.0,
                       .biases = false};
    epoch.optimizer = Optimizer::kSgd;
    epoch.part = {.seed = 9, .epoch = 4};
    epoch.negatives = {.num_items = kItems};
    SkipGramContexts host = corpus.contexts(3, ordered);
    host.keep = keep.data();
    SkipGramContexts device = host;
    device.tokens = tokens.data();
    device.sequences = of.data();
    device.bounds = bounds.data();
    device.offsets = offsets.data();
    device.positions = positions.data();
    device.keep = device_keep.data();
    const Matrix centers = RandomMatrix(kItems, kFactors, 1, 0.4f);
    const Matrix contexts = RandomMatrix(kItems, kFactors, 2, 0.4f);
    std::vector<oracle::RankingUser> users(kItems);
    for (int64_t center = 0; center < kItems; ++center) {
      Positive positive;
      for (auto c = host.Begin(center); host.Next(epoch.part, &c, &positive);) {
        users[center].positives.push_back(positive);
      }
      users[center].rejects = [center](int32_t item) { return item == center; };
    }
    oracle::RankingState wanted{oracle::RankingRows(epoch, centers),
                                oracle::RankingRows(epoch, contexts)};
    const double loss = oracle::RankingInTurn(epoch, users, &wanted);
    DeviceMatrix center_table(context(), centers.view()), context_table(context(), contexts.view());
    const EpochOrder order(context(), host, epoch.part, epoch.objective.batch, true);
    const auto report = RunRankingEpoch(context(), epoch, order, device,
                                        {center_table.view(), context_table.view(), {}, {}});
    context().Synchronize();
    EXPECT_GT(report->positives, 100);
    EXPECT_NEAR(report->loss, loss, 1e-4 * loss);
    oracle::ExpectNear(center_table.Release(context()), wanted.users, 2e-4, "center");
    oracle::ExpectNear(context_table.Release(context()), wanted.items, 2e-4, "context");
  }
}

TEST_P(SkipGramTest, AveragesAreOfTheRowsListedWithPositiveValues) {
  const Csr lists = testing::RandomCsr({4, 0, 7, 1}, 50, 3, false);  // some are dislikes
  for (int64_t cols : {1, 33}) {
    const Matrix table = RandomMatrix(50, cols, 4);
    const DeviceCsr on_device(context(), lists.view());
    const DeviceMatrix rows(context(), table.view());
    DeviceMatrix out(context(), RandomMatrix(4, cols, 5).view());
    AverageRows(context(), on_device.view(), rows.view(), out.view());
    const Matrix got = out.Release(context());
    for (int64_t i = 0; i < 4; ++i) {
      for (int64_t k = 0; k < cols; ++k) {
        double sum = 0, count = 0;
        for (int64_t j = lists.offsets[i]; j < lists.offsets[i + 1]; ++j) {
          if (lists.values[j] <= 0) continue;
          sum += table.row(lists.indices[j])[k];
          ++count;
        }
        ASSERT_NEAR(got.row(i)[k], count > 0 ? sum / count : 0.0, 1e-6) << i;
      }
    }
  }
}

PENCHANT_ON_ALL_DEVICES(SkipGramTest);

}  // namespace
}  // namespace penchant
