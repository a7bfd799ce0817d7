#include "trainer/metrics.h"

#include <iterator>

#include "kernels/base/errors.h"

namespace penchant {

double MetricByName(const RankingMetrics& metrics, const std::string& name) {
  const double values[] = {metrics.recall, metrics.precision, metrics.ndcg,
                           metrics.map,    metrics.mrr,       metrics.hit_rate};
  std::string known;
  for (size_t i = 0; i < std::size(kMetricNames); ++i) {
    if (name == kMetricNames[i]) return values[i];
    known += std::string(known.empty() ? "" : ", ") + kMetricNames[i];
  }
  throw InvalidArgument("unknown metric \"" + name + "\"; known are " + known);
}

}  // namespace penchant
