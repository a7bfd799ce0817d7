#include "io/artifact/packed_table.h"

#include <algorithm>
#include <cstring>

#include "io/artifact/float16.h"
#include "io/artifact/panel_decoder.h"
#include "kernels/base/bfloat16.h"
#include "kernels/base/errors.h"

namespace penchant {
namespace {

// Int4: two codes a byte, of positions i and i + 16 of a panel.
constexpr int64_t kPairs = kPanelItems / 2;

uint8_t Nibble(const uint8_t* panel, int64_t j, int64_t position) {
  const uint8_t pair = panel[j * kPairs + position % kPairs];
  return position < kPairs ? pair & 15 : pair >> 4;
}

void SetNibble(uint8_t* panel, int64_t j, int64_t position, uint8_t code) {
  uint8_t& pair = panel[j * kPairs + position % kPairs];
  pair = static_cast<uint8_t>(position < kPairs ? (pair & 0xf0) | code : (pair & 0x0f) | code << 4);
}

struct TypeName {
  FactorType type;
  const char* name;
};
constexpr TypeName kTypes[] = {
    {FactorType::kFloat32, "float32"},   {FactorType::kFloat16, "float16"},
    {FactorType::kBfloat16, "bfloat16"}, {FactorType::kInt8, "int8"},
    {FactorType::kInt4, "int4"},         {FactorType::kPq, "pq"},
};

}  // namespace

const char* FactorTypeName(FactorType type) {
  for (const TypeName& known : kTypes) {
    if (known.type == type) return known.name;
  }
  return "unknown";
}

FactorType ParseFactorType(const std::string& name) {
  std::string names;
  for (const TypeName& known : kTypes) {
    if (name == known.name) return known.type;
    names += std::string(names.empty() ? "" : ", ") + known.name;
  }
  throw InvalidArgument("dtype \"" + name + "\" is unknown; known are " + names);
}

DType PackedShape::dtype() const {
  switch (type) {
    case FactorType::kFloat32:
      return DType::kF32;
    case FactorType::kFloat16:
      return DType::kF16;
    case FactorType::kBfloat16:
      return DType::kBF16;
    case FactorType::kInt8:
      return DType::kI8;
    case FactorType::kInt4:
    case FactorType::kPq:
      return DType::kU8;
  }
  return DType::kU8;
}

std::vector<int64_t> PackedShape::tensor_shape() const {
  return {num_panels(), codes_a_row(),
          type == FactorType::kInt4 ? int64_t{kPanelItems} / 2 : int64_t{kPanelItems}};
}

int64_t PackedShape::panel_bytes() const {
  const auto shape = tensor_shape();
  return shape[1] * shape[2] * DTypeBytes(dtype());
}

PackedTable::PackedTable(const PackedShape& shape) : shape(shape) {
  // Int4's zero is 8.
  codes.resize(static_cast<size_t>(shape.num_panels() * shape.panel_bytes()),
               shape.type == FactorType::kInt4 ? 0x88 : 0);
  if (shape.has_scales()) {
    scales.resize(static_cast<size_t>(shape.num_panels() * kPanelItems));
    columns.resize(static_cast<size_t>(shape.cols), 1.0f);
  }
  if (shape.type == FactorType::kPq) centroids.resize(static_cast<size_t>(shape.cols * kCentroids));
}

void PackedTable::SetCode(int64_t i, int64_t j, const uint8_t* code) {
  uint8_t* panel = codes.data() + i / kPanelItems * shape.panel_bytes();
  const int64_t position = i % kPanelItems;
  if (shape.type == FactorType::kInt4) {
    SetNibble(panel, j, position, *code);
    return;
  }
  const int64_t bytes = DTypeBytes(shape.dtype());
  std::memcpy(panel + (j * kPanelItems + position) * bytes, code, static_cast<size_t>(bytes));
}

void PackedTable::AppendTo(const std::string& prefix, std::vector<TensorSource>* tensors) const {
  tensors->push_back(
      TensorSource::Dense(prefix, shape.dtype(), shape.tensor_shape(), codes.data()));
  if (shape.has_scales()) {
    tensors->push_back(TensorSource::Dense(prefix + ".scales", DType::kF32,
                                           {shape.num_panels(), kPanelItems}, scales.data()));
    tensors->push_back(
        TensorSource::Dense(prefix + ".columns", DType::kF32, {shape.cols}, columns.data()));
  }
  if (shape.type == FactorType::kPq) {
    tensors->push_back(TensorSource::Dense(prefix + ".centroids", DType::kF32,
                                           {shape.cols, kCentroids}, centroids.data()));
  }
}

PackedTableView::PackedTableView(const TensorFile& file, const std::string& prefix,
                                 const PackedShape& shape, Parts parts)
    : shape_(shape) {
  const auto get = [&](const std::string& name, DType dtype, const std::vector<int64_t>& wanted) {
    const TensorView& view = file.Get(name, dtype, wanted.size());
    PENCHANT_CHECK(view.shape == wanted, DataError, file.name(), ": tensor \"", name,
                   "\" has another shape than a ", FactorTypeName(shape.type), " table of ",
                   shape.rows, " rows and ", shape.cols, " factors");
    return view.data;
  };
  codes_ = get(prefix, shape.dtype(), shape.tensor_shape());
  aligned_ = reinterpret_cast<uintptr_t>(codes_) % 64 == 0;
  const auto read = [&](const std::string& name, const std::vector<int64_t>& wanted,
                        std::vector<float>* out) {
    const uint8_t* stored = get(prefix + name, DType::kF32, wanted);
    int64_t count = 1;
    for (int64_t extent : wanted) count *= extent;
    out->resize(static_cast<size_t>(count));
    std::memcpy(out->data(), stored, out->size() * sizeof(float));
  };
  if (shape.has_scales()) {
    scales_ = get(prefix + ".scales", DType::kF32, {shape.num_panels(), kPanelItems});
    if (parts == kAll) read(".columns", {shape.cols}, &columns_);
  }
  if (shape.type == FactorType::kPq && parts == kAll) {
    read(".centroids", {shape.cols, kCentroids}, &centroids_);
  }
}

const float* PackedTableView::Panel(int64_t p, float* scratch) const {
  const uint8_t* codes = codes_ + p * shape_.panel_bytes();
  const uint8_t* scales = scales_ == nullptr ? nullptr : scales_ + p * kPanelItems * 4;
  const PanelDecoders& decoders = SelectedPanelDecoders();
  switch (shape_.type) {
    case FactorType::kFloat32:
      if (aligned_) return reinterpret_cast<const float*>(codes);
      std::memcpy(scratch, codes, static_cast<size_t>(shape_.panel_bytes()));
      break;
    case FactorType::kFloat16:
      decoders.float16(codes, shape_.cols, scratch);
      break;
    case FactorType::kBfloat16:
      decoders.bfloat16(codes, shape_.cols, scratch);
      break;
    case FactorType::kInt8:
      decoders.int8(codes, scales, columns_.data(), shape_.cols, scratch);
      break;
    case FactorType::kInt4:
      decoders.int4(codes, scales, columns_.data(), shape_.cols, scratch);
      break;
    case FactorType::kPq:
      decoders.pq(codes, centroids_.data(), shape_.cols, shape_.pq_width, scratch);
      break;
  }
  return scratch;
}

float PackedTableView::ScaleOf(int64_t i) const {
  float scale;
  std::memcpy(&scale, scales_ + i * 4, 4);
  return scale;
}

// Calls visit(j, code) for the codes of row i; int4's are bytes too.
template <typename Visit>
void PackedTableView::ForEachCode(int64_t i, const Visit& visit) const {
  const uint8_t* panel = codes_ + i / kPanelItems * shape_.panel_bytes();
  const int64_t position = i % kPanelItems;
  if (shape_.type == FactorType::kInt4) {
    for (int64_t j = 0; j < shape_.cols; ++j) {
      // As long as the widest code, for visitors that know the type at run time alone.
      const uint8_t code[4] = {Nibble(panel, j, position)};
      visit(j, code);
    }
    return;
  }
  const int64_t bytes = DTypeBytes(shape_.dtype());
  for (int64_t j = 0; j < shape_.codes_a_row(); ++j) {
    visit(j, panel + (j * kPanelItems + position) * bytes);
  }
}

void PackedTableView::Row(int64_t i, float* out) const {
  const float scale = shape_.has_scales() ? ScaleOf(i) : 1.0f;
  ForEachCode(i, [&](int64_t j, const uint8_t* code) {
    uint16_t half;
    switch (shape_.type) {
      case FactorType::kFloat32:
        std::memcpy(out + j, code, 4);
        break;
      case FactorType::kFloat16:
        std::memcpy(&half, code, 2);
        out[j] = FromFloat16(half);
        break;
      case FactorType::kBfloat16:
        std::memcpy(&half, code, 2);
        out[j] = Bfloat16{half}.value();
        break;
      case FactorType::kInt8:
        out[j] = static_cast<float>(static_cast<int8_t>(*code)) * (scale * columns_[j]);
        break;
      case FactorType::kInt4:
        out[j] = static_cast<float>(int{*code} - 8) * (scale * columns_[j]);
        break;
      case FactorType::kPq:
        for (int64_t k = j * shape_.pq_width; k < std::min(shape_.cols, (j + 1) * shape_.pq_width);
             ++k) {
          out[k] = centroids_[static_cast<size_t>(k * kCentroids + *code)];
        }
        break;
    }
  });
}

void PackedTableView::CopyRow(int64_t i, int64_t to, PackedTable* table) const {
  ForEachCode(i, [&](int64_t j, const uint8_t* code) { table->SetCode(to, j, code); });
  if (shape_.has_scales()) table->scales[static_cast<size_t>(to)] = ScaleOf(i);
}

bool PackedTableView::SameRow(int64_t i, const PackedTableView& other, int64_t j) const {
  if (shape_.has_scales() &&
      std::memcmp(scales_ + i * 4, other.scales_ + j * 4, sizeof(float)) != 0) {
    return false;
  }
  std::vector<uint8_t> mine, theirs;
  const size_t bytes = shape_.type == FactorType::kInt4 ? 1 : DTypeBytes(shape_.dtype());
  const auto collect = [bytes](std::vector<uint8_t>* out) {
    return
        [bytes, out](int64_t, const uint8_t* code) { out->insert(out->end(), code, code + bytes); };
  };
  ForEachCode(i, collect(&mine));
  other.ForEachCode(j, collect(&theirs));
  return mine == theirs;
}

}  // namespace penchant
