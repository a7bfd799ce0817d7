#include "io/dataset/interactions.h"

#include <cmath>

#include "io/dataset/split.h"
#include "io/readers/arrow_stream.h"
#include "kernels/base/errors.h"
#include "python/bindings/bindings.h"

namespace penchant::python {
namespace {

using DictionaryPtr = std::shared_ptr<IdDictionary>;

py::array_t<int32_t> RowsOf(const IdDictionary& ids, const py::object& values) {
  if (ids.type() == IdType::kInteger) {
    const auto array = values.cast<Array<int64_t>>();
    std::vector<int32_t> rows(array.size());
    for (py::ssize_t i = 0; i < array.size(); ++i) rows[i] = ids.Find(array.data()[i]);
    return ToArray(std::move(rows));
  }
  std::vector<int32_t> rows;
  for (const py::handle& value : values) rows.push_back(ids.Find(value.cast<std::string_view>()));
  return ToArray(std::move(rows));
}

py::object IdsOf(const IdDictionary& ids, const Array<int32_t>& rows) {
  if (ids.type() == IdType::kInteger) {
    std::vector<int64_t> values(rows.size());
    for (py::ssize_t i = 0; i < rows.size(); ++i) {
      const int32_t row = rows.data()[i];
      values[i] = row < 0 ? -1 : ids.IntegerAt(row);
    }
    return ToArray(std::move(values));
  }
  py::list values;
  for (py::ssize_t i = 0; i < rows.size(); ++i) {
    const int32_t row = rows.data()[i];
    PENCHANT_REQUIRE(row < ids.size(), "row ", row, " is outside [0, ", ids.size(), ")");
    values.append(row < 0 ? py::object(py::none())
                          : py::object(py::str(std::string(ids.StringAt(row)))));
  }
  return values;
}

// The dictionary with further ids appended; existing ones keep their rows.
DictionaryPtr Grown(const IdDictionary& ids, const py::object& values) {
  auto grown = std::make_shared<IdDictionary>(ids);
  if (ids.type() == IdType::kInteger) {
    const auto array = values.cast<Array<int64_t>>();
    for (py::ssize_t i = 0; i < array.size(); ++i) {
      const int64_t id = array.data()[i];
      if (ids.is_range() && id == grown->size()) {
        *grown = IdDictionary::Range(id + 1);
      } else {
        grown->Add(id);
      }
    }
  } else {
    for (const py::handle& value : values) grown->Add(value.cast<std::string_view>());
  }
  return grown;
}

py::tuple CsrParts(const Csr& csr) {
  py::object values = py::none();
  if (!csr.values.empty()) values = ToArray(std::vector<float>(csr.values));
  return py::make_tuple(ToArray(std::vector<int64_t>(csr.offsets)),
                        ToArray(std::vector<int32_t>(csr.indices)), values,
                        py::make_tuple(csr.rows, csr.cols));
}

std::shared_ptr<Interactions> FromCsr(const py::tuple& parts) {
  const LentCsr lent(parts);
  py::gil_scoped_release release;
  auto interactions = std::make_shared<Interactions>();
  interactions->users = std::make_shared<IdDictionary>(IdDictionary::Range(lent.view.rows));
  interactions->items = std::make_shared<IdDictionary>(IdDictionary::Range(lent.view.cols));
  Csr& csr = interactions->user_items;
  csr.rows = lent.view.rows;
  csr.cols = lent.view.cols;
  csr.offsets.assign(lent.view.offsets, lent.view.offsets + csr.rows + 1);
  csr.indices.assign(lent.view.indices, lent.view.indices + lent.view.nnz());
  if (lent.view.values) {
    csr.values.assign(lent.view.values, lent.view.values + lent.view.nnz());
    bool units = true;
    for (int64_t i = 0; i < csr.nnz(); ++i) {
      const float value = csr.values[i];
      PENCHANT_CHECK(std::isfinite(value) && value != 0.0f, DataError, "entry ", i,
                     " of the matrix is ", value, "; wanted finite, non-zero weights");
      units &= value == 1.0f;
    }
    if (units) std::vector<float>().swap(csr.values);
  }
  interactions->item_users = Transpose(csr.view());
  interactions->report.rows_read = csr.nnz();
  return interactions;
}

py::dict ReportOf(const Interactions& interactions) {
  py::dict report;
  report["rows_read"] = interactions.report.rows_read;
  report["rows_bad"] = interactions.report.rows_bad;
  report["rows_zero_weight"] = interactions.report.rows_zero_weight;
  report["rows_merged"] = interactions.report.rows_merged;
  report["rows_cold"] = interactions.report.rows_cold;
  report["first_bad"] = interactions.report.first_bad;
  return report;
}

py::tuple Parts(Split split) { return py::make_tuple(split.train, split.test); }

}  // namespace

void BindInteractions(py::module_& m) {
  py::class_<IdDictionary, DictionaryPtr>(m, "IdDictionary")
      .def("__len__", &IdDictionary::size)
      .def_property_readonly("is_string",
                             [](const IdDictionary& ids) { return ids.type() == IdType::kString; })
      .def_property_readonly("is_range", &IdDictionary::is_range)
      .def("rows", &RowsOf, py::arg("ids"), "Dense rows of the ids, -1 where unknown.")
      .def("ids", &IdsOf, py::arg("rows"), "Ids of dense rows.")
      .def("grown", &Grown, py::arg("ids"), "A copy with further ids at the end.");

  py::class_<InteractionsBuilder>(m, "InteractionsBuilder")
      .def(py::init([](const std::string& duplicates, int64_t max_bad_rows, DictionaryPtr users,
                       DictionaryPtr items, bool keep_dictionaries) {
             return std::make_unique<InteractionsBuilder>(BuilderOptions{
                 ParseDuplicates(duplicates), max_bad_rows, users, items, keep_dictionaries});
           }),
           py::arg("duplicates"), py::arg("max_bad_rows"), py::arg("users") = nullptr,
           py::arg("items") = nullptr, py::arg("keep_dictionaries") = false)
      .def(
          "add_stream",
          [](InteractionsBuilder& builder, const py::capsule& capsule, const std::string& user,
             const std::string& item, const std::string& weight, const std::string& time,
             const std::string& source, const py::object& poll) {
            PENCHANT_REQUIRE(std::string(capsule.name()) == "arrow_array_stream",
                             "wanted an Arrow stream capsule");
            auto* stream = capsule.get_pointer<ArrowArrayStream>();
            const auto check = [&poll] {
              py::gil_scoped_acquire gil;
              if (PyErr_CheckSignals() != 0) throw py::error_already_set();
              if (!poll.is_none()) poll();
            };
            py::gil_scoped_release release;
            ReadArrowStream(stream, {user, item, weight, time}, source, check, &builder);
          },
          py::arg("capsule"), py::arg("user"), py::arg("item"), py::arg("weight"), py::arg("time"),
          py::arg("source"), py::arg("poll") = py::none())
      .def_property_readonly("rows_unknown", &InteractionsBuilder::rows_unknown)
      .def("finish", &InteractionsBuilder::Finish, py::call_guard<py::gil_scoped_release>());

  py::class_<Interactions, std::shared_ptr<Interactions>>(m, "Interactions")
      .def_static("from_csr", &FromCsr)
      .def_property_readonly("num_users", &Interactions::num_users)
      .def_property_readonly("num_items", &Interactions::num_items)
      .def_property_readonly("nnz", &Interactions::nnz)
      .def_property_readonly("weighted",
                             [](const Interactions& i) { return !i.user_items.values.empty(); })
      .def_property_readonly("has_times", [](const Interactions& i) { return !i.events.empty(); })
      .def_property_readonly("num_events",
                             [](const Interactions& i) { return i.events.users.size(); })
      .def_property_readonly(
          "users",
          [](const Interactions& i) { return std::const_pointer_cast<IdDictionary>(i.users); })
      .def_property_readonly(
          "items",
          [](const Interactions& i) { return std::const_pointer_cast<IdDictionary>(i.items); })
      .def_property_readonly("report", &ReportOf)
      .def("fingerprint", &Interactions::Fingerprint)
      .def("user_items", [](const Interactions& i) { return CsrParts(i.user_items); })
      .def("item_users", [](const Interactions& i) { return CsrParts(i.item_users); })
      .def("split_by_time", [](const Interactions& i, double f,
                               bool cold) { return Parts(SplitByTime(i, f, cold)); })
      .def("split_at_time", [](const Interactions& i, int64_t cut,
                               bool cold) { return Parts(SplitAtTime(i, cut, cold)); })
      .def("split_last", [](const Interactions& i) { return Parts(SplitLastItem(i)); })
      .def("split_random", [](const Interactions& i, double f, uint64_t seed) {
        return Parts(SplitRandom(i, f, seed));
      });
}

}  // namespace penchant::python
