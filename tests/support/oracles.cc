#include "tests/support/oracles.h"

#include <algorithm>
#include <cmath>

namespace penchant::oracle {
namespace {

std::vector<double> SolveByElimination(Table a, std::vector<double> b) {
  const size_t n = b.size();
  for (size_t k = 0; k < n; ++k) {
    size_t pivot = k;
    for (size_t i = k + 1; i < n; ++i) {
      if (std::abs(a[i][k]) > std::abs(a[pivot][k])) pivot = i;
    }
    std::swap(a[k], a[pivot]);
    std::swap(b[k], b[pivot]);
    for (size_t i = k + 1; i < n; ++i) {
      const double factor = a[i][k] / a[k][k];
      for (size_t j = k; j < n; ++j) a[i][j] -= factor * a[k][j];
      b[i] -= factor * b[k];
    }
  }
  for (size_t k = n; k-- > 0;) {
    for (size_t j = k + 1; j < n; ++j) b[k] -= a[k][j] * b[j];
    b[k] /= a[k][k];
  }
  return b;
}

}  // namespace

Table FromView(MatrixView<const float> view) {
  Table table(view.rows, std::vector<double>(view.cols));
  for (int64_t i = 0; i < view.rows; ++i) {
    for (int64_t k = 0; k < view.cols; ++k) table[i][k] = view.row(i)[k];
  }
  return table;
}

Table Gram(const Table& y) {
  const size_t d = y.empty() ? 0 : y[0].size();
  Table gram(d, std::vector<double>(d, 0.0));
  for (const auto& row : y) {
    for (size_t i = 0; i < d; ++i) {
      for (size_t j = 0; j < d; ++j) gram[i][j] += row[i] * row[j];
    }
  }
  return gram;
}

std::vector<double> AlsRow(const AlsObjective& objective, const Table& fixed, const CsrView& rows,
                           int64_t row) {
  return AlsRow(objective, fixed, Gram(fixed), rows, row);
}

std::vector<double> AlsRow(const AlsObjective& objective, const Table& fixed, const Table& gram,
                           const CsrView& rows, int64_t row) {
  const double w0 = objective.unobserved_weight;
  const size_t d = fixed[0].size();
  Table a = gram;
  std::vector<double> b(d, 0.0);
  const int64_t n = rows.offsets[row + 1] - rows.offsets[row];
  const double lambda = objective.regularization *
                        std::pow(static_cast<double>(n) + w0 * static_cast<double>(fixed.size()),
                                 objective.regularization_power);
  for (size_t i = 0; i < d; ++i) {
    for (size_t j = 0; j < d; ++j) a[i][j] *= w0;
    a[i][i] += lambda;
  }
  for (int64_t e = rows.offsets[row]; e < rows.offsets[row + 1]; ++e) {
    const double r = rows.values ? rows.values[e] : 1.0;
    const double c = w0 + objective.alpha * std::abs(r);
    const double p = r > 0 ? 1.0 : 0.0;
    const auto& y = fixed[rows.indices[e]];
    for (size_t i = 0; i < d; ++i) {
      for (size_t j = 0; j < d; ++j) a[i][j] += (c - w0) * y[i] * y[j];
      b[i] += c * p * y[i];
    }
  }
  return SolveByElimination(a, b);
}

double AlsLoss(const AlsObjective& objective, const Table& users, const Table& items,
               const CsrView& user_items) {
  const double w0 = objective.unobserved_weight;
  double loss = 0;
  std::vector<double> item_count(items.size(), 0.0);
  for (size_t u = 0; u < users.size(); ++u) {
    std::vector<double> r(items.size(), 0.0);
    int64_t n = 0;
    for (int64_t e = user_items.offsets[u]; e < user_items.offsets[u + 1]; ++e) {
      r[user_items.indices[e]] = user_items.values ? user_items.values[e] : 1.0;
      item_count[user_items.indices[e]] += 1;
      ++n;
    }
    double norm = 0;
    for (double x : users[u]) norm += x * x;
    loss += objective.regularization *
            std::pow(static_cast<double>(n) + w0 * static_cast<double>(items.size()),
                     objective.regularization_power) *
            norm;
    for (size_t i = 0; i < items.size(); ++i) {
      double score = 0;
      for (size_t k = 0; k < users[u].size(); ++k) score += users[u][k] * items[i][k];
      if (r[i] == 0) {
        loss += w0 * score * score;
      } else {
        const double p = r[i] > 0 ? 1.0 : 0.0;
        loss += (w0 + objective.alpha * std::abs(r[i])) * (p - score) * (p - score);
      }
    }
  }
  for (size_t i = 0; i < items.size(); ++i) {
    double norm = 0;
    for (double y : items[i]) norm += y * y;
    loss += objective.regularization *
            std::pow(item_count[i] + w0 * static_cast<double>(users.size()),
                     objective.regularization_power) *
            norm;
  }
  return loss;
}

std::vector<std::pair<float, int32_t>> TopK(const std::vector<float>& query,
                                            MatrixView<const float> items, int64_t k,
                                            const std::vector<int32_t>& excluded) {
  std::vector<std::pair<float, int32_t>> all;
  for (int64_t i = 0; i < items.rows; ++i) {
    const auto id = static_cast<int32_t>(i);
    if (std::find(excluded.begin(), excluded.end(), id) != excluded.end()) continue;
    double score = 0;
    for (int64_t f = 0; f < items.cols; ++f) score += double{query[f]} * double{items.row(i)[f]};
    all.emplace_back(static_cast<float>(score), id);
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return a.first > b.first || (a.first == b.first && a.second < b.second);
  });
  if (static_cast<int64_t>(all.size()) > k) all.resize(k);
  return all;
}

}  // namespace penchant::oracle
