// An order of 0 .. n-1 in which any few neighbours are spread over the whole range.
#ifndef PENCHANT_IO_ARTIFACT_SPREAD_ORDER_H_
#define PENCHANT_IO_ARTIFACT_SPREAD_ORDER_H_

#include <cstdint>
#include <numeric>
#include <vector>

namespace penchant {

// Steps of about n times the golden ratio, modulo n (Weyl's sequence): each number once.
inline std::vector<int64_t> SpreadOrder(int64_t n) {
  int64_t step = static_cast<int64_t>(0.6180339887 * static_cast<double>(n));
  while (n > 0 && std::gcd(step, n) != 1) ++step;
  std::vector<int64_t> order(static_cast<size_t>(n));
  for (int64_t i = 0, at = 0; i < n; ++i, at = (at + step) % n) order[static_cast<size_t>(i)] = at;
  return order;
}

}  // namespace penchant

#endif  // PENCHANT_IO_ARTIFACT_SPREAD_ORDER_H_
