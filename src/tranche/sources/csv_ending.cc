#include "tranche/sources/csv_ending.h"

#include <algorithm>
#include <cerrno>
#include <fstream>

namespace tranche {
namespace {

constexpr size_t kBlock = 1 << 18;
constexpr size_t kRegion = 1 << 18;  // is looked at, before the last quote

// Where a text stands, from one character to the next.
class Walk {
 public:
  Walk(const CsvDialect& dialect, bool quoted) : dialect_(dialect), state_(quoted ? kQuoted : kStart) {}

  void Step(char c) {
    const bool ends = c == dialect_.delimiter || c == '\n' || c == '\r';
    switch (state_) {
      case kStart:
        state_ = c == dialect_.quote ? kQuoted : ends || c == ' ' ? kStart : kPlain;
        return;
      case kPlain:
        if (ends) state_ = kStart;
        return;
      case kQuoted:
        if (c == dialect_.quote) state_ = kBehind;
        if (c == dialect_.escape && c != dialect_.quote) state_ = kEscaped;
        return;
      case kEscaped:
        state_ = kQuoted;
        return;
      case kBehind:
        if (c == dialect_.quote && dialect_.escape == c) {
          state_ = kQuoted;
        } else if (ends) {
          state_ = kStart;
        } else if (c != ' ') {
          wrong_ = true;
          state_ = kPlain;
        }
    }
  }
  bool quoted() const { return state_ == kQuoted || state_ == kEscaped; }
  bool wrong() const { return wrong_; }  // text follows a closing quote

 private:
  enum State { kStart, kPlain, kQuoted, kEscaped, kBehind };
  CsvDialect dialect_;
  State state_;
  bool wrong_ = false;
};

// `text` ends with the last quote of a file, and begins where the file does if it is `whole`. Otherwise the
// lines in it are read twice, as if they began outside quotes and inside: only one of the two makes sense.
bool MayBeOpen(std::string_view text, bool whole, const CsvDialect& dialect) {
  if (text.empty()) return false;
  if (!whole) {
    const size_t line = text.find('\n');
    if (line == std::string_view::npos) return true;
    text.remove_prefix(line + 1);
  }
  Walk outside(dialect, false);
  Walk inside(dialect, true);
  for (char c : text) {
    outside.Step(c);
    inside.Step(c);
  }
  if (outside.wrong() || outside.quoted()) return true;
  return !whole && !inside.wrong();
}

}  // namespace

void CsvEndings::Add(const std::string& path, std::string_view block) {
  if (path != path_) Settle();
  path_ = path;
  const size_t line = block.rfind('\n');
  behind_ = line == std::string_view::npos ? behind_ + std::ssize(block)
                                           : std::ssize(block) - static_cast<int64_t>(line) - 1;
  if (dialect_.quote == 0) return;
  const size_t quote = block.rfind(dialect_.quote);
  auto keep_last = [](std::string& text, bool& less) {
    if (text.size() <= kRegion) return;
    text.erase(0, text.size() - kRegion);
    less = true;
  };
  if (quote != std::string_view::npos) {
    bool cut = cut_;
    quotes_ = recent_;
    quotes_ += block.substr(0, quote + 1);
    keep_last(quotes_, cut);
    whole_ = !cut;
  }
  recent_ += block;
  keep_last(recent_, cut_);
}

void CsvEndings::Settle() {
  long_line_ = long_line_ || behind_ > static_cast<int64_t>(kEngineBuffer / 2);
  quoted_ = quoted_ || MayBeOpen(quotes_, whole_, dialect_);
  behind_ = 0;
  recent_.clear();
  quotes_.clear();
  cut_ = false;
  whole_ = true;
}

Result<bool> EndsInLongLine(const std::string& path, int64_t size) {
  std::ifstream file(path, std::ios::binary);
  std::string block(kBlock, '\0');
  for (int64_t behind = 0; behind <= static_cast<int64_t>(kEngineBuffer / 2); behind += std::ssize(block)) {
    const int64_t from = size - behind - std::ssize(block);
    if (from <= 0) return false;
    if (!file.seekg(from).read(block.data(), std::ssize(block))) return FailErrno("read", path, errno);
    if (block.find('\n') != std::string::npos) return false;
  }
  return true;
}

Result<bool> MayEndQuoted(const std::string& path, int64_t size, const CsvDialect& dialect) {
  if (dialect.quote == 0) return false;
  std::ifstream file(path, std::ios::binary);
  std::string block;
  auto read = [&](int64_t from, int64_t to) {
    block.resize(static_cast<size_t>(to - from));
    return !file.seekg(from).read(block.data(), to - from).fail();
  };
  for (int64_t to = size; to > 0; to -= std::ssize(block)) {
    if (!read(std::max<int64_t>(0, to - kBlock), to)) return FailErrno("read", path, errno);
    const size_t quote = block.rfind(dialect.quote);
    if (quote == std::string::npos) continue;
    const int64_t end = to - std::ssize(block) + static_cast<int64_t>(quote) + 1;
    const int64_t from = std::max<int64_t>(0, end - kRegion);
    if (!read(from, end)) return FailErrno("read", path, errno);
    return MayBeOpen(block, from == 0, dialect);
  }
  return false;
}

}  // namespace tranche
