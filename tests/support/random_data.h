// Seeded test data.
#ifndef PENCHANT_TESTS_SUPPORT_RANDOM_DATA_H_
#define PENCHANT_TESTS_SUPPORT_RANDOM_DATA_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/dataset/interactions.h"
#include "kernels/base/isa.h"
#include "kernels/base/memory.h"
#include "kernels/sparse/csr.h"

namespace penchant::testing {

// Standard normal entries times `scale`.
Matrix RandomMatrix(int64_t rows, int64_t cols, uint64_t seed, float scale = 1.0f);

// A matrix whose row i has row_sizes[i] distinct random columns; weights in (0.5, 4) with every
// fifth negative, or none when `unit` is set.
Csr RandomCsr(const std::vector<int64_t>& row_sizes, int64_t cols, uint64_t seed, bool unit);

// Interactions of two groups of users with two groups of items, with a little noise.
std::shared_ptr<Interactions> PlantedInteractions(int64_t users, int64_t items, uint64_t seed);

// A folder of its own below the system's temporary folder, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  std::string path(const std::string& name) const { return root_ + "/" + name; }
  const std::string& root() const { return root_; }

 private:
  std::string root_;
};

// Selects an instruction set for a scope.
class ScopedIsa {
 public:
  explicit ScopedIsa(Isa isa) : before_(SelectedIsa()) { SelectIsa(isa); }
  ~ScopedIsa() { SelectIsa(before_); }

 private:
  Isa before_;
};

}  // namespace penchant::testing

#endif  // PENCHANT_TESTS_SUPPORT_RANDOM_DATA_H_
