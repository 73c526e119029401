#include "tranche/base/sqlite_digest.h"

#include <cerrno>

#include <sqlite3.h>

#include "tranche/base/hash.h"

namespace tranche::sqlite {
namespace {

// row_digest(sum, sign, values…): the sum, plus or minus the hash of the values; it wraps around.
void RowDigest(sqlite3_context* context, int count, sqlite3_value** values) {
  std::string bytes;
  for (int i = 2; i < count; ++i) {
    const int type = sqlite3_value_type(values[i]);
    const void* data = type == SQLITE_BLOB ? sqlite3_value_blob(values[i]) : sqlite3_value_text(values[i]);
    const auto size = static_cast<size_t>(sqlite3_value_bytes(values[i]));
    bytes += fmt::format("{}:{}:", type, size);
    if (size > 0) bytes.append(static_cast<const char*>(data), size);
  }
  const auto sum = static_cast<uint64_t>(sqlite3_value_int64(values[0]));
  const auto sign = static_cast<uint64_t>(sqlite3_value_int64(values[1]));
  sqlite3_result_int64(context, static_cast<int64_t>(sum + sign * Hash64(bytes)));
}

struct Table {
  std::string name;
  // "'run', NEW.id, NEW.number": the arguments for a row.
  std::string Arguments(std::string_view row) const {
    std::string text = "'" + name + "'";
    for (const std::string& column : columns) text += fmt::format(", {}{}", row, Quote(column));
    return text;
  }
  std::vector<std::string> columns;
};

// All tables but meta and SQLite's own.
Result<std::vector<Table>> Tables(Database& database) {
  constexpr int kFlags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
  sqlite3_create_function_v2(database.handle(), "row_digest", -1, kFlags, nullptr, RowDigest, nullptr,
                             nullptr, nullptr);
  TRANCHE_ASSIGN(
      auto rows,
      database.Query(
          "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c WHERE "
          "t.type = 'table' AND t.name NOT IN ('meta', 'sqlite_sequence') ORDER BY t.name, c.cid"));
  std::vector<Table> tables;
  for (const Row& row : rows) {
    const auto& name = std::get<std::string>(row[0]);
    if (tables.empty() || tables.back().name != name) tables.push_back({.name = name});
    tables.back().columns.push_back(std::get<std::string>(row[1]));
  }
  return tables;
}

}  // namespace

Status KeepDigest(Database& database) {
  // What REPLACE removes fires the triggers of DELETE only with recursive_triggers.
  TRANCHE_TRY(database.Execute("PRAGMA temp_store = MEMORY; PRAGMA recursive_triggers = ON"));
  TRANCHE_ASSIGN(auto tables, Tables(database));
  for (const Table& table : tables) {
    const std::string plus =
        fmt::format("UPDATE meta SET digest = row_digest(digest, 1, {});", table.Arguments("NEW."));
    const std::string minus =
        fmt::format("UPDATE meta SET digest = row_digest(digest, -1, {});", table.Arguments("OLD."));
    const std::pair<std::string_view, std::string> events[] = {
        {"INSERT", plus}, {"DELETE", minus}, {"UPDATE", minus + plus}};
    for (const auto& [event, work] : events) {
      TRANCHE_TRY(database.Execute(fmt::format("CREATE TEMP TRIGGER {} AFTER {} ON main.{} BEGIN {} END",
                                               Quote(table.name + "_" + std::string(event)), event,
                                               Quote(table.name), work)));
    }
  }
  return {};
}

Status CheckDigest(Database& database) {
  TRANCHE_ASSIGN(auto tables, Tables(database));
  uint64_t sum = 0;
  for (const Table& table : tables) {
    TRANCHE_ASSIGN(Statement rows, database.Prepare(fmt::format("SELECT row_digest(0, 1, {}) FROM {}",
                                                                table.Arguments(""), Quote(table.name))));
    while (true) {
      TRANCHE_ASSIGN(bool row, rows.Step());
      if (!row) break;
      sum += static_cast<uint64_t>(rows.Int(0));
    }
  }
  errno = 0;
  TRANCHE_ASSIGN(auto whole, database.Query("PRAGMA integrity_check(1)"));  // the indexes
  const bool intact = whole.at(0).at(0) == Value("ok");
  // A page that cannot be read is no error to it, but one more thing that is wrong.
  if (!intact && errno == EIO) return FailErrno("read", database.path(), EIO);
  TRANCHE_ASSIGN(auto kept, database.Query("SELECT digest FROM meta"));
  if (intact && kept.size() == 1 && kept[0][0] == Value(static_cast<int64_t>(sum))) return {};
  return Fail(Code::kOutside, "{} is damaged: its rows are not those that were written", database.path());
}

}  // namespace tranche::sqlite
