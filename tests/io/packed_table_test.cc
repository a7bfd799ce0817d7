#include "io/artifact/packed_table.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>

#include "io/artifact/float16.h"
#include "io/artifact/table_packer.h"
#include "kernels/base/bfloat16.h"
#include "kernels/base/errors.h"
#include "tests/support/artifacts.h"
#include "tests/support/random_data.h"

namespace penchant {
namespace {

// A table packed, written and opened.
class Packed {
 public:
  Packed(const Matrix& table, FactorType type) {
    Context context(2);
    std::vector<int32_t> order(static_cast<size_t>(table.rows()));
    std::iota(order.begin(), order.end(), 0);
    const PackedTable packed = PackTable(context, table.view(), order, type, "table");
    std::vector<TensorSource> tensors;
    packed.AppendTo("t", &tensors);
    WriteTensorFile(folder_.path("t"), tensors, {});
    file_ = std::make_unique<TensorFile>(folder_.path("t"));
    view = PackedTableView(*file_, "t", packed.shape);
  }
  PackedTableView view;

 private:
  testing::TemporaryFolder folder_;
  std::unique_ptr<TensorFile> file_;
};

TEST(PackedTableTest, PanelsAndRowsAgreeToTheBitOnEveryInstructionSet) {
  for (Isa isa : SupportedIsas()) {
    const testing::ScopedIsa scoped(isa);
    for (FactorType type : testing::kAllTypes) {
      for (int64_t rows : {0, 1, 31, 32, 33, 100}) {
        for (int64_t cols : {1, 4, 7, 65}) {
          const Packed packed(testing::RandomMatrix(rows, cols, 3), type);
          Buffer<float> scratch(kPanelItems * cols);
          std::vector<float> row(static_cast<size_t>(cols));
          for (int64_t i = 0; i < rows; ++i) {
            const float* panel = packed.view.Panel(i / kPanelItems, scratch.data());
            packed.view.Row(i, row.data());
            for (int64_t k = 0; k < cols; ++k) {
              ASSERT_EQ(panel[k * kPanelItems + i % kPanelItems], row[k])
                  << FactorTypeName(type) << " " << IsaName(isa) << " row " << i << " of " << rows;
            }
          }
        }
      }
    }
  }
}

// The worst relative error of a row, over its own length.
double WorstError(const Matrix& table, FactorType type) {
  const Packed packed(table, type);
  std::vector<float> row(static_cast<size_t>(table.cols()));
  double worst = 0;
  for (int64_t i = 0; i < table.rows(); ++i) {
    packed.view.Row(i, row.data());
    double error = 0, size = 0;
    for (int64_t k = 0; k < table.cols(); ++k) {
      error += std::pow(double{row[k]} - double{table.row(i)[k]}, 2);
      size += std::pow(double{table.row(i)[k]}, 2);
    }
    worst = std::max(worst, std::sqrt(error / size));
  }
  return worst;
}

TEST(PackedTableTest, ErrorsAreOfTheSizeTheTypeAllows) {
  const Matrix table = testing::RandomMatrix(1000, 64, 4, 0.01f);
  EXPECT_EQ(WorstError(table, FactorType::kFloat32), 0.0);
  EXPECT_LT(WorstError(table, FactorType::kFloat16), 0x1p-11 * 1.1);
  EXPECT_LT(WorstError(table, FactorType::kBfloat16), 0x1p-8);
  EXPECT_LT(WorstError(table, FactorType::kInt8), 0.015);
  EXPECT_LT(WorstError(table, FactorType::kInt4), 0.2);
}

TEST(PackedTableTest, SmallColumnsBesideLargeOnesKeepTheirPrecision) {
  Matrix table = testing::RandomMatrix(500, 8, 5);
  for (int64_t i = 0; i < table.rows(); ++i) table.row(i)[3] *= 1e-4f;
  const Packed packed(table, FactorType::kInt8);
  std::vector<float> row(8);
  double error = 0, size = 0;
  for (int64_t i = 0; i < table.rows(); ++i) {
    packed.view.Row(i, row.data());
    error += std::pow(row[3] - table.row(i)[3], 2);
    size += std::pow(table.row(i)[3], 2);
  }
  EXPECT_LT(std::sqrt(error / size), 0.02);
}

TEST(PackedTableTest, ProductQuantizationIsExactForFewValues) {
  // 200 different rows a group: each can have a centroid of its own.
  const Matrix values = testing::RandomMatrix(200, 10, 6);
  Matrix table(2000, 10);
  for (int64_t i = 0; i < table.rows(); ++i) {
    std::memcpy(table.row(i), values.row(i % 200), 10 * sizeof(float));
  }
  EXPECT_LT(WorstError(table, FactorType::kPq), 1e-6);
}

TEST(PackedTableTest, EveryFloat16ComesBack) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const uint16_t half = static_cast<uint16_t>(bits);
    if ((half & 0x7c00) == 0x7c00) continue;  // infinities and NaN are refused when packing
    ASSERT_EQ(ToFloat16(FromFloat16(half)), half);
    ASSERT_EQ(Bfloat16::Nearest(Bfloat16{half}.value()).bits, half);
  }
}

TEST(PackedTableTest, HalfTypesRoundToTheNearest) {
  for (uint32_t bits = 0; bits < 0x7bff; ++bits) {
    const uint16_t half = static_cast<uint16_t>(bits);
    const float low = FromFloat16(half), high = FromFloat16(static_cast<uint16_t>(half + 1));
    const float middle = (low + high) / 2;                                    // exact in float32
    ASSERT_EQ(ToFloat16(middle), half % 2 == 0 ? half : half + 1) << middle;  // ties to even
    ASSERT_EQ(ToFloat16(std::nextafter(middle, 0.0f)), half);
    ASSERT_EQ(ToFloat16(std::nextafter(middle, 1e9f)), half + 1);
    ASSERT_EQ(ToFloat16(-middle), ToFloat16(middle) | 0x8000);
  }
}

TEST(PackedTableTest, WhatDoesNotFitIsRefused) {
  Context context(1);
  Matrix table(2, 3);
  table.row(1)[2] = 1e6f;
  const std::vector<int32_t> order = {0, 1};
  EXPECT_THROW(PackTable(context, table.view(), order, FactorType::kFloat16, "items"),
               InvalidArgument);
  EXPECT_NO_THROW(PackTable(context, table.view(), order, FactorType::kBfloat16, "items"));
  table.row(0)[0] = std::nanf("");
  for (FactorType type : testing::kAllTypes) {
    EXPECT_THROW(PackTable(context, table.view(), order, type, "items"), InvalidArgument);
  }
  EXPECT_THROW(ParseFactorType("float8"), InvalidArgument);
}

}  // namespace
}  // namespace penchant
