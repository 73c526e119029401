// ServerWriter: puts the rows of one batch into a table of a server, within the caller's transaction, and
// finds the rows that the server refuses; never more than the one transaction. What is counted is what the
// server says it did.
//
// Appended rows go straight into the table, and the server names a refused one: the rows before it are loaded
// again, then those behind it (2k + 1 loads for k refused rows). Rows with a key, and tables with triggers,
// go by a staging table and one statement; refused rows are then found by halves (sql/bisect.h).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tranche/connector/sink.h"
#include "tranche/sinks/server_rows.h"
#include "tranche/sql/server.h"

namespace tranche {

class ServerWriter {
 public:
  using Refused = std::vector<RefusedCell>;  // ascending

  ServerWriter(sql::ServerSession& session, const sql::TableInfo& table, const TableOptions& options,
               const ServerRows& rows);

  // Once a session: the staging table, where one is needed.
  Status Prepare();

  // Writes the rows that are loaded in `rows` but those in `refused`; adds to both. `allow` is asked before
  // more rejects are searched for.
  Status Write(Refused& refused, Counts& counts, const std::function<Status(int64_t)>& allow);

 private:
  Status WriteDirect(Refused& refused, Counts& counts, const std::function<Status(int64_t)>& allow);
  Status WriteStaged(Refused& refused, Counts& counts, const std::function<Status(int64_t)>& allow);
  // Loads into `target`, whatever rows are refused on the way. How many the server took.
  Result<int64_t> LoadGuided(const sql::LoadTarget& target, const std::shared_ptr<arrow::RecordBatch>& rows,
                             Refused& refused, const std::function<Status(int64_t)>& allow);
  // Tries and undoes: why these rows are refused, or nothing.
  Result<std::optional<std::string>> Probe(const std::function<Status()>& work);
  Status Settle();  // constraints that wait for the end of the transaction
  Status Merge(const std::string& where, Counts& counts);
  bool RowFault(const Status& status) const;
  std::string Where(const std::vector<Span>& positions) const;

  sql::ServerSession& session_;
  const sql::TableInfo& table_;
  const TableOptions& options_;
  const ServerRows& rows_;
  bool staged_ = false;
  sql::LoadTarget target_;
  sql::LoadTarget staging_;
};

}  // namespace tranche
