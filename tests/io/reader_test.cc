#include "io/reader/reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <random>
#include <set>
#include <thread>

#include "kernels/base/errors.h"
#include "tests/support/artifacts.h"
#include "tests/support/random_data.h"

namespace penchant {
namespace {

using testing::ModelShape;

// A model, its artifact opened, and naive answers from what the artifact's rows decode to.
class Served {
 public:
  explicit Served(const ModelShape& shape, ArtifactOptions options = {})
      : model(testing::RandomModel(shape)) {
    testing::Export(model, options, folder_.path("a"));
    reader = std::make_unique<Reader>(folder_.path("a"), true);
  }
  std::string path() const { return folder_.path("a"); }
  const Artifact& artifact() const { return *reader->artifact(); }
  Id item(int64_t row) const { return artifact().items().At(row); }
  Id user(int64_t row) const { return artifact().users().At(row); }

  std::vector<float> Row(const PackedTableView& table, int64_t i) const {
    std::vector<float> row(static_cast<size_t>(artifact().factors()));
    table.Row(i, row.data());
    return row;
  }
  std::vector<double> Scores(const std::vector<float>& user) const {
    std::vector<double> scores;
    for (int64_t i = 0; i < artifact().num_items(); ++i) {
      const auto row = Row(artifact().item_factors(), i);
      double score = 0;
      for (size_t k = 0; k < row.size(); ++k) score += double{row[k]} * double{user[k]};
      scores.push_back(score);
    }
    return scores;
  }

  Model model;
  std::unique_ptr<Reader> reader;

 private:
  testing::TemporaryFolder folder_;
};

// That the answer is the n best of the rows that may be returned, by these scores.
void ExpectBest(const Served& served, const Answer& answer, const std::vector<double>& scores,
                const std::set<int64_t>& may, int64_t n) {
  ASSERT_EQ(static_cast<int64_t>(answer.ids.size()),
            std::min<int64_t>(n, static_cast<int64_t>(may.size())));
  std::set<int64_t> left = may;
  for (size_t i = 0; i < answer.ids.size(); ++i) {
    const int64_t row = served.artifact().items().Find(answer.ids[i]);
    ASSERT_EQ(left.erase(row), 1u) << "not to be returned, or twice: " << answer.ids[i].ToText();
    EXPECT_NEAR(answer.scores[i], scores[row], 1e-4);
    if (i > 0) {
      EXPECT_GE(answer.scores[i - 1], answer.scores[i]);
    }
  }
  for (int64_t row : left) {
    ASSERT_LE(scores[row], answer.scores.empty() ? 0.0 : answer.scores.back() + 1e-4);
  }
}

std::set<int64_t> AllItems(const Served& served) {
  std::set<int64_t> rows;
  for (int64_t i = 0; i < served.artifact().num_items(); ++i) rows.insert(i);
  return rows;
}

TEST(ReaderTest, RecommendsTheBestForEveryModelTypeAndInstructionSet) {
  for (Isa isa : SupportedIsas()) {
    const testing::ScopedIsa scoped(isa);
    for (const char* algorithm : {"als", "ranking", "item2vec", "popularity"}) {
      for (FactorType type : testing::kAllTypes) {
        const int64_t factors = std::string(algorithm) == "popularity" ? 1 : 9;
        const Served served({.algorithm = algorithm, .factors = factors}, {.dtype = type});
        for (int64_t user : {0, 17, 39}) {
          const auto scores = served.Scores(served.Row(served.artifact().user_factors(), user));
          const Answer answer = served.reader->Recommend({.user = served.user(user), .n = 12});
          ExpectBest(served, answer, scores, AllItems(served), 12);
        }
      }
    }
  }
}

TEST(ReaderTest, Float32ArtifactsHoldTheModelsNumbers) {
  for (const bool strings : {false, true}) {
    const Served served({.strings = strings});
    for (int64_t row = 0; row < 70; ++row) {
      const Id id =
          strings ? Id(served.model.items->StringAt(row)) : Id(served.model.items->IntegerAt(row));
      const auto stored =
          served.Row(served.artifact().item_factors(), served.artifact().items().Find(id));
      EXPECT_TRUE(std::equal(stored.begin(), stored.end(), served.model.factors.items.row(row)));
    }
  }
}

// One item may be filtered, allowed, boosted, capped and denied at once, at random.
TEST(ReaderTest, SelectionsHoldWhateverIsCombined) {
  std::mt19937_64 random(7);
  const auto some = [&](int64_t n, int one_in) {
    std::vector<int64_t> rows;
    for (int64_t i = 0; i < n; ++i) {
      if (random() % static_cast<uint64_t>(one_in) == 0) rows.push_back(i);
    }
    return rows;
  };
  ArtifactOptions options;
  ItemAttribute category{"category", {}};
  for (int i = 0; i < 70; ++i) category.codes.push_back(static_cast<int32_t>(random() % 5) - 1);
  ItemRule rule;
  rule.rule.set_text("if country == ['SA', 'KW'] and age != adult then ...");
  auto* country = rule.rule.add_conditions();
  country->set_field("country");
  country->set_comparison("==");
  country->add_values("SA");
  country->add_values("KW");
  auto* age = rule.rule.add_conditions();
  age->set_field("age");
  age->set_comparison("!=");
  age->add_values("adult");
  for (int i = 0; i < 70; ++i) rule.denied.push_back(random() % 3 == 0);
  options.attributes = {category};
  options.rules = {rule};
  const Served served({}, options);
  // The model's rows of the artifact's.
  const auto model_row = [&](int64_t row) {
    return served.model.items->Find(served.item(row).number);
  };
  for (int round = 0; round < 400; ++round) {
    Query query;
    query.user = served.user(static_cast<int64_t>(random() % 40));
    query.n = 1 + static_cast<int64_t>(random() % 80);
    std::set<int64_t> may = AllItems(served);
    Selection& selection = query.selection;
    for (int64_t row : some(70, 10)) {
      selection.filter_items.push_back(served.item(row));
      may.erase(row);
    }
    selection.filter_items.push_back(Id(int64_t{123456789}));  // unknown: changes nothing
    if (round % 3 == 0) {
      selection.allow.emplace();
      std::set<int64_t> allowed;
      for (int64_t row : some(70, 2)) {
        selection.allow->push_back(served.item(row));
        if (may.contains(row)) allowed.insert(row);
      }
      may = allowed;
    }
    query.filter_history = round % 2 == 0;
    for (int64_t row : some(70, 20)) {
      query.history.push_back({served.item(row), 1.0f});
      if (query.filter_history) may.erase(row);
    }
    if (round % 4 != 0) selection.context["country"] = round % 4 == 1 ? "SA" : "DE";
    if (round % 5 == 0) selection.context["age"] = "adult";
    const bool denies = round % 4 == 1 && round % 5 != 0;
    for (int64_t row = 0; denies && row < 70; ++row) {
      if (rule.denied[static_cast<size_t>(model_row(row))] != 0) may.erase(row);
    }
    auto scores = served.Scores(
        served.Row(served.artifact().user_factors(), served.artifact().users().Find(*query.user)));
    for (int64_t row : some(70, 12)) {
      const float boost = static_cast<float>(static_cast<int>(random() % 9)) - 4.0f;
      selection.boosts.push_back({served.item(row), boost});
      scores[row] += double{boost};
    }
    if (round % 2 == 1) {
      ExpectBest(served, served.reader->Recommend(query), scores, may, query.n);
      continue;
    }
    // With caps: what the list of all allowed, cut by hand, gives.
    selection.caps["category"] = 2;
    std::vector<int64_t> order(may.begin(), may.end());
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return scores[a] > scores[b]; });
    std::map<int32_t, int> taken;
    std::vector<int64_t> wanted;
    for (int64_t row : order) {
      const int32_t value = category.codes[static_cast<size_t>(model_row(row))];
      if (value >= 0 && ++taken[value] > 2) continue;
      if (static_cast<int64_t>(wanted.size()) < query.n) wanted.push_back(row);
    }
    const Answer answer = served.reader->Recommend(query);
    ASSERT_EQ(answer.ids.size(), wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) EXPECT_EQ(answer.ids[i], served.item(wanted[i]));
  }
}

TEST(ReaderTest, BatchesAnswerAsSingleQueriesDo) {
  for (FactorType type : testing::kAllTypes) {
    const Served served({.users = 150, .items = 200}, {.dtype = type});
    std::vector<Id> users;
    for (int64_t u = 0; u < 150; ++u) users.push_back(served.user(u));
    Selection selection;
    selection.filter_items = {served.item(3)};
    selection.boosts = {{served.item(5), 100.0f}};
    for (int threads : {1, 3}) {
      const auto answers = served.reader->RecommendUsers(users, 15, selection, threads);
      for (int64_t u = 0; u < 150; ++u) {
        const Answer one =
            served.reader->Recommend({.user = users[u], .n = 15, .selection = selection});
        EXPECT_EQ(answers[u].ids, one.ids);
        EXPECT_EQ(answers[u].scores, one.scores);  // to the bit
        EXPECT_EQ(one.ids[0], served.item(5));
      }
    }
  }
}

TEST(ReaderTest, ScoresAreThoseOfLists) {
  const Served served({.algorithm = "ranking"}, {.dtype = FactorType::kInt8});
  const Answer answer = served.reader->Recommend({.user = served.user(3), .n = 70});
  ASSERT_EQ(answer.ids.size(), 70u);
  std::vector<std::pair<Id, Id>> pairs;
  for (const Id& id : answer.ids) pairs.emplace_back(served.user(3), id);
  EXPECT_EQ(served.reader->Score(pairs), answer.scores);
}

TEST(ReaderTest, SimilarItemsAreThoseOfLargestCosineWithoutTheBias) {
  for (const char* algorithm : {"als", "ranking"}) {
    const Served served({.algorithm = algorithm});
    const size_t used = std::string(algorithm) == "ranking" ? 8 : 9;
    const auto direction = [&](int64_t row) {
      auto v = served.Row(served.artifact().item_factors(), row);
      v.resize(used);
      return v;
    };
    const auto query = direction(11);
    const Answer answer = served.reader->Similar(served.item(11), 69);
    ASSERT_EQ(answer.ids.size(), 69u);
    for (size_t i = 0; i < answer.ids.size(); ++i) {
      EXPECT_NE(answer.ids[i], served.item(11));
      const auto other = direction(served.artifact().items().Find(answer.ids[i]));
      double dot = 0, a = 0, b = 0;
      for (size_t k = 0; k < used; ++k) {
        dot += double{query[k]} * double{other[k]};
        a += double{query[k]} * double{query[k]};
        b += double{other[k]} * double{other[k]};
      }
      EXPECT_NEAR(answer.scores[i], dot / std::sqrt(a * b), 1e-5);
      if (i > 0) {
        EXPECT_LE(answer.scores[i], answer.scores[i - 1]);
      }
    }
  }
}

// A x = v, with A written out.
TEST(ReaderTest, ExplanationsSumToTheScoreOfTheFoldedInUser) {
  for (const char* algorithm : {"als", "item2vec"}) {
    const Served served({.algorithm = algorithm, .items = 200});
    std::vector<WeightedId> history;
    for (int64_t row : {3, 60, 7, 150}) {
      history.push_back({served.item(row), row == 60 ? -1.0f : 2.0f});
    }
    Query query;
    query.history = history;
    query.n = 200;
    query.filter_history = false;
    const Answer answer = served.reader->Recommend(query);
    for (size_t i : {0, 50, 199}) {
      const Explanation explanation = served.reader->Explain(history, answer.ids[i]);
      EXPECT_EQ(explanation.parts.size(), 4u);
      EXPECT_NEAR(explanation.score, answer.scores[i], 1e-5);
    }
  }
  const Served ranking({.algorithm = "ranking"});
  EXPECT_THROW(ranking.reader->Explain({{{ranking.item(1), 1.0f}}}, ranking.item(0)),
               InvalidArgument);
}

TEST(ReaderTest, RankingFoldInPrefersTheHistoryToOtherItems) {
  const Served served({.algorithm = "ranking", .items = 300, .factors = 33});
  Query query;
  for (int64_t row : {5, 80, 200}) query.history.push_back({served.item(row), 1.0f});
  query.n = 3;
  query.filter_history = false;
  const Answer answer = served.reader->Recommend(query);
  std::set<int64_t> rows;
  for (const Id& id : answer.ids) rows.insert(served.artifact().items().Find(id));
  EXPECT_EQ(rows, (std::set<int64_t>{5, 80, 200}));
  EXPECT_EQ(answer.scores, served.reader->Recommend(query).scores);  // the same every time
}

TEST(ReaderTest, AnItemsArtifactHoldsNoUser) {
  const Served served({}, {.kind = "items"});
  for (const auto& [name, view] : served.artifact().file().tensors()) {
    EXPECT_FALSE(name.starts_with("users")) << name;
  }
  EXPECT_THROW(served.reader->Recommend({.user = Id(int64_t{1})}), InvalidArgument);
  EXPECT_EQ(served.reader->Recommend({.history = {{served.item(0), 1.0f}}, .n = 5}).ids.size(), 5u);
  const Served users({}, {.kind = "users"});
  EXPECT_THROW(users.reader->Similar(Id(int64_t{1}), 3), InvalidArgument);
}

TEST(ReaderTest, BadRequestsSayWhatIsWrong) {
  const Served served({});
  const Reader& reader = *served.reader;
  const Id user = served.user(0);
  EXPECT_THROW(reader.Recommend({.user = Id(int64_t{987654321})}), InvalidArgument);
  EXPECT_THROW(reader.Recommend({.user = Id("text")}), InvalidArgument);
  EXPECT_THROW(reader.Recommend({}), InvalidArgument);
  EXPECT_THROW(reader.Recommend({.history = {{Id("unknown"), 1.0f}}}), InvalidArgument);
  EXPECT_THROW(reader.Recommend({.user = user, .n = 0}), InvalidArgument);
  EXPECT_THROW(reader.Recommend({.user = user, .selection = {.caps = {{"none", 1}}}}),
               InvalidArgument);
  EXPECT_THROW(reader.Recommend({.user = user, .selection = {.boosts = {{served.item(0), NAN}}}}),
               InvalidArgument);
  EXPECT_THROW(reader.Recommend({.history = {{served.item(0), INFINITY}}}), InvalidArgument);
  EXPECT_THROW(Reader("/does/not/exist"), IoError);
  EXPECT_EQ(reader.Recommend({.user = user, .n = int64_t{1} << 60}).ids.size(), 70u);
}

TEST(ReaderTest, ReloadsUnderLoadAndKeepsTheOldFileWhenTheNewOneIsBad) {
  testing::TemporaryFolder folder;
  const std::string first = folder.path("first"), second = folder.path("second"),
                    bad = folder.path("bad");
  const Model model = testing::RandomModel({}), other = testing::RandomModel({.seed = 50});
  testing::Export(model, {}, first);
  testing::Export(other, {.dtype = FactorType::kInt8}, second);
  std::ofstream(bad) << "not an artifact";
  Reader reader(first);
  const Query query{.user = Id(int64_t{1}), .n = 20};
  const Answer a = reader.Recommend(query), b = Reader(second).Recommend(query);
  std::atomic<bool> stop{false};
  std::atomic<int> answered{0}, mixed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      while (!stop) {
        const Answer answer = reader.Recommend(query);
        const bool whole = (answer.ids == a.ids && answer.scores == a.scores) ||
                           (answer.ids == b.ids && answer.scores == b.scores);
        mixed += whole ? 0 : 1;
        ++answered;
      }
    });
  }
  for (int i = 0; i < 100; ++i) {
    reader.Reload(i % 2 == 0 ? second : first);
    EXPECT_THROW(reader.Reload(bad), DataError);
    EXPECT_EQ(reader.Recommend(query).ids, i % 2 == 0 ? b.ids : a.ids);
  }
  while (answered < 100) std::this_thread::yield();
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(mixed, 0);
}

}  // namespace
}  // namespace penchant
