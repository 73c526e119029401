// Step: one thing done to rows. All steps of this version are relational: they render themselves as SQL and
// the planner fuses neighbours into one query. Rendering is pure: same input, same text.
//
// A step that refuses rows does not drop them: it sets the hidden column kRejectColumn (see Mark) and the
// rows travel on, untouched by row-wise steps, until the segment is sealed; there they become rejects.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tranche/base/result.h"
#include "tranche/connector/engine.h"

namespace tranche {

// What a step sees before it.
struct Relation {
  SqlText from = {};                     // usable as "FROM <from> AS input": a parenthesised SELECT
  Columns columns = {};                  // visible ones
  std::vector<std::string> hidden = {};  // hidden columns that are there (kRejectColumn, kRowsColumn, …)
  std::vector<std::string> group = {};   // columns of the open group; empty = all rows are one group
  bool Hides(std::string_view name) const;
  bool marked() const;  // kRejectColumn is there
};

// A query whose answer decides before or after the stage whether the run may go on.
struct Guard {
  enum class When {
    kBefore,
    kAfter
  };  // kBefore: over inputs only; kAfter: over the sealed rows, named `input`
  When when = When::kBefore;
  SqlText query =
      {};  // no row = all is well; each row: one text, the message (e.g. "key (a=1) matches 2 rows")
  bool warn = false;  // a warning instead of a failure
  std::string hint = {};
  Place place = {};
};

struct StepOutput {
  SqlText select = {};  // a SELECT over `input`; names the visible columns in order, and carries the hidden
  std::vector<std::string> hidden = {};  // hidden columns that it hands on
  std::vector<Guard> guards = {};
  bool ends_group = false;  // aggregate: the group's columns come first and the group is over
};

struct StepContext {
  std::string place;                                        // "check (prepare 2)": origin of its rejects
  const std::map<std::string, Relation>* inputs = nullptr;  // the other named inputs, for join and sql
  Engine* engine = nullptr;                                 // for Bind and TablesOf
  const Parameters* parameters = nullptr;
  uint64_t seed = 0;  // of the run
};

class Step {
 public:
  virtual ~Step() = default;

  // Needs all its rows before it hands on the first (sort, aggregate, dedupe, fill by mean, join is not).
  virtual bool blocking() const = 0;
  // Drops rows on purpose, one by one (filter): counted as `filtered` by the balance. kOther: no equation
  // holds (join, dedupe, limit, sample, sql).
  enum class Cardinality { kSame, kFilters, kFolds, kOther };
  virtual Cardinality cardinality() const { return Cardinality::kSame; }
  // Inputs that it reads beside the flow.
  virtual std::vector<std::string> inputs() const { return {}; }

  virtual Result<StepOutput> Render(const Relation& input, const StepContext& context) const = 0;
};

// JSON in kRejectColumn: {"origin": …, "reason": …, "column": …, "file": …, "line": …, "byte": …, "row":
// {…}}. An SQL expression that yields it: `reason` and `column` are SQL expressions; the row's visible
// columns are added.
std::string Mark(const Relation& input, std::string_view origin, std::string_view reason,
                 std::string_view column = "NULL");

// The engine's type of a hidden column.
std::string HiddenType(std::string_view name);

// A struct of columns of `input` whose JSON gives every value back: what JSON would change is text there.
std::string RowForJson(const Columns& columns);
// The value of a column out of such JSON, as SQL.
std::string FromRowJson(const Column& column, std::string_view json);

// "SELECT <items> [, hidden columns] FROM <input> AS input": each item is (name, SQL). Where rows may be
// marked, computed items are guarded: CASE WHEN __tranche_reject IS NULL THEN … END. Plain columns pass as
// they are.
struct Item {
  std::string name;
  SqlText expression = {};
  bool plain = false;  // just a column: needs no guard
};
SqlText Project(const Relation& input, const std::vector<Item>& items);
Item Plain(const std::string& column, const std::string& new_name = "");

// "a", "b" or "" : PARTITION BY of the open group and `more`.
std::string PartitionBy(const Relation& input, const std::vector<std::string>& more = {});

// An error that lists the columns and offers the nearest: "no column 'deptime'; did you mean 'dep_time'?".
Error NoColumn(std::string_view name, const Columns& columns, Place place);

}  // namespace tranche
