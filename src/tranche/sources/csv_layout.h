// What Plan finds out about CSV files, once: dialect, headers, types. It is stored with the splits, so that a
// resume guesses nothing again.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tranche/connector/source.h"
#include "tranche/sources/csv_reader.h"
#include "tranche/sources/files.h"
#include "tranche/sources/typed.h"

namespace tranche {

// How one file is built.
struct CsvShape {
  std::vector<std::string> names;  // of its columns, in its order
  int64_t before = 0;              // lines before the header, or before the first row where there is none
  bool header = true;
  bool rows = true;  // it has at least one
  bool operator==(const CsvShape&) const = default;
};

struct CsvLayout {
  CsvDialect dialect;
  std::vector<TypedColumn> columns;
  std::vector<CsvShape> shapes;  // one for each file
  bool careful = false;          // read by our own reader, row by row
};

// As the options say it.
struct CsvOptions {
  CsvDialect dialect;
  bool find_delimiter = true;
  bool header = true;
  std::vector<std::string> names;
  std::vector<std::string> nulls;
  int64_t skip = 0;
  bool pad = false;
  bool fill_missing = false;
};

// Shapes of the files and the columns that they have together; types are still VARCHAR.
Result<CsvLayout> FindLayout(const CsvOptions& options, const std::vector<Split>& splits);

// The column's place in a file of this shape, or -1.
int PositionIn(const CsvShape& shape, std::string_view column);

// Details of the splits.
std::vector<std::string> ToDetails(const CsvLayout& layout);
Result<CsvLayout> ParseDetails(const std::vector<Split>& splits);

// Reads rows of the files `which` by our own reader, at most `most` of each where `most` is not negative.
ReaderFactory CarefulRows(const CsvOptions& options, const CsvLayout& layout,
                          const std::vector<Split>& splits, std::vector<size_t> which, int64_t most,
                          std::shared_ptr<ReadCount> count);

}  // namespace tranche
