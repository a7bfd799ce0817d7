// Reads lines "sm registers static_shared dynamic_shared threads" and prints the resident blocks a
// multiprocessor of each, by NVIDIA's own cuda_occupancy.h.
#include <cuda_occupancy.h>

#include <cstdio>

int main() {
  int sm, registers, threads;
  size_t static_shared, dynamic_shared;
  while (std::scanf("%d %d %zu %zu %d", &sm, &registers, &static_shared, &dynamic_shared,
                    &threads) == 5) {
    cudaOccDeviceProp device;
    device.computeMajor = sm / 10;
    device.computeMinor = sm % 10;
    device.maxThreadsPerBlock = 1024;
    device.maxThreadsPerMultiprocessor = 2048;
    device.regsPerBlock = 65536;
    device.regsPerMultiprocessor = 65536;
    device.warpSize = 32;
    device.sharedMemPerBlock = 48 << 10;
    device.sharedMemPerMultiprocessor = (sm == 80 ? 164 : 228) << 10;
    device.numSms = sm == 80 ? 108 : 132;
    device.sharedMemPerBlockOptin = (sm == 80 ? 163 : 227) << 10;
    device.reservedSharedMemPerBlock = 1 << 10;
    cudaOccFuncAttributes function;
    function.maxThreadsPerBlock = 1024;
    function.numRegs = registers;
    function.sharedSizeBytes = static_shared;
    function.partitionedGCConfig = PARTITIONED_GC_OFF;
    function.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN;
    function.maxDynamicSharedSizeBytes = dynamic_shared;
    cudaOccDeviceState state;
    cudaOccResult result;
    const cudaOccError error = cudaOccMaxActiveBlocksPerMultiprocessor(
        &result, &device, &function, &state, threads, dynamic_shared);
    std::printf("%d\n", error == CUDA_OCC_SUCCESS ? result.activeBlocksPerMultiprocessor : -1);
  }
  return 0;
}
