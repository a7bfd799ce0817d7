#include "kernels/score/score_tile.h"

#include "kernels/base/isa.h"

namespace penchant {

PENCHANT_DEFINE_SELECTED(ScoreTileKernels, ScoreTileKernels)

}  // namespace penchant
