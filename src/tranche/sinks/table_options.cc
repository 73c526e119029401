#include "tranche/sinks/table_options.h"

#include <array>
#include <cctype>

#include <arrow/type.h>

#include "tranche/base/hash.h"
#include "tranche/connector/step.h"
#include "tranche/connector/tables.h"
#include "tranche/sql/table_name.h"

namespace tranche {
namespace {

constexpr auto kModes = std::to_array<std::pair<std::string_view, Mode>>({{"append", Mode::kAppend},
                                                                          {"replace", Mode::kReplace},
                                                                          {"upsert", Mode::kUpsert},
                                                                          {"update", Mode::kUpdate},
                                                                          {"delete", Mode::kDelete}});
constexpr auto kChanges = std::to_array<std::pair<std::string_view, Change>>({{"insert", Change::kInsert},
                                                                              {"update", Change::kUpdate},
                                                                              {"upsert", Change::kUpsert},
                                                                              {"delete", Change::kDelete}});

Shape ModeShape() {
  std::vector<std::string> words;
  for (auto [word, mode] : kModes) words.emplace_back(word);
  const Shape values = Shape::List(Shape::Text());
  return Shape::OneOf(
      {Shape::Choice(std::move(words)),
       Shape::Object({
           {"column", Shape::Column(),
            "The column that says what is to be done with a row; it is not stored.", Field::kRequired},
           {"insert", values, "Values that add the row; it is refused if its key is there."},
           {"update", values, "Values that change the row with its key."},
           {"upsert", values, "Values that change the row with its key, or add it."},
           {"delete", values, "Values that take the row with its key away."},
       })});
}

bool SameName(std::string_view one, std::string_view other) {
  return FindColumn({{std::string(one), ""}}, other) != nullptr;
}

// The first word of SQL, behind blanks and comments, in capitals.
std::string FirstWord(std::string_view sql) {
  while (true) {
    sql.remove_prefix(std::min(sql.find_first_not_of(" \t\r\n;"), sql.size()));
    const bool line = sql.starts_with("--"), block = sql.starts_with("/*");
    if (!line && !block) break;
    const size_t end = sql.find(line ? "\n" : "*/", 2);
    sql.remove_prefix(end == sql.npos ? sql.size() : end + (line ? 1 : 2));
  }
  std::string word;
  for (const unsigned char c : sql) {
    if (!std::isalpha(c)) break;
    word += static_cast<char>(std::toupper(c));
  }
  return word;
}

Result<std::vector<Statement>> ParseStatements(const Options& options, std::string_view field) {
  std::vector<Statement> statements;
  const Node* node = options.Raw(field);
  if (node == nullptr) return statements;
  auto take = [&](const Node& text) -> Status {
    const std::string word = FirstWord(text.text);
    if (word.empty()) return Fail(Code::kJob, "'{}' holds no SQL", field).At(text.place);
    for (std::string_view own :
         {"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE"}) {
      if (word != own) continue;
      return Fail(Code::kJob, "'{}' cannot {}: it runs in a transaction of the store's", field, word)
          .At(text.place);
    }
    statements.push_back({text.text, text.place});
    return {};
  };
  if (node->is_scalar()) TRANCHE_TRY(take(*node));
  for (const Node& item : node->items) TRANCHE_TRY(take(item));
  return statements;
}

Result<Changes> ParseChanges(const Options& options) {
  Changes changes;
  const Options mode = options.Object("mode");
  changes.column = mode.Text("column");
  for (auto [word, change] : kChanges) {
    for (const std::string& value : mode.Texts(word)) {
      auto known = std::ranges::find(changes.values, value, &std::pair<std::string, Change>::first);
      if (known != changes.values.end()) {
        return Fail(Code::kJob, "'{}' stands twice in 'mode'", value).At(mode.PlaceOf(word));
      }
      changes.values.emplace_back(value, change);
    }
  }
  if (changes.values.empty()) {
    return Fail(Code::kJob, "'mode' says nothing of the values of '{}'", changes.column)
        .At(mode.place())
        .Hint("add a list of them: insert, update, upsert or delete");
  }
  return changes;
}

std::string_view WordOf(const TableOptions& table) {
  return table.mode == Mode::kChanges ? "{column, …}" : table.ModeName();
}

}  // namespace

std::vector<Field> TableFields(Schemas schemas) {
  std::vector<Field> fields;
  fields.push_back(
      {"table", Shape::Text(),
       schemas == Schemas::kSome
           ? "The table, `name` or `schema.name`; made from the rows' columns where it is missing."
           : "The table; made from the rows' columns where it is missing.",
       Field::kRequired});
  if (schemas == Schemas::kSome) {
    fields.push_back({"schema", Shape::Text(), "The table's schema; `table` is then taken as it is."});
  }
  fields.push_back(
      {"mode", ModeShape(),
       "`append` adds the rows; `replace` puts them in the place of all that were there, at the end and in "
       "one step; `upsert` changes the rows of the same key and adds the others; `update` changes the rows "
       "of the same key, `delete` takes them away; with `column` a column of the rows says "
       "what is to be done. The last row of a key wins.",
       "append"});
  fields.push_back(
      {"key", Shape::List(Shape::Column()),
       "The columns that name a row, for all modes but `append` and `replace`. A table that we make has them "
       "as its primary key; one that is there needs a unique index on them where rows may be added."});
  fields.push_back(
      {"columns", Shape::Choice({"create", "evolve", "strict"}),
       "`create` makes a missing table, and a column that a table does not have is an error; `evolve` adds "
       "such columns to it; `strict` makes neither tables nor columns.",
       "create"});
  fields.push_back({"before", Shape::ListOrOne(Shape::Text()),
                    "SQL that is run once in each run, before the table is looked at, in the transaction "
                    "that begins it."});
  fields.push_back({"after", Shape::ListOrOne(Shape::Text()),
                    "SQL that is run once in each run, when all rows are stored, in the transaction that "
                    "finishes it."});
  return fields;
}

Status TableOptions::ParseTable(const Options& options, Schemas schemas) {
  place = options.place();
  table = options.Text("table");
  if (schemas == Schemas::kSome) {
    TRANCHE_ASSIGN(sql::TableName name, sql::ParseTableName(options));
    schema = std::move(name.schema);
    table = std::move(name.table);
  }
  if (table.empty()) return Fail(Code::kJob, "'table' is empty").At(options.PlaceOf("table"));
  if (IsLedgerTable(table)) {
    return Fail(Code::kJob, "table '{}' is the ledger of Tranche", table).At(options.PlaceOf("table"));
  }

  key = options.Texts("key");
  if (const Node* written = options.Raw("mode"); written != nullptr && written->is_map()) {
    mode = Mode::kChanges;
    TRANCHE_ASSIGN(changes, ParseChanges(options));
    if (InKey(changes.column)) {
      return Fail(Code::kJob, "column '{}' is not stored, and cannot be part of the key", changes.column)
          .At(options.PlaceOf("key"));
    }
  } else {
    const std::string word = options.Text("mode");
    mode = std::ranges::find(kModes, word, &std::pair<std::string_view, Mode>::first)->second;
  }
  const bool keyless = mode == Mode::kAppend || mode == Mode::kReplace;
  if (!keyless && key.empty()) {
    return Fail(Code::kJob, "mode {} needs a 'key'", WordOf(*this))
        .At(options.PlaceOf("mode"))
        .Hint("add key: [column, …]");
  }
  if (keyless && !key.empty()) {
    return Fail(Code::kJob, "'key' is for modes upsert, update, delete and {{column, …}}, and this is {}",
                ModeName())
        .At(options.PlaceOf("key"));
  }

  const std::string how = options.Text("columns");
  columns = how == "evolve"   ? TableColumns::kEvolve
            : how == "strict" ? TableColumns::kStrict
                              : TableColumns::kCreate;
  if (columns == TableColumns::kEvolve && mode == Mode::kDelete) {
    return Fail(Code::kJob, "'columns: evolve' adds columns, and mode delete stores none")
        .At(options.PlaceOf("columns"));
  }
  TRANCHE_ASSIGN(before, ParseStatements(options, "before"));
  TRANCHE_ASSIGN(after, ParseStatements(options, "after"));
  return {};
}

bool TableOptions::InKey(std::string_view column) const {
  return std::ranges::any_of(key, [&](const std::string& part) { return SameName(part, column); });
}

bool TableOptions::Writes(std::string_view column) const {
  if (mode == Mode::kDelete) return InKey(column);
  return mode != Mode::kChanges || !SameName(changes.column, column);
}

Change TableOptions::ChangeOfAll() const {
  return mode == Mode::kUpdate   ? Change::kUpdate
         : mode == Mode::kDelete ? Change::kDelete
         : mode == Mode::kUpsert ? Change::kUpsert
                                 : Change::kInsert;
}

std::string TableOptions::ChangeSql() const {
  if (mode != Mode::kChanges) return std::to_string(static_cast<int>(ChangeOfAll()));
  std::string sql = fmt::format("CASE CAST({} AS VARCHAR)", QuoteName(changes.column));
  for (const auto& [value, change] : changes.values) {
    sql += fmt::format(" WHEN {} THEN {}", QuoteText(value), static_cast<int>(change));
  }
  return sql + " END";
}

std::string TableOptions::NoChangeSql() const {
  return fmt::format(
      "'mode says nothing of ' || coalesce('''' || left(CAST({} AS VARCHAR), 100) || '''', 'NULL')",
      QuoteName(changes.column));
}

Status TableOptions::CheckRows(const arrow::Schema& rows) const {
  Columns names;
  for (const auto& field : rows.fields()) names.push_back({field->name(), ""});
  if (names.empty()) return Fail(Code::kJob, "the rows have no columns").At(place);
  std::vector<std::string> wanted = key;
  if (mode == Mode::kChanges) wanted.push_back(changes.column);
  for (const std::string& name : wanted) {
    if (!FindColumn(names, name)) return NoColumn(name, names, place);
  }
  const bool sets = std::ranges::any_of(names, [&](const Column& column) { return !InKey(column.name); });
  if (mode == Mode::kUpdate && !sets) {
    return Fail(Code::kJob, "mode update has nothing to set: the rows have no columns but the key's")
        .At(place);
  }
  return {};
}

Status TableOptions::Lasting(Status looked) const {
  if (looked || looked.error().code != Code::kJob) return {};
  return std::move(looked).error().At(place);
}

std::string TableOptions::Staging(std::string_view run_id) const {
  constexpr size_t kMost = 63 - 22;  // bytes of a name in PostgreSQL, without what comes behind, and "_old"
  std::string name = table;
  if (name.size() > kMost) {
    size_t cut = kMost - 9;
    while ((name[cut] & 0xc0) == 0x80) --cut;  // within a character
    name = fmt::format("{}_{}", name.substr(0, cut), HashHex(table).substr(0, 8));
  }
  return fmt::format("{}__tranche_{}", name, run_id.substr(0, 8));
}

std::string_view TableOptions::ModeName() const {
  auto found = std::ranges::find(kModes, mode, &std::pair<std::string_view, Mode>::second);
  return found == kModes.end() ? "changes" : found->first;
}

std::string TableOptions::Describe(std::string_view connector, std::string_view database) const {
  std::string how(ModeName());
  if (mode == Mode::kChanges) how += " in " + changes.column;
  for (const std::string& part : key) how += (&part == &key.front() ? " by " : ", ") + part;
  return fmt::format("{} {}, table {}, {}", connector, database, TableName(), how);
}

std::string TableOptions::TargetIn(std::string_view database, bool any_case) const {
  if (mode == Mode::kAppend) return "";
  std::string name = TableName();
  if (any_case) std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  return fmt::format("{}#{}", database, name);
}

Status TableOptions::CheckStored(int64_t stored, int64_t there) const {
  // Rows of a key may have replaced each other, or the row that was there.
  if (there >= stored || deletes() || (!key.empty() && there > 0)) return {};
  return Fail(Code::kData, "table '{}' holds {} rows, but this run has committed {} to it", table, there,
              stored)
      .Hint(
          "was it emptied or restored? Begin a new run with --again, or go on as it is with --trust-target");
}

Status TableOptions::CheckMissing() const {
  if (makes_table()) return {};
  if (columns == TableColumns::kStrict) {
    return Fail(Code::kJob, "there is no table '{}', and 'columns: strict' makes none", TableName())
        .At(place)
        .Hint("make it, or write columns: create");
  }
  return Fail(Code::kJob, "there is no table '{}', and mode {} makes none", TableName(), WordOf(*this))
      .At(place);
}

Error TableOptions::TableGone(std::string_view name) const {
  return Fail(Code::kData, "table '{}' is gone, but this run has committed rows to it", name)
      .Hint("begin a new run with --again, or go on with the rows that are left with --trust-target");
}

Error TableOptions::NoIndex() const {
  std::string list, name = table;
  for (const std::string& part : key) {
    list += (list.empty() ? "" : ", ") + QuoteName(part);
    name += "_" + part;
  }
  const bool unique = needs_unique_key();
  return Fail(Code::kJob, "table '{}' has no {}index on the key", table, unique ? "unique " : "")
      .Hint(fmt::format("run: CREATE {}INDEX {} ON {} ({})", unique ? "UNIQUE " : "", QuoteName(name),
                        QuoteName(table), list));
}

Status RunStatements(const std::vector<Statement>& statements,
                     const std::function<Status(const std::string&)>& execute) {
  for (const Statement& statement : statements) {
    if (Status done = execute(statement.text); !done) return std::move(done).error().At(statement.place);
  }
  return {};
}

Status RunStatements(const std::vector<Statement>& statements, sql::SqlConnection& connection) {
  return RunStatements(statements, [&](const std::string& text) -> Status {
    TRANCHE_TRY(connection.Execute(text));
    return {};
  });
}

}  // namespace tranche
