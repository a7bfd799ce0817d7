#include "kernels/base/device_memory.h"
#include "kernels/base/errors.h"
#include "kernels/cluster/k_means.h"
#include "python/bindings/bindings.h"
#include "trainer/config.h"
#include "trainer/evaluator.h"
#include "trainer/memory_estimate.h"
#include "trainer/registry.h"
#include "trainer/session.h"

namespace penchant::python {
namespace {

std::shared_ptr<Model> Train(Context& context, const std::string& config_text,
                             std::shared_ptr<Interactions> interactions,
                             std::shared_ptr<Model> warm_start, bool resume, bool compute_loss,
                             const py::object& callback) {
  SessionOptions options;
  options.config = ParseTrainConfig(config_text, "config");
  options.train = std::move(interactions);
  options.warm_start = std::move(warm_start);
  options.resume = resume;
  options.compute_loss = compute_loss;
  Session::Callback report_to_python;
  if (!callback.is_none()) {
    report_to_python = [&callback](const IterationReport& report) {
      py::gil_scoped_acquire gil;
      const py::object loss = report.loss ? py::object(py::float_(*report.loss)) : py::none();
      const py::object validation =
          report.validation ? py::object(py::float_(*report.validation)) : py::none();
      const py::object go_on = callback(report.iteration, report.num_iterations, report.seconds,
                                        loss, validation, report.checkpointed);
      return go_on.is_none() || go_on.cast<bool>();
    };
  }
  py::gil_scoped_release release;
  Session session(std::move(options));
  return session.Run(context, report_to_python);
}

py::dict EvaluateTables(Context& context, const Array<float>& users, const Array<float>& items,
                        const py::tuple& test, const py::object& train,
                        const std::vector<int64_t>& cutoffs) {
  Matrix user_table = ToMatrix(users), item_table = ToMatrix(items);
  const LentCsr test_csr(test);
  std::unique_ptr<LentCsr> train_csr;
  if (!train.is_none()) train_csr = std::make_unique<LentCsr>(train.cast<py::tuple>());
  Evaluation evaluation;
  {
    py::gil_scoped_release release;
    const DeviceMatrix device_users(context, std::move(user_table));
    const DeviceMatrix device_items(context, std::move(item_table));
    evaluation = Evaluate(context, device_users.view(), device_items.view(), test_csr.view,
                          train_csr ? &train_csr->view : nullptr, cutoffs);
  }
  py::dict result;
  result["users"] = ToArray(std::move(evaluation.users));
  for (const EvaluationAtK& at_k : evaluation.at_k) {
    const std::string suffix = "@" + std::to_string(at_k.k);
    for (const char* name : kMetricNames) {
      std::vector<double> values;
      values.reserve(at_k.per_user.size());
      for (const RankingMetrics& metrics : at_k.per_user) {
        values.push_back(MetricByName(metrics, name));
      }
      result[py::str(name + suffix)] = ToArray(std::move(values));
    }
    result[py::str("coverage" + suffix)] = at_k.coverage;
  }
  return result;
}

py::dict RunKMeans(Context& context, const Array<float>& rows, int64_t k, int max_iterations,
                   int64_t batch, uint64_t seed) {
  const Matrix table = ToMatrix(rows);
  KMeansResult found;
  {
    py::gil_scoped_release release;
    found = KMeans(context, table.view(),
                   {.k = k, .max_iterations = max_iterations, .batch = batch, .seed = seed});
  }
  py::dict result;
  result["centers"] = ToArray(found.centers);
  result["labels"] = ToArray(std::move(found.labels));
  result["squares"] = ToArray(std::move(found.squares));
  result["inertia"] = found.inertia;
  result["iterations"] = found.iterations;
  return result;
}

py::list Estimate(const std::string& config_text, int64_t num_users, int64_t num_items, int64_t nnz,
                  bool weighted, int64_t longest_row, int64_t num_events, int num_threads,
                  bool cuda, int64_t block_bytes) {
  const MemoryEstimate estimate =
      EstimateMemory(ParseTrainConfig(config_text, "config"),
                     {num_users, num_items, nnz, weighted, longest_row, num_events}, num_threads,
                     cuda, block_bytes);
  py::list items;
  for (const MemoryItem& item : estimate.items) items.append(py::make_tuple(item.what, item.bytes));
  return items;
}

std::string ParseConfig(const std::string& text, const std::string& name,
                        const std::vector<std::string>& overrides) {
  config::TrainConfig config = ParseTrainConfig(text, name);
  for (const std::string& assignment : overrides) ApplyOverride(assignment, &config);
  return TrainConfigText(config);
}

// The chosen algorithm's fields: given values and defaults, None for what is left to the data.
py::dict Parameters(const config::TrainConfig& config) {
  const auto* choice = config.GetDescriptor()->FindFieldByNumber(config.algorithm_case());
  const auto& message = config.GetReflection()->GetMessage(config, choice);
  const auto* reflection = message.GetReflection();
  py::dict parameters;
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const google::protobuf::FieldDescriptor* field = message.GetDescriptor()->field(i);
    py::object value = py::none();
    if (reflection->HasField(message, field) || field->has_default_value()) {
      using Field = google::protobuf::FieldDescriptor;
      switch (field->cpp_type()) {
        case Field::CPPTYPE_INT32:
          value = py::int_(reflection->GetInt32(message, field));
          break;
        case Field::CPPTYPE_DOUBLE:
          value = py::float_(reflection->GetDouble(message, field));
          break;
        case Field::CPPTYPE_BOOL:
          value = py::bool_(reflection->GetBool(message, field));
          break;
        case Field::CPPTYPE_STRING:
          value = py::str(reflection->GetString(message, field));
          break;
        default:
          throw DataError("the config's field " + field->full_name() + " has a type unknown here");
      }
    }
    parameters[py::str(field->name())] = value;
  }
  return parameters;
}

// The parts of a config that Python acts on, defaults filled in.
py::dict ConfigFields(const std::string& text) {
  const config::TrainConfig config = ParseTrainConfig(text, "config");
  const auto& data = config.data();
  const auto& evaluation = config.evaluation();
  py::dict fields;
  fields["path"] = data.path();
  fields["dataset"] = data.dataset();
  fields["user"] = data.user();
  fields["item"] = data.item();
  fields["weight"] = data.weight();
  fields["time"] = data.time();
  fields["duplicates"] = data.duplicates();
  fields["max_bad_rows"] = data.max_bad_rows();
  fields["test_path"] = evaluation.test_path();
  fields["split"] = evaluation.split();
  fields["test_fraction"] = evaluation.test_fraction();
  fields["k"] = std::vector<int>(evaluation.k().begin(), evaluation.k().end());
  fields["output"] = config.output();
  fields["seed"] = config.seed();
  fields["device"] = config.device();
  fields["num_threads"] = config.num_threads();
  fields["checkpoint_directory"] = config.checkpoint().directory();
  fields["algorithm"] = FindAlgorithm(config).name;
  fields["parameters"] = Parameters(config);
  return fields;
}

}  // namespace

void BindTraining(py::module_& m) {
  m.def("train", &Train, py::arg("context"), py::arg("config"), py::arg("interactions"),
        py::arg("warm_start") = nullptr, py::arg("resume") = false, py::arg("compute_loss") = false,
        py::arg("callback") = py::none());
  m.def("evaluate", &EvaluateTables, py::arg("context"), py::arg("users"), py::arg("items"),
        py::arg("test"), py::arg("train"), py::arg("k"));
  m.def("k_means", &RunKMeans, py::arg("context"), py::arg("rows"), py::arg("k"),
        py::arg("max_iterations"), py::arg("batch"), py::arg("seed"));
  m.def("estimate_memory", &Estimate, py::arg("config"), py::arg("num_users"), py::arg("num_items"),
        py::arg("nnz"), py::arg("weighted"), py::arg("longest_row"), py::arg("num_events"),
        py::arg("num_threads"), py::arg("cuda") = false, py::arg("block_bytes") = 0);
  m.attr("LEAST_BLOCK_BYTES") = *std::rbegin(kBlockBytes);
  m.def("available_memory", &AvailableMemory);
  m.def("parse_config", &ParseConfig, py::arg("text"), py::arg("name"), py::arg("overrides"));
  m.def("validate_config",
        [](const std::string& text) { ValidateTrainConfig(ParseTrainConfig(text, "config")); });
  m.def(
      "resolve_config",
      [](const std::string& text, const Interactions& interactions) {
        config::TrainConfig config = ParseTrainConfig(text, "config");
        FindAlgorithm(config).resolve(interactions, &config);
        return TrainConfigText(config);
      },
      py::arg("text"), py::arg("interactions"));
  m.def("config_fields", &ConfigFields, py::arg("text"));
}

}  // namespace penchant::python
