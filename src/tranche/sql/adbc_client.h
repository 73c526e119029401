// A connection by a driver of ADBC: every failure is an Error and a Fault, and what is handed out is freed.
// For the files adbc*.cc alone.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arrow-adbc/adbc.h>
#include <arrow/type_fwd.h>

#include "tranche/base/clock.h"
#include "tranche/base/result.h"
#include "tranche/batch/batch.h"
#include "tranche/sql/adbc_caller.h"
#include "tranche/sql/adbc_target.h"
#include "tranche/sql/server.h"
#include "tranche/sql/table_name.h"

namespace tranche::sql {

template <typename Handle, AdbcStatusCode (*release)(Handle*, AdbcError*)>
class AdbcHandle {
 public:
  AdbcHandle() = default;
  AdbcHandle(const AdbcHandle&) = delete;
  AdbcHandle& operator=(const AdbcHandle&) = delete;
  ~AdbcHandle() {
    if (handle_.private_data != nullptr || handle_.private_driver != nullptr) release(&handle_, nullptr);
  }
  Handle* get() { return &handle_; }

 private:
  Handle handle_{};
};
using AdbcStatementHandle = AdbcHandle<AdbcStatement, AdbcStatementRelease>;

// The batches of an answer, as the driver makes them. Goes before its client.
class AdbcRows {
 public:
  virtual ~AdbcRows() = default;
  virtual const std::shared_ptr<arrow::Schema>& schema() const = 0;
  virtual Result<std::shared_ptr<arrow::RecordBatch>> Next() = 0;  // null at the end
};

class AdbcClient {
 public:
  // A call that takes longer than `timeout` is cancelled, or left behind.
  AdbcClient(const AdbcTarget& target, Duration timeout);
  ~AdbcClient();

  Status Open();
  Result<std::unique_ptr<AdbcRows>> Run(const std::string& sql, const std::vector<AdbcOption>& options = {});
  // The columns of an answer. Where the driver cannot tell them otherwise, the query is begun.
  Result<std::shared_ptr<arrow::Schema>> Describe(const std::string& sql);
  // A statement without an answer, or whose answer does not matter: how many rows it changed.
  Result<int64_t> Execute(const std::string& sql);
  // Rows of one schema for the driver.
  struct Rows {
    std::shared_ptr<arrow::Schema> schema;
    RecordBatches pieces;
  };
  // Rows into a table, which is there or, with `creates`, is not and is made. How many the driver sent, or an
  // error and none.
  Result<int64_t> Ingest(const TableName& table, const Rows& rows, bool creates = false);
  // The statement for each of the rows, whose values stand for its ?.
  Result<int64_t> ExecuteEach(const std::string& sql, const Rows& rows);
  // The columns of a table.
  Result<std::shared_ptr<arrow::Schema>> TableSchema(const TableName& table);
  // "PostgreSQL", as the driver has it.
  Result<std::string> Vendor();
  // The tables of a schema (empty: of all), as AdbcConnectionGetObjects has them.
  Result<std::unique_ptr<AdbcRows>> Tables(const std::string& schema);
  std::string Option(const char* name);  // of the connection; empty: it has none

  const Fault& fault() const { return fault_; }
  // Whether the last call that failed asked for what the driver or the database does not offer.
  bool unsupported() const { return unsupported_; }

 private:
  struct Link;
  struct Running;
  class Stream;
  std::shared_ptr<Running> Begin();
  Result<std::shared_ptr<Running>> Begin(const Rows& rows);
  // The driver does something with `running`: all that it needs is there, or in the function itself.
  Status Call(const std::shared_ptr<Running>& running, std::function<AdbcStatusCode(Running&)> call);
  Result<std::unique_ptr<Stream>> Ask(std::function<AdbcStatusCode(Running&)> ask);
  Result<int64_t> Change(std::shared_ptr<Running> running, std::function<AdbcStatusCode(Running&)> prepare);
  static AdbcStatusCode Prepare(Running& run, const std::vector<AdbcOption>& options, const std::string* sql);
  template <typename T>
  void Release(std::shared_ptr<T> held);  // which may ask the server, too
  // Set fault().
  Error Failed(AdbcStatusCode status, const AdbcError& error);
  Error FailedBy(Running& running, AdbcStatusCode status);
  Error Unconnected(Error error);
  std::string Shown(std::string message) const;  // without secrets

  const AdbcTarget& target_;
  const Duration timeout_;
  std::shared_ptr<Link> link_;
  AdbcCaller caller_;
  Fault fault_;
  bool unsupported_ = false;
};

}  // namespace tranche::sql
