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

}  // namespace tranche
