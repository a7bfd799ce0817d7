#include "kernels/sparse/csr.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "kernels/base/errors.h"
#include "kernels/score/gather_rows.h"
#include "kernels/sparse/csr_blocks.h"
#include "tests/support/devices.h"
#include "tests/support/random_data.h"

namespace penchant {
namespace {

// CsrFromCoordinates and Transpose on a device, host to host.
class CsrTest : public testing::DeviceTest {
 protected:
  Csr ToHost(DeviceCsr& csr) {
    const CsrView& view = csr.view();
    Csr host;
    host.rows = view.rows;
    host.cols = view.cols;
    host.offsets = Download(context(), view.offsets, view.rows + 1);
    host.indices = Download(context(), view.indices, csr.nnz());
    if (view.values != nullptr) host.values = Download(context(), view.values, csr.nnz());
    return host;
  }
  Csr Build(const Coordinates& entries, int64_t rows, int64_t cols, Duplicates duplicates,
            int64_t* merged = nullptr) {
    const auto row_ids = Upload(context(), entries.rows);
    const auto col_ids = Upload(context(), entries.cols);
    const auto weights = Upload(context(), entries.values);
    const Coordinates on_device{{row_ids.data(), entries.rows.size()},
                                {col_ids.data(), entries.cols.size()},
                                {weights.data(), entries.values.size()}};
    DeviceCsr csr = CsrFromCoordinates(context(), on_device, rows, cols, duplicates, merged);
    return ToHost(csr);
  }
  Csr Turn(const Csr& csr) {
    const DeviceCsr on_device(context(), csr.view());
    DeviceCsr turned = Transpose(context(), on_device.view(), csr.nnz());
    return ToHost(turned);
  }
};

TEST_P(CsrTest, MergesDuplicatesAsAMapWould) {
  std::mt19937_64 random(3);
  std::vector<int32_t> rows, cols;
  std::vector<float> values;
  std::map<std::pair<int32_t, int32_t>, std::vector<float>> seen;
  for (int i = 0; i < 5000; ++i) {
    rows.push_back(static_cast<int32_t>(random() % 40));
    cols.push_back(static_cast<int32_t>(random() % 60));
    values.push_back(static_cast<float>(random() % 9) - 4.0f);
    seen[{rows.back(), cols.back()}].push_back(values.back());
  }
  for (Duplicates policy : {Duplicates::kSum, Duplicates::kMax, Duplicates::kLast}) {
    int64_t merged = 0;
    const Csr csr = Build({rows, cols, values}, 40, 60, policy, &merged);
    EXPECT_EQ(merged, 5000 - static_cast<int64_t>(seen.size()));
    std::map<std::pair<int32_t, int32_t>, float> wanted;
    for (const auto& [pair, list] : seen) {
      float value = list[0];
      for (size_t i = 1; i < list.size(); ++i) {
        value = policy == Duplicates::kSum   ? value + list[i]
                : policy == Duplicates::kMax ? std::max(value, list[i])
                                             : list[i];
      }
      if (value != 0) wanted[pair] = value;
    }
    ASSERT_EQ(csr.nnz(), static_cast<int64_t>(wanted.size()));
    ValidateCsr(csr.view(), csr.nnz(), "merged");
    for (int64_t r = 0; r < 40; ++r) {
      for (int64_t e = csr.offsets[r]; e < csr.offsets[r + 1]; ++e) {
        const auto value = wanted.at({static_cast<int32_t>(r), csr.indices[e]});
        EXPECT_EQ(csr.values[e], value);
      }
    }
  }
}

TEST_P(CsrTest, DuplicatesCanBeAnError) {
  const std::vector<int32_t> rows = {0, 1, 0}, cols = {2, 2, 2};
  EXPECT_THROW(Build({rows, cols, {}}, 2, 3, Duplicates::kError), DataError);
}

TEST_P(CsrTest, UnitWeightsAreNotStoredUnlessTheySum) {
  const std::vector<int32_t> rows = {0, 1, 0}, cols = {2, 2, 2};
  EXPECT_TRUE(Build({rows, cols, {}}, 2, 3, Duplicates::kLast).values.empty());
  const Csr summed = Build({rows, cols, {}}, 2, 3, Duplicates::kSum);
  EXPECT_EQ(summed.values, (std::vector<float>{2.0f, 1.0f}));
}

TEST_P(CsrTest, TransposeTwiceIsTheSame) {
  for (bool unit : {false, true}) {
    const Csr csr = testing::RandomCsr({3, 0, 7, 1, 0, 0}, 11, 5, unit);
    const Csr turned = Turn(csr);
    ValidateCsr(turned.view(), csr.nnz(), "turned");
    const Csr back = Turn(turned);
    EXPECT_EQ(back.offsets, csr.offsets);
    EXPECT_EQ(back.indices, csr.indices);
    EXPECT_EQ(back.values, csr.values);
  }
}

TEST_P(CsrTest, NothingGivesAnEmptyMatrix) {
  const Csr empty = Build({}, 3, 2, Duplicates::kSum);
  EXPECT_EQ(empty.offsets, (std::vector<int64_t>{0, 0, 0, 0}));
  EXPECT_EQ(Turn(empty).offsets, (std::vector<int64_t>{0, 0, 0}));
}

TEST_P(CsrTest, BlocksVisitEveryRowOnceAndInOrder) {
  for (bool unit : {false, true}) {
    const Csr csr = testing::RandomCsr({3, 0, 40, 1, 0, 9, 9, 9, 25, 0}, 50, 5, unit);
    for (int64_t bytes : {0, 1, 100, 100000}) {
      const CsrBlocks blocks(context(), csr.view(), bytes);
      EXPECT_EQ(blocks.rows(), csr.rows);
      int64_t next = 0;
      std::vector<DeviceMatrix> gathered;
      const DeviceMatrix table(context(), testing::RandomMatrix(50, 8, 1));
      blocks.ForEach(context(), [&](int64_t b, const CsrView& rows) {
        ASSERT_EQ(blocks.first_row(b), next);
        next += rows.rows;
        if (on_cuda() && bytes == 1) {
          EXPECT_EQ(rows.rows, 1);
        }
        // Work that reads the block after this visit, in stream order.
        const int64_t n = csr.offsets[next] - csr.offsets[blocks.first_row(b)];
        gathered.emplace_back(context(), n, 8);
        GatherRows(context(), table.view(), rows.indices, gathered.back().view());
      });
      EXPECT_EQ(next, csr.rows);
      int64_t seen = 0;
      const Matrix host = table.Download(context());
      for (const DeviceMatrix& part : gathered) {
        const Matrix got = part.Download(context());
        for (int64_t i = 0; i < got.rows(); ++i, ++seen) {
          ASSERT_EQ(got.row(i)[0], host.row(csr.indices[seen])[0]) << bytes;
        }
      }
      EXPECT_EQ(seen, csr.nnz());
    }
  }
}

PENCHANT_ON_ALL_DEVICES(CsrTest);

TEST(CsrValidationTest, ValidateNamesTheFault) {
  Csr csr = testing::RandomCsr({2, 2}, 5, 5, true);
  csr.indices = {1, 1, 0, 4};
  EXPECT_THROW(ValidateCsr(csr.view(), 4, "m"), InvalidArgument);
  csr.indices = {0, 1, 0, 5};
  EXPECT_THROW(ValidateCsr(csr.view(), 4, "m"), InvalidArgument);
  csr.indices = {0, 1, 0, 4};
  ValidateCsr(csr.view(), 4, "m");
  csr.offsets = {0, 9, 4};
  EXPECT_THROW(ValidateCsr(csr.view(), 4, "m"), InvalidArgument);
}

}  // namespace
}  // namespace penchant
