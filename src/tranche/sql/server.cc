#include "tranche/sql/server.h"

#include <algorithm>

#include <arrow/type.h>

namespace tranche::sql {

const TableColumn* TableInfo::Find(std::string_view column) const {
  for (const TableColumn& own : columns) {
    if (own.name == column) return &own;
  }
  for (const TableColumn& own : columns) {
    if (FindColumn({{own.name, ""}}, column) != nullptr) return &own;
  }
  return nullptr;
}

Result<std::string> ServerSession::MakeScratch(const std::string&, const std::string&) {
  return Fail(Code::kInternal, "this server has no scratch schemas");
}
Status ServerSession::DropScratch(const std::string&) {
  return Fail(Code::kInternal, "this server has no scratch schemas");
}

std::shared_ptr<arrow::DataType> ArrowTypeOf(const AnswerColumn& column) {
  if (!column.native) return arrow::utf8();
  int precision = 0, scale = 0;
  if (std::sscanf(column.type.c_str(), "DECIMAL(%d,%d)", &precision, &scale) == 2) {
    return arrow::decimal128(precision, scale);
  }
  const std::pair<std::string_view, std::shared_ptr<arrow::DataType>> kTypes[] = {
      {"BOOLEAN", arrow::boolean()},
      {"TINYINT", arrow::int8()},
      {"SMALLINT", arrow::int16()},
      {"INTEGER", arrow::int32()},
      {"BIGINT", arrow::int64()},
      {"UTINYINT", arrow::uint8()},
      {"USMALLINT", arrow::uint16()},
      {"UINTEGER", arrow::uint32()},
      {"UBIGINT", arrow::uint64()},
      {"FLOAT", arrow::float32()},
      {"DOUBLE", arrow::float64()},
      {"BLOB", arrow::binary()},
      {"DATE", arrow::date32()},
      {"TIME", arrow::time64(arrow::TimeUnit::MICRO)},
      {"TIMESTAMP", arrow::timestamp(arrow::TimeUnit::MICRO)},
      {"TIMESTAMP WITH TIME ZONE", arrow::timestamp(arrow::TimeUnit::MICRO, "UTC")},
      {"INTERVAL", arrow::month_day_nano_interval()},
  };
  for (const auto& [name, type] : kTypes) {
    if (name == column.type) return type;
  }
  return arrow::utf8();
}

}  // namespace tranche::sql
