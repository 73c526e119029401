// From text to typed columns, strictly: a value that does not fit is never rounded, cut or made NULL in
// silence.
//
// Two ways to say it in SQL. *Fast*: the engine's own reader converts, and what it does too leniently is
// checked; a value that does not fit fails the query with Complaint(). *Careful*: over our own readers, which
// hand on text with its place; a row with such a value is marked.
//
// What DuckDB 1.5.6 does too leniently (seen): 1.5 read as BIGINT is 2, a time read as DATE loses its hour.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tranche/connector/engine.h"
#include "tranche/connector/options.h"
#include "tranche/connector/source.h"

namespace tranche {

struct TypedColumn {
  std::string name;
  std::string type = "VARCHAR";  // as the engine writes it
  std::string format = {};       // strptime; may be empty
  bool wide = false;             // whole numbers of 2^53 and beyond: not to be read by way of DOUBLE
};

Columns ToColumns(const std::vector<TypedColumn>& columns);

// A list, a struct or a map.
bool IsNested(const std::string& type);

// The type under which the engine's reader is told to read the column.
std::string ReadAs(const TypedColumn& column);
// The column's value from what was read under ReadAs; `source` is SQL.
std::string FastValue(const TypedColumn& column, const std::string& source, const std::string& input);
// What FastValue's error says.
std::string Complaint(std::string_view input);

// The column's value from text, NULL where it does not fit.
std::string ValueOrNull(const TypedColumn& column, const std::string& source);

// The column's value from text; a value that does not fit fails the query with Complaint().
std::string StrictValue(const TypedColumn& column, const std::string& source, std::string_view input);

// "(SELECT …)": the columns with kRejectColumn, and with the hidden ones that `context` asks for. `from`
// yields what PlaceRows has.
std::string CarefulScan(const std::vector<TypedColumn>& columns, const std::string& from,
                        const SourceContext& context);
// The same without marks: a row that would be marked fails the query with Complaint().
std::string StrictScan(const std::vector<TypedColumn>& columns, const std::string& from,
                       std::string_view input);

// Puts the types of an option `types` over those that were guessed; the engine spells them. An unknown column
// or type is an error at its place.
Status ApplyTypes(std::vector<TypedColumn>& columns,
                  const std::vector<std::pair<std::string, TypeName>>& types, Engine& engine);

// Guesses types of the text columns c0, c1, … of `from` (a sample): BIGINT, UBIGINT, HUGEINT, DOUBLE, BOOLEAN
// (true and false), DATE, TIME, TIMESTAMP, TIMESTAMP WITH TIME ZONE (ISO 8601 only), or VARCHAR. Numbers that
// begin with 0 are text.
Status GuessTypes(std::vector<TypedColumn>& columns, const std::string& from, Engine& engine);

}  // namespace tranche
