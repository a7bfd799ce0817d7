// The sorting and searching the CUDA twins take from Thrust, on the context's stream.
#ifndef PENCHANT_KERNELS_BASE_THRUST_CUH_
#define PENCHANT_KERNELS_BASE_THRUST_CUH_

#include <thrust/binary_search.h>
#include <thrust/execution_policy.h>
#include <thrust/functional.h>
#include <thrust/sort.h>

#include "kernels/base/cuda.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

#ifdef PENCHANT_CUDA_ON_HOST
inline auto ThrustPolicy(Context& context) {
  Check(cudaStreamSynchronize(StreamOf(context)), "the work before Thrust's");
  return thrust::cpp::par;
}
#else
// Thrust's scratch memory from the device's own pool.
class ThrustAllocator {
 public:
  using value_type = char;
  explicit ThrustAllocator(CudaDevice* device) : device_(device) {}
  char* allocate(std::ptrdiff_t bytes) { return static_cast<char*>(device_->Allocate(bytes)); }
  void deallocate(char* pointer, size_t) { device_->Free(pointer); }

 private:
  CudaDevice* device_;
};
inline auto ThrustPolicy(Context& context) {
  return thrust::cuda::par(ThrustAllocator(context.cuda())).on(StreamOf(context));
}
#endif

template <typename Key, typename Value>
void StableSortByKey(Context& context, Key* keys, Value* values, int64_t count, bool descending) {
  if (descending) {
    thrust::stable_sort_by_key(ThrustPolicy(context), keys, keys + count, values,
                               thrust::greater<Key>());
  } else {
    thrust::stable_sort_by_key(ThrustPolicy(context), keys, keys + count, values);
  }
}

// The first position whose key is at most `bound`, of keys in falling order.
template <typename Key>
int64_t FirstAtMostInDescending(Context& context, const Key* keys, int64_t count, Key bound) {
  return thrust::lower_bound(ThrustPolicy(context), keys, keys + count, bound,
                             thrust::greater<Key>()) -
         keys;
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_BASE_THRUST_CUH_
