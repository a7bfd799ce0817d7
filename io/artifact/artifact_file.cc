#include "io/artifact/artifact_file.h"

#include <algorithm>
#include <tuple>

#include "io/artifact/manifest_fields.h"
#include "io/file/checksum.h"
#include "kernels/base/errors.h"

namespace penchant {
namespace {

std::string ChecksumOf(const std::string& manifest) {
  return ChecksumHex(Checksum(manifest.data(), manifest.size()));
}

}  // namespace

void WriteArtifactFile(const std::string& path, std::vector<TensorSource> tensors,
                       const std::string& manifest, const std::string& delta) {
  const auto place = [](const TensorSource& tensor) {
    int64_t bytes = DTypeBytes(tensor.dtype);
    for (int64_t extent : tensor.shape) bytes *= extent;
    return std::make_tuple(bytes % 64 != 0, -DTypeBytes(tensor.dtype), tensor.name);
  };
  std::sort(tensors.begin(), tensors.end(),
            [&](const auto& a, const auto& b) { return place(a) < place(b); });
  std::map<std::string, std::string> metadata = {{kArtifactKey, manifest},
                                                 {kManifestChecksumKey, ChecksumOf(manifest)}};
  if (!delta.empty()) metadata[kDeltaKey] = delta;
  WriteTensorFile(path, tensors, metadata);
}

void VerifyManifest(const TensorFile& file) {
  const auto manifest = file.metadata().find(kArtifactKey);
  const auto wanted = file.metadata().find(kManifestChecksumKey);
  PENCHANT_CHECK(manifest != file.metadata().end() && wanted != file.metadata().end(), DataError,
                 file.name(), ": the metadata has no \"", kArtifactKey, "\" and \"",
                 kManifestChecksumKey, "\"");
  const std::string seen = ChecksumOf(manifest->second);
  PENCHANT_CHECK(wanted->second == seen, DataError, file.name(),
                 ": the manifest is damaged: its checksum is ", seen, ", wanted ", wanted->second);
}

std::map<std::string, std::string> ListedChecksums(const std::string& manifest,
                                                   const std::string& name) {
  std::map<std::string, std::string> checksums;
  for (const ManifestFields& entry : ManifestFields(manifest, name).Messages("checksums")) {
    checksums[entry.Text("name")] = entry.Text("xxh3");
  }
  return checksums;
}

}  // namespace penchant
