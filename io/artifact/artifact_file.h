// The frame of an artifact's file: the order of its tensors, so that equal models give equal bytes,
// and its manifest with a checksum.
#ifndef PENCHANT_IO_ARTIFACT_ARTIFACT_FILE_H_
#define PENCHANT_IO_ARTIFACT_ARTIFACT_FILE_H_

#include <map>
#include <string>
#include <vector>

#include "io/model/tensor_file.h"

namespace penchant {

// In the metadata: the manifest's JSON, its XXH3-64, and what a delta says about itself.
inline constexpr char kArtifactKey[] = "penchant.artifact";
inline constexpr char kManifestChecksumKey[] = "penchant.artifact.xxh3";
inline constexpr char kDeltaKey[] = "penchant.delta";

// Puts the tensors of whole cache lines first, so that panels can be scored where they lie; then
// wider types first; then by name. `delta` is empty for whole artifacts.
void WriteArtifactFile(const std::string& path, std::vector<TensorSource> tensors,
                       const std::string& manifest, const std::string& delta = "");

// Throws DataError unless the file's manifest has the checksum that is stored beside it.
void VerifyManifest(const TensorFile& file);

// The checksums that a manifest lists, by tensor; `name` is the file's, for messages.
std::map<std::string, std::string> ListedChecksums(const std::string& manifest,
                                                   const std::string& name);

}  // namespace penchant

#endif  // PENCHANT_IO_ARTIFACT_ARTIFACT_FILE_H_
