#include "tranche/connector/sink.h"

namespace tranche {

Counts& Counts::operator+=(const Counts& other) {
  sent += other.sent;
  stored += other.stored;
  superseded += other.superseded;
  unmatched += other.unmatched;
  rejected += other.rejected;
  return *this;
}

Result<Counts> Sink::WriteDirect(const Query&, SinkContext& context) {
  return Fail(Code::kInternal, "store '{}' takes batches, not a query", context.store);
}

Result<Sink::Totals> SumOfJournal(SinkContext& context) {
  TRANCHE_ASSIGN(const auto entries, context.journal->Entries());
  Sink::Totals totals;
  SpanSet spans;
  for (const Journal::Entry& entry : entries) {
    totals.counts += entry.counts;
    if (entry.span.rows() > 0 && !spans.Add(entry.span)) {
      return Fail(Code::kInternal, "the journal of store '{}' holds rows twice, near row {}", context.store,
                  entry.span.from);
    }
  }
  totals.tiles = spans.Tiles(context.rows);
  return totals;
}

}  // namespace tranche
