// The innermost part of reading packed tables: panels to float32, per instruction set.
#ifndef PENCHANT_IO_ARTIFACT_PANEL_DECODER_H_
#define PENCHANT_IO_ARTIFACT_PANEL_DECODER_H_

#include <cstdint>

namespace penchant {

// Each fills `out` (cols x 32, 64-byte aligned) from the codes of one panel (packed_table.h), which
// need no alignment; `scales` has one float32 a row, unaligned too, and `columns` one a factor.
struct PanelDecoders {
  void (*float16)(const uint8_t* codes, int64_t cols, float* out);
  void (*bfloat16)(const uint8_t* codes, int64_t cols, float* out);
  void (*int8)(const uint8_t* codes, const uint8_t* scales, const float* columns, int64_t cols,
               float* out);
  void (*int4)(const uint8_t* codes, const uint8_t* scales, const float* columns, int64_t cols,
               float* out);
  // `centroids` is cols x 256.
  void (*pq)(const uint8_t* codes, const float* centroids, int64_t cols, int64_t width, float* out);
};

const PanelDecoders& SelectedPanelDecoders();

}  // namespace penchant

#endif  // PENCHANT_IO_ARTIFACT_PANEL_DECODER_H_
