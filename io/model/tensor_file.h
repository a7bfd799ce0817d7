// Reading and writing safetensors files: named tensors and string metadata.
//
// Layout: 8 bytes little-endian header length, a JSON header, tensor bytes without gaps. The header
// is padded with spaces so that the bytes start at a multiple of 64. FORMATS.md has every field.
#ifndef PENCHANT_IO_MODEL_TENSOR_FILE_H_
#define PENCHANT_IO_MODEL_TENSOR_FILE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "io/file/mapped_file.h"

namespace penchant {

enum class DType { kF32, kF16, kBF16, kF64, kI32, kI64, kI8, kU8 };

const char* DTypeName(DType dtype);
int64_t DTypeBytes(DType dtype);

// A tensor to write: `rows` pieces of equal size, so that padded tables need no dense copy.
struct TensorSource {
  std::string name;
  DType dtype;
  std::vector<int64_t> shape;
  const void* data;
  int64_t row_stride_bytes;  // distance between the first dimension's rows in memory

  // A densely stored tensor.
  static TensorSource Dense(std::string name, DType dtype, std::vector<int64_t> shape,
                            const void* data);
};

// XXH3-64 of the tensor's bytes as they are written.
uint64_t TensorChecksum(const TensorSource& tensor);

// Writes the file atomically.
void WriteTensorFile(const std::string& path, const std::vector<TensorSource>& tensors,
                     const std::map<std::string, std::string>& metadata);

// A tensor inside an open file. The bytes are not aligned beyond one byte.
struct TensorView {
  DType dtype;
  std::vector<int64_t> shape;
  const uint8_t* data = nullptr;
  int64_t bytes = 0;
};

// An open file. Everything is checked before use: header length, JSON, names, dtypes, shapes,
// offsets and their overlap; DataError says what is wrong with which tensor.
class TensorFile {
 public:
  explicit TensorFile(const std::string& path);
  // Over bytes in memory (fuzzing); `name` is used in messages.
  TensorFile(const uint8_t* data, int64_t size, std::string name);

  const std::string& name() const { return name_; }
  const std::map<std::string, TensorView>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

  // The tensor of this name, dtype and number of dimensions, or DataError.
  const TensorView& Get(const std::string& name, DType dtype, size_t dimensions) const;
  bool Has(const std::string& name) const { return tensors_.count(name) > 0; }

 private:
  void Parse(const uint8_t* data, int64_t size);

  std::string name_;
  std::unique_ptr<MappedFile> file_;
  std::map<std::string, TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace penchant

#endif  // PENCHANT_IO_MODEL_TENSOR_FILE_H_
