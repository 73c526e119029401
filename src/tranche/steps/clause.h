// What steps are made of: names with their places, the user's SQL in brackets, orders, numbered rows.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tranche/base/result.h"
#include "tranche/connector/step.h"

namespace tranche::clause {

// A column's name as somebody wrote it.
struct Name {
  std::string text;
  Place place;
};
std::vector<Name> Names(const Node& list_or_scalar);

// The column that is meant, or NoColumn.
Result<Column> Find(const Relation& input, const Name& name);
// The columns that are meant, spelled as the input spells them. The same one twice is an error.
Result<std::vector<std::string>> FindAll(const Relation& input, const std::vector<Name>& names);

// Whether two names are one for SQL: without case.
bool Same(std::string_view a, std::string_view b);

// Refuses what a new column cannot be called.
Status CheckNewName(const Name& name);
// Refuses to `change` ("replace", "drop", …) a column of the open group.
Status KeepGroup(const Relation& input, const Name& column, std::string_view change);

// One `column: expression` of a map.
struct Definition {
  Name column;
  Expression expression;
};
// Two keys that are one name for SQL are an error.
Result<std::vector<Definition>> Definitions(const Node& map);

// "(<the user's words>)", after they were found to be one expression: no word of it reaches what stands
// around it.
Result<SqlText> Bracketed(const Expression& expression, const StepContext& context);

// Whether an expression may have a window function: then it needs all rows.
bool HasWindow(const Expression& expression);
// In an open group a window must say that it looks at one group: else it would see all rows.
Status CheckWindow(const Relation& input, const Expression& expression);

// "net desc nulls first"
struct Order {
  Expression expression;
  bool descending = false;
  bool nulls_first = false;
};
Order ToOrder(const Node& scalar);
std::vector<Order> ToOrders(const Node& list_or_scalar);
Order Reversed(Order order);
// "(a) DESC NULLS LAST, (b) ASC NULLS LAST"
Result<SqlText> OrderBy(const std::vector<Order>& orders, const StepContext& context);

// input."name"
std::string Of(std::string_view column);
// All columns of the input, the hidden ones too, for a SELECT that keeps them as they are.
std::string All(const Relation& input);

// The same relation with a number for each row, in the order of the input; and the column's name, input."…".
Relation Numbered(const Relation& input);
std::string RowNumber();

// Project. `in_order`: the items have window functions, which mix up the rows; they come back in the order of
// the input.
SqlText Project(const Relation& input, const std::vector<Item>& items, bool in_order);

// The first `count` rows, or the first of each open group, by `order` (over the Numbered input); the input's
// order stays.
SqlText FirstRows(const Relation& input, const std::string& order, int64_t count);

// The same columns without rows: to learn types from.
Relation StubOf(const Relation& input);
// The rows of another input that were not refused: "(SELECT …)".
SqlText Rows(const Relation& other);

bool IsInteger(std::string_view type);
bool IsNumber(std::string_view type);

}  // namespace tranche::clause
