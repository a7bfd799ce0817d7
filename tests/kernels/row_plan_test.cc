#include "kernels/als/row_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "kernels/als/row_batch.h"
#include "tests/support/devices.h"
#include "tests/support/random_data.h"

namespace penchant {
namespace {

class RowPlanTest : public testing::DeviceTest {
 protected:
  void ExpectGoodPlan(const std::vector<int64_t>& lengths, int64_t factors);

 private:
  void ExpectGoodUnits(const RowPlan& plan);
  void ExpectGoodParts(const CudaRowPlan& plan, const std::vector<int64_t>& lengths,
                       int64_t factors);
  void ExpectGoodChunks(const CudaRowPlan& plan, const std::vector<int64_t>& lengths,
                        int64_t num_rows);
};

// Row numbers by falling length, equal ones by number.
std::vector<int32_t> WantedOrder(const std::vector<int64_t>& lengths) {
  std::vector<int32_t> order(lengths.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return std::pair(-lengths[a], a) < std::pair(-lengths[b], b);
  });
  return order;
}

void RowPlanTest::ExpectGoodPlan(const std::vector<int64_t>& lengths, int64_t factors) {
  // A plan reads offsets alone.
  std::vector<int64_t> offsets = {0};
  for (int64_t length : lengths) offsets.push_back(offsets.back() + length);
  const auto on_device = Upload<int64_t>(context(), offsets);
  const CsrView rows{static_cast<int64_t>(lengths.size()), int64_t{1} << 30, on_device.data(),
                     nullptr, nullptr};
  const RowPlan plan(context(), rows, factors, 3);
  EXPECT_EQ(plan.first_row(), 3);
  const auto wanted = WantedOrder(lengths);
  if (on_cuda()) {
    EXPECT_EQ(Download(context(), plan.cuda().order), wanted);
    std::vector<int64_t> sorted;
    for (int32_t row : wanted) sorted.push_back(lengths[row]);
    ExpectGoodParts(plan.cuda(), sorted, factors);
  } else {
    EXPECT_EQ(plan.order(), wanted);
    EXPECT_EQ(plan.longest(), lengths.empty() ? 0 : lengths[wanted[0]]);
    ExpectGoodUnits(plan);
  }
}

// All rows, in units that end with a batch.
void RowPlanTest::ExpectGoodUnits(const RowPlan& plan) {
  const auto& begin = plan.unit_begin();
  const auto rows = static_cast<int64_t>(plan.order().size());
  EXPECT_EQ(begin.front(), 0);
  EXPECT_EQ(begin.back(), rows);
  for (size_t u = 1; u < begin.size(); ++u) {
    EXPECT_LT(begin[u - 1], begin[u]);
    EXPECT_TRUE((begin[u] - begin[u - 1]) % kMaxBatchLanes == 0 || begin[u] == rows);
  }
}

// Rows with observations, each in the part of its kernel.
void RowPlanTest::ExpectGoodParts(const CudaRowPlan& plan, const std::vector<int64_t>& lengths,
                                  int64_t factors) {
  const auto kernel_of = [](int64_t n) {
    const int64_t bounds[] = {16, 32, 64, 128, 160, 256};
    return std::lower_bound(std::begin(bounds), std::end(bounds), n) - bounds;
  };
  int64_t next = 0;
  for (const CudaRowPart& part : plan.parts) {
    EXPECT_EQ(part.begin, next);
    ASSERT_LT(part.begin, part.end);
    EXPECT_EQ(part.longest, lengths[part.begin]);
    for (int64_t k = part.begin; k < part.end; ++k) {
      EXPECT_EQ(part.short_side, lengths[k] <= factors) << lengths[k];
      EXPECT_EQ(part.in_chunks, !part.short_side && lengths[k] > kChunkObservations) << lengths[k];
      if (part.short_side) {
        EXPECT_EQ(kernel_of(lengths[k]), kernel_of(part.longest));
      }
    }
    next = part.end;
    if (part.in_chunks) ExpectGoodChunks(plan, lengths, part.end);
  }
  EXPECT_EQ(plan.first_empty, next);
  for (auto k = static_cast<size_t>(next); k < lengths.size(); ++k) EXPECT_EQ(lengths[k], 0);
}

// The chunks of the first `num_rows` rows are these rows, in order, whole.
void RowPlanTest::ExpectGoodChunks(const CudaRowPlan& plan, const std::vector<int64_t>& lengths,
                                   int64_t num_rows) {
  const auto order = Download(context(), plan.order);
  const auto chunks = Download(context(), plan.chunks);
  EXPECT_EQ(Download(context(), plan.chunk_begin_on_device), plan.chunk_begin);
  ASSERT_EQ(static_cast<int64_t>(plan.chunk_begin.size()), num_rows + 1);
  for (int64_t k = 0; k < num_rows; ++k) {
    int64_t next = 0;
    for (int64_t c = plan.chunk_begin[k]; c < plan.chunk_begin[k + 1]; ++c) {
      EXPECT_EQ(chunks[c].row, order[k]);
      EXPECT_EQ(chunks[c].first, next);
      EXPECT_GT(chunks[c].count, 0);
      EXPECT_LE(chunks[c].count, kChunkObservations);
      next += chunks[c].count;
    }
    EXPECT_EQ(next, lengths[k]);
  }
}

TEST_P(RowPlanTest, OrdersByFallingLengthAndCoversEveryRowOnce) {
  ExpectGoodPlan({3, 9, 0, 9, 1, 30}, 16);
  ExpectGoodPlan({}, 16);
  ExpectGoodPlan({0}, 16);
  ExpectGoodPlan({0, 0, 5}, 16);
}

TEST_P(RowPlanTest, RowsOnBothSidesOfEveryBound) {
  std::vector<int64_t> lengths;
  for (int64_t bound : {1, 16, 32, 64, 128, 160, 256, 300, 4096, 8192, 20000}) {
    for (int64_t n : {bound - 1, bound, bound + 1}) lengths.push_back(n);
  }
  for (int64_t factors : {1, 16, 17, 64, 100, 256, 300, 5000}) ExpectGoodPlan(lengths, factors);
}

TEST_P(RowPlanTest, ManyRowsOfFewLengths) {
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < 3000; ++i) lengths.push_back(i * 7919 % 40);
  ExpectGoodPlan(lengths, 24);
}

// What a view of more than 2^31 observations has.
TEST_P(RowPlanTest, OffsetsBeyond32Bits) {
  ExpectGoodPlan({int64_t{3} << 30, 7, int64_t{1} << 30, 0}, 64);
}

PENCHANT_ON_ALL_DEVICES(RowPlanTest);

}  // namespace
}  // namespace penchant
