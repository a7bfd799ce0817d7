#include "kernels/base/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>

#include <memory>
#include <mutex>
#include <utility>

namespace penchant {
namespace {

using Callback = std::function<void(LogLevel, const std::string&)>;

// An spdlog sink that hands messages to a callback.
class CallbackSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  void set_callback(Callback callback) {
    std::lock_guard<std::mutex> lock(mutex_);
    callback_ = std::move(callback);
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    if (!callback_) return;
    callback_(message.level >= spdlog::level::warn ? LogLevel::kWarning : LogLevel::kInfo,
              std::string(message.payload.data(), message.payload.size()));
  }
  void flush_() override {}

 private:
  Callback callback_;
};

std::shared_ptr<CallbackSink> Sink() {
  static const auto sink = std::make_shared<CallbackSink>();
  return sink;
}

}  // namespace

void Log(LogLevel level, const std::string& message) {
  static spdlog::logger logger("penchant", Sink());
  logger.log(level == LogLevel::kWarning ? spdlog::level::warn : spdlog::level::info, message);
}

void SetLogSink(Callback sink) { Sink()->set_callback(std::move(sink)); }

}  // namespace penchant
