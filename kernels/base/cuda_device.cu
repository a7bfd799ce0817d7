#include <cstring>
#include <exception>
#include <mutex>

#include "kernels/base/cuda.cuh"
#include "kernels/base/cuda_availability.cuh"
#include "kernels/base/cuda_blas.h"
#include "kernels/base/cuda_device.h"
#include "kernels/base/current_device.cuh"
#include "kernels/cuda_ops.h"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

extern const CudaOps kOps;

namespace {

constexpr int64_t kStagingBytes = int64_t{4} << 20;
constexpr int64_t kReadBytes = 64 << 10;  // pinned memory for ReadLater between two Synchronize()

// A pinned host buffer whose last use the device may still be at.
struct Staging {
  void* memory = nullptr;
  cudaEvent_t done = nullptr;
};

class Device final : public CudaDevice {
 public:
  explicit Device(int index) : facts_(FactsOf(index)) {
    const CurrentDevice current(index);
    Check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creating a stream");
    Check(cudaStreamCreateWithFlags(&copies_, cudaStreamNonBlocking), "creating a stream");
    cudaMemPoolProps pool = {};
    pool.allocType = cudaMemAllocationTypePinned;
    pool.location.type = cudaMemLocationTypeDevice;
    pool.location.id = index;
    Check(cudaMemPoolCreate(&pool_, &pool), "creating a memory pool");
    uint64_t keep_all = ~uint64_t{0};
    Check(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &keep_all),
          "setting up the memory pool");
    for (Staging& staging : staging_) {
      Check(cudaMallocHost(&staging.memory, kStagingBytes), "allocating pinned memory");
      Check(cudaEventCreateWithFlags(&staging.done, cudaEventDisableTiming), "creating an event");
    }
    Check(cudaMallocHost(&reads_, kReadBytes), "allocating pinned memory");
  }

  ~Device() override {
    // Errors of a broken device cannot be told from here.
    const CurrentDevice current(facts_.index, std::nothrow);
    cudaStreamSynchronize(copies_);
    cudaStreamSynchronize(stream_);
    blas_.reset();
    for (Staging& staging : staging_) {
      cudaEventDestroy(staging.done);
      cudaFreeHost(staging.memory);
    }
    cudaFreeHost(reads_);
    deferred_.clear();
    for (const Block& block : pinned_) cudaFreeHost(block.pointer);
    cudaMemPoolDestroy(pool_);
    cudaStreamDestroy(copies_);
    cudaStreamDestroy(stream_);
  }

  const CudaDeviceFacts& facts() const override { return facts_; }
  CudaOpsOnDevice ops() override { return {kOps, std::make_shared<CurrentDevice>(facts_.index)}; }
  void* stream() override { return stream_; }
  CudaBlas& blas() override {
    if (!blas_) blas_ = LoadCudaBlas(*this);
    return *blas_;
  }

  void* Allocate(int64_t bytes) override {
    PENCHANT_REQUIRE(bytes >= 0, "cannot allocate ", bytes, " bytes: a size overflowed 64 bits");
    if (bytes == 0) return nullptr;
    PENCHANT_CHECK(budget_ == 0 || in_use_ + bytes <= budget_, DeviceError,
                   "out of memory: ", bytes, " bytes were asked on top of ", in_use_,
                   ", and memory_budget is ", budget_);
    const CurrentDevice current(facts_.index);
    void* pointer = nullptr;
    const cudaError_t error =
        cudaMallocFromPoolAsync(&pointer, static_cast<size_t>(bytes), pool_, stream_);
    PENCHANT_CHECK(error == cudaSuccess, DeviceError, "out of memory on cuda:", facts_.index, ": ",
                   bytes, " bytes were asked on top of ", in_use_, " (", cudaGetErrorString(error),
                   "); penchant.estimate_memory(device=\"cuda\") tells the need of a training run");
    Check(cudaMemsetAsync(pointer, 0, static_cast<size_t>(bytes), stream_), "clearing memory");
    const std::lock_guard lock(mutex_);
    sizes_.push_back({pointer, bytes});
    in_use_ += bytes;
    return pointer;
  }

  void Free(void* pointer) noexcept override {
    if (pointer == nullptr) return;
    const CurrentDevice current(facts_.index, std::nothrow);
    const std::lock_guard lock(mutex_);
    for (auto it = sizes_.rbegin(); it != sizes_.rend(); ++it) {
      if (it->pointer != pointer) continue;
      in_use_ -= it->bytes;
      sizes_.erase(std::next(it).base());
      break;
    }
    cudaFreeAsync(pointer, stream_);
  }

  void set_memory_budget(int64_t bytes) override { budget_ = bytes; }
  int64_t bytes_in_use() const override { return in_use_; }

  void CopyToDevice(void* device, const void* host, int64_t bytes) override {
    const CurrentDevice current(facts_.index);
    auto* to = static_cast<unsigned char*>(device);
    const auto* from = static_cast<const unsigned char*>(host);
    for (int64_t done = 0; done < bytes; done += kStagingBytes) {
      const auto part = static_cast<size_t>(std::min(kStagingBytes, bytes - done));
      Staging& staging = staging_[next_staging_ ^= 1];
      Check(cudaEventSynchronize(staging.done), "waiting for a copy");
      std::memcpy(staging.memory, from + done, part);
      Check(cudaMemcpyAsync(to + done, staging.memory, part, cudaMemcpyHostToDevice, stream_),
            "copying to the device");
      Check(cudaEventRecord(staging.done, stream_), "recording an event");
    }
  }

  void CopyToHost(void* host, const void* device, int64_t bytes) override {
    const CurrentDevice current(facts_.index);
    auto* to = static_cast<unsigned char*>(host);
    const auto* from = static_cast<const unsigned char*>(device);
    const int64_t parts = DivideUp(bytes, kStagingBytes);
    // The next part is on its way while the one before it is copied out of its staging memory.
    for (int64_t part = 0; part <= parts; ++part) {
      if (part < parts) {
        const int64_t begin = part * kStagingBytes;
        Staging& staging = staging_[part & 1];
        Check(cudaEventSynchronize(staging.done), "waiting for a copy");
        Check(cudaMemcpyAsync(staging.memory, from + begin,
                              static_cast<size_t>(std::min(kStagingBytes, bytes - begin)),
                              cudaMemcpyDeviceToHost, stream_),
              "copying to the host");
        Check(cudaEventRecord(staging.done, stream_), "recording an event");
      }
      if (part > 0) {
        const int64_t begin = (part - 1) * kStagingBytes;
        Staging& staging = staging_[(part - 1) & 1];
        Check(cudaEventSynchronize(staging.done), "waiting for a copy");
        std::memcpy(to + begin, staging.memory,
                    static_cast<size_t>(std::min(kStagingBytes, bytes - begin)));
      }
    }
  }

  void CopyBeside(void* device, const void* pinned, int64_t bytes) override {
    const CurrentDevice current(facts_.index);
    Check(cudaMemcpyAsync(device, pinned, static_cast<size_t>(bytes), cudaMemcpyHostToDevice,
                          copies_),
          "copying to the device");
  }
  CudaMark MarkWork() override { return Mark(stream_); }
  CudaMark MarkCopies() override { return Mark(copies_); }
  void WorkWaitsFor(const CudaMark& copies) override { Wait(stream_, copies); }
  void CopiesWaitFor(const CudaMark& work) override { Wait(copies_, work); }
  // An error shows again at the next call.
  void WaitOnHost(const CudaMark& mark) noexcept override {
    const CurrentDevice current(facts_.index, std::nothrow);
    cudaEventSynchronize(static_cast<cudaEvent_t>(mark.get()));
  }

  std::shared_ptr<void> PinnedMemory(int64_t bytes) override {
    const CurrentDevice current(facts_.index);
    const int64_t rounded = DivideUp(bytes, 4096) * 4096;
    void* memory = nullptr;
    {
      const std::lock_guard lock(mutex_);
      const auto found = std::find_if(pinned_.begin(), pinned_.end(),
                                      [&](const Block& block) { return block.bytes == rounded; });
      if (found != pinned_.end()) {
        memory = found->pointer;
        pinned_.erase(found);
      }
    }
    if (memory == nullptr) {
      Check(cudaMallocHost(&memory, static_cast<size_t>(rounded)), "allocating pinned memory");
    }
    return {memory, [this, rounded](void* pointer) {
              const std::lock_guard lock(mutex_);
              pinned_.push_back({pointer, rounded});
            }};
  }

  void ReadLater(const void* device, int64_t bytes, std::function<void(const void*)> use) override {
    const CurrentDevice current(facts_.index);
    const int64_t rounded = DivideUp(bytes, 16) * 16;
    PENCHANT_REQUIRE(rounded <= kReadBytes, "a deferred read of ", bytes, " bytes; at most ",
                     kReadBytes);
    if (reads_used_ + rounded > kReadBytes) Synchronize();
    auto* host = static_cast<unsigned char*>(reads_) + reads_used_;
    reads_used_ += rounded;
    Check(
        cudaMemcpyAsync(host, device, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost, stream_),
        "copying to the host");
    deferred_.push_back([use = std::move(use), host] { use(host); });
  }

  void RunOnHost(std::function<void()> work) override {
    const CurrentDevice current(facts_.index);
    struct Job {
      std::function<void()> work;
      std::exception_ptr error;
    };
    auto job = std::make_shared<Job>();
    job->work = std::move(work);
    Check(cudaLaunchHostFunc(
              stream_,
              [](void* data) {
                auto* running = static_cast<Job*>(data);
                try {
                  running->work();
                } catch (...) {
                  running->error = std::current_exception();
                }
              },
              job.get()),
          "running a host function");
    deferred_.push_back([job] {  // keeps the job until the device is past it
      if (job->error) std::rethrow_exception(job->error);
    });
  }

  void Synchronize() override {
    const CurrentDevice current(facts_.index);
    Check(cudaStreamSynchronize(stream_), "the work on the device");
    std::vector<std::function<void()>> settled = std::move(deferred_);
    deferred_.clear();
    reads_used_ = 0;
    for (const auto& settle : settled) settle();
  }

 private:
  struct Block {
    void* pointer;
    int64_t bytes;
  };

  CudaMark Mark(cudaStream_t stream) {
    const CurrentDevice current(facts_.index);
    cudaEvent_t event = nullptr;
    Check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "creating an event");
    CudaMark mark(event, [index = facts_.index](void* made) {
      const CurrentDevice current_again(index, std::nothrow);
      cudaEventDestroy(static_cast<cudaEvent_t>(made));
    });
    Check(cudaEventRecord(event, stream), "recording an event");
    return mark;
  }
  void Wait(cudaStream_t stream, const CudaMark& mark) {
    const CurrentDevice current(facts_.index);
    Check(cudaStreamWaitEvent(stream, static_cast<cudaEvent_t>(mark.get()), 0),
          "waiting for an event");
  }

  CudaDeviceFacts facts_;
  cudaStream_t stream_ = nullptr;
  cudaStream_t copies_ = nullptr;
  cudaMemPool_t pool_ = nullptr;
  std::unique_ptr<CudaBlas> blas_;
  Staging staging_[2];
  int next_staging_ = 0;
  void* reads_ = nullptr;
  int64_t reads_used_ = 0;
  std::vector<std::function<void()>> deferred_;
  std::mutex mutex_;
  std::vector<Block> sizes_;   // of allocated device memory
  std::vector<Block> pinned_;  // free pinned memory
  int64_t in_use_ = 0;
  int64_t budget_ = 0;
};

std::shared_ptr<CudaDevice> Open(int index) { return std::make_shared<Device>(index); }

}  // namespace

extern const CudaBackend kBackend;
const CudaBackend kBackend = {UnavailableReason, NumDevices, FactsOf, Open};

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE
