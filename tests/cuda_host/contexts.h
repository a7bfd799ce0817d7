// The devices of the emulated runtime, and which of them a thread's calls go to: a stack of
// contexts of its own, as the driver keeps one for every thread.
#ifndef PENCHANT_TESTS_CUDA_HOST_CONTEXTS_H_
#define PENCHANT_TESTS_CUDA_HOST_CONTEXTS_H_

namespace penchant::cuda_host {

// The last is never started.
inline constexpr int kDevices = 3;

// Whether the calling thread has a device.
bool HasDevice();
// That device. As the runtime does for any call that needs one, starts device 0 for a thread that
// has none, which then keeps it.
int NeededDevice();

// The driver's function of that name; null for one that it does not have.
void* DriverFunction(const char* name);

}  // namespace penchant::cuda_host

#endif  // PENCHANT_TESTS_CUDA_HOST_CONTEXTS_H_
