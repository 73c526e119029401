// ServerWriter: puts the rows of one batch into a table of a server, within the caller's transaction, and
// finds the rows that the server refuses; never more than the one transaction. What is counted is what the
// server says it did.
//
// Appended rows go straight into the table; rows with a key, and tables with triggers, go by a staging table
// and one statement, changes by a few (sql/changes.h). What is refused is tried again in parts
// (sql/bisect.h), each within a savepoint.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tranche/connector/sink.h"
#include "tranche/sinks/server_rows.h"
#include "tranche/sql/bisect.h"
#include "tranche/sql/server.h"

namespace tranche {

class ServerWriter {
 public:
  using Refused = std::vector<RefusedCell>;  // ascending

  ServerWriter(sql::ServerSession& session, const sql::TableInfo& table, const TableOptions& options,
               const ServerRows& rows);

  // Once a session: the staging table, where one is needed.
  Status Prepare();

  // Writes `rows` as ServerRows loads them, but those in `refused`; adds to these. `allow` is asked before
  // more rejects are searched for.
  Status Write(const arrow::RecordBatch& rows, Refused& refused, Counts& counts,
               const std::function<Status(int64_t)>& allow);

 private:
  Status WriteStaged(const arrow::RecordBatch& rows, Refused& refused, Counts& counts,
                     const std::function<Status(int64_t)>& allow);
  // Into `target`, all rows but those in `refused`; adds to them.
  Status Load(const sql::LoadTarget& target, const arrow::RecordBatch& rows, Refused& refused,
              const std::function<Status(int64_t)>& allow);
  // Does `work` or leaves no trace of it: nothing, or why its rows are refused.
  Result<std::optional<sql::Refusal>> Try(const std::function<Status()>& work);
  Status Settle();              // constraints that wait for the end of the transaction
  Result<int64_t> Supersede();  // takes all but the last row of each key out of the staging table; how many
  // `rows` of the staging table are meant, if that is known.
  Status Merge(const std::string& where, std::optional<int64_t> rows, Counts& counts);
  Status Index();  // of the staging table's positions
  // The changes of some positions, as if done one after the other; those of its rows that are refused.
  Result<std::vector<int64_t>> Change(const std::string& where, Counts& counts);
  std::vector<sql::Assignment> Assignments() const;  // over the staging table "s"
  Error Dropped() const;

  sql::ServerSession& session_;
  const sql::TableInfo& table_;
  const TableOptions& options_;
  const ServerRows& rows_;
  bool staged_ = false;
  bool saved_ = false;  // the savepoint is there: it stays when we go back to it
  sql::LoadTarget target_;
  sql::LoadTarget staging_;
};

}  // namespace tranche
