// Reading a manifest (Protobuf's JSON mapping) without Protobuf: fields of the wanted type, or a
// DataError. Absent fields have proto2's defaults.
#ifndef PENCHANT_IO_ARTIFACT_MANIFEST_FIELDS_H_
#define PENCHANT_IO_ARTIFACT_MANIFEST_FIELDS_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kernels/base/errors.h"

namespace penchant {

class ManifestFields {
 public:
  // `name` is the file's, for messages.
  ManifestFields(const std::string& json, std::string name) : name_(std::move(name)) {
    fields_ = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
    PENCHANT_CHECK(fields_.is_object(), DataError, name_, ": the manifest is not a JSON object");
  }

  bool Has(const char* field) const { return fields_.contains(field); }
  std::string Text(const char* field) const {
    return Get<std::string>(field, "", &nlohmann::json::is_string);
  }
  bool Flag(const char* field) const {
    return Get<bool>(field, false, &nlohmann::json::is_boolean);
  }
  double Number(const char* field) const {
    return Get<double>(field, 0.0, &nlohmann::json::is_number);
  }
  int64_t Integer(const char* field, int64_t least, int64_t most) const {
    const int64_t value = Get<int64_t>(field, 0, &nlohmann::json::is_number_integer);
    PENCHANT_CHECK(value >= least && value <= most, DataError, name_, ": the manifest's ", field,
                   " is ", value, ", wanted ", least, " to ", most);
    return value;
  }
  std::vector<std::string> Texts(const char* field) const {
    std::vector<std::string> texts;
    for (const auto& value : List(field)) {
      if (!value.is_string()) Damaged(field);
      texts.push_back(value.get<std::string>());
    }
    return texts;
  }
  ManifestFields Message(const char* field) const {
    const auto found = fields_.find(field);
    if (found == fields_.end() || !found->is_object()) Damaged(field);
    return ManifestFields(*found, name_);
  }
  std::vector<ManifestFields> Messages(const char* field) const {
    std::vector<ManifestFields> messages;
    for (const auto& value : List(field)) {
      if (!value.is_object()) Damaged(field);
      messages.push_back(ManifestFields(value, name_));
    }
    return messages;
  }

 private:
  ManifestFields(nlohmann::json fields, const std::string& name)
      : name_(name), fields_(std::move(fields)) {}

  template <typename T>
  T Get(const char* field, T absent, bool (nlohmann::json::*is_wanted)() const noexcept) const {
    const auto found = fields_.find(field);
    if (found == fields_.end()) return absent;
    if (!((*found).*is_wanted)()) Damaged(field);
    return found->template get<T>();
  }
  nlohmann::json List(const char* field) const {
    const auto found = fields_.find(field);
    if (found == fields_.end()) return nlohmann::json::array();
    if (!found->is_array()) Damaged(field);
    return *found;
  }
  [[noreturn]] void Damaged(const char* field) const {
    throw DataError(name_ + ": the manifest's " + field + " is missing or of another type");
  }

  std::string name_;
  nlohmann::json fields_;
};

}  // namespace penchant

#endif  // PENCHANT_IO_ARTIFACT_MANIFEST_FIELDS_H_
