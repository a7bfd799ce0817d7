// Training sessions in tests, and what is expected of tables.
#ifndef PENCHANT_TESTS_SUPPORT_TRAINING_H_
#define PENCHANT_TESTS_SUPPORT_TRAINING_H_

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "kernels/linalg/finite.h"
#include "tests/support/devices.h"
#include "tests/support/random_data.h"
#include "trainer/config.h"
#include "trainer/session.h"

namespace penchant::testing {

inline SessionOptions Options(const std::string& config, std::shared_ptr<Interactions> train) {
  SessionOptions options;
  options.config = ParseTrainConfig(config, "test");
  options.train = std::move(train);
  return options;
}

inline std::shared_ptr<Model> Train(SessionOptions options, int threads = 2,
                                    const Session::Callback& callback = {},
                                    const std::string& target = "cpu") {
  const auto context = ContextOn(target, threads);
  return Session(std::move(options)).Run(*context, callback);
}

inline void ExpectFinite(const Matrix& table) {
  Context context(1);
  RequireFinite(context, table.view(), "factors");
}

inline void ExpectSameBits(const Matrix& a, const Matrix& b) {
  ASSERT_EQ(a.rows(), b.rows());
  ASSERT_EQ(a.cols(), b.cols());
  for (int64_t i = 0; i < a.rows(); ++i) {
    ASSERT_EQ(0, std::memcmp(a.row(i), b.row(i), a.cols() * sizeof(float))) << "row " << i;
  }
}

}  // namespace penchant::testing

#endif  // PENCHANT_TESTS_SUPPORT_TRAINING_H_
