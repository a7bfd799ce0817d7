#include "tests/support/random_data.h"

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <random>

namespace penchant::testing {

Matrix RandomMatrix(int64_t rows, int64_t cols, uint64_t seed, float scale) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  Matrix matrix(rows, cols);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t k = 0; k < cols; ++k) matrix.row(i)[k] = scale * normal(random);
  }
  return matrix;
}

Csr RandomCsr(const std::vector<int64_t>& row_sizes, int64_t cols, uint64_t seed, bool unit) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<float> weight(0.5f, 4.0f);
  Csr csr;
  csr.rows = static_cast<int64_t>(row_sizes.size());
  csr.cols = cols;
  std::vector<int32_t> all(cols);
  std::iota(all.begin(), all.end(), 0);
  for (int64_t size : row_sizes) {
    std::shuffle(all.begin(), all.end(), random);
    std::vector<int32_t> row(all.begin(), all.begin() + size);
    std::sort(row.begin(), row.end());
    for (int32_t column : row) {
      csr.indices.push_back(column);
      if (!unit) csr.values.push_back(weight(random) * (csr.indices.size() % 5 == 0 ? -1 : 1));
    }
    csr.offsets.push_back(static_cast<int64_t>(csr.indices.size()));
  }
  return csr;
}

std::shared_ptr<Interactions> PlantedInteractions(int64_t users, int64_t items, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<int32_t> rows, cols;
  for (int64_t u = 0; u < users; ++u) {
    for (int64_t i = 0; i < items; ++i) {
      const bool same_group = u % 2 == i % 2;
      const uint64_t chance = same_group ? 40 : 2;
      if (random() % 100 < chance) {
        rows.push_back(static_cast<int32_t>(u));
        cols.push_back(static_cast<int32_t>(i));
      }
    }
  }
  return MakeInteractions(std::make_shared<IdDictionary>(IdDictionary::Range(users)),
                          std::make_shared<IdDictionary>(IdDictionary::Range(items)),
                          {rows, cols, {}}, Duplicates::kError);
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "penchant.XXXXXX").string();
  root_ = mkdtemp(pattern.data());
}

TemporaryFolder::~TemporaryFolder() { std::filesystem::remove_all(root_); }

}  // namespace penchant::testing
