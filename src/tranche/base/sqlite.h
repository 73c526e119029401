// A thin owner of libsqlite3: the one place that includes sqlite3.h. Used for state.db and by the SQLite
// source and store. One thread at a time; errors carry SQLite's own message.
//
//   TRANCHE_ASSIGN(auto db, sqlite::Database::Open("a.db", sqlite::Access::kCreate));
//   TRANCHE_TRY(db->Execute("insert into t values (?, ?)", {int64_t{1}, "x"}));
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tranche/base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace tranche::sqlite {

struct Blob {
  std::string bytes;
  bool operator==(const Blob&) const = default;
};
using Value = std::variant<std::nullptr_t, int64_t, double, std::string, Blob>;
using Row = std::vector<Value>;

enum class Access { kReadOnly, kReadWrite, kCreate };

class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  // Parameters count from 1. Text is not copied: it must live until Step.
  void BindNull(int index);
  void BindInt(int index, int64_t value);
  void BindDouble(int index, double value);
  void BindText(int index, std::string_view value);
  void BindBlob(int index, std::string_view value);
  void Bind(int index, const Value& value);
  int ParameterIndex(const char* name) const;  // of "$name"; 0 where the SQL does not have it

  // true = a row is there, false = done. The result code of an error is in Database::error_code().
  Result<bool> Step();
  void Reset();

  int columns() const;
  std::string_view ColumnName(int index) const;  // from 0
  std::string DeclaredType(int index) const;     // "" for an expression
  Value Column(int index) const;
  int64_t Int(int index) const;
  double Double(int index) const;
  std::string_view Text(int index) const;  // valid until the next Step
  std::string_view BlobAt(int index) const;
  enum class Type { kNull, kInteger, kReal, kText, kBlob };
  Type ColumnType(int index) const;

  sqlite3_stmt* handle() const { return statement_; }

 private:
  friend class Database;
  Statement(sqlite3* database, sqlite3_stmt* statement) : database_(database), statement_(statement) {}
  sqlite3* database_;
  sqlite3_stmt* statement_;
};

class Database {
 public:
  // Sets busy_timeout 10 s, foreign_keys on; for the writing modes journal_mode WAL and synchronous FULL.
  static Result<std::unique_ptr<Database>> Open(const std::string& path, Access access);
  ~Database();
  Database(const Database&) = delete;

  Result<Statement> Prepare(std::string_view sql);
  Status Execute(std::string_view sql, std::span<const Value> values = {});
  Status Execute(std::string_view sql, std::initializer_list<Value> values) {
    return Execute(sql, std::span(values.begin(), values.size()));
  }
  Result<std::vector<Row>> Query(std::string_view sql, std::span<const Value> values = {});
  Result<std::vector<Row>> Query(std::string_view sql, std::initializer_list<Value> values) {
    return Query(sql, std::span(values.begin(), values.size()));
  }

  int64_t changes() const;      // rows that the last INSERT, UPDATE or DELETE touched
  int64_t last_row_id() const;  // of the last INSERT
  bool in_transaction() const;  // false after an ON CONFLICT ROLLBACK has ended ours
  int error_code() const;       // extended code of the last call
  std::string error_message() const;
  bool last_error_is_constraint() const;
  const std::string& path() const { return path_; }
  sqlite3* handle() const { return database_; }

 private:
  Database(sqlite3* database, std::string path) : database_(database), path_(std::move(path)) {}
  sqlite3* database_;
  std::string path_;
};

// "a""b" : an identifier for SQLite and DuckDB.
std::string Quote(std::string_view identifier);

}  // namespace tranche::sqlite
