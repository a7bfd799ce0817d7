#include "tests/cuda_host/streams.h"

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <utility>

struct CudaHostStream {
  int device = 0;
  unsigned place = 0;  // 0: a device's first stream, 1: its second
  std::deque<std::function<void()>> queue;
  uint64_t issued = 0;
  uint64_t done = 0;
};

struct CudaHostEvent {
  std::weak_ptr<CudaHostStream> stream;
  uint64_t position = 0;
};

namespace penchant::cuda_host {
namespace {

// Work may put more work, and contexts have threads of their own.
std::recursive_mutex mutex;
unsigned late_streams = 2;
unsigned made = 0;

// Streams by what the runtime's handles point at; an event may outlive its stream.
std::deque<std::shared_ptr<CudaHostStream>> streams;

std::shared_ptr<CudaHostStream> Shared(CudaHostStream* stream) {
  for (const auto& known : streams) {
    if (known.get() == stream) return known;
  }
  return nullptr;
}

void RunUpTo(CudaHostStream* stream, uint64_t position) {
  while (stream->done < position && !stream->queue.empty()) {
    const std::function<void()> work = std::move(stream->queue.front());
    stream->queue.pop_front();
    work();
    ++stream->done;
  }
}

}  // namespace

void SetLateStreams(unsigned late) { late_streams = late; }

CudaHostStream* MakeStream(int device) {
  const std::lock_guard lock(mutex);
  streams.push_back(std::make_shared<CudaHostStream>());
  streams.back()->device = device;
  streams.back()->place = made++ % 2;
  return streams.back().get();
}

bool IsOf(int device, const CudaHostStream* stream) {
  return stream == nullptr || stream->device == device;
}

CudaHostEvent* MakeEvent() { return new CudaHostEvent; }

void DestroyStream(CudaHostStream* stream) {
  const std::lock_guard lock(mutex);
  Finish(stream);
  std::erase(streams, Shared(stream));
}

void DestroyEvent(CudaHostEvent* event) { delete event; }

void Enqueue(CudaHostStream* stream, std::function<void()> work) {
  const std::lock_guard lock(mutex);
  if (stream == nullptr) return work();
  stream->queue.push_back(std::move(work));
  ++stream->issued;
  if ((late_streams >> stream->place & 1) == 0) Finish(stream);
}

void Record(CudaHostEvent* event, CudaHostStream* stream) {
  const std::lock_guard lock(mutex);
  event->stream = Shared(stream);
  event->position = stream != nullptr ? stream->issued : 0;
}

void WaitInStream(CudaHostStream* stream, const CudaHostEvent* event) {
  Enqueue(stream, [as_recorded = *event] { WaitOnHost(&as_recorded); });
}

void WaitOnHost(const CudaHostEvent* event) {
  const std::lock_guard lock(mutex);
  if (const auto stream = event->stream.lock()) RunUpTo(stream.get(), event->position);
}

void Finish(CudaHostStream* stream) {
  const std::lock_guard lock(mutex);
  if (stream != nullptr) RunUpTo(stream, stream->issued);
}

}  // namespace penchant::cuda_host
