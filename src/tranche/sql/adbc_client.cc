#include "tranche/sql/adbc_client.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <arrow-adbc/adbc_driver_manager.h>
#include <arrow/c/bridge.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>

#include "tranche/base/units.h"
#include "tranche/batch/arrow_error.h"
#include "tranche/sql/fault.h"

namespace tranche::sql {

namespace {

Fault::Kind KindOfStatus(AdbcStatusCode status) {
  switch (status) {
    case ADBC_STATUS_INTEGRITY:
    case ADBC_STATUS_INVALID_DATA:
      return Fault::Kind::kRow;
    case ADBC_STATUS_IO:
    case ADBC_STATUS_TIMEOUT:
    case ADBC_STATUS_CANCELLED:
      return Fault::Kind::kLost;
    default:
      return Fault::Kind::kFatal;
  }
}

// The driver of PostgreSQL hands on what the server said.
std::string DetailOf(const AdbcError& error, std::string_view key) {
  for (int i = 0; i < AdbcErrorGetDetailCount(&error); ++i) {
    const AdbcErrorDetail detail = AdbcErrorGetDetail(&error, i);
    if (detail.key == key)
      return {reinterpret_cast<const char*>(detail.value),
              strnlen(reinterpret_cast<const char*>(detail.value), detail.value_length)};
  }
  return "";
}

std::string OneLine(std::string message) {
  while (!message.empty() && std::isspace(static_cast<unsigned char>(message.back()))) message.pop_back();
  for (char& c : message) {
    if (c == '\n') c = ' ';
  }
  return message;
}

std::string MessageOf(AdbcStatusCode status, const AdbcError& error) {
  return OneLine(error.message != nullptr ? error.message : AdbcStatusCodeMessage(status));
}

void ReplaceAll(std::string& text, std::string_view part, std::string_view by) {
  for (size_t at = 0; !part.empty() && (at = text.find(part, at)) != std::string::npos; at += by.size()) {
    text.replace(at, part.size(), by);
  }
}

std::string NameOf(std::string_view driver) { return driver.contains('/') ? "" : std::string(driver); }

}  // namespace

constexpr Duration kReleaseTimeout = std::chrono::seconds(10);

struct AdbcClient::Link {  // goes in this order, from below
  AdbcHandle<AdbcDatabase, AdbcDatabaseRelease> database;
  AdbcHandle<AdbcConnection, AdbcConnectionRelease> connection;
};

// A statement, with all that a call of it reads and writes.
struct AdbcClient::Running {
  ~Running() {
    if (stream.release != nullptr) stream.release(&stream);
    if (rows.release != nullptr) rows.release(&rows);
    if (schema.release != nullptr) schema.release(&schema);
    if (bound.release != nullptr) bound.release(&bound);
    if (error.release != nullptr) error.release(&error);
  }

  std::shared_ptr<Link> link;
  AdbcStatementHandle statement;
  ArrowArrayStream bound{};   // rows that go to the driver
  ArrowArrayStream stream{};  // of the answer
  ArrowSchema schema{};
  ArrowArray rows{};  // the next ones
  int64_t changed = 0;
  AdbcError error = ADBC_ERROR_INIT;
};

class AdbcClient::Stream : public AdbcRows {
 public:
  Stream(AdbcClient& client, std::shared_ptr<Running> running)
      : client_(client), running_(std::move(running)) {}
  ~Stream() override { client_.Release(std::move(running_)); }
  const std::shared_ptr<Running>& running() const { return running_; }

  Status ReadSchema() {
    TRANCHE_TRY(client_.Call(running_, [](Running& run) {
      return run.stream.get_schema(&run.stream, &run.schema) == 0 ? ADBC_STATUS_OK : ADBC_STATUS_IO;
    }));
    TRANCHE_ARROW_ASSIGN(schema_, "read", "the columns of an answer", arrow::ImportSchema(&running_->schema));
    return {};
  }

  const std::shared_ptr<arrow::Schema>& schema() const override { return schema_; }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    TRANCHE_TRY(client_.Call(running_, [](Running& run) {
      return run.stream.get_next(&run.stream, &run.rows) == 0 ? ADBC_STATUS_OK : ADBC_STATUS_IO;
    }));
    if (running_->rows.release == nullptr) return nullptr;
    TRANCHE_ARROW_ASSIGN(auto batch, "read", "rows of an answer",
                         arrow::ImportRecordBatch(&running_->rows, schema_));
    return batch;
  }

 private:
  AdbcClient& client_;
  std::shared_ptr<Running> running_;
  std::shared_ptr<arrow::Schema> schema_;
};

AdbcClient::AdbcClient(const AdbcTarget& target, Duration timeout)
    : target_(target), timeout_(timeout), link_(std::make_shared<Link>()) {}

AdbcClient::~AdbcClient() { Release(std::move(link_)); }

std::shared_ptr<AdbcClient::Running> AdbcClient::Begin() {
  auto running = std::make_shared<Running>();
  running->link = link_;
  return running;
}

Status AdbcClient::Call(const std::shared_ptr<Running>& running,
                        std::function<AdbcStatusCode(Running&)> call) {
  const auto status = caller_.Do(
      timeout_, [running, call = std::move(call)] { return call(*running); },
      [running] {
        if (AdbcStatementCancel(running->statement.get(), nullptr) != ADBC_STATUS_OK)
          AdbcConnectionCancel(running->link->connection.get(), nullptr);
      });
  if (!status || (*status != ADBC_STATUS_OK && caller_.late())) {
    fault_ = {.kind = Fault::Kind::kLost};
    return Fail(Code::kOutside, "no answer within {}{}", FormatDuration(timeout_),
                status ? "" : ", and the driver does not stop");
  }
  return *status == ADBC_STATUS_OK ? Status() : FailedBy(*running, *status);
}

template <typename T>
void AdbcClient::Release(std::shared_ptr<T> held) {
  caller_.Do(
      std::min(timeout_, kReleaseTimeout),
      [held = std::move(held)]() mutable {
        held.reset();
        return ADBC_STATUS_OK;
      },
      [] {});
}

Status AdbcClient::Open() {
  {
    Running run;
    const auto entrypoint = std::ranges::find(target_.options, "entrypoint", &AdbcOption::name);
    AdbcDriver driver{};
    const AdbcStatusCode status = AdbcFindLoadDriver(
        target_.driver.c_str(), entrypoint == target_.options.end() ? nullptr : entrypoint->value.c_str(),
        ADBC_VERSION_1_1_0, ADBC_LOAD_FLAG_DEFAULT, nullptr, &driver, &run.error);
    if (driver.release != nullptr) driver.release(&driver, nullptr);
    if (status != ADBC_STATUS_OK) {
      fault_ = {.kind = Fault::Kind::kFatal};
      const std::string name = NameOf(target_.driver);
      return Fail(Code::kJob, "the ADBC driver '{}' cannot be loaded: {}", target_.driver,
                  MessageOf(status, run.error))
          .Hint(fmt::format("drivers are shared libraries, had by `pip install adbc-driver-{}` or as "
                            "https://arrow.apache.org/adbc says: name the .so by its whole path",
                            name.empty() ? "NAME" : name));
    }
  }
  Status opened = Call(Begin(), [target = target_](Running& run) {
    AdbcDatabase* const database = run.link->database.get();
    AdbcStatusCode status = AdbcDatabaseNew(database, &run.error);
    auto set = [&](const std::string& name, const std::string& value) {
      if (status == ADBC_STATUS_OK)
        status = AdbcDatabaseSetOption(database, name.c_str(), value.c_str(), &run.error);
    };
    set("driver", target.driver);
    if (status == ADBC_STATUS_OK)
      status = AdbcDriverManagerDatabaseSetLoadFlags(database, ADBC_LOAD_FLAG_DEFAULT, &run.error);
    for (const AdbcOption& option : target.options) set(option.name, option.value);
    if (status == ADBC_STATUS_OK) status = AdbcDatabaseInit(database, &run.error);
    AdbcConnection* const connection = run.link->connection.get();
    if (status == ADBC_STATUS_OK) status = AdbcConnectionNew(connection, &run.error);
    if (status == ADBC_STATUS_OK) status = AdbcConnectionInit(connection, database, &run.error);
    return status;
  });
  return opened ? opened : Unconnected(std::move(opened).error());
}

Error AdbcClient::Unconnected(Error error) {
  // Most drivers know no better than "input and output", whatever the reason.
  auto says = [&](std::string_view words) { return error.message.find(words) != std::string::npos; };
  const bool refused = says("authentication failed") || says("no password supplied") ||
                       says("does not exist") || says("no pg_hba.conf entry") || says("certificate") ||
                       says("failed to open") || says("connection info string") ||
                       says("file is not a database");
  if (refused || fault_.kind == Fault::Kind::kFatal) {
    fault_.kind = Fault::Kind::kFatal;
    error.code = Code::kJob;
  } else {
    fault_.kind = Fault::Kind::kLost;
    error.code = Code::kOutside;
  }
  if (says("authentication failed") || says("no password supplied")) error.hint = "check user and password";
  return std::move(error).In("cannot connect");
}

Error AdbcClient::Failed(AdbcStatusCode status, const AdbcError& error) {
  const std::string state(error.sqlstate, strnlen(error.sqlstate, sizeof error.sqlstate));
  const bool known = !state.empty() && state != "00000";
  unsupported_ = status == ADBC_STATUS_NOT_IMPLEMENTED;
  fault_ = {.kind = known ? KindOfSqlState(state) : KindOfStatus(status), .code = known ? state : ""};
  if (!known && error.vendor_code != 0 && error.vendor_code != ADBC_ERROR_VENDOR_CODE_PRIVATE_DATA) {
    fault_.code = std::to_string(error.vendor_code);
  }
  std::string message = MessageOf(status, error);
  if (const std::string primary = DetailOf(error, "PG_DIAG_MESSAGE_PRIMARY"); !primary.empty()) {
    const std::string context = DetailOf(error, "PG_DIAG_CONTEXT");
    const std::string detail = DetailOf(error, "PG_DIAG_MESSAGE_DETAIL");
    message = detail.empty() || RepeatsRow(state) ? primary : primary + ": " + detail;
    fault_.row = PostgresRowIn(context);
    fault_.column = DetailOf(error, "PG_DIAG_COLUMN_NAME");
    if (fault_.column.empty()) fault_.column = PostgresColumnIn(context);
  }
  return Fail(fault_.kind == Fault::Kind::kRow ? Code::kData : Code::kOutside, "{}",
              Shown(OneLine(std::move(message))));
}

Error AdbcClient::FailedBy(Running& running, AdbcStatusCode status) {
  if (running.stream.release == nullptr) return Failed(status, running.error);
  if (const AdbcError* error = AdbcErrorFromArrayStream(&running.stream, &status))
    return Failed(status, *error);
  AdbcError error{};
  error.message = const_cast<char*>(running.stream.get_last_error(&running.stream));
  return Failed(status, error);
}

// A driver may say what it was given, and within an address the password stands between ':' and '@'.
std::string AdbcClient::Shown(std::string message) const {
  for (const AdbcOption& option : target_.options) {
    if (!option.secret) continue;
    ReplaceAll(message, option.value, "…");
    const size_t from = option.value.find("://");
    const size_t end = option.value.rfind('@');
    if (from == std::string::npos || end == std::string::npos) continue;
    const size_t colon = option.value.find(':', from + 3);
    if (colon < end) ReplaceAll(message, option.value.substr(colon + 1, end - colon - 1), "…");
  }
  return message;
}

AdbcStatusCode AdbcClient::Prepare(Running& run, const std::vector<AdbcOption>& options,
                                   const std::string* sql) {
  AdbcStatement* const statement = run.statement.get();
  AdbcStatusCode status = AdbcStatementNew(run.link->connection.get(), statement, &run.error);
  for (const AdbcOption& option : options) {
    if (status != ADBC_STATUS_OK) return status;
    status = AdbcStatementSetOption(statement, option.name.c_str(), option.value.c_str(), &run.error);
  }
  if (status == ADBC_STATUS_OK && sql != nullptr)
    status = AdbcStatementSetSqlQuery(statement, sql->c_str(), &run.error);
  return status;
}

Result<int64_t> AdbcClient::Change(std::shared_ptr<Running> running,
                                   std::function<AdbcStatusCode(Running&)> prepare) {
  Status done = Call(running, [prepare = std::move(prepare)](Running& run) {
    const AdbcStatusCode status = prepare(run);
    if (status != ADBC_STATUS_OK) return status;
    return AdbcStatementExecuteQuery(run.statement.get(), nullptr, &run.changed, &run.error);
  });
  const int64_t changed = done ? running->changed : 0;
  Release(std::move(running));
  if (!done) return std::move(done).error();
  return changed;
}

Result<int64_t> AdbcClient::Execute(const std::string& sql) {
  return Change(Begin(), [sql](Running& run) { return Prepare(run, {}, &sql); });
}

Result<std::shared_ptr<AdbcClient::Running>> AdbcClient::Begin(const Rows& rows) {
  TRANCHE_ARROW_ASSIGN(auto reader, "hand over", "rows",
                       arrow::RecordBatchReader::Make(rows.pieces, rows.schema));
  auto running = Begin();
  TRANCHE_ARROW_TRY("hand over", "rows", arrow::ExportRecordBatchReader(std::move(reader), &running->bound));
  return running;
}

Result<int64_t> AdbcClient::Ingest(const TableName& table, const Rows& rows, bool creates) {
  TRANCHE_ASSIGN(auto running, Begin(rows));
  std::vector<AdbcOption> options = {
      {ADBC_INGEST_OPTION_TARGET_TABLE, table.table},
      {ADBC_INGEST_OPTION_MODE, creates ? ADBC_INGEST_OPTION_MODE_CREATE : ADBC_INGEST_OPTION_MODE_APPEND}};
  if (!table.schema.empty()) options.push_back({ADBC_INGEST_OPTION_TARGET_DB_SCHEMA, table.schema});
  return Change(std::move(running), [options](Running& run) {
    const AdbcStatusCode status = Prepare(run, options, nullptr);
    if (status != ADBC_STATUS_OK) return status;
    return AdbcStatementBindStream(run.statement.get(), &run.bound, &run.error);
  });
}

Result<int64_t> AdbcClient::ExecuteEach(const std::string& sql, const Rows& rows) {
  TRANCHE_ASSIGN(auto running, Begin(rows));
  return Change(std::move(running), [sql](Running& run) {
    AdbcStatusCode status = Prepare(run, {}, &sql);
    if (status == ADBC_STATUS_OK) status = AdbcStatementPrepare(run.statement.get(), &run.error);
    if (status != ADBC_STATUS_OK) return status;
    return AdbcStatementBindStream(run.statement.get(), &run.bound, &run.error);
  });
}

Result<std::shared_ptr<arrow::Schema>> AdbcClient::TableSchema(const TableName& table) {
  auto running = Begin();
  Status done = Call(running, [table](Running& run) {
    return AdbcConnectionGetTableSchema(run.link->connection.get(), nullptr,
                                        table.schema.empty() ? nullptr : table.schema.c_str(),
                                        table.table.c_str(), &run.schema, &run.error);
  });
  ArrowSchema columns = done ? std::exchange(running->schema, {}) : ArrowSchema{};
  Release(std::move(running));
  if (!done) return std::move(done).error();
  TRANCHE_ARROW_ASSIGN(auto read, "read", "the columns of a table", arrow::ImportSchema(&columns));
  return read;
}

Result<std::unique_ptr<AdbcClient::Stream>> AdbcClient::Ask(std::function<AdbcStatusCode(Running&)> ask) {
  auto stream = std::make_unique<Stream>(*this, Begin());
  TRANCHE_TRY(Call(stream->running(), std::move(ask)));
  TRANCHE_TRY(stream->ReadSchema());
  return stream;
}

Result<std::string> AdbcClient::Vendor() {
  TRANCHE_ASSIGN(auto stream, Ask([](Running& run) {
                   constexpr uint32_t kVendor = ADBC_INFO_VENDOR_NAME;
                   return AdbcConnectionGetInfo(run.link->connection.get(), &kVendor, 1, &run.stream,
                                                &run.error);
                 }));
  TRANCHE_ASSIGN(const auto batch, stream->Next());
  if (batch == nullptr || batch->num_rows() == 0) return std::string();
  TRANCHE_ARROW_ASSIGN(const auto value, "read", "the name of the database", batch->column(1)->GetScalar(0));
  return static_cast<const arrow::UnionScalar&>(*value).child_value()->ToString();
}

Result<std::unique_ptr<AdbcRows>> AdbcClient::Run(const std::string& sql,
                                                  const std::vector<AdbcOption>& options) {
  return Ask([sql, options](Running& run) {
    const AdbcStatusCode status = Prepare(run, options, &sql);
    if (status != ADBC_STATUS_OK) return status;
    return AdbcStatementExecuteQuery(run.statement.get(), &run.stream, nullptr, &run.error);
  });
}

Result<std::shared_ptr<arrow::Schema>> AdbcClient::Describe(const std::string& sql) {
  auto running = Begin();
  Status done = Call(running, [sql](Running& run) {
    AdbcStatusCode status = Prepare(run, {}, &sql);
    if (status == ADBC_STATUS_OK)
      status = AdbcStatementExecuteSchema(run.statement.get(), &run.schema, &run.error);
    return status == ADBC_STATUS_NOT_IMPLEMENTED ? ADBC_STATUS_OK : status;
  });
  const bool described = done && running->schema.release != nullptr;
  ArrowSchema schema = described ? std::exchange(running->schema, {}) : ArrowSchema{};
  Release(std::move(running));
  if (!done) return std::move(done).error();
  if (described) {
    TRANCHE_ARROW_ASSIGN(auto columns, "read", "the columns of an answer", arrow::ImportSchema(&schema));
    return columns;
  }
  TRANCHE_ASSIGN(auto rows, Run(sql));
  return rows->schema();
}

Result<std::unique_ptr<AdbcRows>> AdbcClient::Tables(const std::string& schema) {
  return Ask([schema](Running& run) {
    return AdbcConnectionGetObjects(run.link->connection.get(), ADBC_OBJECT_DEPTH_TABLES, nullptr,
                                    schema.empty() ? nullptr : schema.c_str(), nullptr, nullptr, nullptr,
                                    &run.stream, &run.error);
  });
}

std::string AdbcClient::Option(const char* name) {
  auto value = std::make_shared<std::string>(1024, '\0');
  Status done = Call(Begin(), [name, value](Running& run) {
    size_t length = value->size();
    const AdbcStatusCode status =
        AdbcConnectionGetOption(run.link->connection.get(), name, value->data(), &length, &run.error);
    value->resize(std::min(length > 0 ? length - 1 : 0, value->size()));
    return status;
  });
  return done ? *value : "";
}

}  // namespace tranche::sql
