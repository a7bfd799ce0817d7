#include "tests/support/row_solver.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/linalg/round_to_bfloat16.h"
#include "tests/support/random_data.h"

namespace penchant::testing {

AlsObjective TestObjective() {
  AlsObjective objective;
  objective.alpha = 1.5;
  objective.unobserved_weight = 0.02;
  objective.regularization = 0.05;
  objective.regularization_power = 0.6;
  return objective;
}

FixedTable::FixedTable(Context& context, Matrix host)
    : on_device(context, std::move(host)), basis(RotateToEigenbasis(context, on_device.view())) {
  context.Synchronize();
  table = on_device.Download(context);
  eigenvalues = Download(context, basis.eigenvalues);
  gram = oracle::Gram(oracle::FromView(table.view()));
}

FixedSide FixedTable::side() {
  return {on_device.view(), basis.eigenvalues.data(), packed.size() > 0 ? packed.data() : nullptr};
}

void FixedTable::Round(Context& context) {
  packed = DeviceBuffer<Bfloat16>(context, table.rows() * table.stride());
  RoundToBfloat16(context, on_device.view(), packed.data());
  table = on_device.Download(context);
}

Solved Solve(Context& context, const AlsObjective& objective, FixedTable& fixed,
             const CsrView& rows, Matrix out) {
  Solved solved;
  const DeviceCsr on_device(context, rows);
  const RowPlan plan(context, on_device.view(), fixed.table.cols());
  DeviceMatrix table(context, std::move(out));
  const auto report =
      SolveRows(context, objective, fixed.side(), on_device.view(), plan, table.view());
  context.Synchronize();
  solved.report = *report;
  solved.out = table.Release(context);
  return solved;
}

Solved Solve(Context& context, const AlsObjective& objective, FixedTable& fixed,
             const CsrView& rows) {
  return Solve(context, objective, fixed, rows, RandomMatrix(rows.rows, fixed.table.cols(), 77));
}

namespace {

double RelativeError(const float* got, const std::vector<double>& wanted) {
  double error = 0, norm = 0;
  for (size_t k = 0; k < wanted.size(); ++k) {
    error += (got[k] - wanted[k]) * (got[k] - wanted[k]);
    norm += wanted[k] * wanted[k];
  }
  const double relative = norm == 0 ? std::sqrt(error) : std::sqrt(error / norm);
  return std::isnan(relative) ? std::numeric_limits<double>::infinity() : relative;
}

}  // namespace

std::vector<double> RelativeErrors(const AlsObjective& objective, const FixedTable& fixed,
                                   const CsrView& rows, const Matrix& out) {
  const oracle::Table table = oracle::FromView(fixed.table.view());
  std::vector<double> errors;
  for (int64_t i = 0; i < rows.rows; ++i) {
    errors.push_back(
        RelativeError(out.row(i), oracle::AlsRow(objective, table, fixed.gram, rows, i)));
  }
  return errors;
}

double WorstError(const AlsObjective& objective, const FixedTable& fixed, const CsrView& rows,
                  const Matrix& out) {
  const std::vector<double> errors = RelativeErrors(objective, fixed, rows, out);
  return errors.empty() ? 0.0 : *std::max_element(errors.begin(), errors.end());
}

}  // namespace penchant::testing
