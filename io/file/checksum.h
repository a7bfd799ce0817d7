// XXH3-64 checksums and fingerprints.
#ifndef PENCHANT_IO_FILE_CHECKSUM_H_
#define PENCHANT_IO_FILE_CHECKSUM_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace penchant {

uint64_t Checksum(const void* data, size_t bytes);

// Sixteen lower-case hexadecimal digits.
std::string ChecksumHex(uint64_t checksum);

// A checksum fed in pieces.
class StreamingChecksum {
 public:
  StreamingChecksum();
  ~StreamingChecksum();
  void Update(const void* data, size_t bytes);
  uint64_t Digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace penchant

#endif  // PENCHANT_IO_FILE_CHECKSUM_H_
