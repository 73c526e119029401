#include "tranche/sources/typed.h"

#include <algorithm>
#include <array>
#include <bit>
#include <string>

#include "tranche/batch/cutter.h"
#include "tranche/connector/step.h"
#include "tranche/duckdb/functions.h"

namespace tranche {
namespace {

constexpr std::string_view kExactlyWhole =
    "9007199254740992";  // 2^53: below it every whole number is a DOUBLE

bool IsHuge(const std::string& type) { return type == "HUGEINT" || type == "UHUGEINT"; }

bool IsDecimal(const std::string& type) { return type.starts_with("DECIMAL("); }

bool IsFloat(const std::string& type) { return type == "DOUBLE" || type == "FLOAT"; }

// A number that is too large would be infinite.
std::string FloatOrNull(const std::string& source, const std::string& type) {
  return fmt::format(
      "CASE WHEN NOT isinf(TRY_CAST({0} AS {1})) OR regexp_full_match(trim({0}), '(?i)[+-]?inf(inity)?') "
      "THEN TRY_CAST({0} AS {1}) END",
      source, type);
}

// The whole number of a type that is beyond 64 bits.
std::string HugeOrNull(const std::string& source, const std::string& type) {
  return fmt::format(
      "CASE WHEN regexp_full_match(trim({0}), '[+-]?[0-9]+') THEN TRY_CAST({0} AS {1}) ELSE CAST({2} AS {1}) "
      "END",
      source, type, NumberOrNull(source, "BIGINT"));
}

// 'a' AS a text of SQL, cut for people.
std::string Shown(const std::string& source) {
  return fmt::format("'\"' || left({0}, 100) || CASE WHEN length({0}) > 100 THEN '…' ELSE '' END || '\"'",
                     source);
}

std::string MarkRow(std::string_view input, const std::string& reason, const std::string& column) {
  return fmt::format(
      "CAST(to_json({{'origin': {}, 'reason': {}, 'column': {}, 'file': file, 'line': line, 'byte': byte, "
      "'row': text}}) AS VARCHAR)",
      QuoteText(fmt::format("input {}", input)), reason, column);
}

std::string Misfit(const TypedColumn& column) {
  const std::string what =
      column.format.empty() ? column.type : fmt::format("{} as {}", column.type, column.format);
  return QuoteText(fmt::format(" is not of type {}", what));
}

// Rules in the order in which they are tried; each is a type, a pattern of the whole value and whether the
// value must also convert.
struct Rule {
  std::string_view type;
  std::string_view pattern;
};
constexpr std::string_view kWholePattern = "[+-]?(0|[1-9][0-9]*)";
constexpr std::array<Rule, 9> kRules = {{
    {"BOOLEAN", "(?i)true|false"},
    {"BIGINT", kWholePattern},
    {"UBIGINT", kWholePattern},
    {"HUGEINT", kWholePattern},
    {"DOUBLE", "(?i)[+-]?(0|[1-9][0-9]*)?(\\.[0-9]*)?(e[+-]?[0-9]+)?|[+-]?(nan|inf|infinity)"},
    {"DATE", "[0-9]{4}-[0-9]{2}-[0-9]{2}"},
    {"TIME", "[0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]+)?)?"},
    {"TIMESTAMP", "[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]+)?)?)?"},
    {"TIMESTAMP WITH TIME ZONE",
     "[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]+)?)? "
     "?(Z|[+-][0-9]{2}(:?[0-9]{2})?)"},
}};

}  // namespace

Columns ToColumns(const std::vector<TypedColumn>& columns) {
  Columns plain;
  for (const TypedColumn& column : columns) plain.push_back({column.name, column.type});
  return plain;
}

bool IsNested(const std::string& type) {
  return type.ends_with(']') || type.starts_with("STRUCT(") || type.starts_with("MAP(");
}

std::string ReadAs(const TypedColumn& column) {
  if (!column.format.empty() || IsHuge(column.type) || IsDecimal(column.type)) return "VARCHAR";
  if (!IsWholeType(column.type)) return column.type;
  return column.wide || column.type == "UBIGINT" ? "VARCHAR" : "DOUBLE";
}

std::string Complaint(std::string_view input) {
  return fmt::format("input '{}' has a value that is not of its column's type", input);
}

std::string FastValue(const TypedColumn& column, const std::string& source, const std::string& input) {
  const std::string complaint = Complaint(input);
  if (column.format.empty()) {
    if (IsWholeType(column.type) || IsFloat(column.type)) return StrictNumber(source, column.type, complaint);
    if (ReadAs(column) == column.type) return source;
  }
  return fmt::format("CASE WHEN {0} IS NULL THEN NULL ELSE coalesce({1}, error({2})) END", source,
                     ValueOrNull(column, source), QuoteText(complaint));
}

std::string ValueOrNull(const TypedColumn& column, const std::string& source) {
  if (!column.format.empty()) {
    return fmt::format("TRY_CAST(try_strptime({}, {}) AS {})", source, QuoteText(column.format), column.type);
  }
  if (column.type == "VARCHAR") return source;
  if (IsNested(column.type)) return fmt::format("TRY(CAST(CAST({} AS JSON) AS {}))", source, column.type);
  if (column.type == "DATE") return fmt::format("CAST(try_strptime(trim({}), '%Y-%m-%d') AS DATE)", source);
  if (IsFloat(column.type)) return FloatOrNull(source, column.type);
  if (IsWholeType(column.type)) return NumberOrNull(source, column.type);
  if (IsHuge(column.type)) return HugeOrNull(source, column.type);
  if (IsDecimal(column.type)) {
    const std::string_view scale = std::string_view(column.type).substr(column.type.find(',') + 1);
    return fmt::format("CASE WHEN {} THEN TRY_CAST({} AS {}) END",
                       IsExact(source, scale.substr(0, scale.size() - 1)), source, column.type);
  }
  return fmt::format("TRY(CAST({} AS {}))", source, column.type);
}

std::string CarefulScan(const std::vector<TypedColumn>& columns, const std::string& from,
                        const SourceContext& context) {
  const std::string& input = context.input;
  std::string names;
  std::string values;
  std::string marks =
      fmt::format("WHEN problem IS NOT NULL THEN {}", MarkRow(input, "problem", "problem_column"));
  for (size_t i = 0; i < columns.size(); ++i) {
    const std::string source = fmt::format("c{}", i);
    const TypedColumn& column = columns[i];
    names += fmt::format("v{} AS {}, ", i, QuoteName(column.name));
    values += fmt::format(", {} AS v{}", ValueOrNull(column, source), i);
    if (column.type == "VARCHAR" && column.format.empty()) continue;
    if (context.unused != nullptr && context.unused->contains(column.name)) continue;
    marks += fmt::format(
        " WHEN v{0} IS NULL AND {1} IS NOT NULL THEN {2}", i, source,
        MarkRow(input, fmt::format("{} || {}", Shown(source), Misfit(column)), QuoteText(column.name)));
  }
  if (context.ordered) names += fmt::format("line AS {}, ", QuoteName(kOrdinalColumn));
  if (context.places)
    names += fmt::format("file AS {}, line AS {}, ", QuoteName(kFileColumn), QuoteName(kLineColumn));
  return fmt::format("(SELECT {}CASE {} END AS {} FROM (SELECT *{} FROM {}))", names, marks,
                     QuoteName(kRejectColumn), values, from);
}

std::string StrictValue(const TypedColumn& column, const std::string& source, std::string_view input) {
  const std::string value = ValueOrNull(column, source);
  if (value == source) return source;
  return fmt::format("CASE WHEN {} IS NOT NULL THEN coalesce({}, error({})) END", source, value,
                     QuoteText(Complaint(input)));
}

std::string StrictScan(const std::vector<TypedColumn>& columns, const std::string& from,
                       std::string_view input) {
  const std::string complaint = fmt::format("error({})", QuoteText(Complaint(input)));
  std::string items;
  for (size_t i = 0; i < columns.size(); ++i) {
    items += fmt::format("{}{} AS {}", i > 0 ? ", " : "",
                         StrictValue(columns[i], fmt::format("c{}", i), input), QuoteName(columns[i].name));
  }
  return fmt::format(
      "(SELECT {} FROM {} WHERE CASE WHEN problem IS NULL THEN true ELSE CAST({} AS BOOLEAN) END)", items,
      from, complaint);
}

Status ApplyTypes(std::vector<TypedColumn>& columns,
                  const std::vector<std::pair<std::string, TypeName>>& types, Engine& engine) {
  for (const auto& [name, type] : types) {
    const Columns plain = ToColumns(columns);
    const Column* found = FindColumn(plain, name);
    if (found == nullptr) return NoColumn(name, plain, type.place);
    auto bound = engine.Bind({SqlText(fmt::format("SELECT CAST(NULL AS {}) AS value", type.type))});
    if (!bound) return std::move(bound).error().At(type.place);
    TypedColumn& column = columns[static_cast<size_t>(found - plain.data())];
    column.type = bound->front().type;
    column.format = type.format;
    column.wide = column.wide || column.type == "VARCHAR";
  }
  return {};
}

namespace {

using Rules = std::vector<unsigned>;  // of each column: bit i is rule i

// Those of `tried` that all rows of `from` obey; with `keep_unknown` also where there is no value. Also finds
// wide numbers. Values stand in one column, not in one a column: an expression for each of them takes the
// engine longer than the rows.
Result<Rules> Obeyed(std::vector<TypedColumn>& columns, const Rules& tried, const std::string& from,
                     bool keep_unknown, Engine& engine) {
  std::string values;
  std::string masks;
  for (size_t i = 0; i < columns.size(); ++i) {
    values += fmt::format("{}c{}", i > 0 ? ", " : "", i);
    masks += fmt::format("{}{}", i > 0 ? ", " : "", tried[i]);
  }
  std::string items;
  for (size_t rule = 0; rule < kRules.size(); ++rule) {
    const std::string type(kRules[rule].type);
    items += fmt::format(
        ", bool_and(CASE WHEN tried & {} = 0 THEN false ELSE regexp_full_match(v, {}) AND {} IS NOT NULL "
        "END) FILTER (WHERE v IS NOT NULL)",
        1U << rule, QuoteText(kRules[rule].pattern),
        IsFloat(type) ? FloatOrNull("v", type) : fmt::format("TRY_CAST(v AS {})", type));
  }
  TRANCHE_ASSIGN(auto rows, engine.Select({SqlText(fmt::format(
                                "SELECT i, bool_or(NOT TRY_CAST(v AS HUGEINT) BETWEEN 1 - {0} AND {0} - "
                                "1){1} FROM (SELECT unnest(range({2})) AS i, "
                                "unnest([{3}]) AS tried, trim(unnest([{4}])) AS v FROM {5}) GROUP BY i",
                                kExactlyWhole, items, columns.size(), masks, values, from))}));
  Rules obeyed(columns.size(), 0);
  if (keep_unknown) obeyed = tried;
  for (const TextRow& row : rows) {
    const auto i = static_cast<size_t>(std::stoul(row.at(0).value()));
    columns[i].wide = row.at(1) == "true";
    for (size_t rule = 0; rule < kRules.size(); ++rule) {
      const auto& answer = row.at(2 + rule);  // NULL: no value, so far it may be anything
      const bool obeys = answer ? *answer == "true" : keep_unknown && (tried[i] >> rule & 1U) != 0;
      obeyed[i] = (obeyed[i] & ~(1U << rule)) | (obeys ? 1U << rule : 0U);
    }
  }
  return obeyed;
}

}  // namespace

// The first rows rule most types out; only what is left is tried on the whole sample.
Status GuessTypes(std::vector<TypedColumn>& columns, const std::string& from, Engine& engine) {
  constexpr int kFirst = 300;
  if (columns.empty()) return {};
  TRANCHE_ASSIGN(const Rules first, Obeyed(columns, Rules(columns.size(), (1U << kRules.size()) - 1),
                                           fmt::format("(SELECT * FROM {} LIMIT {})", from, kFirst),
                                           /*keep_unknown=*/true, engine));
  TRANCHE_ASSIGN(const Rules obeyed, Obeyed(columns, first, from, /*keep_unknown=*/false, engine));
  for (size_t i = 0; i < columns.size(); ++i) {
    if (obeyed[i] != 0) columns[i].type = kRules[static_cast<size_t>(std::countr_zero(obeyed[i]))].type;
  }
  return {};
}

}  // namespace tranche
