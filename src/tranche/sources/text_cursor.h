// A window that moves over the text of a file, and the lines in it with their places.
//
//   TRANCHE_ASSIGN(auto lines, LineReader::Open(path, Encoding::kUtf8));
//   while (true) {
//     TRANCHE_ASSIGN(bool more, lines.Next());
//     if (!more) break;
//     use(lines.line());
//   }
//
// Memory is bounded by kMostRecordBytes and a block. One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "tranche/base/byte_stream.h"
#include "tranche/base/result.h"

namespace tranche {

// A longer line or record is refused.
inline constexpr size_t kMostRecordBytes = 16 << 20;
// What has no line end for so long is no text: nothing more of it is read.
inline constexpr int64_t kMostSkippedBytes = 128 << 20;
inline constexpr size_t kShownBytes = 64 << 10;  // of a record that is longer

class TextCursor {
 public:
  // Passes over a byte order mark. UTF-16 that is read as UTF-8 is an error that says so.
  static Result<TextCursor> Open(const std::string& path, Encoding encoding);

  // What is in memory from the cursor on; valid until Fill.
  std::string_view window() const { return {buffer_.get() + from_, to_ - from_}; }
  // Reads more into the window; false at the end of the file.
  Result<bool> Fill();
  void Advance(size_t bytes);
  int64_t byte() const { return byte_; }  // of the cursor, in the (decompressed) file
  // Passes over a line, or the rest of one; `returns`: a "\r" alone ends it, too.
  Status SkipLine(int64_t line, bool returns);

 private:
  TextCursor(std::string path, std::unique_ptr<ByteStream> stream, Encoding encoding)
      : path_(std::move(path)), stream_(std::move(stream)), encoding_(encoding) {}
  void Grow(size_t capacity);

  std::string path_;
  std::unique_ptr<ByteStream> stream_;
  Encoding encoding_;
  std::unique_ptr<char[]> buffer_;
  size_t capacity_ = 0;
  size_t from_ = 0;
  size_t to_ = 0;
  int64_t byte_ = 0;
  bool ended_ = false;
};

struct Line {
  std::string_view text;  // without its end (\n or \r\n); valid until the next one is read
  int64_t number = 0;     // from 1
  int64_t byte = 0;
  bool too_long = false;  // `text` is only its beginning
};

class LineReader {
 public:
  static Result<LineReader> Open(const std::string& path, Encoding encoding);
  Result<bool> Next();
  const Line& line() const { return line_; }

 private:
  explicit LineReader(TextCursor cursor) : cursor_(std::move(cursor)) {}
  bool TooLong();

  TextCursor cursor_;
  bool rest_ = false;   // the last line was too long, and is not passed over yet
  size_t pending_ = 0;  // bytes of the last line, not yet passed over
  Line line_;
  std::string beginning_;
};

// Offset after the end of the first line: "\n", "\r\n" and, with `returns`, "\r". npos where it is not in
// `text`, or "\r" ends it and "\n" may follow.
size_t EndOfLine(std::string_view text, bool returns = true);

// Whether `text` is valid UTF-8 (RFC 3629).
bool IsUtf8(std::string_view text);

}  // namespace tranche
