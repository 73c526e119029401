// DuckDbWriter: puts the rows of one batch into a table of DuckDB, within the caller's transaction.
//
// DuckDB says that it refuses a statement, not for which row: the caller finds that out by trying parts of
// the batch. What can be told by a query beforehand is found by FindUnfit. One thread at a time; nothing here
// begins or ends a transaction.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tranche/connector/sink.h"
#include "tranche/sinks/batch_table.h"
#include "tranche/sinks/duckdb_table.h"
#include "tranche/sinks/table_options.h"
#include "tranche/sql/changes.h"

namespace tranche {

class DuckDbWriter {
 public:
  using Refused = std::vector<RefusedCell>;  // ascending

  // `rows` has the columns of the batches, and kPositionColumn; `columns` are those of them that are written.
  // An error: rows of such columns do not fit the table at all, or it has no unique index on the key.
  static Result<std::unique_ptr<DuckDbWriter>> Make(Engine& engine, sql::SqlConnection& connection,
                                                    BatchTable& rows, const Columns& columns,
                                                    const DuckDbTable& table, const TableOptions& options);

  // Rows that can't be stored as they are.
  Result<Refused> FindUnfit(const arrow::RecordBatch& rows);

  struct Written {
    Counts counts;         // without `unfit`
    Refused refused = {};  // by what the table holds: their keys are there already
  };
  // The rows of `spans`. An error of Code::kData: the table refuses one of them.
  Result<Written> Write(const arrow::RecordBatch& rows, const std::vector<Span>& spans);

 private:
  DuckDbWriter(sql::SqlConnection& connection, BatchTable& rows) : connection_(connection), rows_(rows) {}
  void MakeStatements(const Columns& columns, const DuckDbTable& table, const TableOptions& options);
  Status CheckStatements(Engine& engine, const TableOptions& options);
  Result<Written> Insert(const std::vector<Span>& spans);

  sql::SqlConnection& connection_;
  BatchTable& rows_;
  std::string insert_;                      // of all rows; an upsert where there is a key
  std::string count_keys_;                  // how many different keys; empty without a key
  std::string unfit_;                       // (position, reason, column); empty: all rows fit
  std::optional<sql::ChangePlan> changes_;  // of the modes that do more than insert and upsert
};

}  // namespace tranche
