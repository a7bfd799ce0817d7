// Models of random numbers, and artifacts made of them.
#ifndef PENCHANT_TESTS_SUPPORT_ARTIFACTS_H_
#define PENCHANT_TESTS_SUPPORT_ARTIFACTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "io/artifact/artifact_writer.h"
#include "io/model/model.h"

namespace penchant::testing {

struct ModelShape {
  std::string algorithm = "als";  // or "ranking", "item2vec", "popularity"
  int64_t users = 40;
  int64_t items = 70;
  int64_t factors = 9;  // 1 of popularity; the last one of ranking is the bias
  bool strings = false;
  uint64_t seed = 1;
};

// Ids are in no order: "id 17" or 17 * 3 - 50, shuffled.
Model RandomModel(const ModelShape& shape);

// Writes an artifact of the model.
void Export(const Model& model, const ArtifactOptions& options, const std::string& path,
            const std::string& since = "");

std::vector<uint8_t> FileBytes(const std::string& path);

inline constexpr FactorType kAllTypes[] = {FactorType::kFloat32,  FactorType::kFloat16,
                                           FactorType::kBfloat16, FactorType::kInt8,
                                           FactorType::kInt4,     FactorType::kPq};

}  // namespace penchant::testing

#endif  // PENCHANT_TESTS_SUPPORT_ARTIFACTS_H_
