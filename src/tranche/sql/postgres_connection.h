// libpq, without blocking: every wait has an end, and a result is freed. For the files postgres*.cc alone.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <libpq-fe.h>

#include "tranche/base/clock.h"
#include "tranche/base/result.h"
#include "tranche/sql/server.h"

namespace tranche::sql {

struct FreePostgres {
  void operator()(PGconn* connection) const { PQfinish(connection); }
  void operator()(PGresult* result) const { PQclear(result); }
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};
struct FreeMessage {
  void operator()(char* message) const { PQfreemem(message); }
};
using PostgresResult = std::unique_ptr<PGresult, FreePostgres>;

// Parameters of a connection, in libpq's words.
using PostgresParameters = std::vector<std::pair<std::string, std::string>>;

class PostgresConnection {
 public:
  PostgresConnection(Duration timeout) : timeout_(timeout) {}

  Status Open(const PostgresParameters& parameters);

  // One statement, to its end. Whatever is not an error: rows, a tag, the begin of a COPY.
  Result<PostgresResult> Run(std::string_view sql, const std::vector<Value>& values = {});
  // Rows one by one, without keeping them.
  Status Each(std::string_view sql, const std::vector<Value>& values,
              const std::function<Status(const PGresult&)>& take);

  // What a statement would answer, without running it: a result with columns and no rows.
  Result<PostgresResult> Describe(std::string_view sql);

  // While a COPY … TO STDOUT is under way: the next message, which stays until the next call. False at the
  // end.
  Result<bool> Get(std::string_view* message);

  // While a COPY … FROM STDIN is under way.
  Status Put(std::string_view bytes);
  Result<PostgresResult> EndPut();
  const Fault& fault() const { return fault_; }
  // What the server said of itself at the start: "server_encoding".
  std::string Setting(const char* name) const {
    const char* value = PQparameterStatus(connection_.get(), name);
    return value != nullptr ? value : "";
  }
  int number() const { return PQbackendPID(connection_.get()); }

 private:
  Status Send(std::string_view sql, const std::vector<Value>& values);
  Result<PostgresResult> Finish();  // the last result, after which the connection is idle or in a COPY
  Result<PostgresResult> Next();    // the next result, or null
  Status Flush();
  Status Wait(short events);
  Error Failed(const PGresult& result);
  Error Lost(std::string why);

  const Duration timeout_;
  std::unique_ptr<PGconn, FreePostgres> connection_;
  Fault fault_;
  std::unique_ptr<char, FreeMessage> message_;
};

}  // namespace tranche::sql
