// The typed exceptions every floor throws, and the check macro that words them.
#ifndef PENCHANT_KERNELS_BASE_ERRORS_H_
#define PENCHANT_KERNELS_BASE_ERRORS_H_

#include <sstream>
#include <stdexcept>
#include <string>

namespace penchant {

// Root of all Penchant errors. Messages name what was seen and what was wanted.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A caller passed a value outside its documented domain (Python: ValueError).
class InvalidArgument : public Error {
 public:
  using Error::Error;
};

// Data read from outside is malformed (Python: DataError, a ValueError).
class DataError : public Error {
 public:
  using Error::Error;
};

// The operating system refused a file operation (Python: OSError).
class IoError : public Error {
 public:
  using Error::Error;
};

// The requested device or its memory is unavailable (Python: RuntimeError).
class DeviceError : public Error {
 public:
  using Error::Error;
};

// Arithmetic left the finite numbers (Python: RuntimeError).
class NumericError : public Error {
 public:
  using Error::Error;
};

// The user asked long work to stop (Python: KeyboardInterrupt).
class Interrupted : public Error {
 public:
  using Error::Error;
};

namespace internal {

template <typename... Parts>
std::string Concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

}  // namespace internal
}  // namespace penchant

// Throws `ErrorType` with the concatenated message parts unless `condition` holds.
#define PENCHANT_CHECK(condition, ErrorType, ...)                 \
  do {                                                            \
    if (!(condition)) {                                           \
      throw ErrorType(::penchant::internal::Concat(__VA_ARGS__)); \
    }                                                             \
  } while (false)

// The common case: an argument outside its domain.
#define PENCHANT_REQUIRE(condition, ...) \
  PENCHANT_CHECK(condition, ::penchant::InvalidArgument, __VA_ARGS__)

#endif  // PENCHANT_KERNELS_BASE_ERRORS_H_
