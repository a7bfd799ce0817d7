#include "io/model/model.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <random>

#include "kernels/base/errors.h"
#include "tests/support/random_data.h"

namespace penchant {
namespace {

Model SmallModel(bool strings) {
  Model model;
  model.manifest.set_kind("model");
  model.manifest.set_algorithm("als");
  model.manifest.mutable_config()->mutable_als()->set_factors(5);
  auto users = std::make_shared<IdDictionary>(strings ? IdType::kString : IdType::kInteger);
  for (int i = 0; i < 4; ++i) {
    if (strings) {
      users->Add("user " + std::to_string(i));
    } else {
      users->Add(int64_t{100} + i);
    }
  }
  model.users = users;
  model.items = std::make_shared<IdDictionary>(IdDictionary::Range(3));
  model.factors = {testing::RandomMatrix(4, 5, 1), testing::RandomMatrix(3, 5, 2), {5, 4, 3, 2, 1}};
  return model;
}

std::vector<uint8_t> FileBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(ModelTest, ComesBackAsItWas) {
  testing::TemporaryFolder folder;
  for (bool strings : {false, true}) {
    const Model model = SmallModel(strings);
    const std::string path = folder.path("model.safetensors");
    SaveModel(model, path);
    const auto loaded = LoadModel(path);
    EXPECT_EQ(loaded->users->Fingerprint(), model.users->Fingerprint());
    EXPECT_TRUE(loaded->items->is_range());
    EXPECT_EQ(loaded->factors.item_eigenvalues, model.factors.item_eigenvalues);
    for (int64_t i = 0; i < 4; ++i) {
      EXPECT_EQ(0, std::memcmp(loaded->factors.users.row(i), model.factors.users.row(i), 20));
    }
    EXPECT_EQ(loaded->manifest.format_version(), kFormatVersion);
    EXPECT_EQ(loaded->manifest.config().als().factors(), 5);
  }
}

TEST(ModelTest, NewerFormatsAreRefusedNamingBothVersions) {
  testing::TemporaryFolder folder;
  const std::string path = folder.path("model.safetensors");
  SaveModel(SmallModel(false), path);
  auto bytes = FileBytes(path);
  std::string text(bytes.begin(), bytes.end());
  const std::string field = "\\\"format_version\\\":1";
  const size_t at = text.find(field);
  ASSERT_NE(at, std::string::npos);
  text[at + field.size() - 1] = '7';
  try {
    LoadModel(TensorFile(reinterpret_cast<const uint8_t*>(text.data()),
                         static_cast<int64_t>(text.size()), "newer"));
    FAIL();
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("version 7"), std::string::npos) << error.what();
  }
}

TEST(ModelTest, EveryTruncationIsAnError) {
  testing::TemporaryFolder folder;
  const std::string path = folder.path("model.safetensors");
  SaveModel(SmallModel(true), path);
  const auto bytes = FileBytes(path);
  for (size_t size = 0; size < bytes.size(); ++size) {
    const std::vector<uint8_t> part(bytes.begin(), bytes.begin() + static_cast<int64_t>(size));
    EXPECT_THROW(LoadModel(TensorFile(part.data(), static_cast<int64_t>(size), "cut")), Error)
        << size;
  }
}

TEST(ModelTest, EveryFlippedTensorBitIsNoticed) {
  testing::TemporaryFolder folder;
  const std::string path = folder.path("model.safetensors");
  SaveModel(SmallModel(true), path);
  auto bytes = FileBytes(path);
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  for (size_t at = 8 + header; at < bytes.size(); ++at) {
    bytes[at] ^= 4;
    EXPECT_THROW(LoadModel(TensorFile(bytes.data(), static_cast<int64_t>(bytes.size()), "flipped")),
                 Error);
    bytes[at] ^= 4;
  }
}

TEST(ModelTest, AFlippedHeaderNeverCrashes) {
  testing::TemporaryFolder folder;
  const std::string path = folder.path("model.safetensors");
  SaveModel(SmallModel(true), path);
  const auto original = FileBytes(path);
  std::mt19937_64 random(1);
  for (int i = 0; i < 3000; ++i) {
    auto bytes = original;
    for (int flips = 0; flips < 3; ++flips) bytes[random() % bytes.size()] ^= 1 << (random() % 8);
    try {
      LoadModel(TensorFile(bytes.data(), static_cast<int64_t>(bytes.size()), "fuzzed"));
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace penchant
