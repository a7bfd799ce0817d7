#include "io/artifact/table_packer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "io/artifact/float16.h"
#include "kernels/base/bfloat16.h"
#include "kernels/base/errors.h"
#include "kernels/base/memory.h"
#include "kernels/cluster/k_means.h"

namespace penchant {
namespace {

constexpr int64_t kPqWidth = 4;
constexpr int64_t kPqSample = 16384;
constexpr int kPqIterations = 20;
constexpr float kMaxFloat16 = 65504.0f;

// Symmetric integers of at most `most`, with a scale.
struct Quantized {
  float scale = 0;
  double error = 0;  // squared
};

Quantized TryScale(const float* row, int64_t d, float scale, int most) {
  Quantized tried = {scale, 0};
  for (int64_t k = 0; k < d; ++k) {
    const float code = std::clamp(std::nearbyint(row[k] / scale), -static_cast<float>(most),
                                  static_cast<float>(most));
    const double off = double{row[k]} - double{code} * double{scale};
    tried.error += off * off;
  }
  return tried;
}

// Int4's few steps are better spent when the largest numbers are cut off a little.
float BestScale(const float* row, int64_t d, int most, bool search) {
  float largest = 0;
  for (int64_t k = 0; k < d; ++k) largest = std::max(largest, std::abs(row[k]));
  const float whole = largest / static_cast<float>(most);
  if (!(whole > 0)) return 0;
  Quantized best = TryScale(row, d, whole, most);
  for (int step = 1; search && step <= 8; ++step) {
    const Quantized tried =
        TryScale(row, d, whole * (1.0f - 0.05f * static_cast<float>(step)), most);
    if (tried.error < best.error) best = tried;
  }
  return best.scale;
}

int Code(float value, float scale, int most) {
  if (scale == 0) return 0;
  return static_cast<int>(std::clamp(std::nearbyint(value / scale), -static_cast<float>(most),
                                     static_cast<float>(most)));
}

// The root mean square of a column, to the nearest power of two: small changes of a table then
// leave the codes of other rows alone, and deltas small.
float ColumnScale(MatrixView<const float> table, std::span<const int32_t> order, int64_t k) {
  double sum = 0;
  for (int32_t row : order) sum += double{table.row(row)[k]} * double{table.row(row)[k]};
  if (!(sum > 0)) return 1.0f;
  return static_cast<float>(
      std::exp2(std::nearbyint(0.5 * std::log2(sum / static_cast<double>(order.size())))));
}

void PackRow(const float* values, int64_t i, PackedTable* table) {
  const PackedShape& shape = table->shape;
  std::vector<float> scaled(values, values + shape.cols);
  for (size_t k = 0; k < table->columns.size(); ++k) scaled[k] /= table->columns[k];
  const float* row = scaled.data();
  const bool int4 = shape.type == FactorType::kInt4;
  const int most = int4 ? 7 : 127;
  float scale = 0;
  if (shape.has_scales()) {
    scale = BestScale(row, shape.cols, most, int4);
    table->scales[static_cast<size_t>(i)] = scale;
  }
  for (int64_t k = 0; k < shape.cols; ++k) {
    const auto set = [&](const auto& value) {
      uint8_t code[sizeof(value)];
      std::memcpy(code, &value, sizeof(value));
      table->SetCode(i, k, code);
    };
    switch (shape.type) {
      case FactorType::kFloat32:
        set(row[k]);
        break;
      case FactorType::kFloat16:
        set(ToFloat16(row[k]));
        break;
      case FactorType::kBfloat16:
        set(Bfloat16::Nearest(row[k]).bits);
        break;
      case FactorType::kInt8:
        set(static_cast<int8_t>(Code(row[k], scale, most)));
        break;
      case FactorType::kInt4:
        set(static_cast<uint8_t>(Code(row[k], scale, most) + 8));
        break;
      case FactorType::kPq:
        break;
    }
  }
}

// One group of factors at a time: centroids of a sample, then the nearest of every row.
void PackGroups(Context& context, MatrixView<const float> rows, std::span<const int32_t> order,
                PackedTable* table) {
  const PackedShape& shape = table->shape;
  const int64_t n = shape.rows, sample = std::min(n, kPqSample);
  for (int64_t group = 0; group < shape.codes_a_row(); ++group) {
    const int64_t begin = group * shape.pq_width;
    const int64_t width = std::min(shape.pq_width, shape.cols - begin);
    const auto gather = [&](int64_t count) {  // evenly spread
      Matrix part(count, width);
      for (int64_t i = 0; i < count; ++i) {
        const float* row = rows.row(order[static_cast<size_t>(i * n / count)]) + begin;
        std::copy(row, row + width, part.row(i));
      }
      return part;
    };
    const KMeansResult found = KMeans(
        context, gather(sample).view(),
        {.k = std::min(sample, kCentroids), .max_iterations = kPqIterations, .batch = sample});
    for (int64_t c = 0; c < found.centers.rows(); ++c) {
      for (int64_t k = 0; k < width; ++k) {
        table->centroids[static_cast<size_t>((begin + k) * kCentroids + c)] =
            found.centers.row(c)[k];
      }
    }
    const auto nearest = NearestCenters(context, gather(n).view(), found.centers.view());
    for (int64_t i = 0; i < n; ++i) {
      const auto code = static_cast<uint8_t>(nearest[static_cast<size_t>(i)]);
      table->SetCode(i, group, &code);
    }
  }
}

}  // namespace

PackedTable PackTable(Context& context, MatrixView<const float> table,
                      std::span<const int32_t> order, FactorType type, const std::string& what) {
  PackedTable packed({type, static_cast<int64_t>(order.size()), table.cols, kPqWidth});
  for (int32_t row : order) {
    for (int64_t k = 0; k < table.cols; ++k) {
      const float value = table.row(row)[k];
      PENCHANT_REQUIRE(std::isfinite(value), what, ": row ", row, " has the factor ", value,
                       "; wanted finite numbers");
      PENCHANT_REQUIRE(type != FactorType::kFloat16 || std::abs(value) <= kMaxFloat16, what,
                       ": the factor ", value, " of row ", row,
                       " does not fit float16; bfloat16 has float32's range");
    }
  }
  if (order.empty()) return packed;
  if (type == FactorType::kPq) {
    PackGroups(context, table, order, &packed);
    return packed;
  }
  for (size_t k = 0; k < packed.columns.size(); ++k) {
    packed.columns[k] = ColumnScale(table, order, static_cast<int64_t>(k));
  }
  context.ParallelFor(packed.shape.num_panels(), [&](int64_t p, int) {
    const int64_t end = std::min(packed.shape.rows, (p + 1) * kPanelItems);
    for (int64_t i = p * kPanelItems; i < end; ++i) {
      PackRow(table.row(order[static_cast<size_t>(i)]), i, &packed);
    }
  });
  return packed;
}

}  // namespace penchant
