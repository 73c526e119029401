#include "tranche/sql/mariadb_connection.h"

#include <errmsg.h>
#include <mysqld_error.h>

#include <algorithm>
#include <cstring>

#include <arrow/array.h>
#include <arrow/record_batch.h>

#include "tranche/connector/sql_state.h"

namespace tranche::sql {
namespace {

constexpr size_t kSmallValue = 64;        // longer ones are fetched by themselves
constexpr int64_t kMostLoaded = 8 << 20;  // bytes of an array of rows
constexpr unsigned kCertificate = 2026;   // CR_SSL_CONNECTION_ERROR

struct Numbered {
  unsigned number;
  Fault::Kind kind;
};
// https://mariadb.com/kb/en/mariadb-error-code-reference/; what is not named here goes by its SQLSTATE.
constexpr Numbered kNumbers[] = {
    {1265, Fault::Kind::kRow},    // data truncated
    {1366, Fault::Kind::kRow},    // no character of the column's set
    {1411, Fault::Kind::kRow},    // a function has no value for it
    {4025, Fault::Kind::kRow},    // CHECK
    {1205, Fault::Kind::kAgain},  // lock wait timeout
    {1213, Fault::Kind::kAgain},  // deadlock
    {1020, Fault::Kind::kAgain},  // the row has changed
    {1021, Fault::Kind::kAgain},  // the disk is full
    {1114, Fault::Kind::kAgain},  // so is a table
    {1317, Fault::Kind::kAgain},  // the query was killed
    {1969, Fault::Kind::kAgain},  // max_statement_time
    {1615, Fault::Kind::kAgain},  // the table has changed since the statement was prepared
    {1040, Fault::Kind::kAgain},  // too many connections
    {1203, Fault::Kind::kAgain},  // and of this user
    {1226, Fault::Kind::kAgain},  // a resource of the user's
    {1053, Fault::Kind::kLost},   // shut down
    {1290, Fault::Kind::kLost},   // read-only: another connection may find the right server
    {1836, Fault::Kind::kLost},   // as well
    {1927, Fault::Kind::kLost},   // the connection was killed
};

Fault::Kind KindOf(unsigned number, std::string_view state) {
  for (const Numbered& known : kNumbers) {
    if (known.number == number) return known.kind;
  }
  if (number >= CR_MIN_ERROR && number <= CR_MAX_ERROR) return Fault::Kind::kLost;
  if (state.starts_with("22") || state.starts_with("23") || state.starts_with("45")) return Fault::Kind::kRow;
  if (state.starts_with("40")) return Fault::Kind::kAgain;
  if (state.starts_with("08")) return Fault::Kind::kLost;
  return Fault::Kind::kFatal;
}

// $1, $2, … become ?, in the order in which they stand; the values with them.
std::string WithMarks(std::string_view sql, const std::vector<Value>& values,
                      std::vector<const Value*>& bound) {
  return ReplaceParameters(sql, [&](std::string_view number) -> std::optional<std::string> {
    const Value* value = FindParameter(values, number);
    if (value == nullptr) return std::nullopt;
    bound.push_back(value);
    return "?";
  });
}

// The values of one column, in the form in which they are bound.
struct Bound {
  std::vector<char> fixed;
  std::vector<char*> texts;
  std::vector<unsigned long> lengths;
  std::vector<char> indicators;
};

template <typename Number>
void TakeNumbers(const arrow::Array& values, const std::vector<int64_t>& rows, Bound& bound) {
  bound.fixed.resize(rows.size() * sizeof(Number));
  const auto* numbers = values.data()->GetValues<Number>(1);
  for (size_t i = 0; i < rows.size(); ++i) {
    std::memcpy(bound.fixed.data() + i * sizeof(Number), numbers + rows[i], sizeof(Number));
  }
}

std::string_view TextAt(const arrow::Array& array, int64_t row) {
  if (array.type_id() == arrow::Type::LARGE_STRING || array.type_id() == arrow::Type::LARGE_BINARY) {
    return static_cast<const arrow::LargeBinaryArray&>(array).GetView(row);
  }
  return static_cast<const arrow::BinaryArray&>(array).GetView(row);
}

// Of each row, at most.
std::vector<int64_t> BytesOf(const arrow::RecordBatch& rows) {
  std::vector<int64_t> bytes(static_cast<size_t>(rows.num_rows()), 9 * rows.num_columns());
  for (const auto& column : rows.columns()) {
    if (!arrow::is_base_binary_like(column->type_id())) continue;
    for (int64_t row = 0; row < rows.num_rows(); ++row) {
      if (!column->IsNull(row)) bytes[row] += static_cast<int64_t>(TextAt(*column, row).size());
    }
  }
  return bytes;
}

Result<enum_field_types> Bind(const arrow::Array& values, const std::vector<int64_t>& rows, Bound& bound,
                              bool* is_unsigned) {
  bound.indicators.assign(rows.size(), STMT_INDICATOR_NONE);
  for (size_t i = 0; values.null_count() > 0 && i < rows.size(); ++i) {
    if (values.IsNull(rows[i])) bound.indicators[i] = STMT_INDICATOR_NULL;
  }
  *is_unsigned = arrow::is_unsigned_integer(values.type_id());
  switch (values.type_id()) {
    case arrow::Type::BOOL:
      for (int64_t row : rows)
        bound.fixed.push_back(static_cast<const arrow::BooleanArray&>(values).Value(row));
      return MYSQL_TYPE_TINY;
    case arrow::Type::INT8:
    case arrow::Type::UINT8:
      TakeNumbers<int8_t>(values, rows, bound);
      return MYSQL_TYPE_TINY;
    case arrow::Type::INT16:
    case arrow::Type::UINT16:
      TakeNumbers<int16_t>(values, rows, bound);
      return MYSQL_TYPE_SHORT;
    case arrow::Type::INT32:
    case arrow::Type::UINT32:
      TakeNumbers<int32_t>(values, rows, bound);
      return MYSQL_TYPE_LONG;
    case arrow::Type::INT64:
    case arrow::Type::UINT64:
      TakeNumbers<int64_t>(values, rows, bound);
      return MYSQL_TYPE_LONGLONG;
    case arrow::Type::FLOAT:
      TakeNumbers<float>(values, rows, bound);
      return MYSQL_TYPE_FLOAT;
    case arrow::Type::DOUBLE:
      TakeNumbers<double>(values, rows, bound);
      return MYSQL_TYPE_DOUBLE;
    default:
      break;
  }
  if (!arrow::is_base_binary_like(values.type_id())) {
    return Fail(Code::kInternal, "cannot hand a {} to MariaDB", values.type()->ToString());
  }
  bound.texts.reserve(rows.size());
  bound.lengths.reserve(rows.size());
  for (int64_t row : rows) {
    const std::string_view text = values.IsNull(row) ? std::string_view("") : TextAt(values, row);
    bound.texts.push_back(const_cast<char*>(text.data()));
    bound.lengths.push_back(text.size());
  }
  const bool text = values.type_id() == arrow::Type::STRING || values.type_id() == arrow::Type::LARGE_STRING;
  return text ? MYSQL_TYPE_STRING : MYSQL_TYPE_BLOB;
}

// Takes the rows of an answer as text.
class Answer {
 public:
  static Result<Answer> Open(MYSQL_STMT& statement) {
    Answer answer(statement);
    answer.binds_.resize(mysql_stmt_field_count(&statement));
    answer.columns_ = std::vector<Column>(answer.binds_.size());
    for (size_t i = 0; i < answer.binds_.size(); ++i) answer.Set(i);
    mysql_stmt_bind_result(&statement, answer.binds_.data());
    return answer;
  }

  // False at the end; nothing where it fails.
  std::optional<bool> Next(TextRow& row) {
    const int fetched = mysql_stmt_fetch(&statement_);
    if (fetched == MYSQL_NO_DATA) return false;
    if (fetched != 0 && fetched != MYSQL_DATA_TRUNCATED) return std::nullopt;
    row.clear();
    for (size_t i = 0; i < columns_.size(); ++i) {
      Column& column = columns_[i];
      if (column.null) {
        row.emplace_back();
        continue;
      }
      std::string value(column.length, '\0');
      if (column.length <= kSmallValue) {
        std::memcpy(value.data(), column.value, column.length);
      } else {
        MYSQL_BIND whole{};
        unsigned long length = 0;
        whole.buffer_type = MYSQL_TYPE_STRING;
        whole.buffer = value.data();
        whole.buffer_length = value.size();
        whole.length = &length;
        if (mysql_stmt_fetch_column(&statement_, &whole, static_cast<unsigned>(i), 0) != 0)
          return std::nullopt;
      }
      row.emplace_back(std::move(value));
    }
    return true;
  }

 private:
  struct Column {
    char value[kSmallValue];
    unsigned long length = 0;
    my_bool null = 0;
    my_bool cut = 0;
  };
  explicit Answer(MYSQL_STMT& statement) : statement_(statement) {}
  void Set(size_t i) {
    MYSQL_BIND& bind = binds_[i];
    bind = {};
    bind.buffer_type = MYSQL_TYPE_STRING;
    bind.buffer = columns_[i].value;
    bind.buffer_length = kSmallValue;
    bind.length = &columns_[i].length;
    bind.is_null = &columns_[i].null;
    bind.error = &columns_[i].cut;
  }

  MYSQL_STMT& statement_;
  std::vector<MYSQL_BIND> binds_;
  std::vector<Column> columns_;  // where the binds point
};

}  // namespace

Error MariaDbConnection::Lost(std::string why) {
  const std::string code = fault_.code;
  fault_ = {.kind = Fault::Kind::kLost, .code = code};
  answer_.reset();
  kept_.clear();
  connection_.reset();
  return Fail(Code::kOutside, "the connection to the server is lost: {}", why);
}

Error MariaDbConnection::Failed(unsigned number, std::string_view state, std::string message) {
  fault_ = {.kind = KindOf(number, state), .code = std::to_string(number)};
  std::ranges::replace(message, '\n', ' ');
  // The database is known, and another one in each trial of `prove`.
  for (size_t at = message.find(database_); at != std::string::npos; at = message.find(database_, at)) {
    message.erase(at, database_.size());
  }
  if (fault_.kind == Fault::Kind::kLost) {
    Error error = Lost(std::move(message));
    if (number == 1290 || number == 1836) error.hint = "the server takes no writes: is it a standby?";
    return error;
  }
  Error error = Fail(fault_.kind == Fault::Kind::kRow ? Code::kData : Code::kOutside, "{}", message);
  if (number == 1021 || number == 1114) {
    error.hint = "the server has no room: free its disk";
  } else if (number == 1142 || number == 1143 || number == 1044 || number == 1227) {
    error.hint = "ask the owner of the database for the right, then run this again";
  }
  return error;
}

Error MariaDbConnection::Failed(MYSQL_STMT& statement) {
  return Failed(mysql_stmt_errno(&statement), mysql_stmt_sqlstate(&statement), mysql_stmt_error(&statement));
}

Status MariaDbConnection::Open(const MariaDbParameters& parameters, const std::string& application) {
  fault_ = {};
  kept_.clear();
  connection_.reset(mysql_init(nullptr));
  if (!connection_) return Lost("no memory");
  const auto seconds =
      static_cast<unsigned>(std::max<int64_t>(std::chrono::ceil<std::chrono::seconds>(timeout_).count(), 1));
  for (const auto option : {MYSQL_OPT_CONNECT_TIMEOUT, MYSQL_OPT_READ_TIMEOUT, MYSQL_OPT_WRITE_TIMEOUT}) {
    mysql_optionsv(connection_.get(), option, &seconds);
  }
  const my_bool tls = parameters.tls;
  const my_bool verifies = parameters.verifies;
  mysql_optionsv(connection_.get(), MYSQL_OPT_SSL_ENFORCE, &tls);
  mysql_optionsv(connection_.get(), MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verifies);
  if (!parameters.authority.empty()) {
    mysql_optionsv(connection_.get(), MYSQL_OPT_SSL_CA, parameters.authority.c_str());
  }
  mysql_optionsv(connection_.get(), MYSQL_SET_CHARSET_NAME, "utf8mb4");
  mysql_optionsv(connection_.get(), MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", application.c_str());
  const unsigned local_infile = 0;  // a server could ask for our files
  mysql_optionsv(connection_.get(), MYSQL_OPT_LOCAL_INFILE, &local_infile);
  if (mysql_real_connect(connection_.get(), parameters.host.c_str(), parameters.user.c_str(),
                         parameters.password.c_str(), parameters.database.c_str(), parameters.port, nullptr,
                         CLIENT_FOUND_ROWS) == nullptr) {
    const unsigned number = mysql_errno(connection_.get());
    Error error = Fail(Code::kOutside, "cannot connect: {}", mysql_error(connection_.get()));
    fault_ = {.kind = KindOf(number, mysql_sqlstate(connection_.get())), .code = std::to_string(number)};
    if (number == kCertificate) fault_.kind = Fault::Kind::kFatal;
    if (fault_.kind == Fault::Kind::kFatal) error.code = Code::kJob;
    if (number == kCertificate) {
      error.hint = "name the authority that signed the server's certificate: …?sslrootcert=/path/to/ca.pem";
    } else if (number == ER_ACCESS_DENIED_ERROR) {
      error.hint = "check user and password of the url";
      error.code = Code::kJob;
      fault_.kind = Fault::Kind::kFatal;
    } else if (number == ER_DBACCESS_DENIED_ERROR) {
      error.hint = "ask the owner of the database for the right, then run this again";
    }
    connection_.reset();
    return error;
  }
  database_ = "`" + parameters.database + "`.";
  number_ = mysql_thread_id(connection_.get());
  const std::string_view version = mysql_get_server_info(connection_.get());
  if (version.find("MariaDB") == std::string_view::npos ||
      mysql_get_server_version(connection_.get()) < 100700) {
    fault_.kind = Fault::Kind::kFatal;
    return Fail(Code::kJob, "the server is {}, and this needs MariaDB 10.7 or later", version);
  }
  // Strict: no value is made to fit. Names stand in double quotes; times are UTC.
  return RunPlain(
      "SET SESSION sql_mode = "
      "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,"
      "NO_ZERO_IN_DATE,ANSI_QUOTES,NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00', autocommit = 1, "
      "innodb_lock_wait_timeout = 30, tx_isolation = 'READ-COMMITTED', sql_notes = 1, "
      "foreign_key_checks = 1, "
      "unique_checks = 1, check_constraint_checks = 1, max_error_count = 64, wait_timeout = 28800, "
      "net_write_timeout = 600, net_read_timeout = 600");
}

Status MariaDbConnection::RunPlain(std::string_view sql) {
  if (!connection_) return Lost("it was closed");
  fault_ = {};
  if (mysql_real_query(connection_.get(), sql.data(), sql.size()) != 0) {
    return Failed(mysql_errno(connection_.get()), mysql_sqlstate(connection_.get()),
                  mysql_error(connection_.get()));
  }
  return {};
}

Result<MariaDbStatement> MariaDbConnection::Prepare(std::string_view sql) {
  if (!connection_) return Lost("it was closed");
  fault_ = {};
  MariaDbStatement statement(mysql_stmt_init(connection_.get()));
  if (!statement) return Lost("no memory");
  if (mysql_stmt_prepare(statement.get(), sql.data(), sql.size()) != 0) return Failed(*statement);
  return statement;
}

Status MariaDbConnection::RunKept(const std::string& sql, const std::function<Status(MYSQL_STMT&)>& run) {
  constexpr size_t kMostKept = 16;
  auto kept = kept_.find(sql);
  if (kept == kept_.end()) {
    if (kept_.size() == kMostKept) kept_.clear();
    TRANCHE_ASSIGN(MariaDbStatement statement, Prepare(sql));
    kept = kept_.emplace(sql, std::move(statement)).first;
  }
  fault_ = {};
  Status done = run(*kept->second);
  if (!done) kept_.erase(sql);
  return done;
}

Status MariaDbConnection::RunOn(MYSQL_STMT& statement, const std::vector<const Value*>& bound) {
  std::vector<MYSQL_BIND> binds(bound.size());
  std::vector<unsigned long> lengths(bound.size());
  std::vector<my_bool> nulls(bound.size());
  for (size_t i = 0; i < bound.size(); ++i) {
    binds[i] = {};
    binds[i].buffer_type = MYSQL_TYPE_STRING;
    nulls[i] = !bound[i]->text;
    if (bound[i]->text) binds[i].buffer = const_cast<char*>(bound[i]->text->data());
    lengths[i] = bound[i]->text ? bound[i]->text->size() : 0;
    binds[i].buffer_length = lengths[i];
    binds[i].length = &lengths[i];
    binds[i].is_null = &nulls[i];
  }
  if (!binds.empty() && mysql_stmt_bind_param(&statement, binds.data()) != 0) return Failed(statement);
  if (mysql_stmt_execute(&statement) != 0) return Failed(statement);
  return {};
}

Result<MariaDbStatement> MariaDbConnection::Run(std::string_view sql, const std::vector<Value>& values) {
  std::vector<const Value*> bound;
  TRANCHE_ASSIGN(MariaDbStatement statement, Prepare(WithMarks(sql, values, bound)));
  TRANCHE_TRY(RunOn(*statement, bound));
  return statement;
}

// What can't be prepared (BEGIN, SAVEPOINT) has no values.
Result<int64_t> MariaDbConnection::Execute(std::string_view sql, const std::vector<Value>& values) {
  if (values.empty()) {
    TRANCHE_TRY(RunPlain(sql));
    const std::unique_ptr<MYSQL_RES, FreeMariaDb> answer(mysql_store_result(connection_.get()));
    return answer ? 0 : static_cast<int64_t>(mysql_affected_rows(connection_.get()));
  }
  std::vector<const Value*> bound;
  int64_t rows = 0;
  TRANCHE_TRY(RunKept(WithMarks(sql, values, bound), [&](MYSQL_STMT& statement) -> Status {
    TRANCHE_TRY(RunOn(statement, bound));
    rows = static_cast<int64_t>(mysql_stmt_affected_rows(&statement));
    return {};
  }));
  return rows;
}

Status MariaDbConnection::Each(std::string_view sql, const std::vector<Value>& values,
                               const std::function<Status(const TextRow&)>& take) {
  TRANCHE_ASSIGN(const MariaDbStatement statement, Run(sql, values));
  TRANCHE_ASSIGN(Answer answer, Answer::Open(*statement));
  TextRow row;
  while (true) {
    const std::optional<bool> more = answer.Next(row);
    if (!more) return Failed(*statement);
    if (!*more) return {};
    TRANCHE_TRY(take(row));
  }
}

Result<std::vector<TextRow>> MariaDbConnection::Query(std::string_view sql,
                                                      const std::vector<Value>& values) {
  std::vector<TextRow> rows;
  TRANCHE_TRY(Each(sql, values, [&](const TextRow& row) -> Status {
    rows.push_back(row);
    return {};
  }));
  return rows;
}

Result<std::vector<MYSQL_FIELD>> MariaDbConnection::Describe(std::string_view sql,
                                                             std::vector<std::string>& names) {
  TRANCHE_ASSIGN(const MariaDbStatement statement, Prepare(sql));
  const std::unique_ptr<MYSQL_RES, FreeMariaDb> answer(mysql_stmt_result_metadata(statement.get()));
  std::vector<MYSQL_FIELD> fields;
  for (unsigned i = 0; answer && i < mysql_num_fields(answer.get()); ++i) {
    fields.push_back(*mysql_fetch_field_direct(answer.get(), i));
    names.emplace_back(fields.back().name, fields.back().name_length);
  }
  return fields;
}

Status MariaDbConnection::Begin(std::string_view sql) {
  TRANCHE_TRY(RunPlain(sql));
  answer_.reset(mysql_use_result(connection_.get()));
  if (answer_) return {};
  return Failed(mysql_errno(connection_.get()), mysql_sqlstate(connection_.get()),
                mysql_error(connection_.get()));
}

Result<bool> MariaDbConnection::Next(MYSQL_ROW* row, const unsigned long** lengths) {
  if (!connection_ || !answer_) return Lost("it was closed");
  *row = mysql_fetch_row(answer_.get());
  if (*row != nullptr) {
    *lengths = mysql_fetch_lengths(answer_.get());
    return true;
  }
  answer_.reset();
  if (mysql_errno(connection_.get()) == 0) return false;
  return Failed(mysql_errno(connection_.get()), mysql_sqlstate(connection_.get()),
                mysql_error(connection_.get()));
}

Status MariaDbConnection::CheckNotes() {
  if (mysql_warning_count(connection_.get()) == 0) return {};
  TRANCHE_ASSIGN(auto notes, Query("SHOW WARNINGS", {}));
  const bool said = !notes.empty();
  fault_ = {.kind = Fault::Kind::kRow, .code = said ? notes[0].at(1).value_or("") : ""};
  return Fail(Code::kData, "the server would store another value: {}",
              said ? notes[0].at(2).value_or("") : "it does not say which");
}

Status MariaDbConnection::LoadPart(MYSQL_STMT& statement, const arrow::RecordBatch& rows,
                                   const std::vector<int64_t>& indices, int64_t before) {
  const auto columns = static_cast<size_t>(rows.num_columns());
  std::vector<Bound> bounds(columns);
  std::vector<MYSQL_BIND> binds(columns);
  for (size_t i = 0; i < columns; ++i) {
    bool is_unsigned = false;
    TRANCHE_ASSIGN(const auto type,
                   Bind(*rows.column(static_cast<int>(i)), indices, bounds[i], &is_unsigned));
    binds[i] = {};
    binds[i].buffer_type = type;
    binds[i].is_unsigned = is_unsigned;
    binds[i].u.indicator = bounds[i].indicators.data();
    const bool text = type == MYSQL_TYPE_STRING || type == MYSQL_TYPE_BLOB;
    binds[i].buffer = text ? static_cast<void*>(bounds[i].texts.data()) : bounds[i].fixed.data();
    binds[i].length = text ? bounds[i].lengths.data() : nullptr;
  }
  const auto count = static_cast<unsigned>(indices.size());
  mysql_stmt_attr_set(&statement, STMT_ATTR_ARRAY_SIZE, &count);
  if (mysql_stmt_bind_param(&statement, binds.data()) != 0) return Failed(statement);
  if (mysql_stmt_execute(&statement) == 0) return CheckNotes();
  Error error = Failed(statement);
  if (fault_.kind != Fault::Kind::kRow) return error;
  const Fault fault = fault_;
  std::optional<int64_t> row;
  // Right behind the statement: another one would take its place.
  if (mysql_query(connection_.get(), "GET DIAGNOSTICS CONDITION 1 @tranche_row = ROW_NUMBER") == 0) {
    TRANCHE_ASSIGN(auto answer, Query("SELECT @tranche_row", {}));
    if (const int64_t number = ToNumber(answer.at(0).at(0)); number > 0 && number <= count)
      row = before + number - 1;
  }
  fault_ = fault;
  fault_.row = row;
  return error;
}

Result<int64_t> MariaDbConnection::Load(const LoadTarget& target, const arrow::RecordBatch& rows,
                                        const std::vector<Span>& spans) {
  if (most_bytes_ == 0) {
    TRANCHE_ASSIGN(auto rows, Query("SELECT @@max_allowed_packet", {}));
    most_bytes_ = ToNumber(rows.at(0).at(0));
  }
  std::string names, marks;
  for (const std::string& column : target.columns) {
    names += (names.empty() ? "" : ", ") + QuoteName(column);
    marks += marks.empty() ? "?" : ", ?";
  }
  const std::string sql =
      fmt::format("INSERT INTO {} ({}) VALUES ({})", QuoteName(target.table), names, marks);
  const int64_t most = std::min(most_bytes_ / 2, kMostLoaded);
  // Of the rows from the first span to the last: a part of a batch is tried again and again.
  const int64_t first = spans.empty() ? 0 : spans.front().from;
  const int64_t end = spans.empty() ? 0 : spans.back().to;
  const std::vector<int64_t> sizes = BytesOf(*rows.Slice(first, end - first));
  std::vector<int64_t> part;
  int64_t loaded = 0, bytes = 0;
  auto load = [&]() -> Status {
    if (part.empty()) return {};
    TRANCHE_TRY(RunKept(sql, [&](MYSQL_STMT& statement) { return LoadPart(statement, rows, part, loaded); }));
    loaded += static_cast<int64_t>(part.size());
    part.clear();
    bytes = 0;
    return {};
  };
  for (Span span : spans) {
    for (int64_t row = span.from; row < span.to; ++row) {
      const int64_t size = sizes[row - first];
      if (size + 1024 > most_bytes_) {
        fault_ = {.kind = Fault::Kind::kRow, .code = "", .row = loaded + static_cast<int64_t>(part.size())};
        return Fail(Code::kData, "the row is longer than the server's max_allowed_packet ({} bytes)",
                    most_bytes_);
      }
      if (bytes + size > most) TRANCHE_TRY(load());
      part.push_back(row);
      bytes += size;
    }
  }
  TRANCHE_TRY(load());
  return loaded;
}

}  // namespace tranche::sql
