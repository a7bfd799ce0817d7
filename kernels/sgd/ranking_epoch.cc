#include "kernels/sgd/ranking_epoch.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "kernels/base/errors.h"
#include "kernels/base/memory.h"
#include "kernels/base/philox_words.h"
#include "kernels/cuda_ops.h"
#include "kernels/sgd/user_dropout.h"

namespace penchant {

RankingRule RuleOf(const RankingEpoch& epoch, const RankingTables& tables) {
  RankingRule rule = MakeRankingRule(epoch.objective, tables.items.cols, tables.items.rows,
                                     epoch.negatives.log_shares);
  rule.optimizer = epoch.optimizer;
  rule.learning_rate = static_cast<float>(epoch.learning_rate);
  rule.move_items = epoch.move_items;
  return rule;
}

void EpochReport::Add(const EpochReport& other) {
  loss += other.loss;
  positives += other.positives;
  if (other.failed >= 0 && (failed < 0 || other.failed < failed)) failed = other.failed;
}

namespace {

constexpr int64_t kUsersAUnit = 16;
constexpr int64_t kItemsAUnit = 64;
// Rows drawn at a time, so that the next step's are known ahead.
constexpr int64_t kRowsAtATime = 4096;

// What the steps of a portion of users asked of items, step after step: row and derivative of each
// of a step's places (-1: none), and the user's row before it.
struct Pulls {
  std::vector<int32_t> rows;
  Buffer<float> derivatives;
  Buffer<float> users;
};

// What one thread needs to walk the users of a source and to move items.
template <typename Source>
class Walker {
 public:
  Walker(const RankingEpoch& epoch, const Source& source, const RankingTables& tables)
      : epoch_(epoch),
        source_(source),
        tables_(tables),
        kernels_(SelectedRankingStepKernels()),
        fill_words_(SelectedFillPhiloxWords()),
        rule_(RuleOf(epoch, tables)),
        words_(4 * ((rule_.negatives + 1) / 2 + kPhiloxWordsRoom)),
        rejected_((source.num_items() + 63) / 64),
        kept_(rule_.dropped_bytes > 0 ? StepsAtATime() * tables.items.stride : 0),
        scratch_(RankingScratchFloats(rule_.rows_a_step(), tables.items.stride)) {
    batch_.items = tables.items.data;
    batch_.stride = tables.items.stride;
    batch_.user_moments = tables.user_moments;
    batch_.item_moments = tables.item_moments;
    batch_.scratch = scratch_.data();
  }

  // All steps of a user. With `pulls`, from step `step` of them on, items stay and are pulled.
  void Walk(int32_t user, Pulls* pulls, int64_t step) {
    Mark(user, true);
    batch_.user = tables_.users.row(user);
    batch_.user_row = user;
    const int64_t most_steps = StepsAtATime();
    Positive positive;
    auto cursor = source_.Begin(user);
    while (report_.failed < 0 && source_.Next(epoch_.part, &cursor, &positive)) {
      if (static_cast<int64_t>(positives_.size()) % rule_.batch == 0) {
        if (static_cast<int64_t>(positives_.size()) == most_steps * rule_.batch) {
          step += Flush(pulls, step);
        }
        if (rule_.dropped_bytes > 0) Drop(positive.position);
        Draw(positive.position);
      }
      positives_.push_back(positive.item);
      positions_.push_back(positive.position);
    }
    Flush(pulls, step);
    Mark(user, false);
  }

  void MoveItem(int32_t row, std::span<const ItemPull> pulls) {
    kernels_.move_item(rule_, batch_, row, pulls.data(), static_cast<int64_t>(pulls.size()));
  }

  // What was walked since the last call.
  EpochReport TakeReport() { return std::exchange(report_, {}); }

 private:
  int64_t StepsAtATime() const { return std::max<int64_t>(1, kRowsAtATime / rule_.rows_a_step()); }

  // Says which elements the next step sees.
  void Drop(int64_t position) {
    const int64_t stride = batch_.stride;
    float* kept = kept_.data() + static_cast<int64_t>(positives_.size()) / rule_.batch * stride;
    WriteKept(epoch_.part, position, rule_.dropped_bytes, stride, kept);
    batch_.kept = kept_.data();
  }

  // Appends the negatives of a step.
  void Draw(int64_t position) {
    const auto is_rejected = [&](int32_t item) {
      return (rejected_[item / 64] >> (item % 64) & 1) != 0;
    };
    const int64_t m = rule_.negatives;
    fill_words_(epoch_.part.seed, static_cast<uint64_t>(position), DrawCounter(epoch_.part, 0),
                (m + 1) / 2, words_.data());
    for (int64_t k = 0; k < m; ++k) {
      const int32_t item = ItemOfWords(epoch_.negatives, words_[2 * k], words_[2 * k + 1]);
      negatives_.push_back(!is_rejected(item) ? item
                                              : DrawNegative(epoch_.negatives, epoch_.part,
                                                             position, k, m, is_rejected, 1));
    }
  }

  void Mark(int64_t user, bool on) {
    source_.ForEachRejected(user, [&](int32_t item) {
      const uint64_t bit = uint64_t{1} << (item % 64);
      uint64_t& word = rejected_[item / 64];
      word = on ? word | bit : word & ~bit;
    });
  }

  // Runs the steps drawn so far; returns how many.
  int64_t Flush(Pulls* pulls, int64_t step) {
    const auto count = static_cast<int64_t>(positives_.size());
    const int64_t steps = (count + rule_.batch - 1) / rule_.batch;
    if (count > 0 && report_.failed < 0) {
      batch_.positives = positives_.data();
      batch_.negatives = negatives_.data();
      batch_.count = count;
      if (pulls != nullptr) {
        batch_.derivatives = pulls->derivatives.data() + step * rule_.rows_a_step();
        batch_.users = pulls->users.data() + step * batch_.stride;
        ListRows(steps, pulls->rows.data() + step * rule_.rows_a_step());
      }
      kernels_.run(rule_, &batch_);
      report_.loss += batch_.loss;
      report_.positives += count;
      if (batch_.failed >= 0) report_.failed = positions_[batch_.failed];
    }
    positives_.clear();
    positions_.clear();
    negatives_.clear();
    return steps;
  }

  void ListRows(int64_t steps, int32_t* rows) const {
    const auto count = static_cast<int64_t>(positives_.size());
    for (int64_t s = 0; s < steps; ++s) {
      for (int64_t p = s * rule_.batch; p < (s + 1) * rule_.batch; ++p) {
        *rows++ = p < count ? positives_[p] : -1;
      }
      for (int64_t k = 0; k < rule_.negatives; ++k) *rows++ = negatives_[s * rule_.negatives + k];
    }
  }

  const RankingEpoch& epoch_;
  const Source source_;
  const RankingTables& tables_;
  const RankingStepKernels& kernels_;
  const FillPhiloxWordsKernel fill_words_;
  const RankingRule rule_;
  std::vector<uint32_t> words_;
  std::vector<uint64_t> rejected_;  // a bit an item, as negatives of the user being walked
  Buffer<float> kept_;              // of the steps drawn so far
  Buffer<float> scratch_;
  std::vector<int32_t> positives_, negatives_;
  std::vector<int64_t> positions_;
  RankingSteps batch_;
  EpochReport report_;
};

template <typename Source>
using Walkers = std::vector<std::unique_ptr<Walker<Source>>>;

template <typename Source>
void WalkAtOnce(Context& context, const EpochOrder& order, Walkers<Source>& walkers,
                EpochReport* report) {
  context.ParallelFor((order.num_users() + kUsersAUnit - 1) / kUsersAUnit,
                      [&](int64_t unit, int worker) {
                        const int64_t begin = unit * kUsersAUnit;
                        const int64_t end = std::min(order.num_users(), begin + kUsersAUnit);
                        for (int64_t i = begin; i < end; ++i) {
                          walkers[worker]->Walk(order.users()[i], nullptr, 0);
                        }
                      });
  for (const auto& walker : walkers) report->Add(walker->TakeReport());
}

template <typename Source>
void WalkInPortions(Context& context, const EpochOrder& order, const RankingRule& rule,
                    int64_t stride, Walkers<Source>& walkers, EpochReport* report) {
  const int64_t size = rule.rows_a_step();
  Pulls pulls{std::vector<int32_t>(order.most_steps() * size),
              Buffer<float>(order.most_steps() * size), Buffer<float>(order.most_steps() * stride)};
  std::vector<uint64_t> places;     // item << 32 | place
  std::vector<int64_t> item_begin;  // of places
  for (const EpochOrder::Portion& portion : order.portions()) {
    const int64_t users = portion.end - portion.begin;
    std::vector<EpochReport> parts((users + kUsersAUnit - 1) / kUsersAUnit);
    context.ParallelFor(static_cast<int64_t>(parts.size()), [&](int64_t unit, int worker) {
      const int64_t begin = portion.begin + unit * kUsersAUnit;
      for (int64_t i = begin; i < std::min(portion.end, begin + kUsersAUnit); ++i) {
        walkers[worker]->Walk(order.users()[i], &pulls, order.first_steps()[i]);
      }
      parts[unit] = walkers[worker]->TakeReport();
    });
    for (const EpochReport& part : parts) report->Add(part);
    if (report->failed >= 0) return;
    places.clear();
    for (int64_t place = 0; place < portion.steps * size; ++place) {
      if (pulls.rows[place] < 0 || pulls.derivatives.data()[place] == 0.0f) continue;
      places.push_back(static_cast<uint64_t>(pulls.rows[place]) << 32 |
                       static_cast<uint64_t>(place));
    }
    std::sort(places.begin(), places.end());
    item_begin.clear();
    for (size_t i = 0; i < places.size(); ++i) {
      if (i == 0 || places[i] >> 32 != places[i - 1] >> 32) {
        item_begin.push_back(static_cast<int64_t>(i));
      }
    }
    const auto items = static_cast<int64_t>(item_begin.size());
    item_begin.push_back(static_cast<int64_t>(places.size()));
    context.ParallelFor((items + kItemsAUnit - 1) / kItemsAUnit, [&](int64_t unit, int worker) {
      std::vector<ItemPull> mine;
      for (int64_t t = unit * kItemsAUnit; t < std::min(items, (unit + 1) * kItemsAUnit); ++t) {
        mine.clear();
        for (int64_t i = item_begin[t]; i < item_begin[t + 1]; ++i) {
          const auto place = static_cast<int64_t>(places[i] & 0xffffffffu);
          mine.push_back(
              {pulls.users.data() + place / size * stride, pulls.derivatives.data()[place]});
        }
        walkers[worker]->MoveItem(static_cast<int32_t>(places[item_begin[t]] >> 32), mine);
      }
    });
  }
}

template <typename Source>
void CheckShapes(const RankingEpoch& epoch, const Source& source, const RankingTables& tables) {
  PENCHANT_REQUIRE(source.num_rows() == tables.users.rows &&
                       source.num_items() == tables.items.rows &&
                       tables.users.cols == tables.items.cols,
                   "RunRankingEpoch: the interactions are ", source.num_rows(), " x ",
                   source.num_items(), ", the tables ", tables.users.rows, " x ", tables.users.cols,
                   " and ", tables.items.rows, " x ", tables.items.cols);
  epoch.objective.Validate();
}

template <typename Source>
std::shared_ptr<const EpochReport> RunEpoch(Context& context, const RankingEpoch& epoch,
                                            const EpochOrder& order, const Source& source,
                                            const RankingTables& tables) {
  Walkers<Source> walkers;
  for (int worker = 0; worker < context.num_threads(); ++worker) {
    walkers.push_back(std::make_unique<Walker<Source>>(epoch, source, tables));
  }
  const auto report = std::make_shared<EpochReport>();
  if (order.deterministic() && epoch.move_items) {
    WalkInPortions(context, order, RuleOf(epoch, tables), tables.items.stride, walkers,
                   report.get());
  } else {
    WalkAtOnce(context, order, walkers, report.get());
  }
  return report;
}

}  // namespace

std::shared_ptr<const EpochReport> RunRankingEpoch(Context& context, const RankingEpoch& epoch,
                                                   const EpochOrder& order,
                                                   const CsrPositives& users,
                                                   const RankingTables& tables) {
  CheckShapes(epoch, users, tables);
  return context.cuda() ? context.cuda()->ops()->ranking_epoch(context, epoch, order, users, tables)
                        : RunEpoch(context, epoch, order, users, tables);
}

std::shared_ptr<const EpochReport> RunRankingEpoch(Context& context, const RankingEpoch& epoch,
                                                   const EpochOrder& order,
                                                   const SkipGramContexts& centers,
                                                   const RankingTables& tables) {
  CheckShapes(epoch, centers, tables);
  return context.cuda()
             ? context.cuda()->ops()->skip_gram_epoch(context, epoch, order, centers, tables)
             : RunEpoch(context, epoch, order, centers, tables);
}

}  // namespace penchant
