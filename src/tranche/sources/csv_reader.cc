#include "tranche/sources/csv_reader.h"

#include <algorithm>
#include <utility>

namespace tranche {
namespace {

int64_t CountLineEnds(std::string_view text) {
  int64_t count = std::ranges::count(text, '\n');
  for (size_t at = text.find('\r'); at != std::string_view::npos; at = text.find('\r', at + 1)) {
    count += at + 1 == text.size() || text[at + 1] != '\n';
  }
  return count;
}

}  // namespace

CsvReader::CsvReader(TextCursor cursor, const CsvDialect& dialect)
    : cursor_(std::move(cursor)), dialect_(dialect) {
  for (char c : {dialect.delimiter, '\n', '\r'}) ends_field_[static_cast<unsigned char>(c)] = true;
}

Result<CsvReader> CsvReader::Open(const std::string& path, const CsvDialect& dialect) {
  TRANCHE_ASSIGN(TextCursor cursor, TextCursor::Open(path, dialect.encoding));
  return CsvReader(std::move(cursor), dialect);
}

Status CsvReader::SkipLines(int64_t count) {
  for (; count > 0; --count, ++line_) TRANCHE_TRY(cursor_.SkipLine(line_, /*returns=*/true));
  return {};
}

// The row cannot be held: its beginning is kept; what else is in its line will be passed over.
bool CsvReader::TooLong() {
  unescaped_ = cursor_.window().substr(0, kShownBytes);
  record_.fields.clear();
  record_.raw = unescaped_;
  record_.problem = "is longer than 16 MiB";
  rest_ = true;
  return true;
}

Result<bool> CsvReader::Next() {
  if (std::exchange(rest_, false)) TRANCHE_TRY(SkipLines(1));
  cursor_.Advance(std::exchange(pending_, 0));
  record_.line = line_;
  record_.byte = cursor_.byte();
  bool last = false;
  while (true) {
    const std::string_view window = cursor_.window();
    if (last && window.empty()) return false;
    if (!window.empty()) {
      if (dialect_.comment != 0 && window.front() == dialect_.comment) {
        TRANCHE_TRY(SkipLines(1));
        record_.line = line_;
        record_.byte = cursor_.byte();
        continue;
      }
      if (Parse(window, last) == Parsed::kDone) return true;
      if (window.size() > kMostRecordBytes) {
        // Where it is a quote that spans lines, only the first of them is lost.
        const bool done =
            Malformed(window, false, "opens a value that is longer than 16 MiB") == Parsed::kDone;
        return done || TooLong();
      }
    }
    TRANCHE_ASSIGN(bool more, cursor_.Fill());
    last = !more;
  }
}

CsvReader::Parsed CsvReader::Take(std::string_view text, size_t raw, size_t used) {
  record_.raw = text.substr(0, raw);
  pending_ = used;
  for (const auto& [field, range] : moved_) {
    record_.fields[field].text = std::string_view(unescaped_).substr(range.first, range.second);
  }
  const bool quotes = std::ranges::any_of(record_.fields, &CsvField::quoted);
  line_ += quotes && record_.problem.empty() ? CountLineEnds(text.substr(0, used)) : 1;
  return Parsed::kDone;
}

CsvReader::Parsed CsvReader::Malformed(std::string_view text, bool last, std::string problem) {
  size_t end = EndOfLine(text);
  if (end == std::string_view::npos) {
    if (!last) return Parsed::kNeedsMore;
    end = text.size();
  }
  moved_.clear();
  record_.fields.clear();
  record_.problem = std::move(problem);
  return Take(text, std::min(end, text.find_first_of("\r\n")), end);
}

// `at` is after the opening quote; afterwards it is after the closing one.
CsvReader::Parsed CsvReader::ParseQuoted(std::string_view text, bool last, size_t& at) {
  const size_t start = at;
  const size_t moved = unescaped_.size();
  size_t copied = start;
  while (true) {
    const char stops[] = {dialect_.quote, dialect_.escape};
    at = dialect_.quote == dialect_.escape || dialect_.escape == 0
             ? text.find(dialect_.quote, at)
             : text.find_first_of(std::string_view(stops, 2), at);
    if (at == std::string_view::npos) {
      return last ? Malformed(text, last, "a quote opens a value and none closes it") : Parsed::kNeedsMore;
    }
    const bool next = at + 1 < text.size();
    if (!next && !last) return Parsed::kNeedsMore;
    const bool escaped = text[at] == dialect_.escape && next &&
                         (text[at + 1] == dialect_.quote || text[at + 1] == dialect_.escape);
    if (escaped) {
      unescaped_.append(text, copied, at - copied);
      copied = at + 1;
      at += 2;
    } else if (text[at] == dialect_.quote) {
      break;
    } else {
      ++at;  // an escape before anything else is itself
    }
  }
  record_.fields.push_back({.text = text.substr(start, at - start), .quoted = true});
  if (copied != start) {
    unescaped_.append(text, copied, at - copied);
    moved_.push_back({record_.fields.size() - 1, {moved, unescaped_.size() - moved}});
  }
  ++at;
  return Parsed::kDone;
}

CsvReader::Parsed CsvReader::Parse(std::string_view text, bool last) {
  record_.fields.clear();
  record_.problem.clear();
  unescaped_.clear();
  moved_.clear();
  size_t at = 0;
  while (true) {
    if (record_.fields.size() > kMostFields) return Malformed(text, last, "has more than 100,000 values");
    const size_t start = at;
    size_t open = at;
    while (open < text.size() && text[open] == ' ') ++open;
    if (dialect_.quote != 0 && open < text.size() && text[open] == dialect_.quote) {
      at = open + 1;
      const Parsed parsed = ParseQuoted(text, last, at);
      if (parsed != Parsed::kDone || !record_.problem.empty()) return parsed;
      while (at < text.size() && text[at] == ' ') ++at;
      if (at < text.size() && !ends_field_[static_cast<unsigned char>(text[at])]) {
        return Malformed(text, last, fmt::format("a quoted value is followed by '{}'", text.substr(at, 1)));
      }
    } else {
      while (at < text.size() && !ends_field_[static_cast<unsigned char>(text[at])]) ++at;
      if (at < text.size() || last) record_.fields.push_back({.text = text.substr(start, at - start)});
    }
    if (at == text.size()) return last ? Take(text, at, at) : Parsed::kNeedsMore;
    if (text[at] == '\n') return Take(text, at, at + 1);  // first: who wants whole lines has it as delimiter
    if (text[at] == dialect_.delimiter) {
      ++at;
      continue;
    }
    if (at + 1 == text.size() && !last) return Parsed::kNeedsMore;
    return Take(text, at, at + (at + 1 < text.size() && text[at + 1] == '\n' ? 2 : 1));
  }
}

}  // namespace tranche
