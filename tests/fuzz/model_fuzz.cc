// Whatever the bytes, reading a model either works or throws a Penchant error.
#include <cstddef>
#include <cstdint>

#include "io/model/model.h"
#include "kernels/base/errors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    penchant::LoadModel(penchant::TensorFile(data, static_cast<int64_t>(size), "fuzz"));
  } catch (const penchant::Error&) {
  }
  return 0;
}
