// How a CSV file ends, where the engine's reader says nothing (DuckDB 1.5.6):
//   - a last line that is larger than its buffer is left out;
//   - of more than two files a thread, those that end within quotes lose all from the opening quote on.
// A file that may end in such a way is read by our own reader instead.
//
//   CsvEndings endings(dialect);
//   while (...) endings.Add(path, block);   // the text of each file, from its beginning
//   endings.Settle();
//   if (endings.long_line() || endings.quoted()) ...
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tranche/sources/csv_reader.h"

namespace tranche {

// What the engine's reader holds of a file at a time; its own default is four times as much, for each thread.
inline constexpr size_t kEngineBuffer = 8 << 20;

class CsvEndings {
 public:
  explicit CsvEndings(const CsvDialect& dialect) : dialect_(dialect) {}

  void Add(const std::string& path, std::string_view block);
  void Settle();  // behind the last file
  bool long_line() const { return long_line_; }
  // False only where every file surely ends outside quotes.
  bool quoted() const { return quoted_; }

 private:
  CsvDialect dialect_;
  bool long_line_ = false;
  bool quoted_ = false;

  // The file that is being read.
  std::string path_;
  int64_t behind_ = 0;  // bytes behind the last "\n"
  std::string recent_;  // the latest bytes
  std::string quotes_;  // those up to the last quote
  bool cut_ = false;    // there was more before `recent_`
  bool whole_ = true;   // `quotes_` begins where the file does
};

// The same of a file that is not compressed, which is read from its end only as far as needed.
Result<bool> EndsInLongLine(const std::string& path, int64_t size);
Result<bool> MayEndQuoted(const std::string& path, int64_t size, const CsvDialect& dialect);

}  // namespace tranche
