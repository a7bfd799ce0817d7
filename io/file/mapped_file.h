// A file mapped read-only into memory.
#ifndef PENCHANT_IO_FILE_MAPPED_FILE_H_
#define PENCHANT_IO_FILE_MAPPED_FILE_H_

#include <cstdint>
#include <string>

namespace penchant {

class MappedFile {
 public:
  // Throws IoError naming the path and the reason.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const uint8_t* data() const { return data_; }
  int64_t size() const { return size_; }

 private:
  const uint8_t* data_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace penchant

#endif  // PENCHANT_IO_FILE_MAPPED_FILE_H_
