// The rows of a COPY … FROM STDIN in PostgreSQL's binary format.
//
//   header  = "PGCOPY\n\xff\r\n\0" flags:int32 extension:int32
//   row     = columns:int16 { -1:int32 | length:int32 value }      trailer = -1:int16
//
// All numbers are big-endian; https://www.postgresql.org/docs/15/sql-copy.html, and each type's recv function
// for the values. Arrow types of a wire:
//   bool BOOL · int2 int4 int8 any integer · float4 FLOAT · float8 FLOAT DOUBLE · text jsonb bytea STRING
//   BINARY numeric integers DECIMAL128 STRING (digits, with an exponent or not, NaN, Infinity) · uuid STRING
//   date DATE32 · time TIME64[us] · timestamp timestamptz TIMESTAMP · interval INTERVAL_MONTH_DAY_NANO
//   x[] LIST of x
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/type_fwd.h>

#include "tranche/base/result.h"

namespace tranche::sql {

// 2000-01-01, from which PostgreSQL counts, since 1970.
inline constexpr int32_t kEpochDays = 10'957;
inline constexpr int64_t kEpochMicros = 946'684'800'000'000;

class CopyRows {
 public:
  // `rows` must outlive it.
  static Result<CopyRows> Make(const arrow::RecordBatch& rows, const std::vector<std::string>& wires);
  CopyRows(CopyRows&&) noexcept;
  ~CopyRows();

  static std::string_view Header();
  static std::string_view Trailer();
  void Append(int64_t row, std::string& bytes) const;

 private:
  struct Column;
  CopyRows();
  std::vector<Column> columns_;
};

// Whether values of a wire can be written.
bool CanCopy(std::string_view wire);

}  // namespace tranche::sql
