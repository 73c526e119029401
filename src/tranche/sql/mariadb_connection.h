// libmariadb: statements with bound values, arrays of rows, answers as text; no call waits longer than the
// timeout. For the files mariadb*.cc alone.
#pragma once

#include <mysql.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tranche/base/clock.h"
#include "tranche/base/result.h"
#include "tranche/sql/server.h"

namespace tranche::sql {

struct FreeMariaDb {
  void operator()(MYSQL* connection) const { mysql_close(connection); }
  void operator()(MYSQL_STMT* statement) const { mysql_stmt_close(statement); }
  void operator()(MYSQL_RES* result) const { mysql_free_result(result); }
};
using MariaDbStatement = std::unique_ptr<MYSQL_STMT, FreeMariaDb>;

struct MariaDbParameters {
  std::string host = "localhost";
  unsigned port = 3306;
  std::string user, password, database;
  std::string authority;  // a file of certificates
  bool tls = false;       // or no connection
  bool verifies = false;  // the server's name in its certificate
};

class MariaDbConnection {
 public:
  explicit MariaDbConnection(Duration timeout) : timeout_(timeout) {}

  Status Open(const MariaDbParameters& parameters, const std::string& application);

  // One statement, whose parameters are written $1, $2, …; rows that it matched or changed.
  Result<int64_t> Execute(std::string_view sql, const std::vector<Value>& values);
  Result<std::vector<TextRow>> Query(std::string_view sql, const std::vector<Value>& values);
  // Rows one by one, without keeping them.
  Status Each(std::string_view sql, const std::vector<Value>& values,
              const std::function<Status(const TextRow&)>& take);

  // The columns that a SELECT gives: name, type, charset and the rest as the server says it. Runs nothing.
  Result<std::vector<MYSQL_FIELD>> Describe(std::string_view sql, std::vector<std::string>& names);
  // Begins a SELECT whose rows come one by one; `row` is good until the next call, and null at the end.
  Status Begin(std::string_view sql);
  Result<bool> Next(MYSQL_ROW* row, const unsigned long** lengths);

  // Rows into `columns` of a table: all of them or an error. How many it took.
  Result<int64_t> Load(const LoadTarget& target, const arrow::RecordBatch& rows,
                       const std::vector<Span>& spans);

  const Fault& fault() const { return fault_; }
  int64_t number() const { return static_cast<int64_t>(number_); }

 private:
  Result<MariaDbStatement> Prepare(std::string_view sql);
  // Prepares a statement without an answer once, and anew where it has failed.
  Status RunKept(const std::string& sql, const std::function<Status(MYSQL_STMT&)>& run);
  Status RunOn(MYSQL_STMT& statement, const std::vector<const Value*>& values);
  // With the values of $1, $2, … in the places where they stand.
  Result<MariaDbStatement> Run(std::string_view sql, const std::vector<Value>& values);
  Status RunPlain(std::string_view sql);
  Status LoadPart(MYSQL_STMT& statement, const arrow::RecordBatch& rows, const std::vector<int64_t>& indices,
                  int64_t before);
  // The server stores a value otherwise than it was sent, and says so in a note.
  Status CheckNotes();
  Error Failed(unsigned number, std::string_view state, std::string message);
  Error Failed(MYSQL_STMT& statement);
  Error Lost(std::string why);

  const Duration timeout_;
  std::unique_ptr<MYSQL, FreeMariaDb> connection_;
  unsigned long number_ = 0;
  std::string database_ = "`.";  // as messages have it
  int64_t most_bytes_ = 0;       // of a packet
  Fault fault_;
  std::unique_ptr<MYSQL_RES, FreeMariaDb> answer_;
  std::map<std::string, MariaDbStatement> kept_;
};

}  // namespace tranche::sql
