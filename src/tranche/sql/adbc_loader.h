// A table behind any driver of ADBC, filled by what all of them can do: bulk ingestion, or a prepared INSERT.
// No transaction and no ledger: a Load whose answer was lost has happened, or not, or in part. One thread at
// a time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <arrow/type_fwd.h>

#include "tranche/base/clock.h"
#include "tranche/base/result.h"
#include "tranche/batch/batch.h"
#include "tranche/sql/adbc_target.h"
#include "tranche/sql/server.h"
#include "tranche/sql/table_name.h"

namespace tranche::sql {

class AdbcClient;

class AdbcLoader {
 public:
  // `target` outlives it. No call takes longer than `timeout`.
  AdbcLoader(const AdbcTarget& target, TableName table, Duration timeout);
  ~AdbcLoader();

  Status Open();
  // The names of the table's columns, in its order. Nothing: it is not there, or the driver does not tell.
  Result<std::optional<std::vector<std::string>>> Columns();
  // Makes the table, of the types that the driver has for these columns.
  Status Create(std::shared_ptr<arrow::Schema> schema);
  Status Execute(const std::string& sql);
  // `pieces` have columns of the table, all or some, in its order: a driver may take them by their place.
  Status Load(const RecordBatches& pieces);

  // Of the last call that failed.
  const Fault& fault() const;

 private:
  std::unique_ptr<AdbcClient> client_;
  TableName table_;
  bool ingests_ = true;  // the driver and the database know bulk ingestion
};

}  // namespace tranche::sql
