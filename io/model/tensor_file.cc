#include "io/model/tensor_file.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "io/file/atomic_file.h"
#include "io/file/checksum.h"
#include "kernels/base/errors.h"

namespace penchant {
namespace {

using Json = nlohmann::json;

constexpr int64_t kAlignment = 64;
constexpr int64_t kMaxHeaderBytes = int64_t{64} << 20;
constexpr uint64_t kMaxSize = uint64_t{1} << 53;  // what any JSON reader takes exactly
constexpr DType kDTypes[] = {DType::kF32, DType::kF16, DType::kBF16, DType::kF64,
                             DType::kI32, DType::kI64, DType::kI8,   DType::kU8};

std::string JsonString(const std::string& text) {
  try {
    return Json(text).dump();
  } catch (const Json::type_error&) {
    throw InvalidArgument("text is not valid UTF-8 and cannot be stored in a model's metadata");
  }
}

int64_t NumElements(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (int64_t extent : shape) count *= extent;
  return count;
}

template <typename Visit>
void ForEachPiece(const TensorSource& tensor, const Visit& visit) {
  const int64_t rows = tensor.shape.empty() ? 1 : tensor.shape[0];
  const int64_t total = NumElements(tensor.shape) * DTypeBytes(tensor.dtype);
  if (rows == 0 || total == 0) return;
  const int64_t row_bytes = total / rows;
  if (row_bytes == tensor.row_stride_bytes) return visit(tensor.data, total);
  for (int64_t i = 0; i < rows; ++i) {
    visit(static_cast<const char*>(tensor.data) + i * tensor.row_stride_bytes, row_bytes);
  }
}

bool ParseDType(const std::string& name, DType* dtype) {
  for (DType candidate : kDTypes) {
    if (name == DTypeName(candidate)) {
      *dtype = candidate;
      return true;
    }
  }
  return false;
}

// A JSON number as a non-negative integer, or -1.
int64_t AsSize(const Json& value) {
  if (!value.is_number_unsigned()) return -1;
  const uint64_t number = value.get<uint64_t>();
  return number < kMaxSize ? static_cast<int64_t>(number) : -1;
}

}  // namespace

const char* DTypeName(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "F32";
    case DType::kF16:
      return "F16";
    case DType::kBF16:
      return "BF16";
    case DType::kF64:
      return "F64";
    case DType::kI32:
      return "I32";
    case DType::kI64:
      return "I64";
    case DType::kI8:
      return "I8";
    case DType::kU8:
      return "U8";
  }
  return "unknown";
}

int64_t DTypeBytes(DType dtype) {
  switch (dtype) {
    case DType::kF64:
    case DType::kI64:
      return 8;
    case DType::kF32:
    case DType::kI32:
      return 4;
    case DType::kF16:
    case DType::kBF16:
      return 2;
    case DType::kI8:
    case DType::kU8:
      return 1;
  }
  return 0;
}

TensorSource TensorSource::Dense(std::string name, DType dtype, std::vector<int64_t> shape,
                                 const void* data) {
  int64_t row_bytes = DTypeBytes(dtype);
  for (size_t i = 1; i < shape.size(); ++i) row_bytes *= shape[i];
  return {std::move(name), dtype, std::move(shape), data, row_bytes};
}

uint64_t TensorChecksum(const TensorSource& tensor) {
  StreamingChecksum checksum;
  ForEachPiece(tensor, [&](const void* data, int64_t bytes) { checksum.Update(data, bytes); });
  return checksum.Digest();
}

void WriteTensorFile(const std::string& path, const std::vector<TensorSource>& tensors,
                     const std::map<std::string, std::string>& metadata) {
  std::string header = "{\"__metadata__\":{";
  bool first = true;
  for (const auto& [key, value] : metadata) {
    header += (first ? "" : ",") + JsonString(key) + ":" + JsonString(value);
    first = false;
  }
  header += "}";
  int64_t offset = 0;
  for (const TensorSource& tensor : tensors) {
    const int64_t bytes = NumElements(tensor.shape) * DTypeBytes(tensor.dtype);
    header += "," + JsonString(tensor.name) + ":{\"dtype\":\"" + DTypeName(tensor.dtype) +
              "\",\"shape\":[";
    for (size_t i = 0; i < tensor.shape.size(); ++i) {
      header += (i ? "," : "") + std::to_string(tensor.shape[i]);
    }
    header += "],\"data_offsets\":[" + std::to_string(offset) + "," +
              std::to_string(offset + bytes) + "]}";
    offset += bytes;
  }
  header += "}";
  while ((8 + header.size()) % kAlignment != 0) header += ' ';
  PENCHANT_REQUIRE(static_cast<int64_t>(header.size()) <= kMaxHeaderBytes,
                   "the model's metadata is too large: ", header.size(), " bytes");

  AtomicFile file(path);
  uint8_t length[8];
  for (int i = 0; i < 8; ++i) length[i] = static_cast<uint8_t>(uint64_t{header.size()} >> (8 * i));
  file.Write(length, 8);
  file.Write(header.data(), static_cast<int64_t>(header.size()));
  for (const TensorSource& tensor : tensors) {
    ForEachPiece(tensor, [&](const void* data, int64_t bytes) { file.Write(data, bytes); });
  }
  file.Commit();
}

TensorFile::TensorFile(const std::string& path)
    : name_(path), file_(std::make_unique<MappedFile>(path)) {
  Parse(file_->data(), file_->size());
}

TensorFile::TensorFile(const uint8_t* data, int64_t size, std::string name)
    : name_(std::move(name)) {
  Parse(data, size);
}

void TensorFile::Parse(const uint8_t* data, int64_t size) {
  PENCHANT_CHECK(size >= 8, DataError, name_, ": ", size,
                 " bytes are too few for a safetensors file");
  uint64_t header_bytes = 0;
  for (int i = 0; i < 8; ++i) header_bytes |= uint64_t{data[i]} << (8 * i);
  PENCHANT_CHECK(header_bytes <= static_cast<uint64_t>(std::min(kMaxHeaderBytes, size - 8)),
                 DataError, name_, ": the header claims ", header_bytes, " bytes; the file has ",
                 size - 8, " and ", kMaxHeaderBytes,
                 " are allowed: not a safetensors file, or truncated");
  const uint8_t* end = data + 8 + header_bytes;
  // The parser takes a zero byte for the end, whatever follows.
  const auto header = Json::parse(data + 8, end, nullptr, /*allow_exceptions=*/false);
  PENCHANT_CHECK(header.is_object() && std::find(data + 8, end, 0) == end, DataError, name_,
                 ": the header is not a valid JSON object");

  const uint8_t* body = end;
  const int64_t body_bytes = size - 8 - static_cast<int64_t>(header_bytes);
  std::vector<std::pair<int64_t, int64_t>> ranges;
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") {
      PENCHANT_CHECK(value.is_object(), DataError, name_, ": __metadata__ is not an object");
      for (const auto& [key, text] : value.items()) {
        PENCHANT_CHECK(text.is_string(), DataError, name_, ": metadata \"", key,
                       "\" is not a string");
        metadata_[key] = text.get<std::string>();
      }
      continue;
    }
    const auto field = [&, &name = name, &value = value](const char* key, Json::value_t type) {
      const auto found = value.find(key);
      PENCHANT_CHECK(found != value.end() && found->type() == type, DataError, name_, ": tensor \"",
                     name, "\" lacks one of dtype, shape and data_offsets");
      return *found;
    };
    const auto dtype = field("dtype", Json::value_t::string).get<std::string>();
    const Json shape = field("shape", Json::value_t::array);
    const Json ends = field("data_offsets", Json::value_t::array);
    TensorView view;
    PENCHANT_CHECK(ParseDType(dtype, &view.dtype), DataError, name_, ": tensor \"", name,
                   "\" has dtype \"", dtype, "\"; known are F32, F16, BF16, F64, I32, I64, I8, U8");
    int64_t bytes = DTypeBytes(view.dtype);
    for (const auto& extent : shape) {
      const int64_t n = AsSize(extent);
      PENCHANT_CHECK(n >= 0 && (n == 0 || bytes <= body_bytes / n), DataError, name_, ": tensor \"",
                     name, "\" has a shape that the file's ", body_bytes, " bytes cannot hold");
      bytes *= n;
      view.shape.push_back(n);
    }
    const int64_t begin = ends.size() == 2 ? AsSize(ends[0]) : -1;
    const int64_t end = ends.size() == 2 ? AsSize(ends[1]) : -1;
    PENCHANT_CHECK(begin >= 0 && begin <= end && end <= body_bytes && end - begin == bytes,
                   DataError, name_, ": tensor \"", name, "\" lies at [", begin, ", ", end, ") of ",
                   body_bytes, " bytes; its shape needs ", bytes, " (a truncated or damaged file)");
    view.data = body + begin;
    view.bytes = bytes;
    if (bytes > 0) ranges.emplace_back(begin, end);
    tensors_.emplace(name, std::move(view));
  }
  std::sort(ranges.begin(), ranges.end());
  for (size_t i = 1; i < ranges.size(); ++i) {
    PENCHANT_CHECK(ranges[i - 1].second <= ranges[i].first, DataError, name_,
                   ": two tensors overlap at byte ", ranges[i].first);
  }
}

const TensorView& TensorFile::Get(const std::string& name, DType dtype, size_t dimensions) const {
  const auto it = tensors_.find(name);
  PENCHANT_CHECK(it != tensors_.end(), DataError, name_, ": tensor \"", name, "\" is missing");
  PENCHANT_CHECK(it->second.dtype == dtype && it->second.shape.size() == dimensions, DataError,
                 name_, ": tensor \"", name, "\" is ", DTypeName(it->second.dtype), " with ",
                 it->second.shape.size(), " dimensions, wanted ", DTypeName(dtype), " with ",
                 dimensions);
  return it->second;
}

}  // namespace penchant
