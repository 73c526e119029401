#include "tranche/connector/engine.h"

#include <algorithm>

#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>

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

std::string RowsAsTheyWere(const arrow::Schema& schema, std::string_view registered) {
  std::string columns;
  for (const auto& field : schema.fields()) {
    const std::string name = QuoteName(field->name());
    const int key = field->HasMetadata() ? field->metadata()->FindKey(std::string(kTypeKey)) : -1;
    columns += columns.empty() ? "" : ", ";
    columns +=
        key < 0 ? name : fmt::format("CAST({} AS {}) AS {}", name, field->metadata()->value(key), name);
  }
  return fmt::format("(SELECT {} FROM {})", columns, registered);
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
