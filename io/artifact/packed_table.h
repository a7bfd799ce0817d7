// A factor table in panels of 32 rows, factor by factor, in one of six number types: what a panel
// is scored from needs no transposing, and no more memory than its file.
//
// Number (row i, factor k) is element k * 32 + i % 32 of panel i / 32; rows beyond the last are
// zeros. float32, float16 and bfloat16 are themselves. int8 is -127 .. 127 and int4 -7 .. 7 (plus
// 8; positions i and i + 16 of a panel in the low and high half of a byte), times (the row's scale
// times the column's), in float32: factors differ in size by orders of magnitude.
// pq (product quantization, Jegou et al. 2011) has a byte for every `pq_width` factors: which of
// 256 centroids is nearest there.
#ifndef PENCHANT_IO_ARTIFACT_PACKED_TABLE_H_
#define PENCHANT_IO_ARTIFACT_PACKED_TABLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "io/model/tensor_file.h"
#include "kernels/score/score_tile.h"

namespace penchant {

enum class FactorType { kFloat32, kFloat16, kBfloat16, kInt8, kInt4, kPq };

const char* FactorTypeName(FactorType type);
// Throws InvalidArgument naming the known types.
FactorType ParseFactorType(const std::string& name);

inline constexpr int64_t kCentroids = 256;

// The shape of a packed table.
struct PackedShape {
  FactorType type = FactorType::kFloat32;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t pq_width = 1;  // factors a byte

  int64_t num_panels() const { return (rows + kPanelItems - 1) / kPanelItems; }
  bool has_scales() const { return type == FactorType::kInt8 || type == FactorType::kInt4; }
  // Codes of a row: factors, or bytes of pq.
  int64_t codes_a_row() const {
    return type == FactorType::kPq ? (cols + pq_width - 1) / pq_width : cols;
  }
  DType dtype() const;
  // The tensor of codes: panels x codes_a_row x (32, or 16 bytes of int4).
  std::vector<int64_t> tensor_shape() const;
  int64_t panel_bytes() const;
};

// A packed table in memory, to be written as PREFIX and, by type, PREFIX.scales and .columns,
// or PREFIX.centroids.
struct PackedTable {
  PackedShape shape;
  std::vector<uint8_t> codes;
  std::vector<float> scales;     // a row, padded to whole panels
  std::vector<float> columns;    // scales too, a column
  std::vector<float> centroids;  // pq: cols x 256

  explicit PackedTable(const PackedShape& shape);
  // Code j of row i, in as many bytes as its type has; int4's is a byte of 0 .. 15.
  void SetCode(int64_t i, int64_t j, const uint8_t* code);
  void AppendTo(const std::string& prefix, std::vector<TensorSource>* tensors) const;
};

// A packed table in a file.
class PackedTableView {
 public:
  PackedTableView() = default;
  // Without what all rows share (columns, centroids) rows can be copied, not read.
  enum Parts { kAll, kRowsAlone };
  // Throws DataError unless the tensors have the wanted shapes. REQUIRES: `file` outlives the view.
  PackedTableView(const TensorFile& file, const std::string& prefix, const PackedShape& shape,
                  Parts parts = kAll);

  const PackedShape& shape() const { return shape_; }
  // The panel as float32, cols x 32: in the file where it lies so, or else put into `scratch`.
  // Both are 64-byte aligned. REQUIRES: 0 <= p < num_panels().
  const float* Panel(int64_t p, float* scratch) const;
  // One row as cols numbers. REQUIRES: 0 <= i < rows.
  void Row(int64_t i, float* out) const;
  // Puts row i as row `to` of a table of the same type, columns and centroids.
  void CopyRow(int64_t i, int64_t to, PackedTable* table) const;
  // Whether row i is, to the bit, row j of another table of the same type and columns.
  bool SameRow(int64_t i, const PackedTableView& other, int64_t j) const;

 private:
  template <typename Visit>
  void ForEachCode(int64_t i, const Visit& visit) const;
  float ScaleOf(int64_t i) const;

  PackedShape shape_;
  const uint8_t* codes_ = nullptr;
  bool aligned_ = false;
  const uint8_t* scales_ = nullptr;
  std::vector<float> columns_, centroids_;
};

}  // namespace penchant

#endif  // PENCHANT_IO_ARTIFACT_PACKED_TABLE_H_
