#include "kernels/base/philox_words.h"

#include "kernels/base/isa.h"

namespace penchant {

PENCHANT_DEFINE_SELECTED(FillPhiloxWordsKernel, FillPhiloxWords)

}  // namespace penchant
