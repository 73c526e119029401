// The pinned libraries work together in one process: a query's rows leave DuckDB through its C API as Arrow
// data, and Arrow C++ (linked with the same C++ ABI as we are) holds them and writes them as Parquet.

#include <string>

#include <arrow/api.h>
#include <arrow/c/bridge.h>
#include <arrow/compute/initialize.h>
#include <arrow/io/memory.h>
#include <arrow/util/config.h>
#include <duckdb.h>
#include <gtest/gtest.h>
#include <parquet/arrow/writer.h>

namespace {

TEST(Toolset, ArrowHeadersMatchTheLibrary) {
  EXPECT_EQ(arrow::GetBuildInfo().version_string, ARROW_VERSION_STRING);
  EXPECT_TRUE(arrow::compute::Initialize().ok());
}

TEST(Toolset, DuckDBHeaderMatchesTheLibrary) {
  EXPECT_EQ(std::string(duckdb_library_version()), TRANCHE_DUCKDB_VERSION);
}

TEST(Toolset, RowsPassFromDuckDBThroughArrowIntoParquet) {
  duckdb_database database = nullptr;
  duckdb_connection connection = nullptr;
  ASSERT_EQ(duckdb_open(nullptr, &database), DuckDBSuccess);
  ASSERT_EQ(duckdb_connect(database, &connection), DuckDBSuccess);
  duckdb_result result;
  ASSERT_EQ(duckdb_query(connection, "SELECT i, 'row ' || i AS name FROM range(1000) t(i)", &result),
            DuckDBSuccess)
      << duckdb_result_error(&result);

  duckdb_arrow_options options = duckdb_result_get_arrow_options(&result);
  duckdb_logical_type types[] = {duckdb_column_logical_type(&result, 0),
                                 duckdb_column_logical_type(&result, 1)};
  const char* names[] = {"i", "name"};
  ArrowSchema c_schema;
  ASSERT_EQ(duckdb_to_arrow_schema(options, types, names, 2, &c_schema), nullptr);
  auto schema = arrow::ImportSchema(&c_schema);
  ASSERT_TRUE(schema.ok()) << schema.status().ToString();

  duckdb_data_chunk chunk = duckdb_fetch_chunk(result);
  ASSERT_NE(chunk, nullptr);
  ArrowArray c_array;
  ASSERT_EQ(duckdb_data_chunk_to_arrow(options, chunk, &c_array), nullptr);
  auto batch = arrow::ImportRecordBatch(&c_array, *schema);
  ASSERT_TRUE(batch.ok()) << batch.status().ToString();
  EXPECT_TRUE((*batch)->ValidateFull().ok());
  EXPECT_EQ((*batch)->num_rows(), 1000);
  EXPECT_EQ((*batch)->column(1)->GetScalar(999).ValueOrDie()->ToString(), "row 999");

  auto table = arrow::Table::FromRecordBatches({*batch}).ValueOrDie();
  auto file = arrow::io::BufferOutputStream::Create().ValueOrDie();
  EXPECT_TRUE(parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), file).ok());
  EXPECT_GT(file->Finish().ValueOrDie()->size(), 0);

  for (auto& type : types) duckdb_destroy_logical_type(&type);
  duckdb_destroy_data_chunk(&chunk);
  duckdb_destroy_arrow_options(&options);
  duckdb_destroy_result(&result);
  duckdb_disconnect(&connection);
  duckdb_close(&database);
}

}  // namespace
