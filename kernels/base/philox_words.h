// Many of Philox's words (philox.h) at a time.
#ifndef PENCHANT_KERNELS_BASE_PHILOX_WORDS_H_
#define PENCHANT_KERNELS_BASE_PHILOX_WORDS_H_

#include <cstdint>

namespace penchant {

// Writes the words of Philox(key, counter_low, counter_high + i), i < count, one after the other.
// `words` has room for count rounded up to 16.
using FillPhiloxWordsKernel = void (*)(uint64_t key, uint64_t counter_low, uint64_t counter_high,
                                       int64_t count, uint32_t* words);
const FillPhiloxWordsKernel& SelectedFillPhiloxWords();

inline constexpr int64_t kPhiloxWordsRoom = 16;

}  // namespace penchant

#endif  // PENCHANT_KERNELS_BASE_PHILOX_WORDS_H_
