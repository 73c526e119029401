// SqliteWriter: puts the rows of one batch into a table, within the caller's transaction, and names each row
// that SQLite refuses. What is counted is what SQLite itself says it did.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "tranche/base/sqlite_changes.h"
#include "tranche/connector/sink.h"
#include "tranche/sinks/sqlite_rows.h"
#include "tranche/sinks/sqlite_table.h"

namespace tranche {

class SqliteWriter {
 public:
  using Refused = std::map<int64_t, RefusedCell>;

  // Columns that `options` leaves out are not in `columns`.
  static Result<std::unique_ptr<SqliteWriter>> Make(sqlite::Database& database, const SqliteTable& table,
                                                    const Columns& columns, const TableOptions& options);

  // Writes rows [0, count) of `rows` but those in `refused`, one after the other, and adds to `refused` and
  // `counts`. false: the transaction is gone (a trigger or a constraint rolled it back), so it must be begun
  // again, without the refused rows.
  Result<bool> Write(const SqliteRows& rows, int64_t count, Refused& refused, Counts& counts);

  // COMMIT has failed by a deferred foreign key: adds the rows that refer to nothing. They can be told only
  // if the rows' ids were noted: false = begin again, they will be.
  Result<bool> FindOrphans(Refused& refused);

 private:
  // How a Change is done.
  struct Action {
    std::string sql;
    std::vector<int> columns;  // of the rows: those that are bound, in this order
    std::unique_ptr<sqlite::Statement> one, returning;
  };
  explicit SqliteWriter(sqlite::Database& database) : database_(database) {}
  void MakeActions(const Columns& columns, const TableOptions& options);
  Status MakeStatements(const SqliteTable& table, const TableOptions& options);
  Status CheckIndex(const TableOptions& options);
  Result<bool> WriteMany(const SqliteRows& rows, std::span<const int64_t> these, Counts& counts);
  Result<bool> WriteOne(const SqliteRows& rows, int64_t row, Refused& refused, Counts& counts);
  Result<bool> StepReturning(sqlite::Statement& statement, int64_t row, Counts& counts);
  Result<bool> Misses(Change change, const SqliteRows& rows, int64_t row);
  void Track();
  void CountKeys(Counts& counts);
  bool RowError() const;
  RefusedCell Refusal(int64_t row) const;

  static constexpr int kRowsAtOnce = 32;
  sqlite::Database& database_;
  std::string table_, keys_list_, many_sql_, look_sql_;
  std::vector<int> key_columns_;
  std::map<Change, Action> actions_;  // those that the mode has; one, but in mode changes
  bool has_rowid_ = true;
  bool has_triggers_ = false;  // then a savepoint around each row: triggers that fail may leave things behind
  std::unique_ptr<sqlite::Statement> many_, look_, save_, undo_, release_;

  // Which row of the batch became which row of the table: asked for by upserts and updates, and to find
  // orphans. By the hook where there is a row id and no trigger meddles, else by RETURNING, which is slow.
  bool returns_ = false;
  std::unique_ptr<sqlite::WrittenRowIds> hook_;
  std::vector<std::pair<int64_t, int64_t>> written_;  // row id → row of the batch
  std::unordered_set<std::string> keys_;              // touched in this batch; by RETURNING only
};

}  // namespace tranche
