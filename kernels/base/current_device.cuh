// Which device a thread's CUDA calls go to.
#ifndef PENCHANT_KERNELS_BASE_CURRENT_DEVICE_CUH_
#define PENCHANT_KERNELS_BASE_CURRENT_DEVICE_CUH_

#include <map>
#include <mutex>
#include <new>
#include <string>

#include "kernels/base/cuda.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

// The driver's calls by which a thread takes up and lays down a device. After cudaSetDevice a
// thread that had none could only be given device 0, which that would start, and take memory there.
class DriverCalls {
 public:
  static DriverCalls& Get() {
    static DriverCalls calls;
    return calls;
  }
  // The context in which the runtime uses a device, which is started if it is not. DeviceError when
  // it cannot be.
  void* PrimaryContext(int device) {
    const std::lock_guard lock(mutex_);
    void*& primary = primaries_[device];
    if (primary == nullptr) Require(retain_(&primary, device), "starting the device");
    return primary;
  }
  void Push(void* primary) const { Require(push_(primary), "taking up the device"); }
  bool TryToPush(void* primary) const noexcept { return push_(primary) == 0; }
  void Pop() const noexcept {
    void* own = nullptr;
    pop_(&own);
  }

 private:
  DriverCalls() {
    Find("cuDevicePrimaryCtxRetain", &retain_);
    Find("cuCtxPushCurrent", &push_);
    Find("cuCtxPopCurrent", &pop_);
    Find("cuGetErrorString", &error_string_);
  }
  template <typename Function>
  static void Find(const char* name, Function** function) {
    constexpr unsigned kVersion = 12000;  // of CUDA, whose signatures these are
    void* entry = nullptr;
    Check(cudaGetDriverEntryPointByVersion(name, &entry, kVersion, cudaEnableDefault), name);
    PENCHANT_CHECK(entry != nullptr, DeviceError, "the NVIDIA driver has no ", name);
    *function = reinterpret_cast<Function*>(entry);
  }
  void Require(int result, const char* what) const {
    if (result == 0) return;
    const char* why = nullptr;
    error_string_(result, &why);
    throw DeviceError(std::string("CUDA: ") + what +
                      " failed: " + (why != nullptr ? why : "error " + std::to_string(result)));
  }

  int (*retain_)(void**, int) = nullptr;
  int (*push_)(void*) = nullptr;
  int (*pop_)(void**) = nullptr;
  int (*error_string_)(int, const char**) = nullptr;
  std::mutex mutex_;
  std::map<int, void*> primaries_;  // kept until the process ends, as the runtime keeps them
};

// Makes a device the calling thread's while it lives, then gives the thread back the one it had:
// its own, another library's, or none.
class CurrentDevice {
 public:
  explicit CurrentDevice(int device) {
    DriverCalls& driver = DriverCalls::Get();
    driver.Push(driver.PrimaryContext(device));
  }
  // For what must not throw: when the process ends, the driver may be gone, and with it all that
  // was to be done. REQUIRES: another such object has been made.
  CurrentDevice(int device, std::nothrow_t) noexcept
      : pushed_(DriverCalls::Get().TryToPush(DriverCalls::Get().PrimaryContext(device))) {}
  ~CurrentDevice() {
    if (pushed_) DriverCalls::Get().Pop();
  }
  CurrentDevice(const CurrentDevice&) = delete;
  CurrentDevice& operator=(const CurrentDevice&) = delete;

 private:
  bool pushed_ = true;
};

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_BASE_CURRENT_DEVICE_CUH_
