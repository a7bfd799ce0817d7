#include "io/reader/als_system.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/base/errors.h"
#include "tests/support/random_data.h"

namespace penchant {
namespace {

TEST(AlsSystemTest, SolvesBothSides) {
  for (int64_t n : {0, 1, 5, 8, 9, 40}) {
    constexpr int64_t kFactors = 9;
    const Matrix y = testing::RandomMatrix(n, kFactors, 11);
    std::vector<float> items;
    std::vector<double> weights, diagonal, v;
    for (int64_t j = 0; j < n; ++j) {
      items.insert(items.end(), y.row(j), y.row(j) + kFactors);
      weights.push_back(j == 2 ? 0.0 : 0.5 + static_cast<double>(j));
    }
    for (int64_t k = 0; k < kFactors; ++k) {
      diagonal.push_back(0.01 + static_cast<double>(k * k));
      v.push_back(std::sin(static_cast<double>(k + 1)));
    }
    const auto x = AlsSystem(items, weights, diagonal).Solve(v);
    for (int64_t k = 0; k < kFactors; ++k) {
      double product = diagonal[k] * x[k];
      for (int64_t j = 0; j < n; ++j) {
        double dot = 0;
        for (int64_t l = 0; l < kFactors; ++l) dot += double{y.row(j)[l]} * x[l];
        product += weights[j] * double{y.row(j)[k]} * dot;
      }
      EXPECT_NEAR(product, v[k], 1e-9) << n;
    }
  }
}

}  // namespace
}  // namespace penchant
