#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/base/errors.h"
#include "kernels/linalg/eigenbasis.h"
#include "kernels/linalg/finite.h"
#include "kernels/linalg/gram.h"
#include "kernels/linalg/normalize_rows.h"
#include "kernels/linalg/round_to_bfloat16.h"
#include "tests/support/devices.h"
#include "tests/support/oracles.h"
#include "tests/support/random_data.h"

namespace penchant {
namespace {

class LinalgTest : public testing::DeviceTest {};

TEST_P(LinalgTest, GramMatchesTheNaiveSum) {
  for (int64_t rows : {0, 1, 127, 128, 129, 5000}) {
    for (int64_t d : {1, 16, 33}) {
      const Matrix table = testing::RandomMatrix(rows, d, rows + d);
      const auto got = Gram(context(), DeviceMatrix(context(), table.view()).view());
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
  const auto one = MakeContext(1), three = MakeContext(3);
  EXPECT_EQ(Gram(*one, DeviceMatrix(*one, table.view()).view()),
            Gram(*three, DeviceMatrix(*three, table.view()).view()));
}

TEST_P(LinalgTest, TheEigenbasisDiagonalizesTheGramAndKeepsLengths) {
  for (int64_t d : {24, 260}) {  // CUDA decomposes the larger on the device
    const Matrix before = testing::RandomMatrix(700, d, 3);
    DeviceMatrix on_device(context(), before.view());
    const Eigenbasis basis = RotateToEigenbasis(context(), on_device.view());
    context().Synchronize();
    EXPECT_EQ(*basis.clamped, 0);
    const Matrix table = on_device.Download(context());
    const auto eigenvalues = Download(context(), basis.eigenvalues);
    const auto gram = oracle::Gram(oracle::FromView(table.view()));
    for (int64_t i = 0; i < d; ++i) {
      for (int64_t j = 0; j < d; ++j) {
        EXPECT_NEAR(gram[i][j], i == j ? eigenvalues[i] : 0.0, 1e-2);
      }
      if (i > 0) {
        EXPECT_LE(eigenvalues[i], eigenvalues[i - 1]);
      }
    }
    for (int64_t r : {0, 255, 256, 699}) {
      double length = 0, wanted = 0;
      for (int64_t k = 0; k < d; ++k) {
        length += table.row(r)[k] * table.row(r)[k];
        wanted += before.row(r)[k] * before.row(r)[k];
      }
      EXPECT_NEAR(length, wanted, 1e-4 * wanted);
    }
  }
}

TEST_P(LinalgTest, FewerRowsThanColumnsGiveZeroEigenvalues) {
  DeviceMatrix table(context(), testing::RandomMatrix(3, 10, 4));
  const Eigenbasis basis = RotateToEigenbasis(context(), table.view());
  context().Synchronize();
  const auto eigenvalues = Download(context(), basis.eigenvalues);
  for (int64_t k = 3; k < 10; ++k) EXPECT_NEAR(eigenvalues[k], 0.0, 1e-5);
}

TEST_P(LinalgTest, RoundsToTheNearestBfloat16TiesToEven) {
  for (int64_t rows : {0, 1, 300}) {
    Matrix table = testing::RandomMatrix(rows, 33, 8);
    if (rows > 0) {
      // Halfway between neighbours, whose last bits are 0 and 1, then 1 and 0; either side of that.
      const float cases[] = {0x1.01p0f,     0x1.03p0f,     -0x1.01p0f, 0x1.010002p0f,
                             0x1.00fffep0f, 0x1.fffffep0f, 0.0f,       0x1.01p-126f};
      std::copy(std::begin(cases), std::end(cases), table.row(0));
    }
    DeviceMatrix on_device(context(), table.view());
    DeviceBuffer<Bfloat16> packed(context(), rows * table.stride());
    RoundToBfloat16(context(), on_device.view(), packed.data());
    const Matrix got = on_device.Download(context());
    const std::vector<Bfloat16> codes = Download(context(), packed);
    DeviceMatrix alone(context(), table.view());
    RoundToBfloat16(context(), alone.view(), nullptr);
    const Matrix unpacked = alone.Download(context());
    if (rows > 0) {
      const float wanted[] = {1.0f,     0x1.04p0f, -1.0f, 0x1.02p0f,
                              0x1.0p0f, 0x1.0p1f,  0.0f,  0x1.0p-126f};
      for (int k = 0; k < 8; ++k) EXPECT_EQ(got.row(0)[k], wanted[k]) << k;
    }
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t k = 0; k < table.stride(); ++k) {
        const float value = table.row(i)[k], rounded = got.row(i)[k];
        // Eight digits: nothing that has no more is nearer.
        EXPECT_LE(std::abs(rounded - value), std::ldexp(std::abs(value), -8));
        EXPECT_EQ(std::fmod(rounded, std::ldexp(1.0f, std::ilogb(rounded == 0 ? 1 : rounded) - 7)),
                  0.0f);
        EXPECT_EQ(codes[i * table.stride() + k].value(), rounded);
        EXPECT_EQ(unpacked.row(i)[k], rounded);
      }
    }
  }
}

TEST_P(LinalgTest, NonFiniteFactorsAreRefused) {
  Matrix host = testing::RandomMatrix(30, 4, 4);
  host.row(7)[2] = std::nanf("");
  DeviceMatrix table(context(), std::move(host));
  EXPECT_THROW(
      {
        RotateToEigenbasis(context(), table.view());
        context().Synchronize();
      },
      NumericError);
}

TEST_P(LinalgTest, TheFirstNonFiniteRowIsNamed) {
  Matrix host = testing::RandomMatrix(3000, 40, 4);
  DeviceMatrix good(context(), host.view());
  RequireFinite(context(), good.view(), "factors");
  context().Synchronize();
  host.row(2999)[39] = INFINITY;
  host.row(1234)[0] = std::nanf("");
  DeviceMatrix bad(context(), std::move(host));
  try {
    RequireFinite(context(), bad.view(), "factors");
    context().Synchronize();
    FAIL() << "no error";
  } catch (const NumericError& error) {
    EXPECT_THAT(error.what(),
                ::testing::HasSubstr("factors hold a non-finite value, first in row 1234"));
  }
}

TEST_P(LinalgTest, RowsAreNormalizedOrStayZero) {
  for (int64_t cols : {1, 16, 65}) {
    Matrix host = testing::RandomMatrix(1500, cols, 6);
    for (int64_t k = 0; k < cols; ++k) host.row(7)[k] = 0.0f;
    DeviceMatrix table(context(), host.view());
    NormalizeRows(context(), table.view());
    const Matrix got = table.Release(context());
    for (int64_t i = 0; i < host.rows(); ++i) {
      double square = 0;
      for (int64_t k = 0; k < cols; ++k) square += double{host.row(i)[k]} * double{host.row(i)[k]};
      for (int64_t k = 0; k < cols; ++k) {
        const double wanted = i == 7 ? 0.0 : host.row(i)[k] / std::sqrt(square);
        ASSERT_NEAR(got.row(i)[k], wanted, 1e-6) << "row " << i;
      }
    }
  }
}

PENCHANT_ON_ALL_DEVICES(LinalgTest);

}  // namespace
}  // namespace penchant
