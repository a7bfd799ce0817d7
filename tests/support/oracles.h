// Independent, naive, double-precision references that read like the papers and share no code
// with the kernels.
#ifndef PENCHANT_TESTS_SUPPORT_ORACLES_H_
#define PENCHANT_TESTS_SUPPORT_ORACLES_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "kernels/als/solve_rows.h"
#include "kernels/base/view.h"

namespace penchant::oracle {

using Table = std::vector<std::vector<double>>;

Table FromView(MatrixView<const float> view);

// Y'Y.
Table Gram(const Table& y);

// One row's exact minimizer of the ALS objective, by Gaussian elimination on the d x d normal
// equations  (w0 Y'Y + sum (c - w0) y y' + lambda I) x = sum c p y.
std::vector<double> AlsRow(const AlsObjective& objective, const Table& fixed, const CsrView& rows,
                           int64_t row);
// The same with Y'Y of another table.
std::vector<double> AlsRow(const AlsObjective& objective, const Table& fixed, const Table& gram,
                           const CsrView& rows, int64_t row);

// The objective, by a loop over every (user, item) cell.
double AlsLoss(const AlsObjective& objective, const Table& users, const Table& items,
               const CsrView& user_items);

// (score, id) of the k best allowed items, by sorting all of them.
std::vector<std::pair<float, int32_t>> TopK(const std::vector<float>& query,
                                            MatrixView<const float> items, int64_t k,
                                            const std::vector<int32_t>& excluded);

}  // namespace penchant::oracle

#endif  // PENCHANT_TESTS_SUPPORT_ORACLES_H_
