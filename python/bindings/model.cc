#include "io/model/model.h"

#include <google/protobuf/util/json_util.h>

#include "kernels/base/errors.h"
#include "kernels/linalg/normalize_rows.h"
#include "kernels/score/top_k.h"
#include "python/bindings/bindings.h"
#include "trainer/partial_fit.h"
#include "trainer/registry.h"

namespace penchant::python {
namespace {

py::tuple RunTopK(Context& context, const Matrix& queries, const ItemIndex& index, int64_t k,
                  const py::object& exclusions, const py::object& denied) {
  std::unique_ptr<LentCsr> excluded;
  if (!exclusions.is_none()) excluded = std::make_unique<LentCsr>(exclusions.cast<py::tuple>());
  Array<uint8_t> denied_array;
  TopKOptions options;
  options.k = k;
  options.exclusions = excluded ? &excluded->view : nullptr;
  if (!denied.is_none()) {
    denied_array = denied.cast<Array<uint8_t>>();
    PENCHANT_REQUIRE(denied_array.size() > index.max_id(), "the deny list covers ",
                     denied_array.size(), " rows, wanted ", index.max_id() + 1);
    options.denied = denied_array.data();
  }
  PENCHANT_REQUIRE(k >= 1, "N must be at least 1; got ", k);
  TopLists lists;
  {
    py::gil_scoped_release release;
    lists = TopKFromHost(context, queries.view(), index, options, denied_array.size());
  }
  const std::vector<py::ssize_t> shape = {queries.rows(), k};
  return py::make_tuple(ToArray(std::move(lists.ids)).reshape(shape),
                        ToArray(std::move(lists.scores)).reshape(shape));
}

// The model as Python holds it, with what is computed once and kept until the model changes.
class PyModel {
 public:
  explicit PyModel(std::shared_ptr<Model> model) : model_(std::move(model)) {}

  Model& model() const { return *model_; }
  std::shared_ptr<Model> shared() const { return model_; }

  FoldIn& fold_in() {
    if (!fold_in_) {
      fold_in_ = FindAlgorithm(model_->manifest.config()).make_fold_in(model_);
    }
    return *fold_in_;
  }

  py::tuple TopItems(Context& context, const Array<float>& queries, int64_t k,
                     const py::object& exclusions, const py::object& denied,
                     const py::object& subset) {
    return Top(context, &items_, 'i', ToMatrix(queries), k, exclusions, denied, subset);
  }

  // Whether the last factor is an item bias.
  bool has_biases() const {
    const config::TrainConfig& config = model_->manifest.config();
    return FindAlgorithm(config).has_biases(config);
  }

  py::tuple MostSimilar(Context& context, const std::string& side, const Array<float>& queries,
                        int64_t k, const py::object& denied, const py::object& subset) {
    const bool items = side == "items";
    return Top(context, items ? &item_cosine_ : &user_cosine_, items ? 'I' : 'U',
               Directions(context, ToMatrix(queries)).Release(context), k, py::none(), denied,
               subset);
  }

  py::array_t<float> FoldInUsers(Context& context, const py::tuple& user_items) {
    const LentCsr csr(user_items);
    FoldIn& fold = fold_in();
    Matrix users;
    {
      py::gil_scoped_release release;
      users = fold.Users(context, csr.view);
    }
    return ToArray(users);
  }

  py::array_t<float> FoldInItems(Context& context, const py::tuple& item_users) {
    const LentCsr csr(item_users);
    FoldIn& fold = fold_in();
    Matrix items;
    {
      py::gil_scoped_release release;
      items = fold.Items(context, csr.view);
    }
    return ToArray(items);
  }

  std::vector<double> Explain(Context& context, const py::tuple& user, int32_t item) {
    const LentCsr csr(user);
    return fold_in().Explain(context, csr.view, item);
  }

  void Replace(Context& context, const std::string& side, std::shared_ptr<IdDictionary> ids,
               const Array<int32_t>& rows, const Array<float>& factors) {
    const std::span<const int32_t> row_span(rows.data(), static_cast<size_t>(rows.size()));
    if (side == "users") {
      ReplaceUsers(std::move(ids), row_span, ToMatrix(factors), model_.get());
    } else {
      ReplaceItems(context, std::move(ids), row_span, ToMatrix(factors), model_.get());
    }
    fold_in_.reset();
    for (auto* kept : {&items_, &item_cosine_, &user_cosine_}) *kept = {};
  }

 private:
  struct Searchable {
    DeviceMatrix rows;  // empty on the CPU, whose index holds its own
    ItemIndex index;
  };

  // Rows without their bias, of length 1.
  DeviceMatrix Directions(Context& context, Matrix table) const {
    if (has_biases()) {
      for (int64_t i = 0; i < table.rows(); ++i) table.row(i)[table.cols() - 1] = 0.0f;
    }
    DeviceMatrix rows(context, std::move(table));
    NormalizeRows(context, rows.view());
    return rows;
  }

  // The rows searched for: items for dot products ('i'), or a side's rows for cosines ('I' items,
  // 'U' users).
  DeviceMatrix Rows(Context& context, char side) const {
    const FactorTables& tables = model_->factors;
    if (side == 'i') return DeviceMatrix(context, tables.items.view());
    return Directions(context, (side == 'I' ? tables.items : tables.users).Clone());
  }

  py::tuple Top(Context& context, OnLastDevice<Searchable>* kept, char side, const Matrix& queries,
                int64_t k, const py::object& exclusions, const py::object& denied,
                const py::object& subset) {
    if (!subset.is_none()) {
      const auto chosen = subset.cast<Array<int32_t>>();
      const DeviceMatrix rows = Rows(context, side);
      const ItemIndex index(context, rows.view(),
                            {chosen.data(), static_cast<size_t>(chosen.size())});
      return RunTopK(context, queries, index, k, exclusions, denied);
    }
    const Searchable& searchable = kept->Get(context, [&] {
      DeviceMatrix rows = Rows(context, side);
      ItemIndex index(context, rows.view());
      if (!context.cuda()) rows = DeviceMatrix();
      return Searchable{std::move(rows), std::move(index)};
    });
    return RunTopK(context, queries, searchable.index, k, exclusions, denied);
  }

  std::shared_ptr<Model> model_;
  std::unique_ptr<FoldIn> fold_in_;
  OnLastDevice<Searchable> items_, item_cosine_, user_cosine_;
};

// A read-only view of a table; `owner` keeps the memory alive.
py::array TableView(const Matrix& table, const py::handle& owner) {
  py::array_t<float> view(
      {table.rows(), table.cols()},
      {table.stride() * static_cast<int64_t>(sizeof(float)), static_cast<int64_t>(sizeof(float))},
      table.row(0), owner);
  view.attr("flags").attr("writeable") = false;
  return view;
}

}  // namespace

void BindModel(py::module_& m) {
  py::class_<Model, std::shared_ptr<Model>>(m, "ModelData");
  py::class_<PyModel>(m, "Model")
      .def(py::init<std::shared_ptr<Model>>())
      .def_static("load",
                  [](const std::string& path) {
                    py::gil_scoped_release release;
                    return std::make_unique<PyModel>(LoadModel(path));
                  })
      .def("save",
           [](const PyModel& self, const std::string& path) {
             py::gil_scoped_release release;
             SaveModel(self.model(), path);
           })
      .def_property_readonly("data", &PyModel::shared)
      .def("manifest_json",
           [](const PyModel& self) { return ManifestJson(self.model().manifest, true); })
      .def("add_metrics",
           [](const PyModel& self, const std::map<std::string, double>& metrics) {
             for (const auto& [name, value] : metrics) {
               auto* metric = self.model().manifest.add_metrics();
               metric->set_name(name);
               metric->set_value(value);
             }
           })
      .def_property_readonly("users",
                             [](const PyModel& self) {
                               return std::const_pointer_cast<IdDictionary>(self.model().users);
                             })
      .def_property_readonly("items",
                             [](const PyModel& self) {
                               return std::const_pointer_cast<IdDictionary>(self.model().items);
                             })
      .def_property_readonly("user_factors",
                             [](const py::object& self) {
                               return TableView(self.cast<PyModel&>().model().factors.users,
                                                py::cast(self.cast<PyModel&>().shared()));
                             })
      .def_property_readonly("item_factors",
                             [](const py::object& self) {
                               return TableView(self.cast<PyModel&>().model().factors.items,
                                                py::cast(self.cast<PyModel&>().shared()));
                             })
      .def_property_readonly("item_centers",
                             [](const py::object& self) {
                               return TableView(self.cast<PyModel&>().model().factors.item_centers,
                                                py::cast(self.cast<PyModel&>().shared()));
                             })
      .def_property_readonly(
          "item_eigenvalues",
          [](const PyModel& self) {
            return ToArray(std::vector<double>(self.model().factors.item_eigenvalues));
          })
      .def("top_items", &PyModel::TopItems, py::arg("context"), py::arg("queries"), py::arg("k"),
           py::arg("exclusions") = py::none(), py::arg("denied") = py::none(),
           py::arg("subset") = py::none())
      .def_property_readonly("has_biases", &PyModel::has_biases)
      .def("most_similar", &PyModel::MostSimilar, py::arg("context"), py::arg("side"),
           py::arg("queries"), py::arg("k"), py::arg("denied") = py::none(),
           py::arg("subset") = py::none())
      .def("fold_in_users", &PyModel::FoldInUsers)
      .def("fold_in_items", &PyModel::FoldInItems)
      .def("explain", &PyModel::Explain)
      .def("replace", &PyModel::Replace);
}

}  // namespace penchant::python
