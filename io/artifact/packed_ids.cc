#include "io/artifact/packed_ids.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "kernels/base/errors.h"

namespace penchant {
namespace {

constexpr int64_t kIntegersABlock = 128;
constexpr int64_t kStringsABlock = 16;
// Wider ones would straddle nine bytes, so they take all 64 bits.
constexpr int kMaxPackedBits = 56;
constexpr int64_t kSlack = 8;  // zeros after the last block: bits are read eight bytes at a time

void AppendNumber(uint64_t value, std::vector<uint8_t>* out) {
  for (; value >= 128; value >>= 7) out->push_back(static_cast<uint8_t>(value | 128));
  out->push_back(static_cast<uint8_t>(value));
}

// Takes a number off the front of [*at, end); false where it does not end there.
bool TakeNumber(const uint8_t** at, const uint8_t* end, uint64_t* value) {
  *value = 0;
  for (int shift = 0; shift < 64 && *at < end; shift += 7) {
    const uint8_t byte = *(*at)++;
    *value |= uint64_t{byte & 127u} << shift;
    if (byte < 128) return true;
  }
  return false;
}

}  // namespace

PackedIds PackedIds::Pack(std::span<const int64_t> ids) {
  PackedIds packed;
  const int64_t n = static_cast<int64_t>(ids.size());
  for (int64_t begin = 0; begin < n; begin += kIntegersABlock) {
    const int64_t end = std::min(n, begin + kIntegersABlock);
    const auto beyond = [&](int64_t i) {
      return static_cast<uint64_t>(ids[i]) - static_cast<uint64_t>(ids[begin]) -
             static_cast<uint64_t>(i - begin);
    };
    int width = std::bit_width(beyond(end - 1));
    if (width > kMaxPackedBits) width = 64;
    const size_t first_byte = packed.bytes.size();
    packed.blocks.push_back(ids[begin]);
    packed.blocks.push_back(static_cast<int64_t>(first_byte) << 8 | width);
    packed.bytes.resize(first_byte + static_cast<size_t>((end - begin) * width + 7) / 8);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t bit = (i - begin) * width;
      for (int b = 0; b < width; ++b) {
        if (beyond(i) >> b & 1) {
          packed.bytes[first_byte + (bit + b) / 8] |= static_cast<uint8_t>(1 << (bit + b) % 8);
        }
      }
    }
  }
  packed.bytes.resize(packed.bytes.size() + kSlack);
  return packed;
}

PackedIds PackedIds::Pack(std::span<const std::string_view> ids) {
  PackedIds packed;
  for (size_t i = 0; i < ids.size(); ++i) {
    size_t shared = 0;
    if (i % kStringsABlock == 0) {
      packed.blocks.push_back(static_cast<int64_t>(packed.bytes.size()));
    } else {
      const auto [end, unused] =
          std::mismatch(ids[i].begin(), ids[i].end(), ids[i - 1].begin(), ids[i - 1].end());
      shared = static_cast<size_t>(end - ids[i].begin());
      AppendNumber(shared, &packed.bytes);
    }
    AppendNumber(ids[i].size() - shared, &packed.bytes);
    packed.bytes.insert(packed.bytes.end(), ids[i].begin() + static_cast<int64_t>(shared),
                        ids[i].end());
  }
  packed.blocks.push_back(static_cast<int64_t>(packed.bytes.size()));
  return packed;
}

void PackedIds::AppendTo(const std::string& prefix, std::vector<TensorSource>* tensors) const {
  tensors->push_back(TensorSource::Dense(prefix + ".id_blocks", DType::kI64,
                                         {static_cast<int64_t>(blocks.size())}, blocks.data()));
  tensors->push_back(TensorSource::Dense(prefix + ".id_bytes", DType::kU8,
                                         {static_cast<int64_t>(bytes.size())}, bytes.data()));
}

PackedIdsView::PackedIdsView(const TensorFile& file, const std::string& prefix, bool strings,
                             int64_t size)
    : name_(file.name() + ": the ids of " + prefix), strings_(strings), size_(size) {
  const TensorView& blocks = file.Get(prefix + ".id_blocks", DType::kI64, 1);
  const TensorView& bytes = file.Get(prefix + ".id_bytes", DType::kU8, 1);
  const int64_t wanted = strings ? (size + kStringsABlock - 1) / kStringsABlock + 1
                                 : (size + kIntegersABlock - 1) / kIntegersABlock * 2;
  PENCHANT_CHECK(blocks.shape[0] == wanted, DataError, name_, " have an index of ", blocks.shape[0],
                 " words, wanted ", wanted, " for ", size, " rows");
  blocks_ = blocks.data;
  bytes_ = bytes.data;
  num_bytes_ = bytes.bytes;
}

int64_t PackedIdsView::Find(const Id& id) const {
  if (id.text.has_value() != strings_ || size_ == 0) return -1;
  return strings_ ? FindString(*id.text) : FindInteger(id.number);
}

Id PackedIdsView::At(int64_t row) const {
  if (!strings_) return IntegerIn(BlockOf(row / kIntegersABlock), row % kIntegersABlock);
  std::string found;
  WalkStrings(row / kStringsABlock, [&](int64_t j, const std::string& text) {
    if (j == row % kStringsABlock) found = text;
    return j < row % kStringsABlock;
  });
  return found;
}

int64_t PackedIdsView::Word(int64_t i) const {
  int64_t word;
  std::memcpy(&word, blocks_ + i * 8, 8);
  return word;
}

void PackedIdsView::Damaged() const { throw DataError(name_ + " are damaged"); }

PackedIdsView::IntegerBlock PackedIdsView::BlockOf(int64_t block) const {
  const int64_t packed = Word(2 * block + 1);
  const IntegerBlock found = {Word(2 * block), packed >> 8, static_cast<int>(packed & 255)};
  const int64_t count = std::min(kIntegersABlock, size_ - block * kIntegersABlock);
  if ((found.width > kMaxPackedBits && found.width != 64) || found.begin < 0 ||
      found.begin > num_bytes_ - kSlack - (count * found.width + 7) / 8) {
    Damaged();
  }
  return found;
}

int64_t PackedIdsView::IntegerIn(const IntegerBlock& block, int64_t j) const {
  const int64_t bit = j * block.width;
  uint64_t word;
  std::memcpy(&word, bytes_ + block.begin + bit / 8, 8);
  word >>= bit % 8;
  if (block.width < 64) word &= (uint64_t{1} << block.width) - 1;
  return static_cast<int64_t>(static_cast<uint64_t>(block.first) + static_cast<uint64_t>(j) + word);
}

int64_t PackedIdsView::FindInteger(int64_t id) const {
  // The last block whose first id is not beyond `id`.
  int64_t low = 0, high = (size_ + kIntegersABlock - 1) / kIntegersABlock;
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    (Word(2 * middle) <= id ? low : high) = middle;
  }
  const IntegerBlock block = BlockOf(low);
  const int64_t begin = low * kIntegersABlock;
  int64_t from = 0, to = std::min(kIntegersABlock, size_ - begin);
  while (from < to) {
    const int64_t middle = (from + to) / 2;
    if (IntegerIn(block, middle) < id) {
      from = middle + 1;
    } else {
      to = middle;
    }
  }
  const bool found = begin + from < size_ && from < kIntegersABlock && IntegerIn(block, from) == id;
  return found ? begin + from : -1;
}

template <typename Visit>
void PackedIdsView::WalkStrings(int64_t block, const Visit& visit) const {
  const int64_t begin = Word(block), end = Word(block + 1);
  if (begin < 0 || begin > end || end > num_bytes_) Damaged();
  const uint8_t* at = bytes_ + begin;
  const uint8_t* const stop = bytes_ + end;
  std::string text;
  const int64_t count = std::min(kStringsABlock, size_ - block * kStringsABlock);
  for (int64_t j = 0; j < count; ++j) {
    uint64_t shared = 0, rest = 0;
    if (j > 0 && !TakeNumber(&at, stop, &shared)) Damaged();
    if (!TakeNumber(&at, stop, &rest) || shared > text.size() ||
        rest > static_cast<uint64_t>(stop - at)) {
      Damaged();
    }
    text.resize(shared);
    text.append(reinterpret_cast<const char*>(at), rest);
    at += rest;
    if (!visit(j, text)) return;
  }
}

std::string_view PackedIdsView::FirstString(int64_t block) const {
  const int64_t begin = Word(block);
  if (begin < 0 || begin > num_bytes_) Damaged();
  const uint8_t* at = bytes_ + begin;
  const uint8_t* const stop = bytes_ + num_bytes_;
  uint64_t length;
  if (!TakeNumber(&at, stop, &length) || length > static_cast<uint64_t>(stop - at)) Damaged();
  return {reinterpret_cast<const char*>(at), length};
}

int64_t PackedIdsView::FindString(std::string_view id) const {
  int64_t low = 0, high = (size_ + kStringsABlock - 1) / kStringsABlock;
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    (FirstString(middle) <= id ? low : high) = middle;
  }
  int64_t found = -1;
  WalkStrings(low, [&](int64_t j, const std::string& text) {
    if (text == id) found = low * kStringsABlock + j;
    return text < id;
  });
  return found;
}

}  // namespace penchant
