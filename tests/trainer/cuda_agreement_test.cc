// The CUDA backend against the CPU's on real data: a whole ALS fit of MovieLens-100K, cut to 300
// users, in factors (up to the rotation that a fit leaves open) and in metrics. The file is named
// by $PENCHANT_MOVIELENS, as ./dev test sets it.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>

#include "io/dataset/split.h"
#include "tests/support/devices.h"
#include "trainer/config.h"
#include "trainer/evaluator.h"
#include "trainer/session.h"

namespace penchant {
namespace {

// Rows "user item rating time" of the first 300 users; null when the file is not there.
std::shared_ptr<Interactions> LoadUsers(int32_t num_users) {
  const char* path = std::getenv("PENCHANT_MOVIELENS");
  if (path == nullptr) return nullptr;
  std::ifstream file(path);
  std::string header;
  if (!std::getline(file, header)) return nullptr;
  std::vector<int32_t> users, items;
  std::vector<float> ratings;
  int32_t user, item;
  float rating, time;
  while (file >> user >> item >> rating >> time) {
    if (user > num_users) continue;
    users.push_back(user - 1);
    items.push_back(item - 1);
    ratings.push_back(rating);
  }
  return MakeInteractions(std::make_shared<IdDictionary>(IdDictionary::Range(num_users)),
                          std::make_shared<IdDictionary>(IdDictionary::Range(1682)),
                          {users, items, ratings}, Duplicates::kError);
}

class CudaAgreementTest : public testing::DeviceTest {
 protected:
  // Trains on the target, or on the CPU.
  std::shared_ptr<Model> Fit(std::shared_ptr<Interactions> train, const std::string& dtype,
                             bool on_target) {
    SessionOptions options;
    options.config =
        ParseTrainConfig("als { factors: 32 iterations: 3 dtype: '" + dtype + "' }", "test");
    options.train = std::move(train);
    Context cpu(2);
    return Session(std::move(options)).Run(on_target ? context() : cpu, {});
  }

  // `tolerance` of scores and of eigenvalues, relative to the largest.
  void ExpectAgreement(const std::string& dtype, double tolerance);
};

void CudaAgreementTest::ExpectAgreement(const std::string& dtype, double tolerance) {
  const auto data = LoadUsers(300);
  if (data == nullptr) GTEST_SKIP() << "set PENCHANT_MOVIELENS to MovieLens-100K's ratings file";
  const Split split = SplitRandom(*data, 0.2, 1);
  const auto wanted = Fit(split.train, dtype, false);
  const auto got = Fit(split.train, dtype, true);
  // Scores do not depend on the rotation.
  double error = 0, norm = 0;
  for (int64_t u = 0; u < 300; ++u) {
    for (int64_t i = 0; i < 1682; i += 7) {
      double a = 0, b = 0;
      for (int64_t k = 0; k < 32; ++k) {
        a += double{got->factors.users.row(u)[k]} * got->factors.items.row(i)[k];
        b += double{wanted->factors.users.row(u)[k]} * wanted->factors.items.row(i)[k];
      }
      error += (a - b) * (a - b);
      norm += b * b;
    }
  }
  EXPECT_LT(std::sqrt(error / norm), tolerance);
  // Nor do the items' Gram eigenvalues, which the rotation diagonalizes.
  for (int64_t k = 0; k < 32; ++k) {
    EXPECT_NEAR(got->factors.item_eigenvalues[k], wanted->factors.item_eigenvalues[k],
                tolerance * wanted->factors.item_eigenvalues[0]);
  }
  const CsrView train = split.train->user_items.view();
  Context cpu(2);
  const auto judge = [&](Context& where, const Model& model) {
    const DeviceMatrix users(where, model.factors.users.view());
    const DeviceMatrix items(where, model.factors.items.view());
    return MeanMetric(
        Evaluate(where, users.view(), items.view(), split.test->user_items.view(), &train, {20})
            .at_k[0],
        "ndcg");
  };
  EXPECT_NEAR(judge(context(), *got), judge(cpu, *wanted), 1e-3);
}

TEST_P(CudaAgreementTest, AWholeFitAgreesWithTheCpu) { ExpectAgreement("float32", 1e-4); }

// Where eigenvalues lie close together their vectors are hardly determined, and what is rounded in
// their basis differs by a rounding: eight bits.
TEST_P(CudaAgreementTest, AWholeFitOfBfloat16AgreesWithTheCpu) {
  ExpectAgreement("bfloat16", 4e-3);
}

PENCHANT_ON_ALL_DEVICES(CudaAgreementTest);

}  // namespace
}  // namespace penchant
