#include "tranche/connector/step.h"

#include <algorithm>

#include "tranche/base/units.h"
#include "tranche/batch/cutter.h"

namespace tranche {
namespace {

std::string Qualified(std::string_view column) { return "input." + QuoteName(column); }

// JSON has no NaN and no infinity, and its readers have no decimals: such values become text.
bool IsUnsafe(const std::string& type) {
  for (const char* unsafe : {"DECIMAL", "DOUBLE", "FLOAT", "HUGEINT"}) {
    if (type.find(unsafe) != std::string::npos) return true;
  }
  return type == "JSON";  // a text once it has left the engine
}

std::string JsonSafe(const Column& column) {
  const std::string name = Qualified(column.name);
  if (column.type == "DOUBLE" || column.type == "FLOAT") {
    return fmt::format("CASE WHEN isfinite({0}) THEN to_json({0}) ELSE to_json(CAST({0} AS VARCHAR)) END",
                       name);
  }
  return IsUnsafe(column.type) ? fmt::format("CAST({} AS VARCHAR)", name) : name;
}

// "$."a"": a path of the engine's into JSON.
std::string PathOf(const std::string& name) {
  std::string escaped;
  for (const char c : name) {
    if (c == '"' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return "$.\"" + escaped + "\"";
}

}  // namespace

bool Relation::Hides(std::string_view name) const { return std::ranges::find(hidden, name) != hidden.end(); }

bool Relation::marked() const { return Hides(kRejectColumn); }

std::string Mark(const Relation& input, std::string_view origin, std::string_view reason,
                 std::string_view column) {
  std::string place;
  if (input.Hides(kFileColumn))
    place = fmt::format(", 'file': {}, 'line': {}", Qualified(kFileColumn), Qualified(kLineColumn));
  return fmt::format("CAST(to_json({{'origin': {}, 'reason': {}, 'column': {}, 'row': {}{}}}) AS VARCHAR)",
                     QuoteText(origin), reason, column, RowForJson(input.columns), place);
}

std::string HiddenType(std::string_view name) {
  return name == kRejectColumn || name == kFileColumn ? "VARCHAR" : "BIGINT";
}

std::string RowForJson(const Columns& columns) {
  std::string row;
  for (const Column& each : columns) {
    if (!row.empty()) row += ", ";
    row += fmt::format("{}: {}", QuoteText(each.name), JsonSafe(each));
  }
  return "{" + row + "}";
}

std::string FromRowJson(const Column& column, std::string_view json) {
  const std::string& type = column.type;
  const bool nested = type.ends_with(']') || type.starts_with("STRUCT(") || type.starts_with("MAP(");
  return fmt::format("CAST({} {} {} AS {})", json, nested && !IsUnsafe(type) ? "->" : "->>",
                     QuoteText(PathOf(column.name)), type);
}

// Computed items come from a SELECT of their own, under names that nobody knows: so an expression sees the
// columns before the step and none of its neighbours, and an aggregate function has columns beside it that it
// cannot fold.
SqlText Project(const Relation& input, const std::vector<Item>& items) {
  SqlText select("SELECT ");
  SqlText computed;
  int count = 0;
  for (const Item& item : items) {
    if (&item != &items.front()) select << ", ";
    if (item.plain) {
      select << item.expression;
    } else {
      const std::string name = QuoteName(fmt::format("{}item_{}", kHiddenPrefix, ++count));
      computed << ", ";
      if (input.marked()) computed << "CASE WHEN " << Qualified(kRejectColumn) << " IS NULL THEN ";
      computed << item.expression;
      if (input.marked()) computed << " END";
      computed << " AS " << name;
      select << "input." << name;
    }
    select << " AS " << QuoteName(item.name);
  }
  for (const std::string& hidden : input.hidden) select << ", " << Qualified(hidden);
  select << " FROM ";
  if (count > 0) {
    select << "(SELECT input.*" << computed << " FROM " << input.from << " AS input)";
  } else {
    select << input.from;
  }
  select << " AS input";
  return select;
}

Item Plain(const std::string& column, const std::string& new_name) {
  return {
      .name = new_name.empty() ? column : new_name, .expression = SqlText(Qualified(column)), .plain = true};
}

std::string PartitionBy(const Relation& input, const std::vector<std::string>& more) {
  std::string list;
  for (const auto* names : {&input.group, &more}) {
    for (const std::string& name : *names) {
      if (!list.empty()) list += ", ";
      list += Qualified(name);
    }
  }
  return list;
}

Error NoColumn(std::string_view name, const Columns& columns, Place place) {
  static constexpr size_t kShown = 30;
  std::vector<std::string> names;
  for (const Column& column : columns) names.push_back(column.name);
  const std::string nearest = Nearest(name, names);
  Error error = Fail(Code::kJob, "no column '{}'", name);
  if (!nearest.empty()) error.message += fmt::format("; did you mean '{}'?", nearest);
  const size_t shown = std::min(names.size(), kShown);
  error.hint = fmt::format("there are {}{}", fmt::join(names.begin(), names.begin() + shown, ", "),
                           shown < names.size() ? ", …" : "");
  return std::move(error).At(std::move(place));
}

}  // namespace tranche
