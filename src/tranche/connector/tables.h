// Tables of a database by their names, for a `table` that is a list or a pattern (job/table_list.h).
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "tranche/connector/shape.h"

namespace tranche {

// The field `table` of a source, which may name several.
Field TablesField(std::string_view what);

// The tables of one schema, in any order.
struct SchemaTables {
  std::vector<std::string> tables;  // that a pattern may match
  std::vector<std::string> others;  // views and partitions: read only where they are named
  bool any_case = false;            // the database compares names without case
  std::string where;                // for people: "db.example.com/shop"
};

// Of the ledger in a target (sql/ledger.h): runs, batches, rejects.
inline constexpr std::array<std::string_view, 3> kLedgerTables = {"tranche_run", "tranche_batch",
                                                                  "tranche_reject"};
bool IsLedgerTable(std::string_view name);
// Tranche's own: of the ledger, or a table in the making ("orders__tranche_4f0a12bc"). No pattern matches it.
bool IsOwnTable(std::string_view name);

}  // namespace tranche
