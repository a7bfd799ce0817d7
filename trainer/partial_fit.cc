#include "trainer/partial_fit.h"

#include <algorithm>

#include "kernels/base/errors.h"
#include "kernels/linalg/eigenbasis.h"

namespace penchant {
namespace {

void ReplaceRows(int64_t new_size, std::span<const int32_t> rows, const Matrix& factors,
                 Matrix* table) {
  PENCHANT_REQUIRE(
      factors.rows() == static_cast<int64_t>(rows.size()) && factors.cols() == table->cols(),
      "factors are ", factors.rows(), " x ", factors.cols(), ", wanted ", rows.size(), " x ",
      table->cols());
  PENCHANT_REQUIRE(new_size >= table->rows(), "a table of ", table->rows(),
                   " rows cannot shrink to ", new_size);
  if (new_size > table->rows()) {
    Matrix grown(new_size, table->cols());
    for (int64_t i = 0; i < table->rows(); ++i) {
      std::copy(table->row(i), table->row(i) + table->cols(), grown.row(i));
    }
    *table = std::move(grown);
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    PENCHANT_REQUIRE(rows[i] >= 0 && rows[i] < new_size, "row ", rows[i], " is outside [0, ",
                     new_size, ")");
    std::copy(factors.row(i), factors.row(i) + factors.cols(), table->row(rows[i]));
  }
}

}  // namespace

void ReplaceUsers(std::shared_ptr<const IdDictionary> users, std::span<const int32_t> rows,
                  const Matrix& factors, Model* model) {
  ReplaceRows(users->size(), rows, factors, &model->factors.users);
  model->users = std::move(users);
}

void ReplaceItems(Context& context, std::shared_ptr<const IdDictionary> items,
                  std::span<const int32_t> rows, const Matrix& factors, Model* model) {
  ReplaceRows(items->size(), rows, factors, &model->factors.items);
  if (model->factors.item_centers.rows() > 0) {
    ReplaceRows(items->size(), rows, factors, &model->factors.item_centers);
  }
  model->items = std::move(items);
  if (model->factors.item_eigenvalues.empty()) return;
  DeviceMatrix item_table(context, std::move(model->factors.items));
  DeviceMatrix user_table(context, std::move(model->factors.users));
  const Eigenbasis basis = RotateToEigenbasis(context, item_table.view());
  Rotate(context, basis.rotation.view(), user_table.view());
  context.Synchronize();
  model->factors.item_eigenvalues = Download(context, basis.eigenvalues);
  model->factors.items = item_table.Release(context);
  model->factors.users = user_table.Release(context);
}

}  // namespace penchant
