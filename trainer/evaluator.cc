#include "trainer/evaluator.h"

#include <algorithm>
#include <cstring>

#include "io/dataset/interactions.h"
#include "kernels/base/errors.h"
#include "kernels/score/top_k.h"

namespace penchant {
namespace {

// Test users whose lists are held at a time.
constexpr int64_t kUsersAtATime = 65536;

}  // namespace

Evaluation Evaluate(Context& context, MatrixView<const float> users, MatrixView<const float> items,
                    const CsrView& test, const CsrView* train,
                    const std::vector<int64_t>& cutoffs) {
  PENCHANT_REQUIRE(!cutoffs.empty(), "k must name at least one cut-off");
  PENCHANT_REQUIRE(test.rows <= users.rows && test.cols <= items.rows, "the test set is ",
                   test.rows, " users x ", test.cols, " items, the model ", users.rows, " x ",
                   items.rows, "; read the test set with the model's dictionaries");
  if (train != nullptr) {
    PENCHANT_REQUIRE(train->rows <= users.rows && train->cols <= items.rows, "the training set is ",
                     train->rows, " users x ", train->cols, " items, the model ", users.rows, " x ",
                     items.rows);
    const int64_t overlap = CountOverlap(*train, test);
    PENCHANT_CHECK(overlap == 0, DataError, overlap,
                   " (user, item) pairs are in both train and test; such a test measures memory, "
                   "not prediction");
  }
  Evaluation evaluation;
  for (int64_t u = 0; u < test.rows; ++u) {
    if (test.row_size(u) > 0) evaluation.users.push_back(static_cast<int32_t>(u));
  }
  PENCHANT_REQUIRE(!evaluation.users.empty(), "no user has a test item");
  const int64_t num_users = static_cast<int64_t>(evaluation.users.size());
  const int64_t longest = *std::max_element(cutoffs.begin(), cutoffs.end());
  for (int64_t k : cutoffs) {
    PENCHANT_REQUIRE(k >= 1, "k must be at least 1; got ", k);
    evaluation.at_k.push_back({k, std::vector<RankingMetrics>(num_users), 0.0});
  }
  std::vector<std::vector<uint8_t>> recommended(cutoffs.size(),
                                                std::vector<uint8_t>(items.rows, 0));
  const ItemIndex index(context, items);
  for (int64_t begin = 0; begin < num_users; begin += kUsersAtATime) {
    const int64_t count = std::min(kUsersAtATime, num_users - begin);
    // The users of this part, with their training items beside them.
    Matrix queries(count, users.cols);
    std::vector<int64_t> offsets = {0};
    std::vector<int32_t> seen;
    for (int64_t i = 0; i < count; ++i) {
      const int32_t user = evaluation.users[begin + i];
      std::memcpy(queries.row(i), users.row(user), users.cols * sizeof(float));
      if (train != nullptr && user < train->rows) {
        const auto row = train->row_indices(user);
        seen.insert(seen.end(), row.begin(), row.end());
      }
      offsets.push_back(static_cast<int64_t>(seen.size()));
    }
    const CsrView exclusions{count, items.rows, offsets.data(), seen.data(), nullptr};
    TopKOptions options;
    options.k = longest;
    options.exclusions = &exclusions;
    std::vector<int32_t> ids(count * longest);
    std::vector<float> scores(count * longest);
    TopK(context, queries.view(), index, options, ids.data(), scores.data());
    for (int64_t i = 0; i < count; ++i) {
      const std::span<const int32_t> list(ids.data() + i * longest, longest);
      const auto truth = test.row_indices(evaluation.users[begin + i]);
      for (size_t c = 0; c < cutoffs.size(); ++c) {
        evaluation.at_k[c].per_user[begin + i] = ComputeMetrics(list, truth, cutoffs[c]);
        for (int32_t item : list.first(cutoffs[c])) {
          if (item >= 0) recommended[c][item] = 1;
        }
      }
    }
  }
  for (size_t c = 0; c < cutoffs.size(); ++c) {
    const int64_t covered = std::count(recommended[c].begin(), recommended[c].end(), 1);
    evaluation.at_k[c].coverage = static_cast<double>(covered) / static_cast<double>(items.rows);
  }
  return evaluation;
}

double MeanMetric(const EvaluationAtK& at_k, const std::string& name) {
  double sum = 0;
  for (const RankingMetrics& metrics : at_k.per_user) sum += MetricByName(metrics, name);
  return sum / static_cast<double>(at_k.per_user.size());
}

}  // namespace penchant
