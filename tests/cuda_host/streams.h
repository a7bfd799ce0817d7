// CUDA streams as queues. Work in a queue runs as soon as it is put there, or, in queues that the
// schedule makes late, only when somebody waits for it: either way what a missing wait would allow.
#ifndef PENCHANT_TESTS_CUDA_HOST_STREAMS_H_
#define PENCHANT_TESTS_CUDA_HOST_STREAMS_H_

#include <functional>

struct CudaHostStream;
struct CudaHostEvent;

namespace penchant::cuda_host {

// Which of a device's streams, in the order of their making, run late: bit i for the i-th.
// 2 (the default) is that of copies, 1 that of work.
void SetLateStreams(unsigned late);

CudaHostStream* MakeStream(int device);
CudaHostEvent* MakeEvent();
// Which device it was made for; the null stream is any's.
bool IsOf(int device, const CudaHostStream* stream);
void DestroyStream(CudaHostStream* stream);  // after running what is left
void DestroyEvent(CudaHostEvent* event);

// On the null stream, work runs at once.
void Enqueue(CudaHostStream* stream, std::function<void()> work);
void Record(CudaHostEvent* event, CudaHostStream* stream);
void WaitInStream(CudaHostStream* stream, const CudaHostEvent* event);
void WaitOnHost(const CudaHostEvent* event);
void Finish(CudaHostStream* stream);

}  // namespace penchant::cuda_host

#endif  // PENCHANT_TESTS_CUDA_HOST_STREAMS_H_
