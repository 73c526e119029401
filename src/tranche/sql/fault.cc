#include "tranche/sql/fault.h"

namespace tranche::sql {
namespace {

struct Class {
  std::string_view prefix;  // of the SQLSTATE
  Fault::Kind kind;
};

// The longest prefix counts.
constexpr Class kClasses[] = {
    {"22", Fault::Kind::kRow},       // data exception
    {"23", Fault::Kind::kRow},       // integrity constraint violation
    {"44", Fault::Kind::kRow},       // WITH CHECK OPTION
    {"P0001", Fault::Kind::kRow},    // RAISE EXCEPTION
    {"54000", Fault::Kind::kRow},    // an index takes no row as large as this
    {"42501", Fault::Kind::kFatal},  // no right, and row-level security
    {"40", Fault::Kind::kAgain},     // serialization, deadlock
    {"53", Fault::Kind::kAgain},     // disk, memory, connections
    {"55P03", Fault::Kind::kAgain},  // lock not available
    {"55006", Fault::Kind::kAgain},  // object in use
    {"57014", Fault::Kind::kAgain},  // statement_timeout, cancelled
    {"25006", Fault::Kind::kLost},  // read-only: the server is a standby now; another connection may find the
                                    // right one
    {"57P", Fault::Kind::kLost},    // shut down, crashed, starting
    {"25P03", Fault::Kind::kLost},  // idle in transaction for too long
    {"08", Fault::Kind::kLost},     // connection
    {"58", Fault::Kind::kAgain},    // system: input and output
};

}  // namespace

Fault::Kind KindOfSqlState(std::string_view state) {
  const Class* best = nullptr;
  for (const Class& candidate : kClasses) {
    if (!state.starts_with(candidate.prefix)) continue;
    if (best == nullptr || candidate.prefix.size() > best->prefix.size()) best = &candidate;
  }
  return best != nullptr ? best->kind : Fault::Kind::kFatal;
}

}  // namespace tranche::sql
