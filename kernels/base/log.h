// The one log of the library: spdlog, silent until someone attaches a sink. The Python package
// forwards it to logging.getLogger("penchant"). Library code never prints.
#ifndef PENCHANT_KERNELS_BASE_LOG_H_
#define PENCHANT_KERNELS_BASE_LOG_H_

#include <functional>
#include <string>

namespace penchant {

enum class LogLevel { kInfo, kWarning };

// Logs one message; safe from any thread.
void Log(LogLevel level, const std::string& message);

// Sends every further message to `sink` (called under a lock); an empty one silences the log.
void SetLogSink(std::function<void(LogLevel, const std::string&)> sink);

}  // namespace penchant

#endif  // PENCHANT_KERNELS_BASE_LOG_H_
