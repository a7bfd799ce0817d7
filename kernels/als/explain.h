// Why a folded-in row scores a fixed row as it does.
#ifndef PENCHANT_KERNELS_ALS_EXPLAIN_H_
#define PENCHANT_KERNELS_ALS_EXPLAIN_H_

#include <vector>

#include "kernels/als/solve_rows.h"

namespace penchant {

// The score of fixed row `item` for the one row of `row` is x.y_item with x = A^-1 sum_j c_j p_j
// y_j (solve_rows.h), hence a sum over observations: part_j = c_j p_j y_j' A^-1 y_item (Hu, Koren,
// Volinsky 2008, section 5). Returns the parts in the order of the row's entries. Float64.
std::vector<double> ExplainScore(const AlsObjective& objective, const FixedSide& fixed,
                                 const CsrView& row, int32_t item);

}  // namespace penchant

#endif  // PENCHANT_KERNELS_ALS_EXPLAIN_H_
