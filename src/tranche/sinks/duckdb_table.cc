#include "tranche/sinks/duckdb_table.h"

#include <algorithm>

#include "tranche/base/units.h"

namespace tranche {
namespace {

std::string NameList(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + QuoteName(name);
  return list;
}

std::vector<std::string> NamesOf(const Columns& columns) {
  std::vector<std::string> names;
  for (const Column& column : columns) names.push_back(column.name);
  return names;
}

// "(id INTEGER PRIMARY KEY, …)" of the CREATE TABLE that DuckDB shows.
std::string Definition(std::string_view sql) {
  bool quoted = false;
  for (size_t i = 0; i < sql.size(); ++i) {
    if (sql[i] == '"') quoted = !quoted;
    if (sql[i] == '(' && !quoted) return std::string(sql.substr(i, sql.rfind(')') - i + 1));
  }
  return "";
}

// The type of a column that is made; one of NULLs alone has none.
std::string TypeOf(const Column& column) { return column.type == "\"NULL\"" ? "INTEGER" : column.type; }

}  // namespace

Status DuckDbTable::Look() {
  columns_.clear();
  sql::SqlConnection& connection = connection_;
  auto name = [&] { return std::vector<Value>{sql::Text(name_)}; };
  constexpr std::string_view kHere = "database_name = current_database() AND schema_name = current_schema()";
  TRANCHE_ASSIGN(
      auto views,
      connection.Query(fmt::format("SELECT view_name FROM duckdb_views() WHERE {} AND lower(view_name) "
                                   "= lower($1)",
                                   kHere),
                       name()));
  if (!views.empty()) return Fail(Code::kJob, "'{}' is a view; name a table", name_);
  TRANCHE_ASSIGN(
      auto columns,
      connection.Query(
          fmt::format("SELECT column_name, data_type, NOT is_nullable, column_default IS NOT NULL, "
                      "table_name FROM duckdb_columns() WHERE {} AND lower(table_name) = lower($1) "
                      "ORDER BY column_index",
                      kHere),
          name()));
  if (columns.empty()) return {};
  name_ = columns[0][4].value_or(name_);
  for (const TextRow& row : columns) {
    columns_.push_back({row[0].value_or(""), row[1].value_or(""), row[2] == "true", row[3] == "true"});
  }
  TRANCHE_ASSIGN(
      auto sql,
      connection.Query(fmt::format("SELECT sql, index_count FROM duckdb_tables() WHERE {} AND table_name "
                                   "= $1",
                                   kHere),
                       name()));
  TRANCHE_ASSIGN(auto constraints,
                 connection.Query(
                     fmt::format("SELECT count(*) FROM duckdb_constraints() WHERE {} AND (table_name = $1 OR "
                                 "referenced_table = $1)",
                                 kHere),
                     name()));
  sql_ = sql.empty() ? "" : sql[0][0].value_or("");
  plain_ = sql::ToNumber(constraints.at(0).at(0)) == 0 && (sql.empty() || sql[0][1] == "0") &&
           std::ranges::none_of(columns_, &ColumnInfo::has_default);
  return {};
}

Columns DuckDbTable::columns() const {
  Columns columns;
  for (const ColumnInfo& column : columns_) columns.push_back({column.name, column.type});
  return columns;
}

const DuckDbTable::ColumnInfo* DuckDbTable::Find(std::string_view name) const {
  for (const ColumnInfo& column : columns_) {
    if (FindColumn({{column.name, ""}}, name)) return &column;
  }
  return nullptr;
}

bool DuckDbTable::NeedsValue(std::string_view column) const {
  const ColumnInfo* found = Find(column);
  return found != nullptr && found->not_null;
}

Status DuckDbTable::Create(const Columns& columns, const std::vector<std::string>& key) {
  std::string sql = fmt::format("CREATE TABLE {} (", QuoteName(name_));
  for (const Column& column : columns) {
    sql += fmt::format("{}{} {}", &column == &columns.front() ? "" : ", ", QuoteName(column.name),
                       TypeOf(column));
  }
  if (!key.empty()) sql += fmt::format(", PRIMARY KEY ({})", NameList(key));
  TRANCHE_TRY(connection_.Execute(sql + ")"));
  return Look();
}

Columns DuckDbTable::Without(const Columns& columns) const {
  Columns missing;
  for (const Column& column : columns) {
    if (!Find(column.name)) missing.push_back(column);
  }
  return missing;
}

Status DuckDbTable::Add(const Columns& columns) {
  for (const Column& column : columns) {
    TRANCHE_TRY(connection_.Execute(fmt::format("ALTER TABLE {} ADD COLUMN {} {}", QuoteName(name_),
                                                QuoteName(column.name), TypeOf(column))));
  }
  return Look();
}

Status DuckDbTable::CheckTakes(const Columns& columns, const TableOptions& options) const {
  // Whether two rows of a batch have one key would be asked without it, and of a row of the table with it.
  if (!options.key.empty() && sql_.find(" COLLATE ") != std::string::npos) {
    return Fail(Code::kJob, "table '{}' has a collation: its keys cannot be told apart for sure", name_)
        .Hint("make the key's column without COLLATE, of lower(…) or the like");
  }
  for (const Column& column : columns) {
    if (options.adds_columns() || Find(column.name)) continue;
    std::string near = Nearest(column.name, NamesOf(this->columns()));
    return Fail(Code::kJob, "table '{}' has no column '{}'{}", name_, column.name,
                near.empty() ? "" : fmt::format("; did you mean '{}'?", near))
        .Hint(fmt::format("add it (ALTER TABLE {} ADD COLUMN {} {}), or leave it out with `drop:`",
                          QuoteName(name_), QuoteName(column.name), column.type));
  }
  for (const ColumnInfo& own : columns_) {
    if (options.inserts() && own.not_null && !own.has_default && !FindColumn(columns, own.name)) {
      return Fail(Code::kJob, "column '{}' of table '{}' must have a value and the rows have none", own.name,
                  name_)
          .Hint("add it with `derive:`, or give it a default in the table");
    }
  }
  return {};
}

Status DuckDbTable::CreateLike(const std::string& name) {
  TRANCHE_TRY(connection_.Execute(fmt::format("CREATE TABLE {} {}", QuoteName(name), Definition(sql_))));
  return {};
}

Status DuckDbTable::ReplaceBy(const std::string& staging, const Columns& columns) {
  TRANCHE_TRY(Look());
  std::string from = QuoteName(staging), to = QuoteName(name_);
  if (exists() && !plain_) {
    std::string names = NameList(NamesOf(columns));
    TRANCHE_TRY(connection_.Execute(fmt::format("DELETE FROM {}", to)));
    TRANCHE_TRY(
        connection_.Execute(fmt::format("INSERT INTO {} ({}) SELECT {} FROM {}", to, names, names, from)));
    TRANCHE_TRY(connection_.Execute(fmt::format("DROP TABLE {}", from)));
    return {};
  }
  if (exists()) TRANCHE_TRY(connection_.Execute(fmt::format("DROP TABLE {}", to)));
  TRANCHE_TRY(connection_.Execute(fmt::format("ALTER TABLE {} RENAME TO {}", from, to)));
  return {};
}

}  // namespace tranche
