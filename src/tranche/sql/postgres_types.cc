// Types of the engine (DuckDB's names) and of PostgreSQL. docs/types.md says the same to people.
#include <array>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "tranche/sql/postgres.h"
#include "tranche/sql/postgres_copy.h"

namespace tranche::sql {
namespace {

struct Pair {
  std::string_view engine;
  std::string_view made;  // the type of a column that is made for it
};
constexpr Pair kPostgresMade[] = {
    {"\"NULL\"", "integer"},
    {"BOOLEAN", "boolean"},
    {"TINYINT", "smallint"},
    {"UTINYINT", "smallint"},
    {"SMALLINT", "smallint"},
    {"USMALLINT", "integer"},
    {"INTEGER", "integer"},
    {"UINTEGER", "bigint"},
    {"BIGINT", "bigint"},
    {"UBIGINT", "numeric(20,0)"},
    {"HUGEINT", "numeric(39,0)"},
    {"UHUGEINT", "numeric(39,0)"},
    {"FLOAT", "real"},
    {"DOUBLE", "double precision"},
    {"BLOB", "bytea"},
    {"DATE", "date"},
    {"TIME", "time without time zone"},
    {"TIME WITH TIME ZONE", "time with time zone"},
    {"TIMESTAMP", "timestamp without time zone"},
    {"TIMESTAMP_S", "timestamp without time zone"},
    {"TIMESTAMP_MS", "timestamp without time zone"},
    {"TIMESTAMP_NS", "timestamp without time zone"},
    {"TIMESTAMP WITH TIME ZONE", "timestamp with time zone"},
    {"UUID", "uuid"},
    {"JSON", "json"},
    {"INTERVAL", "interval"},
};

bool IsNested(std::string_view type) {
  return type.starts_with("STRUCT(") || type.starts_with("MAP(") || type.starts_with("UNION(");
}
bool IsList(std::string_view type) { return type.ends_with("[]"); }

struct Direct {
  std::string_view base;  // of the column
  std::string_view cast;  // the engine's type that is written for it
  std::string_view wire;
};
constexpr Direct kDirect[] = {
    {"bool", "BOOLEAN", "bool"},
    {"int2", "SMALLINT", "int2"},
    {"int4", "INTEGER", "int4"},
    {"int8", "BIGINT", "int8"},
    {"float4", "FLOAT", "float4"},
    {"float8", "DOUBLE", "float8"},
    {"text", "VARCHAR", "text"},
    {"varchar", "VARCHAR", "varchar"},
    {"bpchar", "VARCHAR", "bpchar"},
    {"json", "VARCHAR", "json"},
    {"jsonb", "VARCHAR", "jsonb"},
    {"bytea", "BLOB", "bytea"},
    {"uuid", "UUID", "uuid"},
    {"date", "DATE", "date"},
    {"time", "TIME", "time"},
    {"timestamp", "TIMESTAMP", "timestamp"},
    {"timestamptz", "TIMESTAMP WITH TIME ZONE", "timestamptz"},
    {"interval", "INTERVAL", "interval"},
};

const Direct* FindDirect(std::string_view base) {
  for (const Direct& direct : kDirect) {
    if (direct.base == base) return &direct;
  }
  return nullptr;
}

// "numeric(12,2)": 12, 2.
std::optional<std::pair<int, int>> Precision(std::string_view type) {
  const size_t open = type.find('(');
  if (open == std::string_view::npos) return std::nullopt;
  int precision = 0;
  int scale = 0;
  const char* end = type.data() + type.size();
  auto parsed = std::from_chars(type.data() + open + 1, end, precision);
  if (parsed.ptr != end && *parsed.ptr == ',') std::from_chars(parsed.ptr + 1, end, scale);
  return std::pair(precision, scale);
}

constexpr std::array<std::string_view, 10> kIntegers = {"TINYINT", "SMALLINT", "INTEGER",   "BIGINT",
                                                        "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER",
                                                        "UBIGINT", "UHUGEINT"};
bool IsInteger(std::string_view type) {
  for (std::string_view integer : kIntegers) {
    if (type == integer) return true;
  }
  return false;
}

// A numeric without precision takes every number as it is; one with it must not round.
Fit NumericFit(std::string_view type, const TableColumn& column) {
  const auto precision = Precision(column.type);
  const bool decimal = type.starts_with("DECIMAL(");
  if (precision && (precision->first > 38 || precision->second < 0 || precision->second > precision->first)) {
    if (IsInteger(type) && precision->second == 0) return {.cast = "VARCHAR", .wire = "numeric"};
    return {.cast = "VARCHAR", .wire = "text", .as_text = true};
  }
  if (precision) {
    std::string cast = fmt::format("DECIMAL({},{})", precision->first, precision->second);
    return {.cast = cast == type ? "" : cast, .wire = "numeric"};
  }
  const bool huge = type == "HUGEINT" || type == "UHUGEINT";
  if (decimal || (IsInteger(type) && !huge)) return {.cast = "", .wire = "numeric"};
  if (huge || type == "FLOAT" || type == "DOUBLE") return {.cast = "VARCHAR", .wire = "numeric"};
  return {.cast = "VARCHAR", .wire = "text", .as_text = true};
}

}  // namespace

std::string PostgresTypeFor(std::string_view type) {
  if (type.starts_with("DECIMAL(")) return "numeric" + std::string(type.substr(7));
  if (IsNested(type)) return "json";
  if (IsList(type)) {
    const std::string_view element = type.substr(0, type.size() - 2);
    if (IsList(element) || IsNested(element)) return "json";
    return PostgresTypeFor(element) + "[]";
  }
  for (const Pair& pair : kPostgresMade) {
    if (pair.engine == type) return std::string(pair.made);
  }
  return "text";
}

Fit PostgresFitFor(std::string_view type, const TableColumn& column) {
  std::string_view base = column.base;
  if (base.starts_with('_') && IsList(type)) {
    const std::string_view element = type.substr(0, type.size() - 2);
    const Fit inner = PostgresFitFor(
        element, {.name = column.name, .type = column.type, .base = std::string(base.substr(1))});
    if (!inner.as_text && !IsList(element) && CanCopy(inner.wire)) {
      return {.cast = inner.cast.empty() ? "" : inner.cast + "[]", .wire = inner.wire + "[]"};
    }
  }
  if (base == "numeric") return NumericFit(type, column);
  const Direct* direct = FindDirect(base);
  if (direct == nullptr) return {.cast = type == "VARCHAR" ? "" : "VARCHAR", .wire = "text", .as_text = true};
  const bool text = direct->cast == "VARCHAR";
  // JSON of nested values, not the engine's own way to write them.
  if (text && (IsNested(type) || IsList(type))) return {.cast = "JSON", .wire = std::string(direct->wire)};
  return {.cast = direct->cast == type ? "" : std::string(direct->cast), .wire = std::string(direct->wire)};
}

}  // namespace tranche::sql
