// Artifacts that were damaged, cut off or come from the future.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <random>

#include "io/artifact/artifact.h"
#include "io/reader/reader.h"
#include "kernels/base/errors.h"
#include "tests/support/artifacts.h"
#include "tests/support/random_data.h"

namespace penchant {
namespace {

std::vector<uint8_t> BytesOf(const testing::ModelShape& shape, const ArtifactOptions& options) {
  testing::TemporaryFolder folder;
  testing::Export(testing::RandomModel(shape), options, folder.path("a"));
  return testing::FileBytes(folder.path("a"));
}

TEST(ArtifactDamageTest, NewerVersionsAreRefusedNamingBoth) {
  testing::TemporaryFolder folder;
  WriteTensorFile(folder.path("a"), {}, {{kArtifactKey, "{\"format_version\": 7}"}});
  try {
    Reader reader(folder.path("a"));
    FAIL();
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("version 7"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("1 to 1"), std::string::npos);
  }
}

TEST(ArtifactDamageTest, VerifyingFindsAFlippedBitOfAnyTensor) {
  testing::TemporaryFolder folder;
  const std::string whole = folder.path("whole");
  testing::Export(testing::RandomModel({.algorithm = "item2vec"}), {.dtype = FactorType::kInt8},
                  whole);
  const auto bytes = testing::FileBytes(whole);
  const auto artifact = Artifact::Open(whole);
  for (const auto& [name, view] : artifact->file().tensors()) {
    auto copy = bytes;
    *std::search(copy.begin(), copy.end(), view.data, view.data + view.bytes) ^= 1;
    std::ofstream(folder.path("a"), std::ios::binary)
        .write(reinterpret_cast<const char*>(copy.data()), static_cast<int64_t>(copy.size()));
    EXPECT_THROW(Reader(folder.path("a"), true), DataError) << name;
    Reader reader(whole);
    EXPECT_THROW(reader.Reload(folder.path("a")), DataError) << name;
  }
}

TEST(ArtifactDamageTest, EveryFlippedBitIsFoundByOpeningOrVerifying) {
  ItemRule rule;
  rule.rule.set_text("deny category \"wine\"");
  rule.denied = {0, 1, 0, 0, 1, 0};
  auto bytes = BytesOf({.users = 5, .items = 6, .strings = true},
                       {.dtype = FactorType::kInt4, .rules = {rule}});
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    const auto flip = [&] { bytes[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8); };
    flip();
    EXPECT_THROW(Artifact::Open(std::make_unique<TensorFile>(
                                    bytes.data(), static_cast<int64_t>(bytes.size()), "damaged"))
                     ->Verify(),
                 DataError)
        << "byte " << bit / 8 << ", bit " << bit % 8;
    flip();
  }
}

TEST(ArtifactDamageTest, FlippedBitsAndTruncationAreErrorsOrAnswers) {
  testing::TemporaryFolder folder;
  std::mt19937_64 random(9);
  for (const char* algorithm : {"als", "ranking", "item2vec"}) {
    for (FactorType type : {FactorType::kFloat32, FactorType::kInt4, FactorType::kPq}) {
      const auto bytes = BytesOf({.algorithm = algorithm, .strings = true}, {.dtype = type});
      for (int round = 0; round < 100; ++round) {
        auto copy = bytes;
        copy[random() % (round % 2 == 0 ? copy.size() : 3000)] ^=
            static_cast<uint8_t>(1 << random() % 8);
        if (round % 5 == 0) copy.resize(random() % copy.size());
        try {
          auto file = std::make_unique<TensorFile>(copy.data(), static_cast<int64_t>(copy.size()),
                                                   "damaged");
          const Reader reader(Artifact::Open(std::move(file)));
          reader.Recommend({.user = Id("id 3")});
          reader.Recommend({.history = {{Id("id 4"), 1.0f}, {Id("id 5"), 1.0f}}});
          reader.Similar(Id("id 6"), 5);
        } catch (const Error&) {
        }
      }
    }
  }
}

}  // namespace
}  // namespace penchant
