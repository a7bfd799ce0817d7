// Skip-gram's positives: for an item, the items around its occurrences in sequences (Mikolov et al.
// 2013; of baskets, Barkan and Koenigstein 2016).
#ifndef PENCHANT_KERNELS_SGD_SKIP_GRAM_CONTEXTS_H_
#define PENCHANT_KERNELS_SGD_SKIP_GRAM_CONTEXTS_H_

#include <cstdint>

#include "kernels/base/host_device.h"
#include "kernels/sgd/csr_positives.h"
#include "kernels/sgd/epoch_part.h"

namespace penchant {

// Rows are items as centers. Each epoch an occurrence at position p is kept with its item's
// probability and has a window b drawn from 1 to `window`. Its contexts are the b kept items before
// and the b behind it in its sequence; in baskets, 2 b items of the basket drawn anew, but not p
// itself. All on the device that walks.
struct SkipGramContexts {
  int64_t items = 0;
  const int32_t* tokens = nullptr;     // of all sequences, one after the other
  const int64_t* bounds = nullptr;     // sequence s is tokens [bounds[s], bounds[s + 1])
  const int64_t* offsets = nullptr;    // item i occurs in [offsets[i], offsets[i + 1]) of these:
  const int64_t* positions = nullptr;  // among tokens
  const int32_t* sequences = nullptr;  // which
  const float* keep = nullptr;         // probability, an item; null: all are kept
  int32_t window = 1;
  bool ordered = true;  // false: sequences are baskets

  static constexpr const char* kName = "SkipGramContexts";
  int64_t num_rows() const { return items; }
  int64_t num_items() const { return items; }

  struct Cursor {
    int64_t next, end;           // occurrences to come
    int64_t begin_of, end_of;    // the present one's sequence
    int64_t center, at;          // its position; where the next context is looked for
    int32_t reach, slot, slots;  // contexts a side; looked at, and to look at
  };
  PENCHANT_HOST_DEVICE Cursor Begin(int64_t row) const {
    return {offsets[row], offsets[row + 1], 0, 0, 0, 0, 0, 0, 0};
  }

  // The row's next context of the part; false: none is left.
  PENCHANT_HOST_DEVICE bool Next(const EpochPart& part, Cursor* c, Positive* positive) const {
    while (true) {
      while (c->slot < c->slots) {
        const int32_t slot = c->slot++;
        const int64_t number = c->center * 2 * window + slot;
        const int64_t at = ordered ? Beside(part, c, slot) : Drawn(part, *c, number);
        if (at < 0) continue;
        *positive = {tokens[at], number};
        return true;
      }
      if (c->next == c->end) return false;
      Open(part, c);
    }
  }

  PENCHANT_HOST_DEVICE bool Rejects(int64_t row, int32_t item) const { return item == row; }
  template <typename Visit>
  void ForEachRejected(int64_t row, const Visit& visit) const {
    visit(static_cast<int32_t>(row));
  }

 private:
  // What an epoch draws for a position.
  enum Draw : uint64_t { kReach = 1, kKept = 2, kPlace = 3 };

  PENCHANT_HOST_DEVICE bool Kept(const EpochPart& part, int64_t position) const {
    return keep == nullptr || static_cast<float>(part.Random(position, kKept) >> 8) * 0x1p-24f <
                                  keep[tokens[position]];
  }

  // Turns to the next occurrence.
  PENCHANT_HOST_DEVICE void Open(const EpochPart& part, Cursor* c) const {
    const int64_t occurrence = c->next++;
    c->center = positions[occurrence];
    c->slot = c->slots = 0;
    if (!part.Has(c->center) || !Kept(part, c->center)) return;
    const int32_t sequence = sequences[occurrence];
    c->begin_of = bounds[sequence];
    c->end_of = bounds[sequence + 1];
    if (c->end_of - c->begin_of < 2) return;
    c->reach = 1 + static_cast<int32_t>(
                       part.Random(c->center, kReach) * static_cast<uint64_t>(window) >> 32);
    c->slots = 2 * c->reach;
    c->at = c->center;
  }

  // The next kept position before the center, or from slot `reach` on behind it; -1: none.
  PENCHANT_HOST_DEVICE int64_t Beside(const EpochPart& part, Cursor* c, int32_t slot) const {
    if (slot == c->reach) c->at = c->center;
    const int64_t step = slot < c->reach ? -1 : 1;
    for (int64_t at = c->at + step; at >= c->begin_of && at < c->end_of; at += step) {
      if (!Kept(part, at)) continue;
      c->at = at;
      return at;
    }
    c->slot = slot < c->reach ? c->reach : c->slots;  // this side has no more
    return -1;
  }

  // A position of the basket but the center; -1: not kept.
  PENCHANT_HOST_DEVICE int64_t Drawn(const EpochPart& part, const Cursor& c, int64_t number) const {
    const auto others = static_cast<uint64_t>(c.end_of - c.begin_of - 1);
    int64_t at = c.begin_of + static_cast<int64_t>(part.Random(number, kPlace) * others >> 32);
    at += at >= c.center;
    return Kept(part, at) ? at : -1;
  }
};

}  // namespace penchant

#endif  // PENCHANT_KERNELS_SGD_SKIP_GRAM_CONTEXTS_H_
