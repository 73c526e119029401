// Arrow readers as a table function: SELECT * FROM tranche_reader(1). One function for all of them, made when
// the instance is: a function made later would belong to somebody's transaction.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tranche/connector/engine.h"
#include "tranche/duckdb/session.h"

namespace tranche::duckdb {

struct RegisteredReader {
  std::string name;  // as it stands in SQL
  std::shared_ptr<arrow::Schema> schema;
  ReaderFactory factory;
  std::vector<LogicalType> types;  // of the columns, for DuckDB
};

// Each scan opens a reader and uses it in one thread at a time, not always the same one, or in several where
// it is shared; columns that the query does not need are not converted. The instance must live where it is.
Status CreateReaderFunction(Instance& instance);

// What `name` of the reader will be is for the instance to say.
Result<std::shared_ptr<RegisteredReader>> MakeReader(const Instance& instance,
                                                     std::shared_ptr<arrow::Schema> schema,
                                                     ReaderFactory factory);

}  // namespace tranche::duckdb
