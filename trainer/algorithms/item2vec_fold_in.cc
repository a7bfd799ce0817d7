#include "trainer/algorithms/item2vec_fold_in.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "kernels/base/device_memory.h"
#include "kernels/sparse/average_rows.h"

namespace penchant {
namespace {

// New rows are means: users of their items' centers, items (as both) of their users.
class Item2VecFoldIn : public FoldIn {
 public:
  explicit Item2VecFoldIn(std::shared_ptr<const Model> model) : model_(std::move(model)) {}

  Matrix Users(Context& context, const CsrView& user_items) override {
    return Average(context, user_items, model_->factors.item_centers, &centers_);
  }
  Matrix Items(Context& context, const CsrView& item_users) override {
    return Average(context, item_users, model_->factors.users, &users_);
  }

  // A score is a mean of products with the history's centers.
  std::vector<double> Explain(Context&, const CsrView& user, int32_t item) override {
    const Matrix &items = model_->factors.items, &centers = model_->factors.item_centers;
    const auto history = user.row_indices(0);
    const float* values = user.row_values(0);
    std::vector<double> parts;
    int64_t count = 0;
    for (size_t j = 0; j < history.size(); ++j) {
      const bool counts = values == nullptr || values[j] > 0;
      double part = 0;
      for (int64_t k = 0; counts && k < items.cols(); ++k) {
        part += double{centers.row(history[j])[k]} * double{items.row(item)[k]};
      }
      parts.push_back(part);
      count += counts;
    }
    for (double& part : parts) part /= static_cast<double>(std::max<int64_t>(count, 1));
    return parts;
  }

 private:
  static Matrix Average(Context& context, const CsrView& host_lists, const Matrix& table,
                        OnLastDevice<DeviceMatrix>* kept) {
    const DeviceMatrix& rows =
        kept->Get(context, [&] { return DeviceMatrix(context, table.view()); });
    const DeviceCsr lists(context, host_lists);
    DeviceMatrix out(context, host_lists.rows, table.cols());
    AverageRows(context, lists.view(), rows.view(), out.view());
    return out.Release(context);
  }

  std::shared_ptr<const Model> model_;
  OnLastDevice<DeviceMatrix> centers_, users_;
};

}  // namespace

std::unique_ptr<FoldIn> MakeItem2VecFoldIn(std::shared_ptr<const Model> model) {
  return std::make_unique<Item2VecFoldIn>(std::move(model));
}

}  // namespace penchant
