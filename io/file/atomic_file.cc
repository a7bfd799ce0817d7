#include "io/file/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <vector>

#include "kernels/base/errors.h"

namespace penchant {

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
  // A name of its own, so that two writers never share a temporary file.
  const std::string pattern = path_ + ".tmp.XXXXXX";
  std::vector<char> name(pattern.begin(), pattern.end());
  name.push_back('\0');
  fd_ = mkostemp(name.data(), O_CLOEXEC);
  temporary_ = name.data();
  if (fd_ < 0) Fail("create");
  const mode_t mask = umask(0);
  umask(mask);
  fchmod(fd_, 0666 & ~mask);  // mkostemp's 0600 would hide the model from its readers
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) {
    close(fd_);
    unlink(temporary_.c_str());
  }
}

void AtomicFile::Write(const void* data, int64_t bytes) {
  const char* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = write(fd_, next, static_cast<size_t>(bytes));
    if (written < 0) {
      if (errno == EINTR) continue;
      Fail("write");
    }
    next += written;
    bytes -= written;
  }
}

void AtomicFile::Commit() {
  if (fsync(fd_) != 0) Fail("fsync");
  if (rename(temporary_.c_str(), path_.c_str()) != 0) Fail("rename");
  close(fd_);
  fd_ = -1;
  std::string folder = std::filesystem::path(path_).parent_path().string();
  if (folder.empty()) folder = ".";
  const int folder_fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_fd >= 0) {
    fsync(folder_fd);  // some file systems refuse this for folders; the rename still stands
    close(folder_fd);
  }
}

void AtomicFile::Fail(const char* action) const {
  throw IoError("cannot " + std::string(action) + " " + path_ + ": " + std::strerror(errno));
}

}  // namespace penchant
