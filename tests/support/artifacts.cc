#include "tests/support/artifacts.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <numeric>
#include <random>

#include "kernels/base/context.h"
#include "tests/support/random_data.h"
#include "trainer/export.h"

namespace penchant::testing {
namespace {

std::shared_ptr<const IdDictionary> ShuffledIds(int64_t count, bool strings, uint64_t seed) {
  std::vector<int64_t> numbers(static_cast<size_t>(count));
  std::iota(numbers.begin(), numbers.end(), 0);
  std::shuffle(numbers.begin(), numbers.end(), std::mt19937_64(seed));
  auto ids = std::make_shared<IdDictionary>(strings ? IdType::kString : IdType::kInteger);
  for (int64_t number : numbers) {
    if (strings) {
      ids->Add("id " + std::to_string(number));
    } else {
      ids->Add(number * 3 - 50);
    }
  }
  return ids;
}

}  // namespace

Model RandomModel(const ModelShape& shape) {
  Model model;
  model.manifest.set_kind("model");
  model.manifest.set_algorithm(shape.algorithm);
  config::TrainConfig* config = model.manifest.mutable_config();
  model.users = ShuffledIds(shape.users, shape.strings, shape.seed);
  model.items = ShuffledIds(shape.items, shape.strings, shape.seed + 1);
  model.factors.users = RandomMatrix(shape.users, shape.factors, shape.seed + 2);
  model.factors.items = RandomMatrix(shape.items, shape.factors, shape.seed + 3);
  if (shape.algorithm == "als") {
    config->mutable_als()->set_factors(static_cast<int32_t>(shape.factors));
    config->mutable_als()->set_alpha(2.0);
    config->mutable_als()->set_regularization(0.1);
    config->mutable_als()->set_unobserved_weight(0.5);
    model.factors.item_eigenvalues.assign(static_cast<size_t>(shape.factors), 3.0);
  } else if (shape.algorithm == "ranking") {
    config->mutable_ranking()->set_loss("bpr");
    config->mutable_ranking()->set_regularization(0.01);
    for (int64_t u = 0; u < shape.users; ++u) {
      model.factors.users.row(u)[shape.factors - 1] = 1.0f;
    }
  } else if (shape.algorithm == "item2vec") {
    config->mutable_item2vec();
    model.factors.item_centers = RandomMatrix(shape.items, shape.factors, shape.seed + 4);
  } else {
    config->mutable_popularity();
  }
  return model;
}

void Export(const Model& model, const ArtifactOptions& options, const std::string& path,
            const std::string& since) {
  Context context(1);
  ExportModel(context, model, options, path, since);
}

std::vector<uint8_t> FileBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace penchant::testing
