#include "kernels/cluster/k_means.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "kernels/base/device_memory.h"
#include "kernels/base/errors.h"
#include "kernels/base/philox.h"
#include "kernels/score/gather_rows.h"
#include "kernels/score/top_k.h"
#include "kernels/sparse/average_rows.h"

namespace penchant {
namespace {

constexpr int64_t kRowsAUnit = 1024;
constexpr int64_t kSampleACenter = 256;  // rows that seeding looks at
constexpr int kPatience = 10;            // batches without a lower inertia

// What draws random numbers of its own.
enum Purpose : uint64_t { kSeeding, kBatches };

double SquaredDistance(const float* a, const float* b, int64_t d) {
  double sum = 0;
  for (int64_t k = 0; k < d; ++k) {
    const double difference = double{a[k]} - double{b[k]};
    sum += difference * difference;
  }
  return sum;
}

// Rows drawn for a purpose, one number a place.
std::vector<int32_t> DrawRows(uint64_t key, uint64_t round, int64_t count, int64_t num_rows) {
  std::vector<int32_t> rows(count);
  for (int64_t i = 0; i < count; ++i) {
    const PhiloxWords words = Philox(key, static_cast<uint64_t>(i), round);
    rows[i] =
        static_cast<int32_t>(UniformBelow(words[0], words[1], static_cast<uint64_t>(num_rows)));
  }
  return rows;
}

// Rows [x, 1]: against centers [c, -|c|^2 / 2] the nearest has the largest product.
Matrix WithConstant(MatrixView<const float> rows) {
  Matrix table(rows.rows, rows.cols + 1);
  for (int64_t i = 0; i < rows.rows; ++i) {
    std::copy(rows.row(i), rows.row(i) + rows.cols, table.row(i));
    table.row(i)[rows.cols] = 1.0f;
  }
  return table;
}

Matrix WithNorms(MatrixView<const float> centers) {
  Matrix table(centers.rows, centers.cols + 1);
  for (int64_t c = 0; c < centers.rows; ++c) {
    std::copy(centers.row(c), centers.row(c) + centers.cols, table.row(c));
    double square = 0;
    for (int64_t k = 0; k < centers.cols; ++k) {
      square += double{centers.row(c)[k]} * double{centers.row(c)[k]};
    }
    table.row(c)[centers.cols] = static_cast<float>(-0.5 * square);
  }
  return table;
}

// The nearest center of rows that WithConstant made.
std::vector<int32_t> NearestOf(Context& context, const DeviceMatrix& rows,
                               MatrixView<const float> centers) {
  const DeviceMatrix targets(context, WithNorms(centers));
  const ItemIndex index(context, targets.view());
  DeviceBuffer<int32_t> ids(context, rows.rows());
  DeviceBuffer<float> scores(context, rows.rows());
  TopK(context, rows.view(), index, {.k = 1}, ids.data(), scores.data());
  return Download(context, ids);
}

class KMeansRun {
 public:
  KMeansRun(Context& context, MatrixView<const float> rows, const KMeansOptions& options)
      : context_(context),
        rows_(rows),
        options_(options),
        whole_(rows.rows <= options.batch),
        table_(context, WithConstant(rows)),
        centers_(options.k, rows.cols),
        met_(options.k) {}

  KMeansResult Run() {
    Seed();
    KMeansResult result;
    result.iterations = whole_ ? Lloyd() : Batches();
    result.centers = std::move(centers_);
    Finish(&result);
    return result;
  }

 private:
  // The first center is any row of the sample. For each further one a few rows are drawn with
  // probabilities that grow with the square of their distance to the centers so far; the one that
  // brings all rows nearest is taken.
  void Seed() {
    const uint64_t key = SubSeed(options_.seed, kSeeding);
    const int64_t wanted = std::max(options_.batch, kSampleACenter * options_.k);
    std::vector<int32_t> sample(rows_.rows);
    std::iota(sample.begin(), sample.end(), 0);
    if (rows_.rows > wanted) sample = DrawRows(key, 0, wanted, rows_.rows);
    const auto size = static_cast<int64_t>(sample.size());
    const auto trials = 2 + static_cast<int64_t>(std::log(static_cast<double>(options_.k)));
    std::vector<double> squares(size, std::numeric_limits<double>::infinity());
    std::vector<int32_t> drawn = DrawRows(key, 1, 1, size);
    for (int64_t c = 0; c < options_.k; ++c) {
      int32_t best = drawn[0];
      std::vector<double> nearest;
      double least = std::numeric_limits<double>::infinity();
      for (int32_t candidate : drawn) {
        std::vector<double> with = Nearer(squares, sample, rows_.row(sample[candidate]));
        const double total = std::accumulate(with.begin(), with.end(), 0.0);
        if (!nearest.empty() && !(total < least)) continue;
        best = candidate;
        least = total;
        nearest = std::move(with);
      }
      squares = std::move(nearest);
      std::copy(rows_.row(sample[best]), rows_.row(sample[best]) + rows_.cols, centers_.row(c));
      drawn.assign(trials, 0);
      for (int64_t trial = 0; trial < trials; ++trial) {
        const PhiloxWords words =
            Philox(key, static_cast<uint64_t>(c) << 16 | static_cast<uint64_t>(trial), 2);
        double left = static_cast<double>(UniformOpen(words[0])) * least;
        int32_t& row = drawn[trial];
        while (row + 1 < size && (left -= squares[row]) > 0) ++row;
      }
    }
  }

  // Each sample row's squared distance to the nearest center, if `center` were one more.
  std::vector<double> Nearer(const std::vector<double>& squares, const std::vector<int32_t>& sample,
                             const float* center) const {
    std::vector<double> with(squares.size());
    const auto size = static_cast<int64_t>(squares.size());
    context_.ParallelFor((size + kRowsAUnit - 1) / kRowsAUnit, [&](int64_t unit, int) {
      for (int64_t i = unit * kRowsAUnit; i < std::min(size, (unit + 1) * kRowsAUnit); ++i) {
        with[i] = std::min(squares[i], SquaredDistance(rows_.row(sample[i]), center, rows_.cols));
      }
    });
    return with;
  }

  // The nearest center of every query, and about the squared distance.
  struct Assignment {
    std::vector<int32_t> labels;
    std::vector<float> squares;
    double inertia() const { return std::accumulate(squares.begin(), squares.end(), 0.0); }
  };
  Assignment Assign(const DeviceMatrix& queries, const std::vector<int32_t>& rows) const {
    Assignment assignment{NearestOf(context_, queries, centers_.view()),
                          std::vector<float>(queries.rows())};
    context_.ParallelFor((queries.rows() + kRowsAUnit - 1) / kRowsAUnit, [&](int64_t unit, int) {
      const int64_t end = std::min(queries.rows(), (unit + 1) * kRowsAUnit);
      for (int64_t i = unit * kRowsAUnit; i < end; ++i) {
        const float* row = rows_.row(rows.empty() ? i : rows[i]);
        assignment.squares[i] = static_cast<float>(
            SquaredDistance(row, centers_.row(assignment.labels[i]), rows_.cols));
      }
    });
    return assignment;
  }

  // Moves every center by its rows' share of all that it has met so far (all of the way on whole
  // tables), and those that met none to the farthest rows.
  void MoveCenters(const DeviceMatrix& queries, const std::vector<int32_t>& rows,
                   const Assignment& assignment) {
    const auto count = static_cast<int64_t>(assignment.labels.size());
    std::vector<int64_t> offsets(options_.k + 1);
    for (int32_t label : assignment.labels) ++offsets[label + 1];
    std::partial_sum(offsets.begin(), offsets.end(), offsets.begin());
    std::vector<int32_t> members(count);
    std::vector<int64_t> next(offsets.begin(), offsets.end() - 1);
    for (int64_t i = 0; i < count; ++i) {
      members[next[assignment.labels[i]]++] = static_cast<int32_t>(i);
    }
    const DeviceCsr lists(context_,
                          CsrView{options_.k, count, offsets.data(), members.data(), nullptr});
    DeviceMatrix on_device(context_, options_.k, rows_.cols + 1);
    AverageRows(context_, lists.view(), queries.view(), on_device.view());
    const Matrix means = on_device.Release(context_);
    std::vector<int64_t> empty;
    for (int64_t c = 0; c < options_.k; ++c) {
      const int64_t mine = offsets[c + 1] - offsets[c];
      met_[c] = whole_ ? mine : met_[c] + mine;
      if (met_[c] == 0) empty.push_back(c);
      if (mine == 0) continue;
      const double share = static_cast<double>(mine) / static_cast<double>(met_[c]);
      for (int64_t k = 0; k < rows_.cols; ++k) {
        float& x = centers_.row(c)[k];
        x = static_cast<float>(double{x} + share * (double{means.row(c)[k]} - double{x}));
      }
    }
    if (empty.empty()) return;
    std::vector<int32_t> farthest(count);
    std::iota(farthest.begin(), farthest.end(), 0);
    const auto last = farthest.begin() + std::min(count, static_cast<int64_t>(empty.size()));
    std::partial_sort(farthest.begin(), last, farthest.end(), [&](int32_t a, int32_t b) {
      return std::pair(-assignment.squares[a], a) < std::pair(-assignment.squares[b], b);
    });
    for (int64_t e = 0; e < last - farthest.begin(); ++e) {
      if (!(assignment.squares[farthest[e]] > 0)) break;  // fewer distinct rows than centers
      const float* row = rows_.row(rows.empty() ? farthest[e] : rows[farthest[e]]);
      std::copy(row, row + rows_.cols, centers_.row(empty[e]));
    }
  }

  int Lloyd() {
    std::vector<int32_t> before;
    for (int iteration = 1; iteration <= options_.max_iterations; ++iteration) {
      context_.Poll();
      const Assignment assignment = Assign(table_, {});
      if (assignment.labels == before) return iteration;
      MoveCenters(table_, {}, assignment);
      before = assignment.labels;
    }
    return options_.max_iterations;
  }

  int Batches() {
    const uint64_t key = SubSeed(options_.seed, kBatches);
    const double weight =
        std::min(1.0, 2.0 * static_cast<double>(options_.batch) / static_cast<double>(rows_.rows));
    double smoothed = -1, best = std::numeric_limits<double>::infinity();
    int waited = 0;
    DeviceMatrix queries(context_, options_.batch, rows_.cols + 1);
    for (int iteration = 1; iteration <= options_.max_iterations; ++iteration) {
      context_.Poll();
      const auto rows = DrawRows(key, static_cast<uint64_t>(iteration), options_.batch, rows_.rows);
      const auto on_device = Upload<int32_t>(context_, rows);
      GatherRows(context_, table_.view(), on_device.data(), queries.view());
      const Assignment assignment = Assign(queries, rows);
      MoveCenters(queries, rows, assignment);
      const double inertia = assignment.inertia();
      smoothed = smoothed < 0 ? inertia : smoothed + weight * (inertia - smoothed);
      waited = smoothed < best ? 0 : waited + 1;
      best = std::min(best, smoothed);
      if (waited >= kPatience) return iteration;
    }
    return options_.max_iterations;
  }

  void Finish(KMeansResult* result) {
    centers_ = result->centers.Clone();
    Assignment assignment = Assign(table_, {});
    result->inertia = assignment.inertia();
    result->labels = std::move(assignment.labels);
    result->squares = std::move(assignment.squares);
  }

  Context& context_;
  MatrixView<const float> rows_;
  const KMeansOptions options_;
  const bool whole_;
  DeviceMatrix table_;
  Matrix centers_;
  std::vector<int64_t> met_;  // rows, a center
};

}  // namespace

std::vector<int32_t> NearestCenters(Context& context, MatrixView<const float> rows,
                                    MatrixView<const float> centers) {
  PENCHANT_REQUIRE(rows.cols == centers.cols && centers.rows > 0, "NearestCenters: rows have ",
                   rows.cols, " columns, the ", centers.rows, " centers ", centers.cols);
  return NearestOf(context, DeviceMatrix(context, WithConstant(rows)), centers);
}

KMeansResult KMeans(Context& context, MatrixView<const float> rows, const KMeansOptions& options) {
  PENCHANT_REQUIRE(options.k >= 1 && options.k <= rows.rows, "k must be in [1, ", rows.rows,
                   "], the number of rows; got ", options.k);
  PENCHANT_REQUIRE(options.max_iterations >= 1, "max_iterations must be at least 1; got ",
                   options.max_iterations);
  PENCHANT_REQUIRE(options.batch >= 1, "batch_size must be at least 1; got ", options.batch);
  for (int64_t i = 0; i < rows.rows; ++i) {
    for (int64_t k = 0; k < rows.cols; ++k) {
      PENCHANT_REQUIRE(std::isfinite(rows.row(i)[k]), "row ", i, " holds ", rows.row(i)[k]);
    }
  }
  return KMeansRun(context, rows, options).Run();
}

}  // namespace penchant
