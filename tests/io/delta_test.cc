#include "io/artifact/delta.h"

#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "io/artifact/artifact.h"
#include "kernels/base/errors.h"
#include "tests/support/artifacts.h"
#include "tests/support/random_data.h"

namespace penchant {
namespace {

// The model with some users and items changed, some gone and some new.
Model Changed(const Model& model, bool strings) {
  Model changed;
  changed.manifest = model.manifest;
  const auto change = [&](const IdDictionary& ids, const Matrix& table, Matrix* rows) {
    auto kept = std::make_shared<IdDictionary>(ids.type());
    *rows = Matrix(table.rows(), table.cols());  // three less, three new
    const Matrix fresh = testing::RandomMatrix(table.rows(), table.cols(), 99);
    for (int64_t i = 0; i < table.rows(); ++i) {
      if (i % 20 == 7) continue;
      const int64_t to = kept->size();
      if (strings) {
        kept->Add(ids.StringAt(i));
      } else {
        kept->Add(ids.IntegerAt(i));
      }
      const float* from = i % 10 == 3 ? fresh.row(i) : table.row(i);
      std::copy(from, from + table.cols(), rows->row(to));
    }
    for (int64_t number = 1000; kept->size() < table.rows(); ++number) {
      const int64_t to = kept->size();
      if (strings) {
        kept->Add("id " + std::to_string(number));
      } else {
        kept->Add(number);
      }
      std::copy(fresh.row(to), fresh.row(to) + table.cols(), rows->row(to));
    }
    return kept;
  };
  changed.users = change(*model.users, model.factors.users, &changed.factors.users);
  changed.items = change(*model.items, model.factors.items, &changed.factors.items);
  changed.factors.item_eigenvalues = model.factors.item_eigenvalues;
  if (model.factors.item_centers.rows() > 0) {
    change(*model.items, model.factors.item_centers, &changed.factors.item_centers);
  }
  return changed;
}

TEST(DeltaTest, BaseAndDeltaAreTheFullArtifactToTheByte) {
  testing::TemporaryFolder folder;
  const std::string base = folder.path("base"), full = folder.path("full"),
                    delta = folder.path("delta"), made = folder.path("made");
  for (const char* algorithm : {"als", "ranking", "item2vec"}) {
    for (const bool strings : {false, true}) {
      const Model before = testing::RandomModel({.algorithm = algorithm, .strings = strings});
      const Model after = Changed(before, strings);
      for (FactorType type : testing::kAllTypes) {
        for (const char* kind : {"full", "items", "users"}) {
          ArtifactOptions options{.dtype = type, .kind = kind};
          options.attributes = {{"a", std::vector<int32_t>(70, 1)}};
          testing::Export(before, options, base);
          options.attributes[0].codes[5] = 2;
          testing::Export(after, options, full);
          testing::Export(after, options, delta, base);
          ApplyDelta(base, delta, made);
          ASSERT_EQ(testing::FileBytes(made), testing::FileBytes(full))
              << algorithm << " " << FactorTypeName(type) << " " << kind;
        }
      }
    }
  }
}

TEST(DeltaTest, UnchangedRowsAreNotInIt) {
  testing::TemporaryFolder folder;
  const Model before = testing::RandomModel({.users = 5000, .items = 5000});
  Model after = testing::RandomModel({.users = 5000, .items = 5000});
  after.factors.users.row(17)[0] += 1.0f;
  testing::Export(before, {}, folder.path("base"));
  testing::Export(after, {}, folder.path("delta"), folder.path("base"));
  EXPECT_LT(testing::FileBytes(folder.path("delta")).size(), 8000u);
  EXPECT_GT(testing::FileBytes(folder.path("base")).size(), 350'000u);
}

TEST(DeltaTest, OtherTypesAndKindsReplaceEverything) {
  testing::TemporaryFolder folder;
  const std::string base = folder.path("base"), full = folder.path("full"),
                    delta = folder.path("delta"), made = folder.path("made");
  const Model numbers = testing::RandomModel({}), texts = testing::RandomModel({.strings = true});
  testing::Export(numbers, {.dtype = FactorType::kFloat32, .kind = "items"}, base);
  testing::Export(texts, {.dtype = FactorType::kInt4, .kind = "full"}, full);
  WriteDelta(base, full, delta);
  ApplyDelta(base, delta, made);
  EXPECT_EQ(testing::FileBytes(made), testing::FileBytes(full));
}

TEST(DeltaTest, OtherBasesAndDamageAreRefusedAndLeaveTheTargetAlone) {
  testing::TemporaryFolder folder;
  const std::string base = folder.path("base"), delta = folder.path("delta"),
                    made = folder.path("made");
  const Model before = testing::RandomModel({.seed = 1});
  testing::Export(before, {}, base);
  testing::Export(Changed(before, false), {}, delta, base);
  std::ofstream(made) << "as it was";
  const auto expect_refused = [&](const std::string& from, const std::string& with) {
    EXPECT_THROW(ApplyDelta(from, with, made), DataError);
    EXPECT_EQ(testing::FileBytes(made).size(), 9u);
  };
  const std::string other = folder.path("other");
  testing::Export(testing::RandomModel({.seed = 2}), {}, other);
  expect_refused(other, delta);
  expect_refused(base, base);
  expect_refused(delta, delta);
  EXPECT_THROW(Artifact::Open(delta), DataError);

  // A damaged delta is refused, or what was hit does not matter.
  const std::vector<uint8_t> bytes = testing::FileBytes(delta);
  std::mt19937_64 random(5);
  const std::string damaged = folder.path("damaged");
  testing::Export(Changed(before, false), {}, folder.path("full"));
  const auto full = testing::FileBytes(folder.path("full"));
  for (int round = 0; round < 300; ++round) {
    std::vector<uint8_t> copy = bytes;
    copy[random() % copy.size()] ^= static_cast<uint8_t>(1 << random() % 8);
    if (round % 3 == 0) copy.resize(random() % copy.size());
    std::ofstream(damaged, std::ios::binary)
        .write(reinterpret_cast<const char*>(copy.data()), static_cast<int64_t>(copy.size()));
    try {
      ApplyDelta(base, damaged, other);
      EXPECT_EQ(testing::FileBytes(other), full);
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace penchant
