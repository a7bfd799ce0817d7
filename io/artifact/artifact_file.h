// Writing artifacts: which tensors, in which order, so that equal models give equal bytes.
#ifndef PENCHANT_IO_ARTIFACT_ARTIFACT_FILE_H_
#define PENCHANT_IO_ARTIFACT_ARTIFACT_FILE_H_

#include <map>
#include <string>
#include <vector>

#include "io/model/tensor_file.h"

namespace penchant {

// Puts tensors in the order of an artifact's file: those of whole cache lines first, so that panels
// can be scored where they lie; then wider types first; then by name.
void OrderArtifactTensors(std::vector<TensorSource>* tensors);

// OrderArtifactTensors and WriteTensorFile.
void WriteArtifactFile(const std::string& path, std::vector<TensorSource> tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace penchant

#endif  // PENCHANT_IO_ARTIFACT_ARTIFACT_FILE_H_
