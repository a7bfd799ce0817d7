// Half an ALS iteration as tests run it: the fixed side, the rows solved, and how far they are from
// the oracle's.
#ifndef PENCHANT_TESTS_SUPPORT_ROW_SOLVER_H_
#define PENCHANT_TESTS_SUPPORT_ROW_SOLVER_H_

#include <vector>

#include "kernels/als/solve_rows.h"
#include "kernels/linalg/eigenbasis.h"
#include "tests/support/oracles.h"

namespace penchant::testing {

// One whose every parameter matters.
AlsObjective TestObjective();

// The fixed side as the device holds it, and as the test sees it.
struct FixedTable {
  FixedTable(Context& context, Matrix host);
  FixedSide side();
  FixedSide on_host() const { return {table.view(), eigenvalues.data()}; }
  // Rounds both to bfloat16; their Gram matrix stays that of the unrounded.
  void Round(Context& context);

  DeviceMatrix on_device;
  DeviceBuffer<Bfloat16> packed;
  Eigenbasis basis;
  Matrix table;  // rotated
  std::vector<double> eigenvalues;
  oracle::Table gram;
};

struct Solved {
  Matrix out;
  SolveReport report;
};

// `out` comes in with what is to be overwritten.
Solved Solve(Context& context, const AlsObjective& objective, FixedTable& fixed,
             const CsrView& rows, Matrix out);
Solved Solve(Context& context, const AlsObjective& objective, FixedTable& fixed,
             const CsrView& rows);

// ||got - wanted|| / ||wanted|| of each solved row, against the oracle's; infinite where anything
// is NaN.
std::vector<double> RelativeErrors(const AlsObjective& objective, const FixedTable& fixed,
                                   const CsrView& rows, const Matrix& out);
// The worst of them.
double WorstError(const AlsObjective& objective, const FixedTable& fixed, const CsrView& rows,
                  const Matrix& out);

}  // namespace penchant::testing

#endif  // PENCHANT_TESTS_SUPPORT_ROW_SOLVER_H_
