// One connection of the shared instance: prepares, binds and runs statements, and makes errors out of
// failures.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tranche/connector/engine.h"
#include "tranche/duckdb/duckdb_engine.h"
#include "tranche/duckdb/error.h"
#include "tranche/duckdb/handles.h"

namespace tranche::duckdb {

struct RegisteredReader;

constexpr const char* kReaderFunction = "tranche_reader";

// Rows that a scan of a registered reader handed on.
using RowCounter = std::shared_ptr<std::atomic<int64_t>>;

// What the sessions share. Thread-safe.
class Instance {
 public:
  static Result<std::unique_ptr<Instance>> Open(const DuckDbOptions& options);
  Result<Connection> Connect() const;

  std::string AddReader(std::shared_ptr<RegisteredReader> reader);  // its name in SQL
  std::shared_ptr<RegisteredReader> FindReader(int64_t number);     // null where there is none
  void RemoveReader(const std::string& name);

  // A scan of `reader` begins in a query of the connection.
  RowCounter CountRows(idx_t connection, ScanCount scan);
  // Its scans since it was last asked.
  std::vector<ScanCount> TakeCounts(idx_t connection);

  // DuckDB carries the failures of our readers as text only: the Error stays here, its ticket travels.
  std::string Keep(Error error);
  std::optional<Error> Take(std::string_view message);

 private:
  Database database_;
  std::mutex mutex_;
  int64_t last_reader_ = 0;
  std::map<int64_t, std::shared_ptr<RegisteredReader>> readers_;
  std::multimap<idx_t, std::pair<ScanCount, RowCounter>> counters_;  // by connection
  int64_t last_ticket_ = 0;
  std::map<int64_t, Error> kept_;
};

class Session {
 public:
  static Result<std::shared_ptr<Session>> Open(std::shared_ptr<Instance> instance);
  ~Session();

  // Statements without an answer; several may stand in the text. Rows changed by the last.
  Result<int64_t> Execute(const Command& command);
  Result<Prepared> Prepare(const Command& command);
  Status Bind(Prepared& statement, const Parameters& parameters, const Command& command);
  Status Bind(Prepared& statement, const std::vector<Value>& values, const Command& command);
  Result<Answer> Run(Prepared& statement, const Command& command);     // all of it in memory
  Result<Answer> Stream(Prepared& statement, const Command& command);  // see duckdb_fetch_chunk
  Error Fail(const char* message, const Command& command);

  const std::shared_ptr<Instance>& instance() const { return instance_; }
  duckdb_connection connection() const { return connection_.get(); }

  // Stops what runs, from any thread.
  void Interrupt();
  bool interrupted() const { return interrupted_; }  // since the last Prepare

  void CountScans();  // at the end of a query
  const std::vector<ScanCount>& scans() const { return scans_; }

 private:
  explicit Session(std::shared_ptr<Instance> instance) : instance_(std::move(instance)) {}
  Result<Answer> Finish(Pending& pending, const Command& command);
  Status BindOne(Prepared& statement, idx_t index, const Value& value, const Command& command);
  // `text` as a value of `type`, by DuckDB's own cast.
  Result<TypedValue> Cast(const std::string& text, const std::string& type);

  std::shared_ptr<Instance> instance_;
  Connection connection_;
  idx_t connection_id_ = 0;
  std::atomic<bool> interrupted_ = false;
  std::vector<ScanCount> scans_;
};

}  // namespace tranche::duckdb
