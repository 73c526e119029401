#include "tranche/base/sqlite.h"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <sqlite3.h>

namespace tranche::sqlite {
namespace {

// "cannot open a.db: unable to open database file (Permission denied)": what was being done, where, SQLite's
// own words, and the system's, where it was to blame.
Error Describe(int code, std::string_view path, std::string_view message, int error_number) {
  std::string reason =
      error_number == 0 ? "" : fmt::format(" ({})", std::generic_category().message(error_number));
  switch (code & 0xff) {
    case SQLITE_FULL:
      return FailErrno("write", path, ENOSPC).Hint("make room, and run it again to resume");
    case SQLITE_READONLY:
      return Fail(Code::kOutside, "cannot write {}: {}", path, message)
          .Hint("the file, its folder or the disk may be write-protected");
    case SQLITE_IOERR:
      return Fail(Code::kOutside, "cannot read or write {}: {}{}", path, message, reason);
    case SQLITE_CANTOPEN:
      return Fail(Code::kOutside, "cannot open {}: {}{}", path, message, reason);
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return Fail(Code::kOutside, "cannot open {}: {}", path, message);
    case SQLITE_NOTADB:
      return Fail(Code::kJob, "{} is not a SQLite file", path);
    case SQLITE_CORRUPT:
      if (error_number == EIO) return FailErrno("read", path, EIO);
      return Fail(Code::kOutside, "{} is damaged: {}", path, message);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Fail(Code::kOutside, "cannot use {}: {}", path, message)
          .Hint("another program holds it; try again when that has ended");
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
      return Fail(Code::kData, "{}: {}", path, message);
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
      return Fail(Code::kInternal, "{}: {}", path, message);
    default:
      return Fail(Code::kOutside, "{}: {}", path, message);
  }
}

// What the system said, 0 where it was not to blame. sqlite3_system_errno() knows less: nothing of a COMMIT.
int SystemError(int code, int error_number) {
  if (code == SQLITE_IOERR_SHORT_READ || code == SQLITE_IOERR_NOMEM) return 0;
  // When a file cannot be opened, SQLite looks for what else could be there, and forgets why.
  if ((code & 0xff) == SQLITE_CANTOPEN) return error_number == ENOENT ? 0 : error_number;
  // Nor does it tell a sector that cannot be read from one that was damaged.
  if ((code & 0xff) == SQLITE_CORRUPT) return error_number == EIO ? EIO : 0;
  return (code & 0xff) == SQLITE_IOERR ? error_number : 0;
}

Error LastError(sqlite3* database) {
  int error_number = SystemError(sqlite3_extended_errcode(database), errno);
  const char* path = sqlite3_db_filename(database, "main");
  return Describe(sqlite3_extended_errcode(database), path != nullptr && *path != '\0' ? path : "database",
                  sqlite3_errmsg(database), error_number);
}

std::string_view View(const void* data, int size) {
  return data == nullptr ? std::string_view() : std::string_view(static_cast<const char*>(data), size);
}

// A null pointer would bind NULL; an empty text is not NULL.
const char* Data(std::string_view value) { return value.data() == nullptr ? "" : value.data(); }

}  // namespace

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_), statement_(std::exchange(other.statement_, nullptr)) {}

Statement::~Statement() { sqlite3_finalize(statement_); }

// Binding fails only by a wrong index or want of memory; Step then says so, for the parameter is NULL or
// SQLite refuses to run.
void Statement::BindNull(int index) { sqlite3_bind_null(statement_, index); }
void Statement::BindInt(int index, int64_t value) { sqlite3_bind_int64(statement_, index, value); }
void Statement::BindDouble(int index, double value) { sqlite3_bind_double(statement_, index, value); }
void Statement::BindText(int index, std::string_view value) {
  sqlite3_bind_text64(statement_, index, Data(value), value.size(), SQLITE_STATIC, SQLITE_UTF8);
}
void Statement::BindBlob(int index, std::string_view value) {
  sqlite3_bind_blob64(statement_, index, Data(value), value.size(), SQLITE_STATIC);
}

void Statement::Bind(int index, const Value& value) {
  struct Binder {
    Statement& statement;
    int index;
    void operator()(std::nullptr_t) const { statement.BindNull(index); }
    void operator()(int64_t number) const { statement.BindInt(index, number); }
    void operator()(double number) const { statement.BindDouble(index, number); }
    void operator()(const std::string& text) const { statement.BindText(index, text); }
    void operator()(const Blob& blob) const { statement.BindBlob(index, blob.bytes); }
  };
  std::visit(Binder{*this, index}, value);
}

int Statement::ParameterIndex(const char* name) const {
  return sqlite3_bind_parameter_index(statement_, name);
}

Result<bool> Statement::Step() {
  int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return LastError(database_);
}

void Statement::Reset() { sqlite3_reset(statement_); }

int Statement::columns() const { return sqlite3_column_count(statement_); }

std::string_view Statement::ColumnName(int index) const {
  const char* name = sqlite3_column_name(statement_, index);
  return name == nullptr ? "" : name;
}

std::string Statement::DeclaredType(int index) const {
  const char* type = sqlite3_column_decltype(statement_, index);
  return type == nullptr ? "" : type;
}

Value Statement::Column(int index) const {
  switch (ColumnType(index)) {
    case Type::kNull:
      return nullptr;
    case Type::kInteger:
      return Int(index);
    case Type::kReal:
      return Double(index);
    case Type::kText:
      return std::string(Text(index));
    case Type::kBlob:
      return Blob{std::string(BlobAt(index))};
  }
  return nullptr;
}

int64_t Statement::Int(int index) const { return sqlite3_column_int64(statement_, index); }
double Statement::Double(int index) const { return sqlite3_column_double(statement_, index); }

std::string_view Statement::Text(int index) const {
  const void* text = sqlite3_column_text(statement_, index);  // before the size: it may convert
  return View(text, sqlite3_column_bytes(statement_, index));
}

std::string_view Statement::BlobAt(int index) const {
  const void* blob = sqlite3_column_blob(statement_, index);
  return View(blob, sqlite3_column_bytes(statement_, index));
}

Statement::Type Statement::ColumnType(int index) const {
  switch (sqlite3_column_type(statement_, index)) {
    case SQLITE_INTEGER:
      return Type::kInteger;
    case SQLITE_FLOAT:
      return Type::kReal;
    case SQLITE_TEXT:
      return Type::kText;
    case SQLITE_BLOB:
      return Type::kBlob;
    default:
      return Type::kNull;
  }
}

Result<std::unique_ptr<Database>> Database::Open(const std::string& path, Access access) {
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  if (access == Access::kReadOnly) flags |= SQLITE_OPEN_READONLY;
  if (access != Access::kReadOnly) flags |= SQLITE_OPEN_READWRITE;
  if (access == Access::kCreate) flags |= SQLITE_OPEN_CREATE;
  sqlite3* handle = nullptr;
  int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  if (handle == nullptr) return Describe(code, path, sqlite3_errstr(code), 0);
  std::unique_ptr<Database> database(new Database(handle, path));
  if (code != SQLITE_OK) return Describe(code, path, sqlite3_errmsg(handle), SystemError(code, errno));
  sqlite3_busy_timeout(handle, 10'000);
  // A file from elsewhere must not make us run functions by its views and triggers.
  TRANCHE_TRY(database->Execute("PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = ON"));
  if (access != Access::kReadOnly) {
    TRANCHE_TRY(database->Execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL"));
  }
  return database;
}

Database::~Database() { sqlite3_close_v2(database_); }

Result<Statement> Database::Prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const char* rest = nullptr;
  int code = sqlite3_prepare_v3(database_, sql.data(), static_cast<int>(sql.size()), 0, &statement, &rest);
  if (code != SQLITE_OK) return LastError(database_);
  Statement prepared(database_, statement);
  std::string_view tail(rest, sql.data() + sql.size());
  if (statement == nullptr) return Fail(Code::kJob, "{}: the SQL is empty", path_);
  if (tail.find_first_not_of(" \t\r\n;") != tail.npos) {
    return Fail(Code::kJob, "{}: more than one SQL statement: '{}'", path_, tail);
  }
  return prepared;
}

Status Database::Execute(std::string_view sql, std::span<const Value> values) {
  if (values.empty()) {  // may be several statements
    if (sqlite3_exec(database_, std::string(sql).c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
      return LastError(database_);
    }
    return {};
  }
  TRANCHE_ASSIGN(Statement statement, Prepare(sql));
  for (size_t i = 0; i < values.size(); ++i) statement.Bind(static_cast<int>(i) + 1, values[i]);
  while (true) {
    TRANCHE_ASSIGN(bool row, statement.Step());
    if (!row) return {};
  }
}

Result<std::vector<Row>> Database::Query(std::string_view sql, std::span<const Value> values) {
  TRANCHE_ASSIGN(Statement statement, Prepare(sql));
  for (size_t i = 0; i < values.size(); ++i) statement.Bind(static_cast<int>(i) + 1, values[i]);
  std::vector<Row> rows;
  while (true) {
    TRANCHE_ASSIGN(bool more, statement.Step());
    if (!more) return rows;
    Row& row = rows.emplace_back();
    for (int i = 0; i < statement.columns(); ++i) row.push_back(statement.Column(i));
  }
}

int64_t Database::changes() const { return sqlite3_changes64(database_); }
int64_t Database::last_row_id() const { return sqlite3_last_insert_rowid(database_); }
bool Database::in_transaction() const { return sqlite3_get_autocommit(database_) == 0; }
int Database::error_code() const { return sqlite3_extended_errcode(database_); }
std::string Database::error_message() const { return sqlite3_errmsg(database_); }
bool Database::last_error_is_constraint() const { return (error_code() & 0xff) == SQLITE_CONSTRAINT; }

std::string Quote(std::string_view identifier) {
  std::string quoted = "\"";
  for (char c : identifier) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

}  // namespace tranche::sqlite
