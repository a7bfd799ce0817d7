// What tests decide about the emulated runtime, and see of it.
#ifndef PENCHANT_TESTS_CUDA_HOST_RUNTIME_H_
#define PENCHANT_TESTS_CUDA_HOST_RUNTIME_H_

#include <cstdint>

namespace penchant::cuda_host {

// What is wrong with the emulated machine: what its runtime answers where it would go wrong.
struct Faults {
  int driver_version = 13000;  // 0: no driver
  int count_error = 0;         // of cudaGetDeviceCount
  int start_error = 0;         // of cuDevicePrimaryCtxRetain
  int kernel_error = 0;        // of cudaFuncGetAttributes
};
extern Faults faults;

// What has passed between host and device, and how often the host has waited for a device.
struct Traffic {
  int64_t bytes_to_device = 0, bytes_to_host = 0;
  int waits = 0;
};
extern Traffic traffic;

}  // namespace penchant::cuda_host

#endif  // PENCHANT_TESTS_CUDA_HOST_RUNTIME_H_
