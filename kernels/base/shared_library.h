// A shared library of CUDA's that is looked for at run time, so that one build starts on machines
// with and without it.
#ifndef PENCHANT_KERNELS_BASE_SHARED_LIBRARY_H_
#define PENCHANT_KERNELS_BASE_SHARED_LIBRARY_H_

#include <string>
#include <vector>

namespace penchant {

class SharedLibrary {
 public:
  // The first of `names` that can be loaded, from the loader's folders (among them pip's, for the
  // Python module) or CUDA's usual one.
  explicit SharedLibrary(const std::vector<std::string>& names);

  // *function = the library's function of that name; null where there is none.
  template <typename Function>
  void Find(const char* name, Function** function) {
    *function = reinterpret_cast<Function*>(Symbol(name));
  }
  // Why it, or what was to be found in it, cannot be used; empty when it can.
  const std::string& reason() const { return reason_; }

 private:
  void* Symbol(const char* name);

  void* handle_ = nullptr;
  std::string name_, reason_;
};

}  // namespace penchant

#endif  // PENCHANT_KERNELS_BASE_SHARED_LIBRARY_H_
