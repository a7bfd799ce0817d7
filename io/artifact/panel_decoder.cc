#include "io/artifact/panel_decoder.h"

#include "kernels/base/isa.h"

namespace penchant {

PENCHANT_DEFINE_SELECTED(PanelDecoders, PanelDecoders)

}  // namespace penchant
