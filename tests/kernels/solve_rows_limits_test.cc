#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "kernels/base/errors.h"
#include "tests/support/devices.h"
#include "tests/support/random_data.h"
#include "tests/support/row_solver.h"

namespace penchant {
namespace {

using testing::FixedTable;
using testing::RandomCsr;
using testing::RandomMatrix;
using testing::Solve;
using testing::Solved;
using testing::TestObjective;
using testing::WorstError;

// What its input may be at worst, and what it leaves alone.
class SolveRowsLimitsTest : public testing::DeviceTest {};

TEST_P(SolveRowsLimitsTest, FactorsThatDoNotFitABlockAreRefusedByNumber) {
  if (!context().cuda()) return;  // CPUs have no such bound
  // Of rows on either side, and of pairs: what a single short row would have had room for.
  for (const auto& [factors, n] :
       {std::pair<int64_t, int64_t>{2000, 1900}, {2000, 2100}, {30000, 10}}) {
    DeviceMatrix table(context(), RandomMatrix(n + 20, factors, 5, 0.1f));
    const DeviceBuffer<double> eigenvalues(context(), factors);
    const Csr rows = RandomCsr({n}, n + 20, 3, true);
    const DeviceCsr on_device(context(), rows.view());
    DeviceMatrix out(context(), 1, factors);
    try {
      SolveRows(context(), TestObjective(), {table.view(), eigenvalues.data()}, on_device.view(),
                RowPlan(context(), on_device.view(), factors), out.view());
      FAIL() << "not refused";
    } catch (const InvalidArgument& error) {
      EXPECT_NE(std::string(error.what()).find(std::to_string(factors) + " factors take"),
                std::string::npos)
          << error.what();
      EXPECT_NE(std::string(error.what()).find("device=\"cpu\""), std::string::npos);
    }
    context().Synchronize();
  }
}

TEST_P(SolveRowsLimitsTest, OneHugeRowBesideEmptyOnes) {
  std::vector<int64_t> lengths(40, 0);
  lengths[17] = 20000;
  lengths[3] = 9000;
  const Csr rows = RandomCsr(lengths, 20000, 9, true);
  FixedTable fixed(context(), RandomMatrix(20000, 8, 2, 0.3f));
  const Solved solved = Solve(context(), TestObjective(), fixed, rows.view());
  EXPECT_EQ(solved.report.retried_rows, 0);
  EXPECT_LT(WorstError(TestObjective(), fixed, rows.view(), solved.out), 2e-5);
  for (int64_t k = 0; k < 8; ++k) EXPECT_EQ(solved.out.row(4)[k], 0.0f);
}

TEST_P(SolveRowsLimitsTest, SameBitsForAnyNumberOfThreadsAndCompany) {
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < 300; ++i) lengths.push_back(i * 7919 % 150);
  const Csr rows = RandomCsr(lengths, 500, 11, false);
  const auto one = MakeContext(1), three = MakeContext(3);
  FixedTable fixed(*one, RandomMatrix(500, 48, 4, 0.3f));
  FixedTable same(*three, RandomMatrix(500, 48, 4, 0.3f));
  const Solved a = Solve(*one, TestObjective(), fixed, rows.view());
  const Solved b = Solve(*three, TestObjective(), same, rows.view());
  for (int64_t i = 0; i < rows.rows; ++i) {
    ASSERT_EQ(0, std::memcmp(a.out.row(i), b.out.row(i), 48 * sizeof(float))) << "row " << i;
  }
  // A row solved alone, as fold-in does, gives the same bits as in its batch.
  for (int64_t i : {1, 57, 149, 298}) {
    Csr alone;
    alone.rows = 1;
    alone.cols = rows.cols;
    alone.offsets = {0, rows.view().row_size(i)};
    const auto ids = rows.view().row_indices(i);
    alone.indices.assign(ids.begin(), ids.end());
    alone.values.assign(rows.view().row_values(i), rows.view().row_values(i) + ids.size());
    const Solved c = Solve(*one, TestObjective(), fixed, alone.view());
    EXPECT_EQ(0, std::memcmp(c.out.row(0), a.out.row(i), 48 * sizeof(float))) << "row " << i;
  }
}

TEST_P(SolveRowsLimitsTest, OffsetsBeyondThirtyTwoBits) {
  if (GetParam() == "cuda") GTEST_SKIP() << "needs memory that is reserved, not filled";
  // Rows that lie past entry 2^31 of an index array that is reserved, not filled.
  const Csr rows = RandomCsr({5, 40}, 60, 41, true);
  const int64_t shift = (int64_t{1} << 31) + 1024;
  const size_t bytes = static_cast<size_t>(shift + rows.nnz()) * sizeof(int32_t);
  void* reserved = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(reserved, MAP_FAILED);
  auto* indices = static_cast<int32_t*>(reserved);
  std::copy(rows.indices.begin(), rows.indices.end(), indices + shift);
  const std::vector<int64_t> offsets = {shift, shift + 5, shift + 45};
  const CsrView far{2, 60, offsets.data(), indices, nullptr};  // both devices here can read it
  FixedTable fixed(context(), RandomMatrix(60, 16, 3, 0.3f));
  DeviceMatrix out(context(), 2, 16);
  SolveRows(context(), TestObjective(), fixed.side(), far, RowPlan(context(), far, 16), out.view());
  context().Synchronize();
  EXPECT_LT(WorstError(TestObjective(), fixed, rows.view(), out.Download(context())), 2e-5);
  munmap(reserved, bytes);
}

TEST_P(SolveRowsLimitsTest, LeavesNeighboursAndPaddingAlone) {
  // The result sits inside a larger table of NaN; only its own rows may change.
  const int64_t factors = 20;
  const Csr rows = RandomCsr({5, 0, 30, 100}, 200, 21, false);
  FixedTable fixed(context(), RandomMatrix(200, factors, 1, 0.3f));
  Matrix guarded(rows.rows + 2, factors);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (int64_t i : {int64_t{0}, rows.rows + 1}) {
    for (int64_t k = 0; k < guarded.stride(); ++k) guarded.row(i)[k] = nan;
  }
  DeviceMatrix table(context(), std::move(guarded));
  MatrixView<float> inner{table.view().row(1), rows.rows, factors, table.stride()};
  const DeviceCsr on_device(context(), rows.view());
  SolveRows(context(), TestObjective(), fixed.side(), on_device.view(),
            RowPlan(context(), on_device.view(), factors), inner);
  context().Synchronize();
  const Matrix result = table.Download(context());
  for (int64_t k = 0; k < result.stride(); ++k) {
    EXPECT_TRUE(std::isnan(result.row(0)[k]));
    EXPECT_TRUE(std::isnan(result.row(rows.rows + 1)[k]));
  }
  for (int64_t i = 1; i <= rows.rows; ++i) {
    for (int64_t k = factors; k < result.stride(); ++k) EXPECT_EQ(result.row(i)[k], 0.0f);
    for (int64_t k = 0; k < factors; ++k) EXPECT_TRUE(std::isfinite(result.row(i)[k]));
  }
}

TEST_P(SolveRowsLimitsTest, WhatFloat32CannotFactorIsSolvedAgainInDoubleAndReported) {
  // Two items alike with huge confidences: float32 cannot tell their Gram matrix from a singular
  // one. The rows around it are ordinary.
  Matrix items = RandomMatrix(60, 16, 12, 0.3f);
  for (int64_t k = 0; k < 16; ++k) items.row(8)[k] = items.row(7)[k];
  FixedTable fixed(context(), std::move(items));
  for (int64_t n : {4, 30}) {
    Csr rows = RandomCsr({n, n, n}, 60, 17, true);
    rows.values.assign(rows.indices.size(), 1.0f);
    rows.indices[n] = 7;
    rows.indices[n + 1] = 8;
    for (int64_t j = 2; j < n; ++j) rows.indices[n + j] = static_cast<int32_t>(8 + j);
    rows.values[n] = rows.values[n + 1] = 1e12f;
    const Solved solved = Solve(context(), TestObjective(), fixed, rows.view());
    if (n == 4) {  // the short side; on the long one, 16 x 16, float32 may still manage
      EXPECT_EQ(solved.report.retried_rows, 1);
      EXPECT_EQ(solved.report.first_retried_row, 1);
    }
    EXPECT_LT(WorstError(TestObjective(), fixed, rows.view(), solved.out), 2e-3) << n;
  }
}

TEST_P(SolveRowsLimitsTest, PivotsThatAreAllRoundingAreNotTrusted) {
  // Pairs of nearly equal items with growing confidences: somewhere on the way float32 loses the
  // second pivot without its becoming negative, and a solution from it is far off.
  Matrix items = RandomMatrix(60, 16, 12, 0.3f);
  for (int64_t k = 0; k < 16; ++k) items.row(8)[k] = items.row(7)[k] * (k == 0 ? 1.001f : 1.0f);
  FixedTable fixed(context(), std::move(items));
  const int64_t count = 400;
  Csr rows = RandomCsr(std::vector<int64_t>(count, 2), 60, 17, true);
  rows.values.resize(rows.indices.size());
  for (int64_t i = 0; i < count; ++i) {
    rows.indices[2 * i] = 7;
    rows.indices[2 * i + 1] = 8;
    const float strength = std::pow(10.0f, 4.0f + 8.0f * static_cast<float>(i) / count);
    rows.values[2 * i] = strength;
    rows.values[2 * i + 1] = -strength;  // liked beside disliked: their difference decides
  }
  const Solved solved = Solve(context(), TestObjective(), fixed, rows.view());
  EXPECT_GT(solved.report.retried_rows, 0);
  EXPECT_LT(solved.report.retried_rows, count);
  EXPECT_LT(WorstError(TestObjective(), fixed, rows.view(), solved.out), 0.1);
}

TEST_P(SolveRowsLimitsTest, ExtremeConfidencesStayFinite) {
  Csr rows = RandomCsr({12, 40}, 60, 17, true);
  rows.values.assign(rows.indices.size(), 1.0f);
  for (size_t j = 0; j < rows.values.size(); j += 2) rows.values[j] = 1e30f;
  AlsObjective objective = TestObjective();
  objective.regularization = 1e-6;
  FixedTable fixed(context(), RandomMatrix(60, 16, 12, 0.3f));
  const Solved solved = Solve(context(), objective, fixed, rows.view());
  for (int64_t i = 0; i < rows.rows; ++i) {
    for (int64_t k = 0; k < 16; ++k) EXPECT_TRUE(std::isfinite(solved.out.row(i)[k]));
  }
}

TEST_P(SolveRowsLimitsTest, ItemsThatAreNotFiniteSpoilNoRowWithoutThem) {
  // Item 0 above all: what lies beyond a row's end is often taken for it.
  for (int64_t factors : {16, 48, 100, 160}) {
    std::vector<int64_t> lengths = {1,  5,  8,  9,   16,  17,  31,  40,
                                    64, 65, 70, 100, 120, 129, 170, 250};
    lengths.push_back(0);
    Csr rows = RandomCsr(lengths, 300, 5, false);
    for (int32_t& id : rows.indices) ++id;
    rows.cols = 302;
    FixedTable fixed(context(), RandomMatrix(302, factors, 4, 0.3f));
    const Solved sound = Solve(context(), TestObjective(), fixed, rows.view());
    Matrix spoilt = fixed.table.Clone();
    for (int64_t item : {0, 301}) {
      for (int64_t k = 0; k < factors; ++k) {
        spoilt.row(item)[k] = std::numeric_limits<float>::quiet_NaN();
      }
    }
    fixed.on_device = DeviceMatrix(context(), std::move(spoilt));
    const Solved solved = Solve(context(), TestObjective(), fixed, rows.view());
    EXPECT_EQ(solved.report.retried_rows, 0);
    for (int64_t i = 0; i < rows.rows; ++i) {
      EXPECT_EQ(0, std::memcmp(solved.out.row(i), sound.out.row(i), factors * sizeof(float)))
          << factors << " factors, a row of " << lengths[i];
    }
  }
}

PENCHANT_ON_ALL_DEVICES(SolveRowsLimitsTest);

}  // namespace
}  // namespace penchant
