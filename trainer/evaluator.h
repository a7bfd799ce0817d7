// Full-catalogue evaluation: every test user's exact top-N, judged against held-out items.
#ifndef PENCHANT_TRAINER_EVALUATOR_H_
#define PENCHANT_TRAINER_EVALUATOR_H_

#include <cstdint>
#include <vector>

#include "io/model/model.h"
#include "kernels/base/context.h"
#include "kernels/base/view.h"
#include "trainer/metrics.h"

namespace penchant {

struct EvaluationAtK {
  int64_t k = 0;
  std::vector<RankingMetrics> per_user;  // in the order of Evaluation::users
  double coverage = 0;                   // share of the catalogue that is in some user's list
};

struct Evaluation {
  std::vector<int32_t> users;  // rows with at least one test item
  std::vector<EvaluationAtK> at_k;
};

// Judges dot-product scores of user and item tables, which lie on the context's device, over the
// whole catalogue. Items of `train`
// (null: none) are never recommended. Throws InvalidArgument when the shapes differ, when no user
// has a test item, and DataError when train and test share pairs.
Evaluation Evaluate(Context& context, MatrixView<const float> users, MatrixView<const float> items,
                    const CsrView& test, const CsrView* train, const std::vector<int64_t>& cutoffs);

// The mean of one metric at one cut-off over users.
double MeanMetric(const EvaluationAtK& at_k, const std::string& name);

}  // namespace penchant

#endif  // PENCHANT_TRAINER_EVALUATOR_H_
