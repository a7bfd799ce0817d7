// The ids of a table's rows, ascending, packed and read where they lie: nothing is parsed to open
// them.
//
// Integers, in blocks of 128: a block tells its first id and how many bits each of the others
// takes; id j of a block is first + j + bits[j]. Consecutive ids take no bits.
// Strings, in blocks of 16, sorted by their bytes: the first as it is, then of each how many bytes
// it shares with the one before, and the rest. Lengths are LEB128 numbers.
#ifndef PENCHANT_IO_ARTIFACT_PACKED_IDS_H_
#define PENCHANT_IO_ARTIFACT_PACKED_IDS_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/model/tensor_file.h"

namespace penchant {

// An id from outside: a number, or text.
struct Id {
  int64_t number = 0;
  std::optional<std::string> text = std::nullopt;

  Id(int64_t value) : number(value) {}                      // NOLINT: an id is one or the other
  Id(std::string value) : text(std::move(value)) {}         // NOLINT
  Id(std::string_view value) : text(std::string(value)) {}  // NOLINT
  Id(const char* value) : text(value) {}                    // NOLINT
  bool operator==(const Id&) const = default;
  std::string ToText() const { return text ? '"' + *text + '"' : std::to_string(number); }
};

// Packed ids in memory, to be written as the tensors PREFIX.id_blocks and PREFIX.id_bytes.
struct PackedIds {
  std::vector<int64_t> blocks;
  std::vector<uint8_t> bytes;

  // REQUIRES: strictly ascending.
  static PackedIds Pack(std::span<const int64_t> ids);
  static PackedIds Pack(std::span<const std::string_view> ids);
  void AppendTo(const std::string& prefix, std::vector<TensorSource>* tensors) const;
};

// Packed ids in a file. Every access is checked, and damage met on the way is a DataError.
class PackedIdsView {
 public:
  PackedIdsView() = default;
  // REQUIRES: `file` outlives the view.
  PackedIdsView(const TensorFile& file, const std::string& prefix, bool strings, int64_t size);

  int64_t size() const { return size_; }
  bool strings() const { return strings_; }
  // The row of an id; -1 when there is none, or the id is of the other type.
  int64_t Find(const Id& id) const;
  // REQUIRES: 0 <= row < size().
  Id At(int64_t row) const;

 private:
  struct IntegerBlock {
    int64_t first;
    int64_t begin;  // byte
    int width;      // bits
  };
  IntegerBlock BlockOf(int64_t block) const;
  int64_t IntegerIn(const IntegerBlock& block, int64_t j) const;
  int64_t FindInteger(int64_t id) const;
  // Calls visit(j, text) for the ids of a block until it returns false.
  template <typename Visit>
  void WalkStrings(int64_t block, const Visit& visit) const;
  std::string_view FirstString(int64_t block) const;
  int64_t FindString(std::string_view id) const;
  int64_t Word(int64_t i) const;
  [[noreturn]] void Damaged() const;

  std::string name_;
  bool strings_ = false;
  int64_t size_ = 0;
  const uint8_t* blocks_ = nullptr;
  const uint8_t* bytes_ = nullptr;
  int64_t num_bytes_ = 0;
};

}  // namespace penchant

#endif  // PENCHANT_IO_ARTIFACT_PACKED_IDS_H_
