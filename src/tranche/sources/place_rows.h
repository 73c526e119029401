// Text rows with their places, as Arrow: what our own readers give to CarefulScan and to samples.
//
// Columns c0, c1, … (text), then file, line, byte, text (the row as it stands, cut at 64 KiB) and problem
// (why it cannot be read, or NULL). What is not UTF-8 is replaced in `text`; the row then has a problem and
// no values.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <arrow/type_fwd.h>

#include "tranche/base/result.h"
#include "tranche/connector/engine.h"
#include "tranche/sources/files.h"

namespace tranche {

// The columns that say where a row stands.
class PlaceColumns {
 public:
  static void AddFields(arrow::FieldVector& fields);
  PlaceColumns();
  ~PlaceColumns();
  PlaceColumns(PlaceColumns&&) noexcept;
  arrow::Status Add(std::string_view file, int64_t line, int64_t byte, std::string_view text,
                    std::string_view problem, std::string_view problem_column);
  arrow::Status Finish(arrow::ArrayVector& arrays);

 private:
  struct Builders;
  std::unique_ptr<Builders> builders_;
};

class PlaceRows {
 public:
  static std::shared_ptr<arrow::Schema> SchemaOf(size_t columns);

  // `text` may be left out where nobody asks for it; it is there wherever there is a problem.
  explicit PlaceRows(size_t columns, bool text = true);
  ~PlaceRows();
  PlaceRows(PlaceRows&&) noexcept;

  // Values stand for columns in order; nullopt = NULL. `problem` may be empty. `castable`: all values are of
  // their columns' types for sure, so that nobody will ask for `text`.
  Status Add(std::span<const std::optional<std::string_view>> values, std::string_view file, int64_t line,
             int64_t byte, std::string_view text, std::string_view problem, bool castable = false);
  bool full() const { return rows_ >= 16'384 || bytes_ >= (8 << 20); }
  int64_t rows() const { return rows_; }
  Result<std::shared_ptr<arrow::RecordBatch>> Take();

 private:
  struct Values;
  std::unique_ptr<Values> values_;
  PlaceColumns places_;
  bool text_;
  int64_t rows_ = 0;
  int64_t bytes_ = 0;
};

// A reader over files, one after the other: `open` gives a function that adds the next row of a file, false
// at its end.
using AddRow = std::function<Result<bool>(PlaceRows&)>;
std::unique_ptr<Reader> ReadFiles(size_t columns, std::vector<std::string> paths,
                                  std::function<Result<AddRow>(size_t file)> open,
                                  std::shared_ptr<ReadCount> count, bool text = true);

inline constexpr std::string_view kNotUtf8 = "is not valid UTF-8; set `encoding`";

}  // namespace tranche
