#include "kernels/score/ranking_metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "kernels/base/device_memory.h"
#include "tests/support/devices.h"
#include "tests/support/random_data.h"

namespace penchant {
namespace {

TEST(RankingMetricsTest, ByHand) {
  const std::vector<int32_t> list = {7, 3, 9, 4, -1}, test = {3, 4, 8};
  const RankingMetrics m = ComputeMetrics(list, test, 5);
  EXPECT_DOUBLE_EQ(m.recall, 2.0 / 3);
  EXPECT_DOUBLE_EQ(m.precision, 2.0 / 5);
  EXPECT_DOUBLE_EQ(m.mrr, 0.5);
  EXPECT_DOUBLE_EQ(m.hit_rate, 1.0);
  EXPECT_DOUBLE_EQ(m.map, (1.0 / 2 + 2.0 / 4) / 3);
  const double gain = 1 / std::log2(3.0) + 1 / std::log2(5.0);
  const double ideal = 1 + 1 / std::log2(3.0) + 1 / std::log2(4.0);
  EXPECT_DOUBLE_EQ(m.ndcg, gain / ideal);
  EXPECT_DOUBLE_EQ(ComputeMetrics(list, test, 1).hit_rate, 0.0);
}

class JudgeListsTest : public testing::DeviceTest {};

// The definitions, read off a list of hits and misses.
void ExpectMetrics(const RankingMetrics& got, const std::vector<bool>& hit, int64_t tests) {
  const auto k = static_cast<int64_t>(hit.size());
  double hits = 0, gain = 0, ideal = 0, precisions = 0, first = 0;
  for (int64_t i = k - 1; i >= 0; --i) {
    if (!hit[i]) continue;
    first = 1.0 / static_cast<double>(i + 1);
    gain += std::log(2.0) / std::log(static_cast<double>(i + 2));
    precisions += static_cast<double>(std::count(hit.begin(), hit.begin() + i + 1, true)) * first;
    hits += 1;
  }
  const int64_t best = std::min(k, tests);
  for (int64_t i = 0; i < best; ++i) ideal += std::log(2.0) / std::log(static_cast<double>(i + 2));
  EXPECT_DOUBLE_EQ(got.recall, hits / static_cast<double>(tests));
  EXPECT_DOUBLE_EQ(got.precision, hits / static_cast<double>(k));
  EXPECT_NEAR(got.ndcg, gain / ideal, 1e-12);
  EXPECT_NEAR(got.map, precisions / static_cast<double>(best), 1e-12);
  EXPECT_DOUBLE_EQ(got.mrr, first);
  EXPECT_DOUBLE_EQ(got.hit_rate, hits > 0 ? 1.0 : 0.0);
}

TEST_P(JudgeListsTest, MatchesTheDefinitionsAndMarksWhatWasRecommended) {
  constexpr int64_t kItems = 60, kLength = 12;
  for (int64_t count : {0, 1, 127, 128, 129}) {
    for (int64_t k : {1, 5, 12}) {
      std::vector<int64_t> tests(count + 3);
      for (size_t u = 0; u < tests.size(); ++u) tests[u] = 1 + static_cast<int64_t>(u % 20);
      const Csr test = testing::RandomCsr(tests, kItems, 1, true);
      const Csr lists = testing::RandomCsr(std::vector<int64_t>(count, kLength), kItems, 2, true);
      std::vector<int32_t> ids = lists.indices, users(count);
      for (int64_t q = 0; q < count; ++q) {
        users[q] = static_cast<int32_t>((q * 5 + 2) % (count + 3));
        std::rotate(ids.begin() + q * kLength, ids.begin() + q * kLength + q % kLength,
                    ids.begin() + (q + 1) * kLength);
        if (q % 4 == 1) ids[q * kLength + 3] = -1;
      }
      const DeviceCsr test_rows(context(), test.view());
      const auto device_ids = Upload<int32_t>(context(), ids);
      const auto device_users = Upload<int32_t>(context(), users);
      DeviceBuffer<RankingMetrics> metrics(context(), count);
      const std::vector<uint8_t> before(kItems, 7);
      auto recommended = Upload<uint8_t>(context(), before);
      JudgeLists(context(),
                 {device_ids.data(), count, kLength, device_users.data(), test_rows.view(), k},
                 metrics.data(), recommended.data());
      context().Synchronize();
      const auto got = Download(context(), metrics);
      std::vector<uint8_t> marked = before;
      for (int64_t q = 0; q < count; ++q) {
        const auto row = test.view().row_indices(users[q]);
        const std::set<int32_t> truth(row.begin(), row.end());
        std::vector<bool> hit(k);
        for (int64_t i = 0; i < k; ++i) {
          const int32_t id = ids[q * kLength + i];
          hit[i] = truth.contains(id);
          if (id >= 0) marked[id] = 1;
        }
        ExpectMetrics(got[q], hit, static_cast<int64_t>(truth.size()));
      }
      EXPECT_EQ(Download(context(), recommended), marked);
    }
  }
}

PENCHANT_ON_ALL_DEVICES(JudgeListsTest);

}  // namespace
}  // namespace penchant
