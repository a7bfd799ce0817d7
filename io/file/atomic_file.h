// A file that appears whole or not at all: written beside its target, fsynced, renamed over it.
#ifndef PENCHANT_IO_FILE_ATOMIC_FILE_H_
#define PENCHANT_IO_FILE_ATOMIC_FILE_H_

#include <cstdint>
#include <string>

namespace penchant {

class AtomicFile {
 public:
  // Opens a temporary file in the target's folder. Throws IoError naming the path.
  explicit AtomicFile(std::string path);
  // Removes the temporary file unless Commit() succeeded.
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void Write(const void* data, int64_t bytes);
  // fsync, rename over the target, fsync the folder.
  void Commit();

 private:
  [[noreturn]] void Fail(const char* action) const;

  std::string path_;
  std::string temporary_;
  int fd_ = -1;
};

}  // namespace penchant

#endif  // PENCHANT_IO_FILE_ATOMIC_FILE_H_
