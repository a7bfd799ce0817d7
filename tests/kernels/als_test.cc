#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "kernels/als/explain.h"
#include "kernels/als/loss.h"
#include "kernels/als/row_batch.h"
#include "kernels/als/solve_rows.h"
#include "kernels/base/errors.h"
#include "kernels/linalg/eigenbasis.h"
#include "kernels/linalg/round_to_bfloat16.h"
#include "tests/support/devices.h"
#include "tests/support/oracles.h"
#include "tests/support/random_data.h"

namespace penchant {
namespace {

using testing::RandomCsr;
using testing::RandomMatrix;

AlsObjective Objective() {
  AlsObjective objective;
  objective.alpha = 1.5;
  objective.unobserved_weight = 0.02;
  objective.regularization = 0.05;
  objective.regularization_power = 0.6;
  return objective;
}

double RelativeError(const float* got, const std::vector<double>& wanted) {
  double error = 0, norm = 0;
  for (size_t k = 0; k < wanted.size(); ++k) {
    error += (got[k] - wanted[k]) * (got[k] - wanted[k]);
    norm += wanted[k] * wanted[k];
  }
  return norm == 0 ? std::sqrt(error) : std::sqrt(error / norm);
}

// The fixed side as the device holds it, and as the test sees it.
struct Fixed {
  Fixed(Context& context, Matrix host)
      : on_device(context, std::move(host)), basis(RotateToEigenbasis(context, on_device.view())) {
    context.Synchronize();
    table = on_device.Download(context);
    eigenvalues = Download(context, basis.eigenvalues);
  }
  FixedSide side() {
    return {on_device.view(), basis.eigenvalues.data(),
            packed.size() > 0 ? packed.data() : nullptr};
  }
  FixedSide on_host() const { return {table.view(), eigenvalues.data()}; }
  void Round(Context& context) {
    packed = DeviceBuffer<Bfloat16>(context, table.rows() * table.stride());
    RoundToBfloat16(context, on_device.view(), packed.data());
    table = on_device.Download(context);
  }

  DeviceMatrix on_device;
  DeviceBuffer<Bfloat16> packed;
  Eigenbasis basis;
  Matrix table;  // rotated
  std::vector<double> eigenvalues;
};

struct Solved {
  Matrix out;
  SolveReport report;
};

// `out` comes in with what is to be overwritten.
Solved Solve(Context& context, const AlsObjective& objective, Fixed& fixed, const CsrView& rows,
             Matrix out) {
  Solved solved;
  const DeviceCsr on_device(context, rows);
  const RowPlan plan(context, on_device.view(), fixed.table.cols());
  DeviceMatrix table(context, std::move(out));
  const auto report =
      SolveRows(context, objective, fixed.side(), on_device.view(), plan, table.view());
  context.Synchronize();
  solved.report = *report;
  solved.out = table.Release(context);
  return solved;
}

Solved Solve(Context& context, const AlsObjective& objective, Fixed& fixed, const CsrView& rows) {
  return Solve(context, objective, fixed, rows, RandomMatrix(rows.rows, fixed.table.cols(), 77));
}

// Row lengths around every lane, tile and side boundary, an empty row, and long rows.
std::vector<int64_t> BoundaryLengths(int64_t factors, int64_t cols) {
  std::vector<int64_t> lengths = {0,  1,  2,  3,  4,  5,   7,   8,   9,   15,  16,  17,  31,
                                  32, 33, 63, 64, 65, 127, 128, 129, 130, 255, 256, 257, 300};
  for (int64_t delta : {-1, 0, 1}) lengths.push_back(factors + delta);
  std::vector<int64_t> possible;
  for (int64_t n : lengths) {
    if (n >= 0 && n <= cols) possible.push_back(n);
  }
  return possible;
}

class SolveRowsTest : public testing::DeviceTest {
 protected:
  // The solved rows against the oracle's.
  double WorstError(const AlsObjective& objective, const Fixed& fixed, const CsrView& rows,
                    const Matrix& out) {
    const oracle::Table table = oracle::FromView(fixed.table.view());
    double worst = 0;
    for (int64_t i = 0; i < rows.rows; ++i) {
      const double error = RelativeError(out.row(i), oracle::AlsRow(objective, table, rows, i));
      worst = std::max(worst, std::isnan(error) ? INFINITY : error);
    }
    return worst;
  }
};

TEST_P(SolveRowsTest, MatchesTheNormalEquationsInDouble) {
  for (int64_t factors : {1, 3, 15, 16, 17, 40, 64, 100}) {
    for (bool unit : {true, false}) {
      const Csr rows = RandomCsr(BoundaryLengths(factors, 320), 320, 7 + factors, unit);
      Fixed fixed(context(), RandomMatrix(320, factors, factors, 0.3f));
      const Solved solved = Solve(context(), Objective(), fixed, rows.view());
      EXPECT_EQ(solved.report.retried_rows, 0);
      const oracle::Table table = oracle::FromView(fixed.table.view());
      for (int64_t i = 0; i < rows.rows; ++i) {
        const auto wanted = oracle::AlsRow(Objective(), table, rows.view(), i);
        EXPECT_LT(RelativeError(solved.out.row(i), wanted), 2e-5)
            << "factors " << factors << " row of " << rows.view().row_size(i);
      }
    }
  }
}

TEST_P(SolveRowsTest, AccurateForEveryCondition) {
  // Confidences over five magnitudes: from systems near the identity to large condition numbers.
  const Csr rows = RandomCsr({30, 64, 100, 128, 129, 160, 161, 300}, 320, 5, false);
  for (int64_t factors : {64, 160}) {
    Fixed fixed(context(), RandomMatrix(320, factors, 8, 0.3f));
    const oracle::Table table = oracle::FromView(fixed.table.view());
    for (double alpha : {1e-3, 0.03, 1.0, 10.0, 100.0}) {
      AlsObjective objective = Objective();
      objective.alpha = alpha;
      const Solved solved = Solve(context(), objective, fixed, rows.view());
      std::vector<double> errors;
      for (int64_t i = 0; i < rows.rows; ++i) {
        errors.push_back(
            RelativeError(solved.out.row(i), oracle::AlsRow(objective, table, rows.view(), i)));
      }
      std::sort(errors.begin(), errors.end());
      EXPECT_LT(errors[errors.size() / 2], 5e-6) << "alpha " << alpha << " factors " << factors;
      EXPECT_LT(errors.back(), alpha < 50 ? 2e-5 : 2e-4) << "alpha " << alpha;
    }
  }
}

TEST_P(SolveRowsTest, LongSumsOfLikeSignsKeepTheirDigits) {
  // Sums that never cancel, over thousands of observations: what drops digits at every step shows.
  const Csr rows = RandomCsr({900, 3900, 5000, 9000}, 9500, 31, true);
  for (int64_t factors : {24, 72}) {
    Matrix items = RandomMatrix(9500, factors, 8, 0.3f);
    for (int64_t i = 0; i < items.rows(); ++i) {
      for (int64_t k = 0; k < factors; ++k) items.row(i)[k] = std::fabs(items.row(i)[k]);
    }
    Fixed fixed(context(), std::move(items));
    const Solved solved = Solve(context(), Objective(), fixed, rows.view());
    EXPECT_LT(WorstError(Objective(), fixed, rows.view(), solved.out), 5e-6) << factors;
  }
}

TEST_P(SolveRowsTest, RowsOfBfloat16MatchTheNormalEquationsOfTheRoundedTable) {
  for (int64_t factors : {1, 17, 64, 100, 130, 200}) {
    const Csr rows = RandomCsr(BoundaryLengths(factors, 320), 320, 7 + factors, false);
    Fixed fixed(context(), RandomMatrix(320, factors, factors, 0.3f));
    const oracle::Table gram = oracle::Gram(oracle::FromView(fixed.table.view()));
    const Matrix unrounded = fixed.table.Clone();
    fixed.Round(context());
    EXPECT_NE(0, std::memcmp(unrounded.row(0), fixed.table.row(0), factors * sizeof(float)));
    const Solved solved = Solve(context(), Objective(), fixed, rows.view());
    EXPECT_EQ(solved.report.retried_rows, 0);
    const oracle::Table table = oracle::FromView(fixed.table.view());
    for (int64_t i = 0; i < rows.rows; ++i) {
      const auto wanted = oracle::AlsRow(Objective(), table, gram, rows.view(), i);
      EXPECT_LT(RelativeError(solved.out.row(i), wanted), 2e-5)
          << "factors " << factors << " row of " << rows.view().row_size(i);
    }
  }
}

TEST_P(SolveRowsTest, RowsOfBfloat16InChunks) {
  const Csr rows = RandomCsr({5000, 3, 9000}, 9500, 31, true);
  Fixed fixed(context(), RandomMatrix(9500, 40, 8, 0.3f));
  const oracle::Table gram = oracle::Gram(oracle::FromView(fixed.table.view()));
  fixed.Round(context());
  const Solved solved = Solve(context(), Objective(), fixed, rows.view());
  const oracle::Table table = oracle::FromView(fixed.table.view());
  for (int64_t i = 0; i < rows.rows; ++i) {
    const auto wanted = oracle::AlsRow(Objective(), table, gram, rows.view(), i);
    EXPECT_LT(RelativeError(solved.out.row(i), wanted), 2e-5) << i;
  }
}

TEST_P(SolveRowsTest, LargeSystems) {
  // Orders beyond what a lane (256) or a CUDA block's shared memory holds.
  for (int64_t factors : {200, 300}) {
    const Csr rows = RandomCsr({190, 270, 290, 299, 300, 301, 350, 10}, 400, 3, false);
    Fixed fixed(context(), RandomMatrix(400, factors, 5, 0.1f));
    const Solved solved = Solve(context(), Objective(), fixed, rows.view());
    EXPECT_LT(WorstError(Objective(), fixed, rows.view(), solved.out), 2e-5) << factors;
  }
}

TEST_P(SolveRowsTest, MoreFactorsThanABlockCopiesAtOnce) {
  // Lines of more than 512 factors take several turns of a CUDA block's threads.
  const Csr rows = RandomCsr({530, 7, 40}, 560, 3, false);
  Fixed fixed(context(), RandomMatrix(560, 520, 5, 0.1f));
  const Solved solved = Solve(context(), Objective(), fixed, rows.view());
  EXPECT_LT(WorstError(Objective(), fixed, rows.view(), solved.out), 2e-5);
}

TEST_P(SolveRowsTest, FactorsThatDoNotFitABlockAreRefusedByNumber) {
  if (!context().cuda()) return;  // CPUs have no such bound
  const int64_t factors = 2000;
  DeviceMatrix table(context(), RandomMatrix(2100, factors, 5, 0.1f));
  const DeviceBuffer<double> eigenvalues(context(), factors);
  for (int64_t n : {1900, 2100}) {  // on either side
    const Csr rows = RandomCsr({n}, 2100, 3, true);
    const DeviceCsr on_device(context(), rows.view());
    DeviceMatrix out(context(), 1, factors);
    try {
      SolveRows(context(), Objective(), {table.view(), eigenvalues.data()}, on_device.view(),
                RowPlan(context(), on_device.view(), factors), out.view());
      FAIL() << "not refused";
    } catch (const InvalidArgument& error) {
      EXPECT_NE(std::string(error.what()).find("2000 factors take"), std::string::npos)
          << error.what();
      EXPECT_NE(std::string(error.what()).find("device=\"cpu\""), std::string::npos);
    }
    context().Synchronize();
  }
}

TEST_P(SolveRowsTest, OneHugeRowBesideEmptyOnes) {
  std::vector<int64_t> lengths(40, 0);
  lengths[17] = 20000;
  lengths[3] = 9000;
  const Csr rows = RandomCsr(lengths, 20000, 9, true);
  Fixed fixed(context(), RandomMatrix(20000, 8, 2, 0.3f));
  const Solved solved = Solve(context(), Objective(), fixed, rows.view());
  EXPECT_LT(WorstError(Objective(), fixed, rows.view(), solved.out), 2e-5);
  for (int64_t k = 0; k < 8; ++k) EXPECT_EQ(solved.out.row(4)[k], 0.0f);
}

TEST_P(SolveRowsTest, SameBitsForAnyNumberOfThreadsAndCompany) {
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < 300; ++i) lengths.push_back(i * 7919 % 150);
  const Csr rows = RandomCsr(lengths, 500, 11, false);
  const auto one = MakeContext(1), three = MakeContext(3);
  Fixed fixed(*one, RandomMatrix(500, 48, 4, 0.3f));
  Fixed same(*three, RandomMatrix(500, 48, 4, 0.3f));
  const Solved a = Solve(*one, Objective(), fixed, rows.view());
  const Solved b = Solve(*three, Objective(), same, rows.view());
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
    const Solved c = Solve(*one, Objective(), fixed, alone.view());
    EXPECT_EQ(0, std::memcmp(c.out.row(0), a.out.row(i), 48 * sizeof(float))) << "row " << i;
  }
}

TEST_P(SolveRowsTest, OffsetsBeyondThirtyTwoBits) {
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
  Fixed fixed(context(), RandomMatrix(60, 16, 3, 0.3f));
  DeviceMatrix out(context(), 2, 16);
  SolveRows(context(), Objective(), fixed.side(), far, RowPlan(context(), far, 16), out.view());
  context().Synchronize();
  EXPECT_LT(WorstError(Objective(), fixed, rows.view(), out.Download(context())), 2e-5);
  munmap(reserved, bytes);
}

TEST_P(SolveRowsTest, LeavesNeighboursAndPaddingAlone) {
  // The result sits inside a larger table of NaN; only its own rows may change.
  const int64_t factors = 20;
  const Csr rows = RandomCsr({5, 0, 30, 100}, 200, 21, false);
  Fixed fixed(context(), RandomMatrix(200, factors, 1, 0.3f));
  Matrix guarded(rows.rows + 2, factors);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (int64_t i : {int64_t{0}, rows.rows + 1}) {
    for (int64_t k = 0; k < guarded.stride(); ++k) guarded.row(i)[k] = nan;
  }
  DeviceMatrix table(context(), std::move(guarded));
  MatrixView<float> inner{table.view().row(1), rows.rows, factors, table.stride()};
  const DeviceCsr on_device(context(), rows.view());
  SolveRows(context(), Objective(), fixed.side(), on_device.view(),
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

TEST_P(SolveRowsTest, GradientVanishesAtTheSolution) {
  const Csr rows = RandomCsr({3, 20, 90}, 150, 33, false);
  Fixed fixed(context(), RandomMatrix(150, 24, 6, 0.3f));
  const Solved solved = Solve(context(), Objective(), fixed, rows.view());
  const oracle::Table items = oracle::FromView(fixed.table.view());
  oracle::Table users = oracle::FromView(solved.out.view());
  const double step = 1e-4;
  const double base = oracle::AlsLoss(Objective(), users, items, rows.view());
  for (size_t u = 0; u < users.size(); ++u) {
    for (size_t k = 0; k < 24; k += 5) {
      const double x = users[u][k];
      users[u][k] = x + step;
      const double up = oracle::AlsLoss(Objective(), users, items, rows.view());
      users[u][k] = x - step;
      const double down = oracle::AlsLoss(Objective(), users, items, rows.view());
      users[u][k] = x;
      const double curvature = (up - 2 * base + down) / (step * step);
      EXPECT_LT(std::abs((up - down) / (2 * step)), 2e-4 * std::max(1.0, curvature));
    }
  }
}

TEST_P(SolveRowsTest, LossMatchesTheSumOverAllCells) {
  const Csr rows = RandomCsr({3, 0, 20, 60}, 80, 3, false);
  const Csr columns = Transpose(rows.view());
  const Matrix users = RandomMatrix(4, 9, 1, 0.4f), items = RandomMatrix(80, 9, 2, 0.4f);
  const DeviceMatrix user_table(context(), users.view()), item_table(context(), items.view());
  const auto loss = [&](int64_t block_bytes) {
    return AlsLoss(context(), Objective(), user_table.view(), item_table.view(),
                   CsrBlocks(context(), rows.view(), block_bytes),
                   CsrBlocks(context(), columns.view(), block_bytes));
  };
  const double got = loss(0);
  const double wanted = oracle::AlsLoss(Objective(), oracle::FromView(users.view()),
                                        oracle::FromView(items.view()), rows.view());
  EXPECT_NEAR(got, wanted, 1e-5 * wanted);
  EXPECT_EQ(loss(200), got);  // the same sums when the rows come in blocks
}

TEST_P(SolveRowsTest, ExplainPartsSumToTheScore) {
  for (int64_t n : {4, 70}) {
    const Csr rows = RandomCsr({n}, 100, 5, false);
    Fixed fixed(context(), RandomMatrix(100, 32, 8, 0.3f));
    const Solved solved = Solve(context(), Objective(), fixed, rows.view());
    for (int32_t item : {0, 55}) {
      const auto parts = ExplainScore(Objective(), fixed.on_host(), rows.view(), item);
      double sum = 0, score = 0;
      for (double part : parts) sum += part;
      for (int64_t k = 0; k < 32; ++k) {
        score += double{solved.out.row(0)[k]} * double{fixed.table.row(item)[k]};
      }
      EXPECT_NEAR(sum, score, 1e-5);
    }
  }
}

TEST_P(SolveRowsTest, WhatFloat32CannotFactorIsSolvedAgainInDoubleAndReported) {
  // Two items alike with huge confidences: float32 cannot tell their Gram matrix from a singular
  // one. The rows around it are ordinary.
  Matrix items = RandomMatrix(60, 16, 12, 0.3f);
  for (int64_t k = 0; k < 16; ++k) items.row(8)[k] = items.row(7)[k];
  Fixed fixed(context(), std::move(items));
  for (int64_t n : {4, 30}) {
    Csr rows = RandomCsr({n, n, n}, 60, 17, true);
    rows.values.assign(rows.indices.size(), 1.0f);
    rows.indices[n] = 7;
    rows.indices[n + 1] = 8;
    for (int64_t j = 2; j < n; ++j) rows.indices[n + j] = static_cast<int32_t>(8 + j);
    rows.values[n] = rows.values[n + 1] = 1e12f;
    const Solved solved = Solve(context(), Objective(), fixed, rows.view());
    if (n == 4) {  // the short side; on the long one, 16 x 16, float32 may still manage
      EXPECT_EQ(solved.report.retried_rows, 1);
      EXPECT_EQ(solved.report.first_retried_row, 1);
    }
    EXPECT_LT(WorstError(Objective(), fixed, rows.view(), solved.out), 2e-3) << n;
  }
}

TEST_P(SolveRowsTest, PivotsThatAreAllRoundingAreNotTrusted) {
  // Pairs of nearly equal items with growing confidences: somewhere on the way float32 loses the
  // second pivot without its becoming negative, and a solution from it is far off.
  Matrix items = RandomMatrix(60, 16, 12, 0.3f);
  for (int64_t k = 0; k < 16; ++k) items.row(8)[k] = items.row(7)[k] * (k == 0 ? 1.001f : 1.0f);
  Fixed fixed(context(), std::move(items));
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
  const Solved solved = Solve(context(), Objective(), fixed, rows.view());
  EXPECT_GT(solved.report.retried_rows, 0);
  EXPECT_LT(solved.report.retried_rows, count);
  EXPECT_LT(WorstError(Objective(), fixed, rows.view(), solved.out), 0.1);
}

TEST_P(SolveRowsTest, ExtremeConfidencesStayFinite) {
  Csr rows = RandomCsr({12, 40}, 60, 17, true);
  rows.values.assign(rows.indices.size(), 1.0f);
  for (size_t j = 0; j < rows.values.size(); j += 2) rows.values[j] = 1e30f;
  AlsObjective objective = Objective();
  objective.regularization = 1e-6;
  Fixed fixed(context(), RandomMatrix(60, 16, 12, 0.3f));
  const Solved solved = Solve(context(), objective, fixed, rows.view());
  for (int64_t i = 0; i < rows.rows; ++i) {
    for (int64_t k = 0; k < 16; ++k) EXPECT_TRUE(std::isfinite(solved.out.row(i)[k]));
  }
}

PENCHANT_ON_ALL_DEVICES(SolveRowsTest);

TEST(AlsObjectiveTest, RefusesParametersOutsideTheirDomain) {
  for (auto spoil :
       {+[](AlsObjective* o) { o->alpha = 0; }, +[](AlsObjective* o) { o->unobserved_weight = -1; },
        +[](AlsObjective* o) { o->regularization = 0; },
        +[](AlsObjective* o) { o->regularization_power = std::nan(""); }}) {
    AlsObjective objective;
    spoil(&objective);
    EXPECT_THROW(objective.Validate(), InvalidArgument);
  }
}

TEST(RowPlanTest, OrdersByFallingLengthAndCoversEveryRowOnce) {
  const Csr rows = RandomCsr({3, 9, 0, 9, 1, 30}, 40, 1, true);
  Context context(1);
  const RowPlan plan(context, rows.view(), 16);
  EXPECT_EQ(plan.order(), (std::vector<int32_t>{5, 1, 3, 0, 4, 2}));
  EXPECT_EQ(plan.unit_begin().front(), 0);
  EXPECT_EQ(plan.unit_begin().back(), 6);
  EXPECT_EQ(plan.longest(), 30);
}

}  // namespace
}  // namespace penchant
