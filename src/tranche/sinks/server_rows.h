// ServerRows: the rows of a batch as a server takes them. A column whose type is another than the table's is
// cast by the engine; a row whose value would be changed by that is refused, before the server sees it.
//
// Two rows must not be changed in silence: a number that would be rounded, a time that would lose its
// seconds. Only FLOAT and DOUBLE take the nearest number that they have. One thread at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tranche/sinks/batch_table.h"
#include "tranche/sinks/table_options.h"
#include "tranche/sql/server.h"

namespace tranche {

class ServerRows {
 public:
  // `table` has a column for each one of the rows that `options` writes.
  static Result<std::unique_ptr<ServerRows>> Make(Engine& engine, std::shared_ptr<arrow::Schema> schema,
                                                  const sql::Server& server, const sql::TableInfo& table,
                                                  const TableOptions& options);

  // All rows of a batch, in the same order; in mode changes with one more column, the number of each row's
  // Change. And those that can't be stored as they are, ascending.
  struct Loaded : ReadyRows {
    std::shared_ptr<arrow::RecordBatch> rows;
    std::vector<RefusedCell> refused;
  };
  Result<Loaded> Load(const Batch& batch);

  struct Column {
    const sql::TableColumn* column;
    sql::Fit fit;
    int index;  // in the batch
    bool key;
  };
  const std::vector<Column>& columns() const { return columns_; }
  static constexpr std::string_view kChangeColumn = "__tranche_change";  // a BIGINT
  bool as_text() const;  // some column goes in by a staging table only
  BatchTable& table() { return *table_; }

 private:
  ServerRows() = default;
  bool Deletes(const arrow::RecordBatch& rows, int64_t row) const;  // then only its key counts
  void FindNulls(Loaded& loaded) const;

  std::unique_ptr<BatchTable> table_;
  sql::TableInfo info_;
  std::vector<Column> columns_;
  Mode mode_ = Mode::kAppend;
  std::string change_column_;  // of the job's, in mode changes
  std::string select_;         // empty where all columns go as they are
};

}  // namespace tranche
