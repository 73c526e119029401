#include "tranche/connector/tables.h"

#include <algorithm>
#include <cctype>

namespace tranche {
namespace {

std::string Lower(std::string_view name) {
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower;
}

}  // namespace

Field TablesField(std::string_view what) {
  return {"table", Shape::OneOf({Shape::Text(), Shape::List(Shape::Text())}),
          std::string(what) +
              " As a list, or with `*` and `?`: the job runs once for each table, which is then `${table}`."};
}

bool IsLedgerTable(std::string_view name) {
  return std::ranges::find(kLedgerTables, Lower(name)) != kLedgerTables.end();
}

bool IsOwnTable(std::string_view name) {
  return IsLedgerTable(name) || Lower(name).find("__tranche_") != std::string::npos;
}

}  // namespace tranche
