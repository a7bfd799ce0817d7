#include "io/artifact/artifact_file.h"

#include <algorithm>
#include <tuple>

namespace penchant {

void OrderArtifactTensors(std::vector<TensorSource>* tensors) {
  const auto place = [](const TensorSource& tensor) {
    int64_t bytes = DTypeBytes(tensor.dtype);
    for (int64_t extent : tensor.shape) bytes *= extent;
    return std::make_tuple(bytes % 64 != 0, -DTypeBytes(tensor.dtype), tensor.name);
  };
  std::sort(tensors->begin(), tensors->end(),
            [&](const auto& a, const auto& b) { return place(a) < place(b); });
}

void WriteArtifactFile(const std::string& path, std::vector<TensorSource> tensors,
                       const std::map<std::string, std::string>& metadata) {
  OrderArtifactTensors(&tensors);
  WriteTensorFile(path, tensors, metadata);
}

}  // namespace penchant
