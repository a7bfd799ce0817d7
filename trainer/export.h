// Exporting a trained model as a compact artifact, or as a delta to an earlier one.
#ifndef PENCHANT_TRAINER_EXPORT_H_
#define PENCHANT_TRAINER_EXPORT_H_

#include <string>

#include "io/artifact/artifact_writer.h"
#include "io/model/model.h"
#include "kernels/base/context.h"

namespace penchant {

// Writes the artifact; with `since`, the path of an earlier artifact, what turns that one into it
// (io/artifact/delta.h). Throws as WriteArtifact and WriteDelta do.
void ExportModel(Context& context, const Model& model, const ArtifactOptions& options,
                 const std::string& path, const std::string& since);

}  // namespace penchant

#endif  // PENCHANT_TRAINER_EXPORT_H_
