#include "tranche/connector/engine.h"

#include <algorithm>

namespace tranche {

namespace {

// Names are ASCII as far as case counts, as in DuckDB.
char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool SameName(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return Lower(x) == Lower(y); });
}

}  // namespace

const Column* FindColumn(const Columns& columns, std::string_view name) {
  auto found =
      std::ranges::find_if(columns, [&](const Column& column) { return SameName(column.name, name); });
  return found == columns.end() ? nullptr : &*found;
}

std::string Stub(const Columns& columns) {
  std::string text = "(SELECT ";
  for (const Column& column : columns) {
    if (&column != &columns.front()) text += ", ";
    text += fmt::format("NULL::{} AS {}", column.type, QuoteName(column.name));
  }
  return text + " WHERE false)";
}

}  // namespace tranche
