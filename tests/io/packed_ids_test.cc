#include "io/artifact/packed_ids.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <set>

#include "kernels/base/errors.h"
#include "tests/support/random_data.h"

namespace penchant {
namespace {

template <typename T>
class Written {
 public:
  explicit Written(const std::vector<T>& ids) {
    const PackedIds packed = PackedIds::Pack(std::span<const T>(ids));
    std::vector<TensorSource> tensors;
    packed.AppendTo("items", &tensors);
    bytes_ = static_cast<int64_t>(packed.bytes.size() + 8 * packed.blocks.size());
    WriteTensorFile(folder_.path("ids"), tensors, {});
    file_ = std::make_unique<TensorFile>(folder_.path("ids"));
    view = PackedIdsView(*file_, "items", !std::is_same_v<T, int64_t>,
                         static_cast<int64_t>(ids.size()));
  }
  int64_t bytes() const { return bytes_; }
  PackedIdsView view;

 private:
  testing::TemporaryFolder folder_;
  std::unique_ptr<TensorFile> file_;
  int64_t bytes_;
};

void ExpectIntegers(const std::vector<int64_t>& ids) {
  const Written<int64_t> written(ids);
  const std::set<int64_t> known(ids.begin(), ids.end());
  for (size_t i = 0; i < ids.size(); ++i) {
    ASSERT_EQ(written.view.At(static_cast<int64_t>(i)), Id(ids[i]));
    ASSERT_EQ(written.view.Find(ids[i]), static_cast<int64_t>(i));
    const int64_t next = static_cast<int64_t>(static_cast<uint64_t>(ids[i]) + 1);
    if (!known.contains(next)) {
      ASSERT_EQ(written.view.Find(next), -1) << next;
    }
  }
  EXPECT_EQ(written.view.Find("1"), -1);  // text in a dictionary of integers
}

TEST(PackedIdsTest, IntegersComeBackAndOnlyThey) {
  std::mt19937_64 random(1);
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  ExpectIntegers({});
  ExpectIntegers({0});
  ExpectIntegers({kMin, kMax});
  ExpectIntegers({kMin, -1, 0, kMax - 1, kMax});
  for (int bits : {1, 2, 7, 20, 40, 55, 56, 57, 63}) {
    for (size_t count : {127, 128, 129, 1000}) {
      std::set<int64_t> ids;
      int64_t id = -5;
      while (ids.size() < count) {
        if (bits < 50) {
          id += 1 + static_cast<int64_t>(random() >> (64 - bits));
        } else {
          id = static_cast<int64_t>(random() >> (64 - bits)) - (int64_t{1} << (bits - 1));
        }
        ids.insert(id);
      }
      ExpectIntegers({ids.begin(), ids.end()});
    }
  }
}

TEST(PackedIdsTest, ConsecutiveIntegersTakeABitEach) {
  std::vector<int64_t> ids(128 * 100);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = 1'000'000 + static_cast<int64_t>(i);
  EXPECT_EQ(Written<int64_t>(ids).bytes(), 100 * 16 + 8);
}

TEST(PackedIdsTest, StringsComeBackAndOnlyThey) {
  std::mt19937_64 random(2);
  std::set<std::string> texts = {"", std::string("a\0b", 3), "\xc3\xa9t\xc3\xa9",
                                 std::string(5000, 'x'), std::string(5000, 'x') + "y"};
  for (int i = 0; i < 1000; ++i) texts.insert("sku-" + std::to_string(random() % 100'000));
  const std::vector<std::string_view> ids(texts.begin(), texts.end());
  const Written<std::string_view> written(ids);
  for (size_t i = 0; i < ids.size(); ++i) {
    ASSERT_EQ(written.view.At(static_cast<int64_t>(i)), Id(ids[i]));
    ASSERT_EQ(written.view.Find(ids[i]), static_cast<int64_t>(i));
    ASSERT_EQ(written.view.Find(std::string(ids[i]) + "!"), -1);
  }
  EXPECT_EQ(written.view.Find(7), -1);
  EXPECT_LT(written.bytes(), 5000 + 1000 * 6);  // shared prefixes are stored once
}

// Whatever the bytes, an answer or a DataError (and nothing that ASan would see).
TEST(PackedIdsTest, DamageIsAnErrorOrAnAnswer) {
  std::mt19937_64 random(3);
  testing::TemporaryFolder folder;
  for (const bool strings : {false, true}) {
    for (int round = 0; round < 300; ++round) {
      std::vector<int64_t> blocks(strings ? 4 : 2 * 2);
      std::vector<uint8_t> bytes(random() % 64);
      for (auto& word : blocks) {
        word = static_cast<int64_t>(random() >> (random() % 64));
      }
      for (auto& byte : bytes) byte = static_cast<uint8_t>(random());
      std::vector<TensorSource> tensors;
      PackedIds{blocks, bytes}.AppendTo("x", &tensors);
      WriteTensorFile(folder.path("ids"), tensors, {});
      const TensorFile file(folder.path("ids"));
      const PackedIdsView view(file, "x", strings, strings ? 40 : 200);
      for (int64_t row : {int64_t{0}, int64_t{17}, view.size() - 1}) {
        try {
          view.Find(view.At(row));
        } catch (const DataError&) {
        }
      }
      try {
        if (strings) {
          view.Find("abc");
        } else {
          view.Find(1234);
        }
      } catch (const DataError&) {
      }
    }
  }
}

}  // namespace
}  // namespace penchant
