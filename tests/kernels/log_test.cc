#include "kernels/base/log.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace penchant {
namespace {

TEST(LogTest, MessagesReachTheSinkAndOnlyWhileThereIsOne) {
  std::vector<std::string> seen;
  Log(LogLevel::kWarning, "nobody listens");
  SetLogSink([&](LogLevel level, const std::string& message) {
    seen.push_back((level == LogLevel::kWarning ? "W " : "I ") + message);
  });
  Log(LogLevel::kInfo, "a {} b");  // braces are text, not a format
  Log(LogLevel::kWarning, "c");
  SetLogSink({});
  Log(LogLevel::kInfo, "d");
  EXPECT_EQ(seen, (std::vector<std::string>{"I a {} b", "W c"}));
}

}  // namespace
}  // namespace penchant
