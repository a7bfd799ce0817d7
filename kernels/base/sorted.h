// Search in sorted ids.
#ifndef PENCHANT_KERNELS_BASE_SORTED_H_
#define PENCHANT_KERNELS_BASE_SORTED_H_

#include <cstdint>

#include "kernels/base/host_device.h"

namespace penchant {

// Where `wanted` is among `count` ascending ids; -1: nowhere.
PENCHANT_HOST_DEVICE inline int64_t FindSorted(const int32_t* sorted, int64_t count,
                                               int32_t wanted) {
  int64_t low = 0, high = count;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (sorted[middle] < wanted) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < count && sorted[low] == wanted ? low : -1;
}

}  // namespace penchant

#endif  // PENCHANT_KERNELS_BASE_SORTED_H_
