// Which rows of a stage: [from, to) of its row numbers, from 0. Same span, same rows, for ever.
#pragma once

#include <cstdint>
#include <vector>

namespace tranche {

struct Span {
  int64_t from = 0;
  int64_t to = 0;
  int64_t rows() const { return to - from; }
  bool operator==(const Span&) const = default;
};

// A set of disjoint spans, kept sorted and merged.
class SpanSet {
 public:
  // false, and nothing is changed, if `span` overlaps one that is there.
  bool Add(Span span);
  std::vector<Span> Gaps(int64_t rows) const;  // [0, rows) minus the set
  int64_t rows() const;
  int64_t prefix() const;  // the rows from 0 on without a gap
  bool Tiles(int64_t rows) const { return Gaps(rows).empty() && this->rows() == rows; }
  const std::vector<Span>& spans() const { return spans_; }

 private:
  std::vector<Span> spans_;
};

}  // namespace tranche
