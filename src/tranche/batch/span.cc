#include "tranche/batch/span.h"

#include <algorithm>

namespace tranche {

bool SpanSet::Add(Span span) {
  if (span.from < 0 || span.to < span.from) return false;
  if (span.rows() == 0) return true;
  // `next` is the first span behind the new one's beginning; they come nearly in order, so it is near the
  // end.
  auto next = std::ranges::upper_bound(spans_, span.from, {}, &Span::from);
  bool touches_next = next != spans_.end() && next->from <= span.to;
  if (touches_next && next->from < span.to) return false;
  bool touches_last = next != spans_.begin() && std::prev(next)->to >= span.from;
  if (touches_last && std::prev(next)->to > span.from) return false;

  if (touches_last && touches_next) {
    std::prev(next)->to = next->to;
    spans_.erase(next);
  } else if (touches_last) {
    std::prev(next)->to = span.to;
  } else if (touches_next) {
    next->from = span.from;
  } else {
    spans_.insert(next, span);
  }
  return true;
}

std::vector<Span> SpanSet::Gaps(int64_t rows) const {
  std::vector<Span> gaps;
  int64_t at = 0;
  for (const Span& span : spans_) {
    if (span.from >= rows) break;
    if (span.from > at) gaps.push_back({at, span.from});
    at = span.to;
  }
  if (at < rows) gaps.push_back({at, rows});
  return gaps;
}

int64_t SpanSet::prefix() const { return spans_.empty() || spans_[0].from > 0 ? 0 : spans_[0].to; }

int64_t SpanSet::rows() const {
  int64_t sum = 0;
  for (const Span& span : spans_) sum += span.rows();
  return sum;
}

}  // namespace tranche
