#include "io/readers/arrow_column.h"

#include <cmath>
#include <cstring>

#include "kernels/base/errors.h"

namespace penchant {
namespace {

template <typename T>
T At(const void* values, int64_t i) {
  return static_cast<const T*>(values)[i];
}

int64_t IntegerOfWidth(const void* values, int width, bool is_signed, int64_t i) {
  switch (width) {
    case 1:
      return is_signed ? At<int8_t>(values, i) : At<uint8_t>(values, i);
    case 2:
      return is_signed ? At<int16_t>(values, i) : At<uint16_t>(values, i);
    case 4:
      return is_signed ? At<int32_t>(values, i) : At<uint32_t>(values, i);
    default:
      return At<int64_t>(values, i);
  }
}

}  // namespace

ArrowColumn::ArrowColumn(const ArrowSchema& schema, const ArrowArray& array, int64_t parent_offset,
                         int64_t length)
    : name_(schema.name ? schema.name : ""),
      offset_(array.offset + parent_offset),
      length_(length) {
  const std::string format = schema.format;
  PENCHANT_CHECK(array.length >= parent_offset + length, DataError, "column \"", name_, "\" has ",
                 array.length, " rows, its batch ", parent_offset + length);
  if (array.n_buffers > 0 && array.null_count != 0) {
    validity_ = static_cast<const uint8_t*>(array.buffers[0]);
  }
  static constexpr char kIntegerFormats[] = "cCsSiIlL";
  if (const char* found = format.size() == 1 ? std::strchr(kIntegerFormats, format[0]) : nullptr;
      found != nullptr && *found != '\0') {
    const int index = static_cast<int>(found - kIntegerFormats);
    width_ = 1 << (index / 2);
    is_signed_ = index % 2 == 0;
  } else if (format == "f" || format == "g") {
    kind_ = Kind::kFloat;
    width_ = format == "f" ? 4 : 8;
  } else if (format == "b") {
    kind_ = Kind::kBool;
  } else if (format == "u" || format == "U" || format == "vu") {
    kind_ = Kind::kString;
    strings_ = format == "u"   ? Strings::kOffsets32
               : format == "U" ? Strings::kOffsets64
                               : Strings::kViews;
  } else if (format == "tdD") {
    width_ = 4;
  } else if (format == "tdm" || format.rfind("ts", 0) == 0) {
    width_ = 8;
  } else {
    throw DataError("column \"" + name_ + "\" has Arrow type \"" + format +
                    "\"; wanted integers, floats, strings, dates or timestamps");
  }
  values_ = array.n_buffers > 1 ? array.buffers[1] : nullptr;
  if (kind_ == Kind::kString) {
    if (strings_ == Strings::kViews) {
      variadic_ = array.buffers + 2;
    } else {
      string_data_ = static_cast<const char*>(array.buffers[2]);
    }
  }
  if (schema.dictionary != nullptr) {
    PENCHANT_CHECK(array.dictionary != nullptr, DataError, "column \"", name_,
                   "\" is dictionary-encoded without a dictionary");
    dictionary_storage_.reserve(1);
    dictionary_storage_.emplace_back(*schema.dictionary, *array.dictionary, 0,
                                     array.dictionary->length);
    dictionary_ = &dictionary_storage_[0];
    PENCHANT_CHECK(dictionary_->kind_ == Kind::kString, DataError, "column \"", name_,
                   "\" is dictionary-encoded with values that are not strings");
  }
}

ArrowColumn::ArrowColumn(ArrowColumn&& other) noexcept = default;

bool ArrowColumn::is_null(int64_t i) const {
  const int64_t bit = offset_ + i;
  if (validity_ != nullptr && ((validity_[bit / 8] >> (bit % 8)) & 1) == 0) return true;
  if (dictionary_ == nullptr) return false;
  return dictionary_->is_null(IntegerOfWidth(values_, width_, is_signed_, bit));
}

int64_t ArrowColumn::IntegerAt(int64_t i) const {
  PENCHANT_CHECK(kind_ == Kind::kInteger, DataError, "column \"", name_,
                 "\" holds neither integers nor strings, so it cannot name users or items");
  const int64_t value = IntegerOfWidth(values_, width_, is_signed_, offset_ + i);
  PENCHANT_CHECK(is_signed_ || width_ < 8 || value >= 0, DataError, "column \"", name_,
                 "\" holds an unsigned id of 2^63 or more");
  return value;
}

std::string_view ArrowColumn::StringAt(int64_t i) const {
  const int64_t at = offset_ + i;
  if (dictionary_ != nullptr) {
    const int64_t code = IntegerOfWidth(values_, width_, is_signed_, at);
    PENCHANT_CHECK(code >= 0 && code < dictionary_->length(), DataError, "column \"", name_,
                   "\" holds dictionary code ", code, " of ", dictionary_->length());
    return dictionary_->StringAt(code);
  }
  switch (strings_) {
    case Strings::kOffsets32: {
      const auto* offsets = static_cast<const int32_t*>(values_);
      return {string_data_ + offsets[at], static_cast<size_t>(offsets[at + 1] - offsets[at])};
    }
    case Strings::kOffsets64: {
      const auto* offsets = static_cast<const int64_t*>(values_);
      return {string_data_ + offsets[at], static_cast<size_t>(offsets[at + 1] - offsets[at])};
    }
    case Strings::kViews: {
      // 16 bytes: length, then 12 bytes inline or prefix, buffer number and offset.
      const char* view = static_cast<const char*>(values_) + 16 * at;
      int32_t length, buffer, offset;
      std::memcpy(&length, view, 4);
      if (length <= 12) return {view + 4, static_cast<size_t>(length)};
      std::memcpy(&buffer, view + 8, 4);
      std::memcpy(&offset, view + 12, 4);
      return {static_cast<const char*>(variadic_[buffer]) + offset, static_cast<size_t>(length)};
    }
  }
  return {};
}

double ArrowColumn::NumberAt(int64_t i) const {
  const int64_t at = offset_ + i;
  PENCHANT_CHECK(!is_string(), DataError, "column \"", name_, "\" holds strings, wanted numbers");
  if (kind_ == Kind::kFloat) return width_ == 4 ? At<float>(values_, at) : At<double>(values_, at);
  if (kind_ == Kind::kBool) return (At<uint8_t>(values_, at / 8) >> (at % 8)) & 1;
  if (width_ == 8 && !is_signed_) return static_cast<double>(At<uint64_t>(values_, at));
  return static_cast<double>(IntegerOfWidth(values_, width_, is_signed_, at));
}

bool ArrowColumn::IntegerTimeAt(int64_t i, int64_t* time) const {
  if (kind_ == Kind::kInteger && dictionary_ == nullptr) {
    *time = IntegerOfWidth(values_, width_, is_signed_, offset_ + i);
    return true;
  }
  const double value = NumberAt(i);
  if (!(std::abs(value) < 9.2e18)) return false;
  *time = static_cast<int64_t>(std::floor(value));
  return true;
}

}  // namespace penchant
