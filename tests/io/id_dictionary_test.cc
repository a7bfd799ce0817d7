#include "io/dataset/id_dictionary.h"

#include <gtest/gtest.h>

#include "kernels/base/errors.h"

namespace penchant {
namespace {

TEST(IdDictionaryTest, NumbersIdsInOrderOfAppearance) {
  IdDictionary integers(IdType::kInteger);
  for (int64_t i = 0; i < 10000; ++i) EXPECT_EQ(integers.Add(i * 7919 % 10007), i);
  for (int64_t i = 0; i < 10000; ++i) EXPECT_EQ(integers.Find(i * 7919 % 10007), i);
  EXPECT_EQ(integers.Find(int64_t{-5}), -1);
  EXPECT_EQ(integers.IntegerAt(2), 2 * 7919 % 10007);

  IdDictionary strings(IdType::kString);
  EXPECT_EQ(strings.Add("b"), 0);
  EXPECT_EQ(strings.Add(""), 1);
  EXPECT_EQ(strings.Add("b"), 0);
  EXPECT_EQ(strings.Add(std::string_view("a\0b", 3)), 2);
  EXPECT_EQ(strings.Find("c"), -1);
  EXPECT_EQ(strings.StringAt(2), std::string_view("a\0b", 3));
}

TEST(IdDictionaryTest, ExtremeIntegers) {
  IdDictionary ids;
  EXPECT_EQ(ids.Add(INT64_MAX), 0);
  EXPECT_EQ(ids.Add(INT64_MIN), 1);
  EXPECT_EQ(ids.Find(INT64_MIN), 1);
}

TEST(IdDictionaryTest, ARangeStoresNothingUntilItMust) {
  IdDictionary range = IdDictionary::Range(5);
  EXPECT_EQ(range.Find(int64_t{4}), 4);
  EXPECT_EQ(range.Find(int64_t{5}), -1);
  EXPECT_EQ(range.Add(int64_t{3}), 3);
  EXPECT_TRUE(range.is_range());
  EXPECT_EQ(range.Add(int64_t{99}), 5);
  EXPECT_FALSE(range.is_range());
  EXPECT_EQ(range.Find(int64_t{2}), 2);
  EXPECT_THROW(IdDictionary::Range(int64_t{1} << 40), InvalidArgument);
}

TEST(IdDictionaryTest, TypesDoNotMix) {
  IdDictionary integers(IdType::kInteger), strings(IdType::kString);
  EXPECT_THROW(integers.Add("a"), InvalidArgument);
  EXPECT_THROW(strings.Add(int64_t{1}), InvalidArgument);
  EXPECT_EQ(integers.Find("a"), -1);
  EXPECT_EQ(strings.Find(int64_t{1}), -1);
}

TEST(IdDictionaryTest, FingerprintsDependOnIdsAndOrder) {
  IdDictionary a, b, c;
  a.Add(int64_t{1});
  a.Add(int64_t{2});
  b.Add(int64_t{2});
  b.Add(int64_t{1});
  c.Add(int64_t{1});
  c.Add(int64_t{2});
  EXPECT_EQ(a.Fingerprint(), c.Fingerprint());
  EXPECT_NE(a.Fingerprint(), b.Fingerprint());
}

}  // namespace
}  // namespace penchant
