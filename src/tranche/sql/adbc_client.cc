#include "tranche/sql/adbc_client.h"

#include <condition_variable>
#include <cstring>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include <arrow-adbc/adbc_driver_manager.h>
#include <arrow/c/bridge.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>

#include "tranche/batch/arrow_error.h"
#include "tranche/sql/fault.h"

namespace tranche::sql {

// Calls `expire` from a thread of its own while a call lasts longer than the timeout.
class Deadline {
 public:
  Deadline(Duration timeout, std::function<void()> expire)
      : timeout_(timeout), expire_(std::move(expire)), thread_([this] { Watch(); }) {}
  ~Deadline() {
    {
      std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }

  // While it lives, a call is under way.
  class Call {
   public:
    explicit Call(Deadline& deadline) : deadline_(deadline) {
      deadline.Set(Clock::now() + deadline.timeout_);
    }
    ~Call() { deadline_.Set(std::nullopt); }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

   private:
    Deadline& deadline_;
  };

 private:
  using Clock = std::chrono::steady_clock;

  void Set(std::optional<Clock::time_point> end) {
    {
      std::lock_guard lock(mutex_);
      end_ = end;
    }
    changed_.notify_one();
  }
  // Holds the mutex while it cancels: the call's statement must not go meanwhile.
  void Watch() {
    std::unique_lock lock(mutex_);
    while (!ended_) {
      if (!end_) {
        changed_.wait(lock);
      } else if (Clock::now() < *end_) {
        changed_.wait_until(lock, *end_);
      } else {
        end_.reset();
        expire_();
      }
    }
  }

  const Duration timeout_;
  const std::function<void()> expire_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Clock::time_point> end_;
  bool ended_ = false;
  std::thread thread_;
};

namespace {

// An AdbcError that is freed.
class Problem {
 public:
  Problem() = default;
  Problem(const Problem&) = delete;
  Problem& operator=(const Problem&) = delete;
  ~Problem() {
    if (error_.release != nullptr) error_.release(&error_);
  }
  operator AdbcError*() { return &error_; }
  const AdbcError& operator*() const { return error_; }

 private:
  AdbcError error_ = ADBC_ERROR_INIT;
};

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

class AdbcClient::Stream : public AdbcRows {
 public:
  explicit Stream(AdbcClient& client) : client_(client) {}
  ~Stream() override {
    if (stream_.release != nullptr) stream_.release(&stream_);
    if (client_.running_ == statement_.get()) client_.running_ = nullptr;
  }
  AdbcStatement* statement() { return statement_.get(); }
  ArrowArrayStream* stream() { return &stream_; }

  Status ReadSchema() {
    ArrowSchema schema{};
    {
      Deadline::Call call(*client_.deadline_);
      if (stream_.get_schema(&stream_, &schema) != 0) return Failed();
    }
    TRANCHE_ARROW_ASSIGN(schema_, "read", "the columns of an answer", arrow::ImportSchema(&schema));
    return {};
  }

  const std::shared_ptr<arrow::Schema>& schema() const override { return schema_; }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    ArrowArray rows{};
    {
      Deadline::Call call(*client_.deadline_);
      if (stream_.get_next(&stream_, &rows) != 0) return Failed();
    }
    if (rows.release == nullptr) return nullptr;
    TRANCHE_ARROW_ASSIGN(auto batch, "read", "rows of an answer", arrow::ImportRecordBatch(&rows, schema_));
    return batch;
  }

 private:
  Error Failed() {
    AdbcStatusCode status = ADBC_STATUS_IO;
    if (const AdbcError* error = AdbcErrorFromArrayStream(&stream_, &status)) {
      return client_.Failed(status, *error);
    }
    AdbcError error{};
    error.message = const_cast<char*>(stream_.get_last_error(&stream_));
    return client_.Failed(ADBC_STATUS_IO, error);
  }

  AdbcClient& client_;
  AdbcStatementHandle statement_;
  ArrowArrayStream stream_{};
  std::shared_ptr<arrow::Schema> schema_;
};

AdbcClient::AdbcClient(const AdbcTarget& target, Duration timeout) : target_(target) {
  deadline_ = std::make_unique<Deadline>(timeout, [this] {
    if (running_ != nullptr && AdbcStatementCancel(running_, nullptr) == ADBC_STATUS_OK) return;
    AdbcConnectionCancel(connection_.get(), nullptr);
  });
}
AdbcClient::~AdbcClient() { deadline_.reset(); }

Status AdbcClient::Open() {
  Problem problem;
  auto tried = [&](AdbcStatusCode status) { return status == ADBC_STATUS_OK; };
  {
    AdbcDriver driver{};
    const AdbcStatusCode status = AdbcFindLoadDriver(target_.driver.c_str(), nullptr, ADBC_VERSION_1_1_0,
                                                     ADBC_LOAD_FLAG_DEFAULT, nullptr, &driver, problem);
    if (driver.release != nullptr) driver.release(&driver, nullptr);
    if (!tried(status)) {
      fault_ = {.kind = Fault::Kind::kFatal};
      const std::string name = NameOf(target_.driver);
      return Fail(Code::kJob, "the ADBC driver '{}' cannot be loaded: {}", target_.driver,
                  MessageOf(status, *problem))
          .Hint(fmt::format("drivers are shared libraries, had by `pip install adbc-driver-{}` or as "
                            "https://arrow.apache.org/adbc says: name the .so by its whole path",
                            name.empty() ? "NAME" : name));
    }
  }
  AdbcStatusCode status = AdbcDatabaseNew(database_.get(), problem);
  if (tried(status))
    status = AdbcDatabaseSetOption(database_.get(), "driver", target_.driver.c_str(), problem);
  if (tried(status)) {
    status = AdbcDriverManagerDatabaseSetLoadFlags(database_.get(), ADBC_LOAD_FLAG_DEFAULT, problem);
  }
  for (const AdbcOption& option : target_.options) {
    if (!tried(status)) break;
    status = AdbcDatabaseSetOption(database_.get(), option.name.c_str(), option.value.c_str(), problem);
  }
  if (tried(status)) status = AdbcDatabaseInit(database_.get(), problem);
  if (tried(status)) status = AdbcConnectionNew(connection_.get(), problem);
  if (tried(status)) status = AdbcConnectionInit(connection_.get(), database_.get(), problem);
  return tried(status) ? Status() : Unconnected(status, *problem);
}

Error AdbcClient::Unconnected(AdbcStatusCode status, const AdbcError& problem) {
  Error error = Failed(status, problem);
  // Most drivers know no better than "input and output", whatever the reason.
  auto says = [&](std::string_view words) { return error.message.find(words) != std::string::npos; };
  const bool refused = says("authentication failed") || says("no password supplied") ||
                       says("does not exist") || says("no pg_hba.conf entry") || says("certificate") ||
                       says("failed to open") || says("connection info string") ||
                       says("file is not a database");
  if (refused || status == ADBC_STATUS_UNAUTHENTICATED || fault_.kind == Fault::Kind::kFatal) {
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

Result<std::unique_ptr<AdbcClient::Stream>> AdbcClient::Prepare(const std::vector<AdbcOption>& options) {
  Problem problem;
  auto stream = std::make_unique<Stream>(*this);
  AdbcStatusCode status = AdbcStatementNew(connection_.get(), stream->statement(), problem);
  for (const AdbcOption& option : options) {
    if (status != ADBC_STATUS_OK) break;
    status = AdbcStatementSetOption(stream->statement(), option.name.c_str(), option.value.c_str(), problem);
  }
  if (status != ADBC_STATUS_OK) return Failed(status, *problem);
  running_ = stream->statement();
  return stream;
}

Result<std::unique_ptr<AdbcClient::Stream>> AdbcClient::Prepare(const std::string& sql,
                                                                const std::vector<AdbcOption>& options) {
  TRANCHE_ASSIGN(auto stream, Prepare(options));
  Problem problem;
  const AdbcStatusCode status = AdbcStatementSetSqlQuery(stream->statement(), sql.c_str(), problem);
  if (status != ADBC_STATUS_OK) return Failed(status, *problem);
  return stream;
}

Result<int64_t> AdbcClient::Finish(Stream& stream) {
  int64_t rows = 0;
  Problem problem;
  Deadline::Call call(*deadline_);
  const AdbcStatusCode status = AdbcStatementExecuteQuery(stream.statement(), nullptr, &rows, problem);
  if (status != ADBC_STATUS_OK) return Failed(status, *problem);
  return rows;
}

Result<int64_t> AdbcClient::Execute(const std::string& sql) {
  TRANCHE_ASSIGN(auto stream, Prepare(sql, {}));
  return Finish(*stream);
}

Result<int64_t> AdbcClient::Ingest(const std::string& schema, const std::string& table,
                                   ArrowArrayStream rows) {
  auto stream = Prepare({{ADBC_INGEST_OPTION_TARGET_TABLE, table},
                         {ADBC_INGEST_OPTION_TARGET_DB_SCHEMA, schema},
                         {ADBC_INGEST_OPTION_MODE, ADBC_INGEST_OPTION_MODE_APPEND}});
  if (!stream) {
    rows.release(&rows);
    return std::move(stream).error();
  }
  Problem problem;
  const AdbcStatusCode status = AdbcStatementBindStream((*stream)->statement(), &rows, problem);
  if (status != ADBC_STATUS_OK) {
    if (rows.release != nullptr) rows.release(&rows);
    return Failed(status, *problem);
  }
  return Finish(**stream);
}

Result<std::string> AdbcClient::Vendor() {
  auto stream = std::make_unique<Stream>(*this);
  {
    constexpr uint32_t kVendor = ADBC_INFO_VENDOR_NAME;
    Problem problem;
    Deadline::Call call(*deadline_);
    const AdbcStatusCode status =
        AdbcConnectionGetInfo(connection_.get(), &kVendor, 1, stream->stream(), problem);
    if (status != ADBC_STATUS_OK) return Failed(status, *problem);
  }
  TRANCHE_TRY(stream->ReadSchema());
  TRANCHE_ASSIGN(const auto batch, stream->Next());
  if (batch == nullptr || batch->num_rows() == 0) return std::string();
  TRANCHE_ARROW_ASSIGN(const auto value, "read", "the name of the database", batch->column(1)->GetScalar(0));
  return static_cast<const arrow::UnionScalar&>(*value).child_value()->ToString();
}

Result<std::unique_ptr<AdbcRows>> AdbcClient::Run(const std::string& sql,
                                                  const std::vector<AdbcOption>& options) {
  TRANCHE_ASSIGN(auto stream, Prepare(sql, options));
  {
    Problem problem;
    Deadline::Call call(*deadline_);
    const AdbcStatusCode status =
        AdbcStatementExecuteQuery(stream->statement(), stream->stream(), nullptr, problem);
    if (status != ADBC_STATUS_OK) return Failed(status, *problem);
  }
  TRANCHE_TRY(stream->ReadSchema());
  return stream;
}

Result<std::shared_ptr<arrow::Schema>> AdbcClient::Describe(const std::string& sql) {
  {
    TRANCHE_ASSIGN(auto stream, Prepare(sql, {}));
    ArrowSchema described{};
    Problem problem;
    Deadline::Call call(*deadline_);
    const AdbcStatusCode status = AdbcStatementExecuteSchema(stream->statement(), &described, problem);
    if (status == ADBC_STATUS_OK) {
      TRANCHE_ARROW_ASSIGN(auto schema, "read", "the columns of an answer", arrow::ImportSchema(&described));
      return schema;
    }
    if (status != ADBC_STATUS_NOT_IMPLEMENTED) return Failed(status, *problem);
  }
  TRANCHE_ASSIGN(auto rows, Run(sql));
  return rows->schema();
}

Result<std::unique_ptr<AdbcRows>> AdbcClient::Tables(const char* schema) {
  auto stream = std::make_unique<Stream>(*this);
  {
    Problem problem;
    Deadline::Call call(*deadline_);
    const AdbcStatusCode status =
        AdbcConnectionGetObjects(connection_.get(), ADBC_OBJECT_DEPTH_TABLES, nullptr, schema, nullptr,
                                 nullptr, nullptr, stream->stream(), problem);
    if (status != ADBC_STATUS_OK) return Failed(status, *problem);
  }
  TRANCHE_TRY(stream->ReadSchema());
  return stream;
}

std::string AdbcClient::Option(const char* name) {
  std::string value(1024, '\0');
  size_t length = value.size();
  if (AdbcConnectionGetOption(connection_.get(), name, value.data(), &length, nullptr) != ADBC_STATUS_OK)
    return "";
  value.resize(std::min(length > 0 ? length - 1 : 0, value.size()));
  return value;
}

}  // namespace tranche::sql
