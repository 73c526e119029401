#include "tranche/duckdb/scan_counts.h"

#include <cstdlib>

#include "tranche/duckdb/handles.h"

namespace tranche::duckdb {

namespace {

std::string Metric(duckdb_profiling_info node, const char* key) {
  TypedValue value(duckdb_profiling_info_get_value(node, key));
  if (value.get() == nullptr) return "";
  char* text = duckdb_get_varchar(value.get());
  std::string copy = text != nullptr ? text : "";
  duckdb_free(text);
  return copy;
}

void Collect(duckdb_profiling_info node, std::vector<ScanCount>& counts) {
  if (Metric(node, "OPERATOR_TYPE") == "TABLE_SCAN" && Metric(node, "OPERATOR_NAME") != "TRANCHE_READER") {
    int64_t rows = std::strtoll(Metric(node, "OPERATOR_CARDINALITY").c_str(), nullptr, 10);
    counts.push_back(
        {.function = Metric(node, "OPERATOR_NAME"), .rows = rows, .detail = Metric(node, "EXTRA_INFO")});
  }
  for (idx_t i = 0; i < duckdb_profiling_info_get_child_count(node); ++i) {
    Collect(duckdb_profiling_info_get_child(node, i), counts);
  }
}

}  // namespace

std::vector<ScanCount> ReadScanCounts(duckdb_connection connection) {
  std::vector<ScanCount> counts;
  duckdb_profiling_info root = duckdb_get_profiling_info(connection);
  if (root != nullptr) Collect(root, counts);
  return counts;
}

}  // namespace tranche::duckdb
