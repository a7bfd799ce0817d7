#include "trainer/algorithms/optimizer_state.h"

#include <algorithm>
#include <utility>

#include "kernels/base/errors.h"

namespace penchant {
namespace {

void RestoreTable(Context& context, const std::string& name, const FactorTables& tables,
                  DeviceMatrix* table) {
  const auto found = tables.state.find(name);
  if (found == tables.state.end()) return;
  Matrix host = table->Download(context);
  const Matrix& saved = found->second;
  PENCHANT_REQUIRE(saved.rows() <= host.rows() && saved.cols() <= host.cols(), "the state \"", name,
                   "\" is ", saved.rows(), " x ", saved.cols(), ", wanted ", host.rows(), " x ",
                   host.cols());
  for (int64_t i = 0; i < saved.rows(); ++i) {
    std::copy(saved.row(i), saved.row(i) + saved.cols(), host.row(i));
  }
  *table = DeviceMatrix(context, std::move(host));
}

void SaveTable(Context& context, const std::string& name, const DeviceMatrix& table,
               FactorTables* tables) {
  if (table.rows() * table.cols() > 0) tables->state.emplace(name, table.Download(context));
}

float* DataOf(DeviceMatrix& table) {
  return table.rows() * table.cols() > 0 ? table.view().data : nullptr;
}

}  // namespace

OptimizerState::OptimizerState(Context& context, Optimizer optimizer, int64_t rows, int64_t cols)
    : squares_(context, 1, optimizer == Optimizer::kSgd ? 0 : rows),
      steps_(context, 1, optimizer == Optimizer::kAdam ? rows : 0),
      means_(context, optimizer == Optimizer::kAdam ? rows : 0, cols) {}

void OptimizerState::Restore(Context& context, const std::string& name,
                             const FactorTables& tables) {
  RestoreTable(context, name + "_squares", tables, &squares_);
  RestoreTable(context, name + "_steps", tables, &steps_);
  RestoreTable(context, name + "_means", tables, &means_);
}

void OptimizerState::Save(Context& context, const std::string& name, FactorTables* tables) const {
  SaveTable(context, name + "_squares", squares_, tables);
  SaveTable(context, name + "_steps", steps_, tables);
  SaveTable(context, name + "_means", means_, tables);
}

RowMoments OptimizerState::view() { return {DataOf(squares_), DataOf(steps_), DataOf(means_)}; }

int64_t OptimizerState::Bytes(Optimizer optimizer, int64_t rows, int64_t cols) {
  if (optimizer == Optimizer::kSgd) return 0;
  if (optimizer == Optimizer::kAdagrad) return rows * 4;
  return rows * (8 + PaddedStride(cols) * 4);
}

}  // namespace penchant
