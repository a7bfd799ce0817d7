#include "io/file/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "kernels/base/errors.h"

namespace penchant {

MappedFile::MappedFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  PENCHANT_CHECK(fd >= 0, IoError, "cannot open ", path, ": ", std::strerror(errno));
  struct stat status;
  const bool regular = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  void* address = nullptr;
  if (regular && status.st_size > 0) {
    address = mmap(nullptr, static_cast<size_t>(status.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
  }
  close(fd);
  PENCHANT_CHECK(regular, IoError, "cannot open ", path, ": not a regular file");
  PENCHANT_CHECK(address != MAP_FAILED, IoError, "cannot map ", path, ": ", std::strerror(errno));
  data_ = static_cast<const uint8_t*>(address);
  size_ = status.st_size;
}

MappedFile::~MappedFile() {
  if (data_) munmap(const_cast<uint8_t*>(data_), static_cast<size_t>(size_));
}

}  // namespace penchant
