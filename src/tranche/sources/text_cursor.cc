#include "tranche/sources/text_cursor.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "tranche/base/units.h"

namespace tranche {
namespace {

constexpr size_t kBlock = 1 << 20;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

}  // namespace

Result<TextCursor> TextCursor::Open(const std::string& path, Encoding encoding) {
  TRANCHE_ASSIGN(auto stream, OpenText(path, encoding));
  TextCursor cursor(path, std::move(stream), encoding);
  while (cursor.window().size() < kByteOrderMark.size()) {
    TRANCHE_ASSIGN(bool more, cursor.Fill());
    if (!more) break;
  }
  const std::string_view start = cursor.window();
  if (encoding == Encoding::kUtf8 && (start.starts_with("\xFF\xFE") || start.starts_with("\xFE\xFF"))) {
    return Fail(Code::kJob, "{} is UTF-16", path).Hint("add `encoding: utf-16`");
  }
  if (start.starts_with(kByteOrderMark) && encoding != Encoding::kLatin1)
    cursor.Advance(kByteOrderMark.size());
  return cursor;
}

Result<bool> TextCursor::Fill() {
  if (ended_) return false;
  if (from_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + from_, to_ - from_);
    to_ -= from_;
    from_ = 0;
  }
  if (capacity_ < to_ + kBlock)
    Grow(to_ <= kBlock ? 2 * kBlock : std::max(kMostRecordBytes, to_) + 2 * kBlock);
  TRANCHE_ASSIGN(size_t got, stream_->Read({buffer_.get() + to_, kBlock}));
  to_ += got;
  ended_ = got == 0;
  return !ended_;
}

// Memory that is not written to yet is none.
void TextCursor::Grow(size_t capacity) {
  auto larger = std::make_unique_for_overwrite<char[]>(capacity);
  if (to_ > 0) std::memcpy(larger.get(), buffer_.get(), to_);
  buffer_ = std::move(larger);
  capacity_ = capacity;
}

void TextCursor::Advance(size_t bytes) {
  byte_ += SourceLength(window().substr(0, bytes), encoding_);
  from_ += bytes;
}

Status TextCursor::SkipLine(int64_t line, bool returns) {
  for (const int64_t start = byte_; byte_ - start < kMostSkippedBytes;) {
    const std::string_view text = window();
    if (const size_t end = EndOfLine(text, returns); end != std::string_view::npos) {
      Advance(end);
      return {};
    }
    // A "\r" at the end may be half a line end.
    Advance(text.size() - (text.ends_with('\r') ? 1 : 0));
    TRANCHE_ASSIGN(bool more, Fill());
    if (more) continue;
    Advance(window().size());
    return {};
  }
  return Fail(Code::kData, "a line does not end within {}", FormatBytes(kMostSkippedBytes))
      .Hint("is this a file of lines?")
      .At({path_, static_cast<int>(line), 0});
}

size_t EndOfLine(std::string_view text, bool returns) {
  // Piece by piece, so that a near "\r" is found before a far "\n".
  constexpr size_t kPiece = 4096;
  for (size_t from = 0; from < text.size(); from += kPiece) {
    const std::string_view piece = text.substr(from, kPiece);
    const size_t feed = piece.find('\n');
    const size_t at = returns ? piece.substr(0, feed).find('\r') : std::string_view::npos;
    if (at == std::string_view::npos && feed == std::string_view::npos) continue;
    if (at == std::string_view::npos) return from + feed + 1;
    if (from + at + 1 == text.size()) return std::string_view::npos;
    return from + at + (text[from + at + 1] == '\n' ? 2 : 1);
  }
  return std::string_view::npos;
}

Result<LineReader> LineReader::Open(const std::string& path, Encoding encoding) {
  TRANCHE_ASSIGN(TextCursor cursor, TextCursor::Open(path, encoding));
  return LineReader(std::move(cursor));
}

Result<bool> LineReader::Next() {
  if (std::exchange(rest_, false)) TRANCHE_TRY(cursor_.SkipLine(line_.number, /*returns=*/false));
  cursor_.Advance(std::exchange(pending_, 0));
  size_t searched = 0;
  line_ = {.text = {}, .number = line_.number + 1, .byte = cursor_.byte()};
  while (true) {
    const std::string_view window = cursor_.window();
    const auto* end = static_cast<const char*>(
        searched < window.size() ? std::memchr(window.data() + searched, '\n', window.size() - searched)
                                 : nullptr);
    if (end != nullptr) {
      line_.text = window.substr(0, static_cast<size_t>(end - window.data()));
      if (line_.text.size() > kMostRecordBytes) return TooLong();
      pending_ = line_.text.size() + 1;
      break;
    }
    if (window.size() > kMostRecordBytes) return TooLong();
    searched = window.size();
    TRANCHE_ASSIGN(bool more, cursor_.Fill());
    if (more) continue;
    if (cursor_.window().empty()) return false;
    line_.text = cursor_.window();
    pending_ = line_.text.size();
    break;
  }
  if (line_.text.ends_with('\r')) line_.text.remove_suffix(1);
  return true;
}

bool LineReader::TooLong() {
  beginning_ = cursor_.window().substr(0, kShownBytes);
  line_.text = beginning_;
  line_.too_long = true;
  rest_ = true;
  return true;
}

bool IsUtf8(std::string_view text) {
  const auto* at = reinterpret_cast<const unsigned char*>(text.data());
  const auto* const end = at + text.size();
  auto follows = [&](int count, unsigned char least, unsigned char most) {
    if (end - at <= count || at[1] < least || at[1] > most) return false;
    for (int i = 2; i <= count; ++i) {
      if ((at[i] & 0xC0) != 0x80) return false;
    }
    at += count + 1;
    return true;
  };
  while (at < end) {
    uint64_t eight;
    while (end - at >= 8 && (std::memcpy(&eight, at, 8), (eight & 0x8080808080808080U) == 0)) at += 8;
    if (at == end) return true;
    const unsigned char c = *at;
    bool good = true;
    if (c < 0x80) {
      ++at;
    } else if (c >= 0xC2 && c < 0xE0) {
      good = follows(1, 0x80, 0xBF);
    } else if (c >= 0xE0 && c < 0xF0) {
      good = follows(2, c == 0xE0 ? 0xA0 : 0x80, c == 0xED ? 0x9F : 0xBF);
    } else if (c >= 0xF0 && c < 0xF5) {
      good = follows(3, c == 0xF0 ? 0x90 : 0x80, c == 0xF4 ? 0x8F : 0xBF);
    } else {
      return false;
    }
    if (!good) return false;
  }
  return true;
}

}  // namespace tranche
