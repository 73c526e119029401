#include "tranche/sinks/sqlite_table.h"

#include <algorithm>
#include <variant>

#include "tranche/base/units.h"
#include "tranche/connector/sql_text.h"

namespace tranche {
namespace {

std::string TextOf(const sqlite::Value& value) {
  const auto* text = std::get_if<std::string>(&value);
  return text ? *text : "";
}

int64_t NumberOf(const sqlite::Value& value) {
  const auto* number = std::get_if<int64_t>(&value);
  return number ? *number : 0;
}

std::string Lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

std::string NameList(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + QuoteName(name);
  return list;
}

std::string CreateSql(const std::string& name, const Columns& columns, const std::vector<std::string>& key) {
  std::string sql = fmt::format("CREATE TABLE {} (", QuoteName(name));
  for (const Column& column : columns) {
    if (&column != &columns.front()) sql += ", ";
    sql += fmt::format("{} {}", QuoteName(column.name), column.type);
  }
  if (!key.empty()) sql += fmt::format(", PRIMARY KEY ({})", NameList(key));
  return sql + ")";
}

// The rest of "CREATE TABLE <name> …", which is how SQLite keeps each definition.
std::string AfterName(std::string_view sql) {
  sql.remove_prefix(std::string_view("CREATE TABLE ").size());
  while (sql.starts_with(' ')) sql.remove_prefix(1);
  char quote = sql.empty() ? ' ' : sql.front() == '[' ? ']' : sql.front();
  if (quote != '"' && quote != '`' && quote != '\'' && quote != ']') {
    return std::string(sql.substr(std::min(sql.find_first_of(" (\t\r\n"), sql.size())));
  }
  size_t end = 1;
  while ((end = sql.find(quote, end)) != sql.npos && quote != ']' && end + 1 < sql.size() &&
         sql[end + 1] == quote)
    end += 2;
  return std::string(sql.substr(std::min(end, sql.size() - 1) + 1));
}

}  // namespace

Status SqliteTable::Look() {
  TRANCHE_ASSIGN(
      auto found,
      database_.Query("SELECT type, name, sql FROM sqlite_master WHERE lower(name) = lower(?) AND type "
                      "IN ('table', 'view')",
                      {name_}));
  sql_.clear();
  columns_.clear();
  if (found.empty()) return {};
  name_ = TextOf(found[0][1]);
  sql_ = TextOf(found[0][2]);
  if (TextOf(found[0][0]) == "view") {
    return Fail(Code::kJob, "'{}' is a view; name a table", name_);
  }
  TRANCHE_ASSIGN(
      auto infos,
      database_.Query("SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?)",
                      {name_}));
  // "r" = found by rowid; without it, the columns of the primary key are NOT NULL and there is no INTEGER
  // that fills itself.
  TRANCHE_ASSIGN(
      auto kind,
      database_.Query("SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?", {name_}));
  has_rowid_ = kind.empty() || NumberOf(kind[0][0]) == 0;
  int64_t key_columns =
      std::ranges::count_if(infos, [](const sqlite::Row& info) { return NumberOf(info[4]) > 0; });
  for (const sqlite::Row& info : infos) {
    int64_t hidden = NumberOf(info[5]);
    bool fills_itself =
        has_rowid_ && key_columns == 1 && NumberOf(info[4]) > 0 && Lower(TextOf(info[1])) == "integer";
    columns_.push_back({TextOf(info[0]), TextOf(info[1]),
                        NumberOf(info[2]) != 0 && std::holds_alternative<std::nullptr_t>(info[3]) &&
                            hidden == 0 && !fills_itself,
                        hidden == 2 || hidden == 3});
  }
  TRANCHE_ASSIGN(
      auto dependents,
      database_.Query(
          "SELECT coalesce(sum(type = 'trigger' AND lower(tbl_name) = lower(?1)), 0), "
          "coalesce(sum(type IN ('view', 'trigger') AND instr(lower(sql), lower(?1)) > 0), 0) + "
          "coalesce(sum(type = 'index' AND lower(tbl_name) = lower(?1)), 0) + "
          "(SELECT count(*) FROM sqlite_master m, pragma_foreign_key_list(m.name) f WHERE m.type = "
          "'table' AND lower(f.\"table\") = lower(?1)) FROM sqlite_master",
          {name_}));
  has_triggers_ = NumberOf(dependents[0][0]) > 0;
  plain_ = !has_triggers_ && NumberOf(dependents[0][1]) == 0 && sql_ == CreateSql(name_, columns(), {});
  return {};
}

Columns SqliteTable::columns() const {
  Columns columns;
  for (const ColumnInfo& column : columns_) columns.push_back({column.name, column.type});
  return columns;
}

std::string SqliteTable::RowIdName() const {
  for (const char* name : {"rowid", "_rowid_", "oid"}) {
    if (has_rowid_ && !FindColumn(columns(), name)) return name;
  }
  return "NULL";
}

Status SqliteTable::Create(const Columns& columns, const std::vector<std::string>& key) {
  constexpr size_t kMostColumns = 2000;  // SQLITE_MAX_COLUMN
  if (columns.size() > kMostColumns) {
    return Fail(Code::kJob, "{} columns are more than the {} that SQLite takes", columns.size(), kMostColumns)
        .Hint("`select:` those you need, or use another store");
  }
  TRANCHE_TRY(database_.Execute(CreateSql(name_, columns, key)));
  return Look();
}

Status SqliteTable::CreateLike(const std::string& name) {
  if (!sql_.starts_with("CREATE TABLE ")) {
    return Fail(Code::kJob, "'{}' is a virtual table, which cannot be replaced", name_)
        .Hint("use mode: append, or another table");
  }
  return database_.Execute(fmt::format("CREATE TABLE {} {}", QuoteName(name), AfterName(sql_)));
}

Columns SqliteTable::Without(const Columns& columns) const {
  Columns missing;
  for (const Column& column : columns) {
    if (!FindColumn(this->columns(), column.name)) missing.push_back(column);
  }
  return missing;
}

Status SqliteTable::Add(const Columns& columns) {
  for (const Column& column : columns) {
    TRANCHE_TRY(database_.Execute(fmt::format("ALTER TABLE {} ADD COLUMN {} {}", QuoteName(name_),
                                              QuoteName(column.name), column.type)));
  }
  return Look();
}

Status SqliteTable::CheckTakes(const Columns& columns, const TableOptions& options) const {
  std::vector<std::string> names;
  for (const ColumnInfo& column : columns_) names.push_back(column.name);
  for (const Column& column : columns) {
    auto found = std::ranges::find_if(
        columns_, [&](const ColumnInfo& own) { return Lower(own.name) == Lower(column.name); });
    if (found == columns_.end() && options.adds_columns()) continue;
    if (found == columns_.end()) {
      std::string near = Nearest(column.name, names);
      return Fail(Code::kJob, "table '{}' has no column '{}'{}", name_, column.name,
                  near.empty() ? "" : fmt::format("; did you mean '{}'?", near))
          .Hint(fmt::format("add it (ALTER TABLE {} ADD COLUMN {} {}), or leave it out with `drop:`",
                            QuoteName(name_), QuoteName(column.name), column.type));
    }
    if (found->generated) {
      return Fail(Code::kJob, "column '{}' of table '{}' is generated by SQLite", found->name, name_)
          .Hint("leave it out with `drop:`");
    }
  }
  for (const ColumnInfo& own : columns_) {
    if (options.inserts() && own.needs_value && !FindColumn(columns, own.name)) {
      return Fail(Code::kJob, "column '{}' of table '{}' must have a value and the rows have none", own.name,
                  name_)
          .Hint("add it with `derive:`, or give it a default in the table");
    }
  }
  return {};
}

Status SqliteTable::ReplaceBy(const std::string& staging, const Columns& columns) {
  TRANCHE_TRY(Look());
  if (exists() && !plain_) {
    std::vector<std::string> names;
    for (const Column& column : columns) names.push_back(column.name);
    std::string list = NameList(names);
    // Rows that others refer to go and come back before the transaction ends.
    TRANCHE_TRY(database_.Execute("PRAGMA defer_foreign_keys = ON"));
    TRANCHE_TRY(database_.Execute(fmt::format("DELETE FROM {}", QuoteName(name_))));
    TRANCHE_TRY(database_.Execute(fmt::format("INSERT OR ABORT INTO {} ({}) SELECT {} FROM {}",
                                              QuoteName(name_), list, list, QuoteName(staging))));
    int64_t inserted = database_.changes();
    TRANCHE_ASSIGN(auto count, database_.Query(fmt::format("SELECT count(*) FROM {}", QuoteName(staging))));
    if (NumberOf(count[0][0]) != inserted) {
      return Fail(Code::kData, "{} of {} rows reached table '{}': its triggers dropped the others", inserted,
                  NumberOf(count[0][0]), name_);
    }
    return database_.Execute(fmt::format("DROP TABLE {}", QuoteName(staging)));
  }
  if (exists()) TRANCHE_TRY(database_.Execute(fmt::format("DROP TABLE {}", QuoteName(name_))));
  return database_.Execute(fmt::format("ALTER TABLE {} RENAME TO {}", QuoteName(staging), QuoteName(name_)));
}

}  // namespace tranche
