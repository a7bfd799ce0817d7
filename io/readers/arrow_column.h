// One column of an Arrow record batch, read as ids, numbers or times.
#ifndef PENCHANT_IO_READERS_ARROW_COLUMN_H_
#define PENCHANT_IO_READERS_ARROW_COLUMN_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "io/readers/arrow_c_data.h"

namespace penchant {

// A view; the batch must outlive it. Understands integers of every width, float32/64, bool,
// utf8, large_utf8, utf8_view, dictionary-encoded strings, dates and timestamps.
class ArrowColumn {
 public:
  // `parent_offset` is the enclosing struct array's offset. Throws DataError for other types.
  ArrowColumn(const ArrowSchema& schema, const ArrowArray& array, int64_t parent_offset,
              int64_t length);

  const std::string& name() const { return name_; }
  int64_t length() const { return length_; }
  bool is_string() const { return kind_ == Kind::kString || dictionary_ != nullptr; }
  bool is_integer() const { return kind_ == Kind::kInteger && dictionary_ == nullptr; }
  bool is_null(int64_t i) const;

  // REQUIRES: is_integer() and not null.
  int64_t IntegerAt(int64_t i) const;
  // REQUIRES: is_string() and not null.
  std::string_view StringAt(int64_t i) const;
  // REQUIRES: a numeric column and not null.
  double NumberAt(int64_t i) const;
  // False for a non-finite floating point time. REQUIRES: a numeric or temporal column.
  bool IntegerTimeAt(int64_t i, int64_t* time) const;

 private:
  enum class Kind { kInteger, kFloat, kString, kBool };
  enum class Strings { kOffsets32, kOffsets64, kViews };

  std::string name_;
  Kind kind_ = Kind::kInteger;
  int width_ = 0;  // bytes of a number
  bool is_signed_ = true;
  Strings strings_ = Strings::kOffsets32;
  int64_t offset_ = 0;
  int64_t length_ = 0;
  const uint8_t* validity_ = nullptr;
  const void* values_ = nullptr;  // numbers, string offsets or string views
  const char* string_data_ = nullptr;
  const void* const* variadic_ = nullptr;
  std::vector<ArrowColumn> dictionary_storage_;
  const ArrowColumn* dictionary_ = nullptr;

 public:
  ArrowColumn(ArrowColumn&& other) noexcept;
  ArrowColumn(const ArrowColumn&) = delete;
  ArrowColumn& operator=(const ArrowColumn&) = delete;
};

}  // namespace penchant

#endif  // PENCHANT_IO_READERS_ARROW_COLUMN_H_
