#include "trainer/config.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/text_format.h>

#include "kernels/base/context.h"
#include "kernels/base/errors.h"
#include "trainer/memory_estimate.h"
#include "trainer/registry.h"

namespace penchant {
namespace {

// What a parser's complaint of an unknown field leaves out: the fields that there are.
std::string FieldsInstead(const std::string& message) {
  const std::string begin = "Message type \"";
  const size_t end = message.find("\" has no field named");
  if (!message.starts_with(begin) || end == std::string::npos) return "";
  const auto* type = google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(
      message.substr(begin.size(), end - begin.size()));
  if (type == nullptr) return "";
  std::string fields = " Its fields are";
  for (int i = 0; i < type->field_count(); ++i) {
    fields += (i == 0 ? " " : ", ") + std::string(type->field(i)->name());
  }
  return fields + ".";
}

// Collects the parser's complaints as "name:line:column: message".
class Complaints : public google::protobuf::io::ErrorCollector {
 public:
  explicit Complaints(std::string name) : name_(std::move(name)) {}
  void AddError(int line, int column, const std::string& message) override {
    text_ += (text_.empty() ? "" : "\n") + name_ + ":" + std::to_string(line + 1) + ":" +
             std::to_string(column + 1) + ": " + message + FieldsInstead(message);
  }
  void AddWarning(int line, int column, const std::string& message) override {
    AddError(line, column, message);
  }
  const std::string& text() const { return text_; }

 private:
  std::string name_;
  std::string text_;
};

bool Merge(const std::string& text, Complaints* complaints, config::TrainConfig* config) {
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(complaints);
  google::protobuf::io::ArrayInputStream input(text.data(), static_cast<int>(text.size()));
  return parser.Merge(&input, config);
}

void RequireFraction(double value, bool zero_allowed, const char* name) {
  PENCHANT_REQUIRE((value > 0 && value < 1) || (zero_allowed && value == 0), name,
                   " must be in (0, 1)", zero_allowed ? " or 0" : "", "; got ", value);
}

}  // namespace

config::TrainConfig ParseTrainConfig(const std::string& text, const std::string& name) {
  config::TrainConfig config;
  Complaints complaints(name);
  PENCHANT_CHECK(Merge(text, &complaints, &config), DataError, complaints.text());
  return config;
}

void ApplyOverride(const std::string& assignment, config::TrainConfig* config) {
  const size_t equals = assignment.find('=');
  PENCHANT_REQUIRE(equals != std::string::npos && equals > 0, "override \"", assignment,
                   "\" is not of the form field.path=value");
  const std::string path = assignment.substr(0, equals);
  const std::string value = assignment.substr(equals + 1);
  // "a.b=1" is the text proto "a { b: 1 }"; text that is no literal is tried as a string.
  std::string open, close;
  size_t begin = 0;
  for (size_t dot; (dot = path.find('.', begin)) != std::string::npos; begin = dot + 1) {
    open += path.substr(begin, dot - begin) + " { ";
    close += " }";
  }
  std::string quoted = "\"";
  for (char c : value) quoted += (c == '"' || c == '\\') ? std::string{'\\', c} : std::string{c};
  quoted += "\"";
  const auto text_of = [&](const std::string& literal) {
    return open + path.substr(begin) + ": " + literal + close;
  };
  config::TrainConfig parsed;
  std::string accepted, complaint;
  for (const std::string& literal : {value, quoted}) {
    Complaints attempt("--set " + assignment);
    parsed.Clear();
    if (Merge(text_of(literal), &attempt, &parsed)) {
      accepted = text_of(literal);
      break;
    }
    if (complaint.empty()) complaint = attempt.text();
  }
  PENCHANT_REQUIRE(!accepted.empty(), complaint);
  Complaints unused("--set");
  Merge(accepted, &unused, config);
}

std::string TrainConfigText(const config::TrainConfig& config) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(config, &text);
  return text;
}

void ValidateTrainConfig(const config::TrainConfig& config) {
  FindAlgorithm(config).make(config);  // throws on parameters outside their domains
  RequireDevice(config.device());
  ParseBytes(config.memory_budget());
  RequireFraction(config.evaluation().test_fraction(), false, "evaluation.test_fraction");
  const std::string& split = config.evaluation().split();
  PENCHANT_REQUIRE(split == "none" || split == "time" || split == "last" || split == "random",
                   "evaluation.split must be \"none\", \"time\", \"last\" or \"random\"; got \"",
                   split, "\"");
  for (int k : config.evaluation().k()) {
    PENCHANT_REQUIRE(k >= 1, "evaluation.k must be at least 1; got ", k);
  }
  RequireFraction(config.early_stopping().validation_fraction(), true,
                  "early_stopping.validation_fraction");
  PENCHANT_REQUIRE(config.early_stopping().patience() >= 1,
                   "early_stopping.patience must be at least 1; got ",
                   config.early_stopping().patience());
  PENCHANT_REQUIRE(config.checkpoint().every() >= 1, "checkpoint.every must be at least 1; got ",
                   config.checkpoint().every());
  PENCHANT_REQUIRE(config.num_threads() >= 0, "num_threads must be >= 0; got ",
                   config.num_threads());
}

}  // namespace penchant
