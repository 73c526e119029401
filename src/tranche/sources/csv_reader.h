// Our own reader of CSV records (RFC 4180): it knows the line and byte of each and why one is bad. It reads
// headers and samples, and whole files where the engine's faster reader met an error, or must not be trusted:
//   - text that is not UTF-8;
//   - bad rows: DuckDB's store_rejects with parallel reading loses rows after a stray quote and makes up rows
//     from quoted text (seen: 42,928 rows read as 12 million), and numbers records, not lines.
//
// A record that is malformed costs its first line: reading goes on with the next. One thread at a time.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tranche/base/result.h"
#include "tranche/sources/text_cursor.h"

namespace tranche {

// Of one record: more are no row, and would take a multiple of their text's memory.
inline constexpr size_t kMostFields = 100'000;

struct CsvDialect {
  char delimiter = ',';
  char quote = '"';   // 0 = none
  char escape = '"';  // before a quote within quotes
  char comment = 0;   // begins a line that is passed over; 0 = none
  Encoding encoding = Encoding::kUtf8;
  bool operator==(const CsvDialect&) const = default;
};

struct CsvField {
  std::string_view text;  // without quotes and escapes
  bool quoted = false;
};

// Valid until the next one is read.
struct CsvRecord {
  std::vector<CsvField> fields;
  std::string_view raw;  // as it stands in the file, without its end
  int64_t line = 0;      // of its first character, from 1
  int64_t byte = 0;
  std::string problem;  // why it is malformed; then it is one line, and fields are of no use
  bool blank() const { return problem.empty() && raw.empty(); }
};

class CsvReader {
 public:
  static Result<CsvReader> Open(const std::string& path, const CsvDialect& dialect);

  Status SkipLines(int64_t count);
  // The next record, blank ones too; false at the end.
  Result<bool> Next();
  const CsvRecord& record() const { return record_; }
  int64_t next_line() const { return line_; }  // after the record

 private:
  CsvReader(TextCursor cursor, const CsvDialect& dialect);

  enum class Parsed { kDone, kNeedsMore };
  Parsed Parse(std::string_view text, bool last);
  Parsed ParseQuoted(std::string_view text, bool last, size_t& at);
  Parsed Malformed(std::string_view text, bool last, std::string problem);
  Parsed Take(std::string_view text, size_t raw, size_t used);
  bool TooLong();

  TextCursor cursor_;
  CsvDialect dialect_;
  std::array<bool, 256> ends_field_ = {};
  bool rest_ = false;      // the last record was too long, and its line is not passed over yet
  size_t pending_ = 0;     // bytes of the last record, not yet passed over
  int64_t line_ = 1;       // of the next record
  std::string unescaped_;  // texts of fields that had escapes
  std::vector<std::pair<size_t, std::pair<size_t, size_t>>> moved_;  // field → where in unescaped_
  CsvRecord record_;
};

}  // namespace tranche
