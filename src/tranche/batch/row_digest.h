// RowDigest: a digest of rows, whatever the batches in which they come.
//
//   digest.Add(first); digest.Add(second);   // Hex() is that of both in one
//
// Equal rows of one schema have equal digests: what stands in the memory of a NULL does not count; -0.0 is
// not 0.0, and a NaN is itself. By XXH3 (base/hash.h), so against chance and not against malice.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <arrow/type_fwd.h>

#include "tranche/base/result.h"

namespace tranche {

class RowDigest {
 public:
  explicit RowDigest(const arrow::Schema& schema);  // without dictionaries
  RowDigest(RowDigest&&) noexcept;
  RowDigest& operator=(RowDigest&&) noexcept;
  ~RowDigest();

  Status Add(const arrow::RecordBatch& rows);  // its columns are those of the schema
  int64_t rows() const { return rows_; }
  std::string Hex() const;

 private:
  class Column;
  std::vector<Column> columns_;
  int64_t rows_ = 0;
};

}  // namespace tranche
