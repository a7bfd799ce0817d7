#include "tests/cuda_host/contexts.h"

#include <cstring>
#include <vector>

#include "tests/cuda_host/runtime.h"

namespace penchant::cuda_host {

namespace {

// A device's primary context is the address of its number.
const int kNumbers[kDevices] = {0, 1, 2};
thread_local std::vector<const int*> stack;

enum { kSuccess = 0, kInvalidValue = 1, kInvalidContext = 201 };

int Retain(void** context, int device) {
  if (device < 0 || device >= kDevices) return kInvalidValue;
  if (faults.start_error != 0) return faults.start_error;
  *context = const_cast<int*>(&kNumbers[device]);
  return kSuccess;
}
int Push(void* context) {
  if (context == nullptr) return kInvalidContext;
  stack.push_back(static_cast<const int*>(context));
  return kSuccess;
}
int Pop(void** context) {
  if (stack.empty()) return kInvalidContext;
  *context = const_cast<int*>(stack.back());
  stack.pop_back();
  return kSuccess;
}
int ErrorString(int error, const char** text) {
  *text = error == 2 ? "out of memory" : "an error";
  return kSuccess;
}

}  // namespace

bool HasDevice() { return !stack.empty(); }

int NeededDevice() {
  if (stack.empty()) stack.push_back(&kNumbers[0]);
  return *stack.back();
}

void* DriverFunction(const char* name) {
  if (std::strcmp(name, "cuDevicePrimaryCtxRetain") == 0) return reinterpret_cast<void*>(&Retain);
  if (std::strcmp(name, "cuCtxPushCurrent") == 0) return reinterpret_cast<void*>(&Push);
  if (std::strcmp(name, "cuCtxPopCurrent") == 0) return reinterpret_cast<void*>(&Pop);
  if (std::strcmp(name, "cuGetErrorString") == 0) return reinterpret_cast<void*>(&ErrorString);
  return nullptr;
}

}  // namespace penchant::cuda_host
