#include "io/model/tensor_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <random>

#include "kernels/base/errors.h"
#include "tests/support/random_data.h"

namespace penchant {
namespace {

std::vector<uint8_t> Bytes(const std::string& header, size_t body) {
  std::vector<uint8_t> bytes(8 + header.size() + body, 0);
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<uint8_t>(header.size() >> (8 * i));
  std::memcpy(bytes.data() + 8, header.data(), header.size());
  return bytes;
}

TEST(TensorFileTest, WritesWhatItReads) {
  testing::TemporaryFolder folder;
  const Matrix padded = testing::RandomMatrix(7, 3, 1);
  const std::vector<int64_t> numbers = {5, -6};
  const std::string path = folder.path("a.safetensors");
  WriteTensorFile(path,
                  {TensorSource::Dense("n", DType::kI64, {2}, numbers.data()),
                   {"m", DType::kF32, {7, 3}, padded.row(0), padded.stride() * 4},
                   TensorSource::Dense("empty", DType::kF32, {0, 3}, nullptr)},
                  {{"key", "va\"lue \n\u00e9"}});
  const TensorFile file(path);
  EXPECT_EQ(file.metadata().at("key"), "va\"lue \n\u00e9");
  const TensorView& matrix = file.Get("m", DType::kF32, 2);
  for (int64_t i = 0; i < 7; ++i) {
    EXPECT_EQ(0, std::memcmp(matrix.data + i * 12, padded.row(i), 12));
  }
  EXPECT_EQ(file.Get("empty", DType::kF32, 2).bytes, 0);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(file.Get("n", DType::kI64, 1).data) % 8, 0u);
  EXPECT_THROW(file.Get("m", DType::kF64, 2), DataError);
  EXPECT_THROW(file.Get("absent", DType::kF32, 2), DataError);
}

TEST(TensorFileTest, AFailedWriteLeavesTheOldFile) {
  testing::TemporaryFolder folder;
  const std::string path = folder.path("a.safetensors");
  const float one = 1;
  WriteTensorFile(path, {TensorSource::Dense("x", DType::kF32, {1}, &one)}, {});
  EXPECT_THROW(WriteTensorFile(folder.path("no/such/folder/b"), {}, {}), IoError);
  EXPECT_THROW(WriteTensorFile(path, {}, {{"bad", "\xff\xfe"}}), InvalidArgument);
  EXPECT_EQ(TensorFile(path).tensors().size(), 1u);
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.root())) {
    (void)entry;
    ++files;
  }
  EXPECT_EQ(files, 1);  // no temporary file stays behind
}

TEST(TensorFileTest, HostileHeadersAreRefused) {
  const std::string tensor = "{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":";
  for (const std::string& header : {
           std::string("not json"),
           std::string("[]"),
           tensor + "[0,8]}",    // truncated JSON
           tensor + "[0,9]}}",   // size and shape differ
           tensor + "[4,12]}}",  // beyond the end
           tensor + "[-8,0]}}",  // negative
           tensor + "[8,0]}}",   // backwards
           tensor + "[0]}}",     // one end
           std::string("{\"x\":{\"dtype\":\"F8_E4M3\",\"shape\":[8],\"data_offsets\":[0,8]}}"),
           std::string("{\"x\":{\"shape\":[2],\"data_offsets\":[0,8]}}"),
           std::string("{\"x\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],"
                       "\"data_offsets\":[0,8]}}"),
           std::string("{\"x\":{\"dtype\":\"F32\",\"shape\":[1e300],\"data_offsets\":[0,8]}}"),
           std::string("{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                       "\"y\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}"),
           std::string("{\"__metadata__\":{\"k\":3}}"),
       }) {
    const auto bytes = Bytes(header, 8);
    EXPECT_THROW(TensorFile(bytes.data(), static_cast<int64_t>(bytes.size()), "hostile"), DataError)
        << header;
  }
  auto bytes = Bytes("{}", 0);
  bytes[7] = 0xff;  // a header length of 2^63 and more
  EXPECT_THROW(TensorFile(bytes.data(), 10, "hostile"), DataError);
  EXPECT_THROW(TensorFile(bytes.data(), 3, "hostile"), DataError);
  EXPECT_THROW(TensorFile("/does/not/exist"), IoError);
}

}  // namespace
}  // namespace penchant
