#include "tranche/sql/fault.h"

#include <charconv>

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
    {"25P02", Fault::Kind::kAgain},  // the transaction has failed before, and nobody heard of it
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

std::optional<int64_t> PostgresRowIn(std::string_view context) {
  constexpr std::string_view kLine = ", line ";
  if (!context.starts_with("COPY ")) return std::nullopt;
  const size_t at = context.find(kLine);
  if (at == std::string_view::npos) return std::nullopt;
  int64_t line = 0;
  const char* from = context.data() + at + kLine.size();
  std::from_chars(from, context.data() + context.size(), line);
  return line > 0 ? std::optional(line - 1) : std::nullopt;
}

std::string PostgresColumnIn(std::string_view context) {
  constexpr std::string_view kColumn = ", column ";
  const size_t at = context.find(kColumn);
  if (at == std::string_view::npos) return "";
  std::string_view rest = context.substr(at + kColumn.size());
  return std::string(rest.substr(0, rest.find_first_of(":\n")));
}

// NOT NULL, CHECK and WITH CHECK OPTION: the detail is "Failing row contains (7, …)", in the server's
// language. What it has in columns that the server fills is different each time, and the rest need not be
// told: the reject has the row.
bool RepeatsRow(std::string_view state) { return state == "23502" || state == "23514" || state == "44000"; }

}  // namespace tranche::sql
