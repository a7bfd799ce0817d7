// What changed between two artifacts, as a file; and the newer artifact made from it.
#ifndef PENCHANT_IO_ARTIFACT_DELTA_H_
#define PENCHANT_IO_ARTIFACT_DELTA_H_

#include <string>

namespace penchant {

// Writes what turns the artifact at `base` into the one at `target`: rows that changed or are new,
// ids of rows that went, and the other tensors that differ. Where the tables are of another dtype
// or number of factors, that is everything. Throws IoError and DataError.
void WriteDelta(const std::string& base, const std::string& target, const std::string& path);

// Writes, to the byte, the artifact that the delta was made to lead to. Throws DataError, and
// leaves `path` as it is, when the delta is of another base or damaged.
void ApplyDelta(const std::string& base, const std::string& delta, const std::string& path);

}  // namespace penchant

#endif  // PENCHANT_IO_ARTIFACT_DELTA_H_
