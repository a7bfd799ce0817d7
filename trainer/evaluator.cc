#include "trainer/evaluator.h"

#include <algorithm>

#include "io/dataset/interactions.h"
#include "kernels/base/device_memory.h"
#include "kernels/base/errors.h"
#include "kernels/score/gather_rows.h"
#include "kernels/score/top_k.h"

namespace penchant {
namespace {

// Test users whose lists are held at a time.
constexpr int64_t kUsersAtATime = 65536;

// The rows of `matrix` (null: empty ones) of these users, one after the other, on the device.
DeviceCsr RowsOf(Context& context, const CsrView* matrix, std::span<const int32_t> users,
                 int64_t cols) {
  std::vector<int64_t> offsets = {0};
  std::vector<int32_t> indices;
  for (int32_t user : users) {
    if (matrix != nullptr && user < matrix->rows) {
      const auto row = matrix->row_indices(user);
      indices.insert(indices.end(), row.begin(), row.end());
    }
    offsets.push_back(static_cast<int64_t>(indices.size()));
  }
  DeviceCsr rows(context, static_cast<int64_t>(users.size()), cols,
                 static_cast<int64_t>(indices.size()), /*weighted=*/false);
  CopyIn<int64_t>(context, offsets, rows.offsets());
  CopyIn<int32_t>(context, indices, rows.indices());
  return rows;
}

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
  const ItemIndex index(context, items);
  const DeviceCsr test_rows(context, test);
  std::vector<DeviceBuffer<uint8_t>> recommended;
  for (size_t c = 0; c < cutoffs.size(); ++c) recommended.emplace_back(context, items.rows);
  for (int64_t begin = 0; begin < num_users; begin += kUsersAtATime) {
    const int64_t count = std::min(kUsersAtATime, num_users - begin);
    const std::span<const int32_t> part(evaluation.users.data() + begin,
                                        static_cast<size_t>(count));
    const DeviceBuffer<int32_t> rows = Upload<int32_t>(context, part);
    DeviceMatrix queries(context, count, users.cols);
    GatherRows(context, users, rows.data(), queries.view());
    const DeviceCsr exclusions = RowsOf(context, train, part, items.rows);
    TopKOptions options;
    options.k = longest;
    options.exclusions = &exclusions.view();
    DeviceBuffer<int32_t> ids(context, count * longest);
    DeviceBuffer<float> scores(context, count * longest);
    TopK(context, queries.view(), index, options, ids.data(), scores.data());
    DeviceBuffer<RankingMetrics> metrics(context, count);
    for (size_t c = 0; c < cutoffs.size(); ++c) {
      JudgeLists(context, {ids.data(), count, longest, rows.data(), test_rows.view(), cutoffs[c]},
                 metrics.data(), recommended[c].data());
      const std::vector<RankingMetrics> judged = Download(context, metrics);
      std::copy(judged.begin(), judged.end(), evaluation.at_k[c].per_user.begin() + begin);
    }
  }
  for (size_t c = 0; c < cutoffs.size(); ++c) {
    const std::vector<uint8_t> marks = Download(context, recommended[c]);
    const int64_t covered = std::count(marks.begin(), marks.end(), 1);
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
