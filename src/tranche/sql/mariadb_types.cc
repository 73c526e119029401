// Types of the engine (DuckDB's names) and of MariaDB. docs/types.md says the same to people.
#include <charconv>
#include <string>

#include <fmt/format.h>

#include "tranche/sql/mariadb.h"

namespace tranche::sql {
namespace {

// The engine's type, and that of a column that is made for it.
constexpr std::pair<std::string_view, std::string_view> kMariaDbMade[] = {
    {"\"NULL\"", "int"},
    {"BOOLEAN", "boolean"},
    {"TINYINT", "tinyint"},
    {"UTINYINT", "tinyint unsigned"},
    {"SMALLINT", "smallint"},
    {"USMALLINT", "smallint unsigned"},
    {"INTEGER", "int"},
    {"UINTEGER", "int unsigned"},
    {"BIGINT", "bigint"},
    {"UBIGINT", "bigint unsigned"},
    {"HUGEINT", "decimal(39,0)"},
    {"UHUGEINT", "decimal(39,0)"},
    {"FLOAT", "float"},
    {"DOUBLE", "double"},
    {"DATE", "date"},
    {"TIME", "time(6)"},
    {"TIMESTAMP", "datetime(6)"},
    {"TIMESTAMP_S", "datetime(6)"},
    {"TIMESTAMP_MS", "datetime(6)"},
    {"TIMESTAMP_NS", "datetime(6)"},
    {"TIMESTAMP WITH TIME ZONE", "datetime(6)"},
    {"UUID", "uuid"},
    {"JSON", "json"},
};

bool IsNestedOrList(std::string_view type) {
  return type.ends_with(']') || type.starts_with("STRUCT(") || type.starts_with("MAP(") ||
         type.starts_with("UNION(");
}

// "decimal(12,2)": 12, 2. A number that is not there is `otherwise`.
std::pair<int, int> NumbersOf(std::string_view type, int otherwise) {
  std::pair<int, int> numbers{otherwise, 0};
  const size_t open = type.find('(');
  if (open == std::string_view::npos) return numbers;
  const char* end = type.data() + type.size();
  const auto parsed = std::from_chars(type.data() + open + 1, end, numbers.first);
  if (parsed.ptr != end && *parsed.ptr == ',') std::from_chars(parsed.ptr + 1, end, numbers.second);
  return numbers;
}

Fit As(std::string_view type, std::string_view cast) {
  return {.cast = cast == type ? "" : std::string(cast), .wire = std::string(cast)};
}

Fit WholeFit(std::string_view type, const TableColumn& column) {
  const bool is_unsigned = column.type.find("unsigned") != std::string::npos;
  const std::string_view base = column.base;
  const std::string_view cast = base == "tinyint"    ? "TINYINT"
                                : base == "smallint" ? "SMALLINT"
                                : base == "bigint"   ? "BIGINT"
                                                     : "INTEGER";
  return As(type, (is_unsigned ? "U" : "") + std::string(cast));
}

Fit TextFit(std::string_view type, const TableColumn& column) {
  Fit fit = IsNestedOrList(type) ? Fit{.cast = "JSON", .wire = "VARCHAR"} : As(type, "VARCHAR");
  const std::string_view base = column.base;
  const std::string listed = column.type.substr(std::min(column.type.find('('), column.type.size()));
  if (base == "varchar" || base == "char") {  // blanks behind it would be cut with a note
    fit.changed = fmt::format("length({{value}}) > {}", NumbersOf(column.type, 1).first);
  }
  if (base == "char") fit.changed += " OR {value} LIKE '% '";
  if (base == "enum") fit.changed = fmt::format("{{value}} NOT IN {}", listed);  // '1' would be the first
  if (base == "set" && listed.size() > 2) {  // in the order of the type, each once
    fit.changed = fmt::format(
        "{{value}} <> array_to_string(list_filter([{}], lambda m: list_contains(string_split({{value}}, "
        "','), m)), "
        "',')",
        listed.substr(1, listed.size() - 2));
  }
  return fit;
}

// Digits that the column has no room for are cut without a word.
Fit TimeFit(std::string_view type, const TableColumn& column) {
  const std::string_view base = column.base;
  Fit fit = As(type, base == "date" ? "DATE" : base == "time" ? "TIME" : "TIMESTAMP");
  fit.spelled = true;
  if (base != "time") fit.changed = "NOT coalesce(year({value}) BETWEEN 1 AND 9999, false)";
  if (base == "date") return fit;
  int unit = 1;
  for (int digits = NumbersOf(column.type, 0).first; digits < 6; ++digits) unit *= 10;
  if (unit > 1) {
    fit.changed += fmt::format("{}microsecond({{value}}) % {} <> 0", fit.changed.empty() ? "" : " OR ", unit);
  }
  return fit;
}

Fit DecimalFit(std::string_view type, const TableColumn& column) {
  const auto [precision, scale] = NumbersOf(column.type, 10);
  Fit fit = precision > 38 ? As(type, "VARCHAR") : As(type, fmt::format("DECIMAL({},{})", precision, scale));
  fit.spelled = true;
  return fit;
}

}  // namespace

std::string MariaDbTypeFor(std::string_view type, bool key) {
  if (type.starts_with("DECIMAL(")) return "decimal" + std::string(type.substr(7));
  if (type == "BLOB") return key ? "varbinary(255)" : "longblob";
  if (IsNestedOrList(type)) return "json";
  for (const auto& [engine, made] : kMariaDbMade) {
    if (engine == type) return std::string(made);
  }
  return key ? "varchar(255)" : "longtext";
}

Fit MariaDbFitFor(std::string_view type, const TableColumn& column) {
  const std::string_view base = column.base;
  if (base.ends_with("int")) return WholeFit(type, column);
  if (base == "year") {  // 26 would be 2026
    Fit fit = As(type, "SMALLINT");
    fit.changed = "{value} <> 0 AND NOT {value} BETWEEN 1901 AND 2155";
    return fit;
  }
  if (base == "decimal") return DecimalFit(type, column);
  if (base == "date" || base == "time" || base == "datetime" || base == "timestamp") {
    return TimeFit(type, column);
  }
  if (base == "float" || base == "double") {
    Fit fit = As(type, base == "float" ? "FLOAT" : "DOUBLE");
    fit.changed = "isnan({value}) OR isinf({value})";
    return fit;
  }
  if (base.ends_with("blob") || base.ends_with("binary")) {
    Fit fit = As(type, "BLOB");
    if (base == "binary") {  // would be filled up with zeros
      fit.changed = fmt::format("octet_length({{value}}) <> {}", NumbersOf(column.type, 1).first);
    }
    return fit;
  }
  if (base == "uuid") {
    Fit fit = As(type, "UUID");
    fit.spelled = true;
    return fit;
  }
  Fit fit = TextFit(type, column);
  const bool text = base.ends_with("char") || base.ends_with("text") || base == "enum" || base == "set";
  if (!text && base != "inet4" && base != "inet6")
    fit.changed = "true";  // bits and shapes: no text means them
  return fit;
}

}  // namespace tranche::sql
