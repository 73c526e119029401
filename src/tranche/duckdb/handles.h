// Owners of what DuckDB's C API hands out.
#pragma once

#include <utility>

#include <duckdb.h>

namespace tranche::duckdb {

// All of DuckDB's destroy functions take a null (or a zeroed struct) for nothing.
template <typename T, void (*Destroy)(T*)>
class Handle {
 public:
  Handle() = default;
  explicit Handle(T value) : value_(value) {}
  Handle(Handle&& other) noexcept : value_(std::exchange(other.value_, T{})) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Handle() { Destroy(&value_); }

  T get() const { return value_; }
  T* out() { return &value_; }

 private:
  T value_{};
};

using Database = Handle<duckdb_database, duckdb_close>;
using Config = Handle<duckdb_config, duckdb_destroy_config>;
using Connection = Handle<duckdb_connection, duckdb_disconnect>;
using Prepared = Handle<duckdb_prepared_statement, duckdb_destroy_prepare>;
using Pending = Handle<duckdb_pending_result, duckdb_destroy_pending>;
using Answer = Handle<duckdb_result, duckdb_destroy_result>;
using Chunk = Handle<duckdb_data_chunk, duckdb_destroy_data_chunk>;
using LogicalType = Handle<duckdb_logical_type, duckdb_destroy_logical_type>;
using TypedValue = Handle<duckdb_value, duckdb_destroy_value>;
using ArrowOptions = Handle<duckdb_arrow_options, duckdb_destroy_arrow_options>;
using ClientContext = Handle<duckdb_client_context, duckdb_destroy_client_context>;
using ErrorData = Handle<duckdb_error_data, duckdb_destroy_error_data>;
using TableFunction = Handle<duckdb_table_function, duckdb_destroy_table_function>;
using ConvertedSchema = Handle<duckdb_arrow_converted_schema, duckdb_destroy_arrow_converted_schema>;

}  // namespace tranche::duckdb
