#include "tranche/sql/postgres_connection.h"

#include <poll.h>

#include <cctype>
#include <cstring>

#include "tranche/base/clock.h"
#include "tranche/sql/fault.h"

namespace tranche::sql {
namespace {

constexpr Oid kInt8 = 20;
constexpr Oid kText = 25;

std::string Field(const PGresult& result, int field) {
  const char* text = PQresultErrorField(&result, field);
  return text != nullptr ? text : "";
}

std::string Trim(const char* text) {
  std::string trimmed = text != nullptr ? text : "";
  while (!trimmed.empty() && std::isspace(static_cast<unsigned char>(trimmed.back()))) trimmed.pop_back();
  for (char& c : trimmed) {
    if (c == '\n') c = ' ';
  }
  return trimmed;
}

}  // namespace

Error PostgresConnection::Lost(std::string why) {
  fault_ = {.kind = Fault::Kind::kLost};
  connection_.reset();
  return Fail(Code::kOutside, "the connection to the server is lost: {}", why);
}

Status PostgresConnection::Open(const PostgresParameters& parameters) {
  std::vector<const char*> names;
  std::vector<const char*> values;
  for (const auto& [name, value] : parameters) {
    names.push_back(name.c_str());
    values.push_back(value.c_str());
  }
  names.push_back(nullptr);
  values.push_back(nullptr);
  fault_ = {};
  // Not PQconnectStart: that never goes on from a host that says nothing to the next one.
  connection_.reset(PQconnectdbParams(names.data(), values.data(), /*expand_dbname=*/0));
  if (!connection_ || PQstatus(connection_.get()) != CONNECTION_OK) {
    const std::string message = connection_ ? Trim(PQerrorMessage(connection_.get())) : "no memory";
    fault_.kind = Fault::Kind::kLost;
    Error error = Fail(Code::kOutside, "cannot connect: {}", message);
    // libpq gives no SQLSTATE of a refused start (before version 16), only the server's words.
    auto says = [&](std::string_view words) { return message.find(words) != std::string::npos; };
    if (says("authentication failed") || says("no password supplied") || says("does not exist") ||
        says("no pg_hba.conf entry") || says("certificate") || says("server does not support SSL")) {
      fault_.kind = Fault::Kind::kFatal;
      error.code = Code::kJob;
    }
    if (says("too many") || says("connection slots are reserved")) {
      fault_ = {.kind = Fault::Kind::kAgain, .code = "53300"};
    } else if (says("the database system is")) {  // starting up, shutting down, in recovery
      fault_ = {.kind = Fault::Kind::kAgain, .code = "57P03"};
    }
    if (says("certificate") || says("root certificate file")) {
      error.hint = "name the authority that signed the server's certificate: …?sslrootcert=/path/to/ca.pem";
    } else if (says("server does not support SSL")) {
      error.hint =
          "turn on TLS in the server; sslmode=disable in the url sends passwords and rows in the clear";
    } else if (says("authentication failed") || says("no password supplied")) {
      error.hint = "check user and password of the url";
    }
    connection_.reset();
    return error;
  }
  PQsetnonblocking(connection_.get(), 1);
  PQsetNoticeProcessor(connection_.get(), [](void*, const char*) {}, nullptr);
  return {};
}

Status PostgresConnection::Wait(short events) {
  pollfd waiting{.fd = PQsocket(connection_.get()), .events = events, .revents = 0};
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(timeout_).count();
  const int64_t end = SystemClock().SteadyNanos() + timeout_.count();
  while (true) {
    const int64_t left = (end - SystemClock().SteadyNanos()) / 1'000'000;
    const int ready = left > 0 ? poll(&waiting, 1, static_cast<int>(left)) : 0;
    if (ready > 0) return {};
    if (ready < 0 && errno == EINTR) continue;
    return Lost(fmt::format("no answer within {} s", milliseconds / 1000.0));
  }
}

Status PostgresConnection::Flush() {
  while (true) {
    const int left = PQflush(connection_.get());
    if (left == 0) return {};
    if (left < 0) return Lost(Trim(PQerrorMessage(connection_.get())));
    TRANCHE_TRY(Wait(POLLIN | POLLOUT));  // a server that answers while we send must be listened to
    if (PQconsumeInput(connection_.get()) == 0) return Lost(Trim(PQerrorMessage(connection_.get())));
  }
}

Status PostgresConnection::Send(std::string_view sql, const std::vector<Value>& values) {
  if (!connection_) return Lost("it was closed");
  fault_ = {};
  std::vector<Oid> types;
  std::vector<const char*> texts;
  for (const Value& value : values) {
    types.push_back(value.type == "BIGINT" ? kInt8 : kText);
    texts.push_back(value.text ? value.text->c_str() : nullptr);
  }
  const std::string text(sql);
  const int sent = values.empty()
                       ? PQsendQuery(connection_.get(), text.c_str())
                       : PQsendQueryParams(connection_.get(), text.c_str(), static_cast<int>(values.size()),
                                           types.data(), texts.data(), nullptr, nullptr, 0);
  if (sent == 0) return Lost(Trim(PQerrorMessage(connection_.get())));
  return Flush();
}

Result<PostgresResult> PostgresConnection::Next() {
  while (PQisBusy(connection_.get())) {
    TRANCHE_TRY(Wait(POLLIN));
    if (PQconsumeInput(connection_.get()) == 0) return Lost(Trim(PQerrorMessage(connection_.get())));
  }
  return PostgresResult(PQgetResult(connection_.get()));
}

Error PostgresConnection::Failed(const PGresult& result) {
  const std::string state = Field(result, PG_DIAG_SQLSTATE);
  const std::string context = Field(result, PG_DIAG_CONTEXT);
  if (state.empty() || PQstatus(connection_.get()) == CONNECTION_BAD) {
    const bool ended = KindOfSqlState(state) == Fault::Kind::kLost && !state.empty();
    Error error = Lost(ended ? Field(result, PG_DIAG_MESSAGE_PRIMARY) : Trim(PQresultErrorMessage(&result)));
    fault_.code = state;
    return error;
  }
  fault_ = {.kind = KindOfSqlState(state),
            .code = state,
            .row = PostgresRowIn(context),
            .column = Field(result, PG_DIAG_COLUMN_NAME)};
  if (fault_.column.empty()) fault_.column = PostgresColumnIn(context);
  std::string message = Field(result, PG_DIAG_MESSAGE_PRIMARY);
  const std::string detail = Field(result, PG_DIAG_MESSAGE_DETAIL);
  if (!detail.empty() && !RepeatsRow(state)) message += ": " + detail;
  Error error =
      Fail(fault_.kind == Fault::Kind::kRow ? Code::kData : Code::kOutside, "{}", Trim(message.c_str()));
  if (state == "53100") error.hint = "the server's disk is full: free it";
  if (state == "42501") error.hint = "ask the owner of the database for the right, then run this again";
  if (state == "25006")
    error.hint =
        "the server takes no writes: is it a standby? Name all servers in the url, and "
        "target_session_attrs=read-write";
  return error;
}

Result<PostgresResult> PostgresConnection::Finish() {
  PostgresResult last;
  std::optional<Error> failed;
  while (true) {
    TRANCHE_ASSIGN(PostgresResult result, Next());
    if (!result) break;
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE) {
      if (!failed) failed = Failed(*result);
      if (!connection_) return *std::move(failed);
      continue;
    }
    last = std::move(result);
    if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT) break;
  }
  if (failed) return *std::move(failed);
  if (!last) return Lost("the server answered nothing");
  return last;
}

Result<PostgresResult> PostgresConnection::Run(std::string_view sql, const std::vector<Value>& values) {
  TRANCHE_TRY(Send(sql, values));
  TRANCHE_ASSIGN(PostgresResult result, Finish());
  const std::string_view tag = PQcmdStatus(result.get());
  if (sql == "COMMIT" && tag != "COMMIT") {  // of a transaction that had failed, and nobody heard of it
    fault_ = {.kind = Fault::Kind::kAgain, .code = "25P02"};
    return Fail(Code::kOutside, "the server answered COMMIT by {}", tag);
  }
  return result;
}

Status PostgresConnection::Each(std::string_view sql, const std::vector<Value>& values,
                                const std::function<Status(const PGresult&)>& take) {
  TRANCHE_TRY(Send(sql, values));
  PQsetSingleRowMode(connection_.get());
  Status taken;
  while (true) {
    TRANCHE_ASSIGN(PostgresResult result, Next());
    if (!result) return taken;
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_SINGLE_TUPLE && taken) taken = take(*result);
    if (status == PGRES_FATAL_ERROR && taken) taken = Failed(*result);
    if (!connection_) return taken;
  }
}

Result<PostgresResult> PostgresConnection::Describe(std::string_view sql) {
  if (!connection_) return Lost("it was closed");
  fault_ = {};
  const std::string text(sql);
  if (PQsendPrepare(connection_.get(), "", text.c_str(), 0, nullptr) == 0) {
    return Lost(Trim(PQerrorMessage(connection_.get())));
  }
  TRANCHE_TRY(Flush());
  TRANCHE_TRY(Finish());
  if (PQsendDescribePrepared(connection_.get(), "") == 0) {
    return Lost(Trim(PQerrorMessage(connection_.get())));
  }
  TRANCHE_TRY(Flush());
  return Finish();
}

Result<bool> PostgresConnection::Get(std::string_view* message) {
  message_.reset();
  if (!connection_) return Lost("it was closed");
  while (true) {
    char* bytes = nullptr;
    const int got = PQgetCopyData(connection_.get(), &bytes, /*async=*/1);
    message_.reset(bytes);
    if (got > 0) {
      *message = {bytes, static_cast<size_t>(got)};
      return true;
    }
    if (got < 0) break;
    TRANCHE_TRY(Wait(POLLIN));
    if (PQconsumeInput(connection_.get()) == 0) return Lost(Trim(PQerrorMessage(connection_.get())));
  }
  TRANCHE_TRY(Finish());
  return false;
}

Status PostgresConnection::Put(std::string_view bytes) {
  while (true) {
    const int put = PQputCopyData(connection_.get(), bytes.data(), static_cast<int>(bytes.size()));
    if (put > 0) return Flush();
    if (put < 0) return Lost(Trim(PQerrorMessage(connection_.get())));
    TRANCHE_TRY(Flush());
  }
}

Result<PostgresResult> PostgresConnection::EndPut() {
  while (true) {
    const int put = PQputCopyEnd(connection_.get(), nullptr);
    if (put > 0) break;
    if (put < 0) return Lost(Trim(PQerrorMessage(connection_.get())));
    TRANCHE_TRY(Flush());
  }
  TRANCHE_TRY(Flush());
  return Finish();
}

}  // namespace tranche::sql
