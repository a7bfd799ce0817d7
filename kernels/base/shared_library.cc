#include "kernels/base/shared_library.h"

#include <dlfcn.h>

namespace penchant {

SharedLibrary::SharedLibrary(const std::vector<std::string>& names) {
  std::string why;
  for (const char* folder : {"", "/usr/local/cuda/lib64/"}) {
    for (const std::string& name : names) {
      handle_ = dlopen((folder + name).c_str(), RTLD_NOW | RTLD_LOCAL);
      name_ = name;
      if (handle_ != nullptr) return;
      const char* told = dlerror();
      if (why.empty() && told != nullptr) why = told;
    }
  }
  reason_ =
      names.front() + " cannot be loaded (" + why +
      "); install the CUDA libraries (pip install nvidia-cublas nvidia-cusolver), or put their "
      "folder into LD_LIBRARY_PATH";
}

void* SharedLibrary::Symbol(const char* name) {
  if (handle_ == nullptr) return nullptr;
  void* symbol = dlsym(handle_, name);
  if (symbol == nullptr && reason_.empty()) {
    reason_ = name_ + " has no " + name + "; another version of the CUDA libraries is needed";
  }
  return symbol;
}

}  // namespace penchant
