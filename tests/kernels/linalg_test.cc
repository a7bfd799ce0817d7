#include <gtest/gtest.h>

#include <cmath>

#include "kernels/base/errors.h"
#include "kernels/linalg/eigenbasis.h"
#include "kernels/linalg/gram.h"
#include "tests/support/oracles.h"
#include "tests/support/random_data.h"

namespace penchant {
namespace {

class LinalgTest : public ::testing::TestWithParam<Isa> {
 protected:
  testing::ScopedIsa isa_{GetParam()};
  Context context_{2};
};

TEST_P(LinalgTest, GramMatchesTheNaiveSum) {
  for (int64_t rows : {0, 1, 127, 128, 129, 5000}) {
    for (int64_t d : {1, 16, 33}) {
      const Matrix table = testing::RandomMatrix(rows, d, rows + d);
      const auto got = Gram(context_, table.view());
      const auto wanted = oracle::Gram(oracle::FromView(table.view()));
      for (int64_t i = 0; i < d; ++i) {
        for (int64_t j = 0; j < d; ++j) {
          const double value = rows == 0 ? 0.0 : wanted[i][j];
          EXPECT_NEAR(got[i * d + j], value, 1e-5 * (1.0 + static_cast<double>(rows)));
        }
      }
    }
  }
}

TEST_P(LinalgTest, GramHasTheSameBitsForAnyNumberOfThreads) {
  const Matrix table = testing::RandomMatrix(30000, 20, 5);
  Context one(1), three(3);
  EXPECT_EQ(Gram(one, table.view()), Gram(three, table.view()));
}

TEST_P(LinalgTest, TheEigenbasisDiagonalizesTheGramAndKeepsLengths) {
  Matrix table = testing::RandomMatrix(700, 24, 3);
  const Matrix before = table.Clone();
  const Eigenbasis basis = RotateToEigenbasis(context_, table.view());
  const auto gram = oracle::Gram(oracle::FromView(table.view()));
  for (int64_t i = 0; i < 24; ++i) {
    for (int64_t j = 0; j < 24; ++j) {
      EXPECT_NEAR(gram[i][j], i == j ? basis.eigenvalues[i] : 0.0, 1e-2);
    }
    if (i > 0) {
      EXPECT_LE(basis.eigenvalues[i], basis.eigenvalues[i - 1]);
    }
  }
  for (int64_t r : {0, 255, 256, 699}) {
    double length = 0, wanted = 0;
    for (int64_t k = 0; k < 24; ++k) {
      length += table.row(r)[k] * table.row(r)[k];
      wanted += before.row(r)[k] * before.row(r)[k];
    }
    EXPECT_NEAR(length, wanted, 1e-4 * wanted);
  }
}

TEST_P(LinalgTest, FewerRowsThanColumnsGiveZeroEigenvalues) {
  Matrix table = testing::RandomMatrix(3, 10, 4);
  const Eigenbasis basis = RotateToEigenbasis(context_, table.view());
  for (int64_t k = 3; k < 10; ++k) EXPECT_NEAR(basis.eigenvalues[k], 0.0, 1e-5);
}

TEST_P(LinalgTest, NonFiniteFactorsAreRefused) {
  Matrix table = testing::RandomMatrix(30, 4, 4);
  table.row(7)[2] = std::nanf("");
  EXPECT_THROW(RotateToEigenbasis(context_, table.view()), NumericError);
}

INSTANTIATE_TEST_SUITE_P(Cpu, LinalgTest, ::testing::ValuesIn(SupportedIsas()),
                         [](const auto& info) { return std::string(IsaName(info.param)); });

}  // namespace
}  // namespace penchant
