#include "tranche/steps/clause.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "tranche/batch/cutter.h"

namespace tranche::clause {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool IsSpace(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }
bool IsWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

void TrimEnd(std::string& text) {
  while (!text.empty() && IsSpace(text.back())) text.pop_back();
}

// Takes `word` from the end of `text` if it stands there behind a space.
bool TakeLast(std::string& text, std::string_view word) {
  if (text.size() <= word.size()) return false;
  const size_t at = text.size() - word.size();
  if (!Same(std::string_view(text).substr(at), word) || !IsSpace(text[at - 1])) return false;
  text.resize(at);
  TrimEnd(text);
  return true;
}

constexpr std::string_view kRowNumber = "__tranche_row";

}  // namespace

std::vector<Name> Names(const Node& list_or_scalar) {
  if (list_or_scalar.is_scalar()) return {{list_or_scalar.text, list_or_scalar.place}};
  std::vector<Name> names;
  for (const Node& item : list_or_scalar.items) names.push_back({item.text, item.place});
  return names;
}

Result<Column> Find(const Relation& input, const Name& name) {
  const Column* column = FindColumn(input.columns, name.text);
  if (column == nullptr) return NoColumn(name.text, input.columns, name.place);
  return *column;
}

Result<std::vector<std::string>> FindAll(const Relation& input, const std::vector<Name>& names) {
  std::vector<std::string> found;
  for (const Name& name : names) {
    TRANCHE_ASSIGN(Column column, Find(input, name));
    if (std::ranges::find(found, column.name) != found.end()) {
      return Fail(Code::kJob, "column '{}' is named twice", column.name).At(name.place);
    }
    found.push_back(std::move(column.name));
  }
  return found;
}

bool Same(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return Lower(x) == Lower(y); });
}

Status CheckNewName(const Name& name) {
  if (name.text.empty()) return Fail(Code::kJob, "a column needs a name").At(name.place);
  if (Same(std::string_view(name.text).substr(0, kHiddenPrefix.size()), kHiddenPrefix)) {
    return Fail(Code::kJob, "names that begin with '{}' are Tranche's own; choose another than '{}'",
                kHiddenPrefix, name.text)
        .At(name.place);
  }
  return {};
}

Status KeepGroup(const Relation& input, const Name& column, std::string_view change) {
  if (std::ranges::none_of(input.group, [&](const std::string& each) { return Same(each, column.text); }))
    return {};
  return Fail(Code::kJob, "cannot {} '{}': the rows are grouped by it", change, column.text)
      .Hint("do it before `group`, or after the `aggregate` that ends the groups")
      .At(column.place);
}

Result<std::vector<Definition>> Definitions(const Node& map) {
  std::vector<Definition> definitions;
  for (const auto& [key, value] : map.entries) {
    for (const Definition& other : definitions) {
      if (Same(other.column.text, key.name)) {
        return Fail(Code::kJob, "'{}' and '{}' are one column: names are compared without case",
                    other.column.text, key.name)
            .At(key.place);
      }
    }
    definitions.push_back({{key.name, key.place}, ToExpression(value)});
  }
  return definitions;
}

Result<SqlText> Bracketed(const Expression& expression, const StepContext& context) {
  TRANCHE_TRY(context.engine->CheckExpression(expression));
  SqlText text("(");
  text << expression << "\n)";  // a new line: the words may end in a comment
  return text;
}

bool HasWindow(const Expression& expression) {
  constexpr std::string_view kOver = "over";
  const std::string_view text = expression.text;
  for (size_t at = 0; at + kOver.size() <= text.size(); ++at) {
    if (!Same(text.substr(at, kOver.size()), kOver)) continue;
    const bool begins = at == 0 || !IsWord(text[at - 1]);
    const bool ends = at + kOver.size() == text.size() || !IsWord(text[at + kOver.size()]);
    if (begins && ends) return true;
  }
  return false;
}

Status CheckWindow(const Relation& input, const Expression& expression) {
  if (input.group.empty() || !HasWindow(expression)) return {};
  std::string text = expression.text;
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  if (text.find("partition") != std::string::npos) return {};
  std::string names;
  for (const std::string& name : input.group) names += (names.empty() ? "" : ", ") + QuoteName(name);
  return Fail(Code::kJob, "this window looks at all rows, not at one group")
      .Hint(fmt::format("write over (partition by {} …)", names))
      .At(expression.source.place);
}

Order ToOrder(const Node& scalar) {
  Order order{.expression = ToExpression(scalar)};
  std::string& text = order.expression.text;
  TrimEnd(text);
  std::string without = text;
  for (const char* end : {"first", "last"}) {
    if (TakeLast(without, end) && TakeLast(without, "nulls")) {
      order.nulls_first = end == std::string_view("first");
      text = without;
      break;
    }
    without = text;
  }
  order.descending = TakeLast(text, "desc");
  if (!order.descending) TakeLast(text, "asc");
  return order;
}

std::vector<Order> ToOrders(const Node& list_or_scalar) {
  if (list_or_scalar.is_scalar()) return {ToOrder(list_or_scalar)};
  std::vector<Order> orders;
  for (const Node& item : list_or_scalar.items) orders.push_back(ToOrder(item));
  return orders;
}

Order Reversed(Order order) {
  order.descending = !order.descending;
  order.nulls_first = !order.nulls_first;
  return order;
}

Result<SqlText> OrderBy(const std::vector<Order>& orders, const StepContext& context) {
  SqlText list;
  for (const Order& order : orders) {
    const std::string& text = order.expression.text;
    if (!text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; })) {
      return Fail(Code::kJob, "an order names a column, not its position {}", text)
          .At(order.expression.source.place);
    }
    TRANCHE_ASSIGN(SqlText expression, Bracketed(order.expression, context));
    if (!list.text().empty()) list << ", ";
    list << expression << (order.descending ? " DESC" : " ASC")
         << (order.nulls_first ? " NULLS FIRST" : " NULLS LAST");
  }
  return list;
}

std::string Of(std::string_view column) { return "input." + QuoteName(column); }

std::string All(const Relation& input) {
  std::string list;
  auto add = [&](std::string_view name) {
    if (!list.empty()) list += ", ";
    list += Of(name);
  };
  for (const Column& column : input.columns) add(column.name);
  for (const std::string& hidden : input.hidden) add(hidden);
  return list;
}

Relation Numbered(const Relation& input) {
  Relation numbered = input;
  numbered.from = SqlText("(SELECT input.*, row_number() OVER () AS ");
  numbered.from << QuoteName(kRowNumber) << " FROM " << input.from << " AS input)";
  return numbered;
}

std::string RowNumber() { return Of(kRowNumber); }

SqlText Project(const Relation& input, const std::vector<Item>& items, bool in_order) {
  if (!in_order) return tranche::Project(input, items);
  SqlText select = tranche::Project(Numbered(input), items);
  select << " ORDER BY " << RowNumber();
  return select;
}

SqlText FirstRows(const Relation& input, const std::string& order, int64_t count) {
  SqlText select("SELECT ");
  select << All(input) << " FROM ";
  const SqlText numbered = Numbered(input).from;
  if (input.group.empty()) {
    select << "(SELECT input.* FROM " << numbered << " AS input ORDER BY " << order
           << fmt::format(" LIMIT {}) AS input", count);
  } else {
    select << numbered << " AS input QUALIFY row_number() OVER (PARTITION BY " << PartitionBy(input)
           << " ORDER BY " << order << fmt::format(") <= {}", count);
  }
  select << " ORDER BY " << RowNumber();
  return select;
}

Relation StubOf(const Relation& input) {
  Relation stub = input;
  Columns columns = input.columns;
  for (const std::string& hidden : input.hidden) {
    columns.push_back({hidden, HiddenType(hidden)});
  }
  stub.from = Stub(columns);
  return stub;
}

SqlText Rows(const Relation& other) {
  Relation visible = other;
  visible.hidden.clear();
  SqlText rows("(SELECT ");
  rows << All(visible) << " FROM " << other.from << " AS input";
  if (other.marked()) rows << " WHERE " << Of(kRejectColumn) << " IS NULL";
  rows << ")";
  return rows;
}

bool IsInteger(std::string_view type) {
  static constexpr std::array<std::string_view, 10> kIntegers = {
      "TINYINT",  "SMALLINT",  "INTEGER",  "BIGINT",  "HUGEINT",
      "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"};
  return std::ranges::find(kIntegers, type) != kIntegers.end();
}

bool IsNumber(std::string_view type) {
  return IsInteger(type) || type == "DOUBLE" || type == "FLOAT" ||
         (type.starts_with("DECIMAL(") && type.ends_with(')'));
}

}  // namespace tranche::clause
