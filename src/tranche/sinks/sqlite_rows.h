// SqliteRows: the rows of a batch as SQLite takes them. Whole numbers, floats, text and bytes are bound
// straight from Arrow's buffers; every other type is first made one of these by the engine, which knows how
// each is written:
//
//   BOOLEAN → INTEGER        DECIMAL(p, 0), HUGEINT → INTEGER     DECIMAL(p, s), p ≤ 15 → REAL, which gives
//   all digits back UBIGINT, UHUGEINT, longer DECIMAL → TEXT                      DATE, TIME, TIMESTAMP,
//   UUID, INTERVAL, ENUM → TEXT, as ISO LIST, STRUCT, MAP → TEXT, as JSON
//
// What SQLite would store as something else is refused: NaN (it becomes NULL), a whole number of more than 64
// bits for a column of numbers, text of more than 10⁹ bytes. In mode changes each row knows its Change. One
// thread at a time.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tranche/base/sqlite.h"
#include "tranche/sinks/batch_table.h"
#include "tranche/sinks/table_options.h"

namespace tranche {

class SqliteRows {
 public:
  // `table`: the columns of the target where it is there already (they decide how wide numbers go in), else
  // none.
  static Result<std::unique_ptr<SqliteRows>> Make(Engine& engine, std::shared_ptr<arrow::Schema> schema,
                                                  const Columns& table, const TableOptions& options);
  ~SqliteRows();

  // Those that are written: names, and the types to declare in SQLite.
  const Columns& columns() const { return columns_; }

  // Takes the rows of a batch, and tells which of them SQLite can't take.
  Result<std::vector<RefusedCell>> Load(const Batch& batch);
  // Of a row that is not refused, in mode changes.
  Change ChangeOf(int64_t row) const;
  // Binds a row's values of these columns to parameters first, first + 1, …; they live until the next Load.
  void Bind(sqlite::Statement& statement, int first, std::span<const int> columns, int64_t row) const;

  BatchTable& table() { return *table_; }

 private:
  struct Cells;  // one column of the loaded batch
  using Refused = std::map<int64_t, RefusedCell>;
  SqliteRows();
  Status Convert(const Batch& batch);
  Status ReadCells();
  void FindUnfit(const Batch& batch, size_t column, Refused& refused) const;

  Engine* engine_ = nullptr;
  std::unique_ptr<BatchTable> table_;
  TableOptions options_;
  Columns columns_;
  std::vector<int> sources_;  // where each stands in a batch
  std::string select_;        // empty where all columns are bound as they are
  std::shared_ptr<arrow::RecordBatch> rows_;
  std::vector<Cells> cells_;  // of columns_; in mode changes the Change, and why there is none
};

}  // namespace tranche
