#include "io/reader/reader.h"

#include "io/artifact/delta.h"
#include "io/model/model.h"
#include "kernels/base/errors.h"
#include "python/bindings/bindings.h"
#include "trainer/export.h"

namespace penchant::python {
namespace {

Id ToId(const py::handle& value) {
  if (py::isinstance<py::str>(value)) return Id(value.cast<std::string>());
  if (py::isinstance<py::bool_>(value) || !PyIndex_Check(value.ptr())) {
    throw py::type_error("ids are integers or strings; got " + py::repr(value).cast<std::string>());
  }
  return Id(py::int_(py::reinterpret_borrow<py::object>(value)).cast<int64_t>());
}

std::vector<Id> ToIds(const py::iterable& values) {
  std::vector<Id> ids;
  for (const py::handle& value : values) ids.push_back(ToId(value));
  return ids;
}

// From (id, number) pairs.
std::vector<WeightedId> ToWeightedIds(const py::iterable& pairs) {
  std::vector<WeightedId> ids;
  for (const py::handle& pair : pairs) {
    const auto both = pair.cast<py::tuple>();
    ids.push_back({ToId(both[0]), both[1].cast<float>()});
  }
  return ids;
}

py::object FromId(const Id& id) {
  if (id.text) return py::str(*id.text);
  return py::int_(id.number);
}

py::list FromIds(std::span<const Id> ids) {
  py::list list;
  for (const Id& id : ids) list.append(FromId(id));
  return list;
}

Selection ToSelection(const py::iterable& filter_items, const py::object& allow,
                      const py::iterable& boosts, const std::map<std::string, int64_t>& caps,
                      const std::map<std::string, std::string>& context) {
  Selection selection;
  selection.filter_items = ToIds(filter_items);
  if (!allow.is_none()) selection.allow = ToIds(allow.cast<py::iterable>());
  selection.boosts = ToWeightedIds(boosts);
  selection.caps = caps;
  selection.context = context;
  return selection;
}

py::tuple FromAnswer(Answer answer) {
  return py::make_tuple(FromIds(answer.ids), ToArray(std::move(answer.scores)));
}

py::tuple Recommend(const Reader& reader, const py::object& user, const py::iterable& history,
                    int64_t n, bool filter_history, Selection selection) {
  Query query;
  if (!user.is_none()) query.user = ToId(user);
  query.history = ToWeightedIds(history);
  query.n = n;
  query.filter_history = filter_history;
  query.selection = std::move(selection);
  Answer answer;
  {
    py::gil_scoped_release release;
    answer = reader.Recommend(query);
  }
  return FromAnswer(std::move(answer));
}

py::list RecommendUsers(const Reader& reader, const py::iterable& users, int64_t n,
                        const Selection& selection, int num_threads) {
  const std::vector<Id> ids = ToIds(users);
  std::vector<Answer> answers;
  {
    py::gil_scoped_release release;
    answers = reader.RecommendUsers(ids, n, selection, num_threads);
  }
  py::list list;
  for (Answer& answer : answers) list.append(FromAnswer(std::move(answer)));
  return list;
}

// Rules as (text, [(field, comparison, values)], denied by item row).
ArtifactOptions ToOptions(const std::string& dtype, const std::string& kind,
                          const std::map<std::string, Array<int32_t>>& attributes,
                          const py::iterable& rules) {
  ArtifactOptions options;
  options.dtype = ParseFactorType(dtype);
  options.kind = kind;
  for (const auto& [name, codes] : attributes) {
    options.attributes.push_back({name, {codes.data(), codes.data() + codes.size()}});
  }
  for (const py::handle& given : rules) {
    const auto rule = given.cast<py::tuple>();
    const auto denied = rule[2].cast<Array<uint8_t>>();
    ItemRule item_rule;
    item_rule.rule.set_text(rule[0].cast<std::string>());
    for (const py::handle& term : rule[1]) {
      const auto [field, comparison, values] =
          term.cast<std::tuple<std::string, std::string, std::vector<std::string>>>();
      auto* condition = item_rule.rule.add_conditions();
      condition->set_field(field);
      condition->set_comparison(comparison);
      for (const std::string& value : values) condition->add_values(value);
    }
    item_rule.denied.assign(denied.data(), denied.data() + denied.size());
    options.rules.push_back(std::move(item_rule));
  }
  return options;
}

}  // namespace

void BindReader(py::module_& m) {
  py::class_<Selection>(m, "Selection")
      .def(py::init(&ToSelection), py::arg("filter_items"), py::arg("allow"), py::arg("boosts"),
           py::arg("caps"), py::arg("context"));
  py::class_<Reader>(m, "Reader")
      .def(py::init<const std::string&, bool>(), py::arg("path"), py::arg("verify") = false,
           py::call_guard<py::gil_scoped_release>())
      .def("reload", &Reader::Reload, py::arg("path"), py::arg("verify") = true,
           py::call_guard<py::gil_scoped_release>())
      .def("manifest_json", [](const Reader& self) { return self.artifact()->manifest_json(); })
      .def("recommend", &Recommend)
      .def("recommend_users", &RecommendUsers)
      .def("user_factors",
           [](const Reader& self, const py::object& user, const py::iterable& history) {
             Query query;
             if (!user.is_none()) query.user = ToId(user);
             query.history = ToWeightedIds(history);
             return ToArray(self.UserFactors(query));
           })
      .def("similar",
           [](const Reader& self, const py::handle& item, int64_t n) {
             const Id id = ToId(item);
             Answer answer;
             {
               py::gil_scoped_release release;
               answer = self.Similar(id, n);
             }
             return FromAnswer(std::move(answer));
           })
      .def("score",
           [](const Reader& self, const py::iterable& pairs) {
             std::vector<std::pair<Id, Id>> ids;
             for (const py::handle& pair : pairs) {
               const auto both = pair.cast<py::tuple>();
               ids.emplace_back(ToId(both[0]), ToId(both[1]));
             }
             return ToArray(self.Score(ids));
           })
      .def("explain", [](const Reader& self, const py::iterable& history, const py::handle& item) {
        const Explanation explanation = self.Explain(ToWeightedIds(history), ToId(item));
        py::list parts;
        for (const WeightedId& part : explanation.parts) {
          parts.append(py::make_tuple(FromId(part.id), part.weight));
        }
        return py::make_tuple(explanation.score, parts);
      });
  m.def(
      "export_model",
      [](Context& context, const std::shared_ptr<Model>& model, const std::string& path,
         const std::string& dtype, const std::string& kind, const std::string& since,
         const std::map<std::string, Array<int32_t>>& attributes, const py::iterable& rules) {
        const ArtifactOptions options = ToOptions(dtype, kind, attributes, rules);
        py::gil_scoped_release release;
        ExportModel(context, *model, options, path, since);
      },
      py::arg("context"), py::arg("model"), py::arg("path"), py::arg("dtype"), py::arg("kind"),
      py::arg("since"), py::arg("attributes"), py::arg("rules"));
  m.def("apply_delta", &ApplyDelta, py::arg("base"), py::arg("delta"), py::arg("path"),
        py::call_guard<py::gil_scoped_release>());
}

}  // namespace penchant::python
