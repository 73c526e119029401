// The text of a file as UTF-8: decompressed by the ending of its name (.gz, .zst), decoded, in blocks.
//
//   TRANCHE_ASSIGN(auto stream, OpenText("/data/a.csv.gz", Encoding::kUtf8));
//   while (true) {
//     TRANCHE_ASSIGN(size_t got, stream->Read(buffer));
//     if (got == 0) break;
//     ...
//   }
//
// One thread at a time. A compressed file that ends too early, or whose checksum is wrong, is an error of
// Code::kData: the engine's own reader takes what is there and says nothing (seen with DuckDB 1.5.6), hence
// Integrity.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tranche/base/result.h"

namespace tranche {

enum class Encoding { kUtf8, kLatin1, kUtf16 };

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // Fills as much as it likes, at least one byte; 0 = the end.
  virtual Result<size_t> Read(std::span<char> into) = 0;
};

bool IsCompressed(std::string_view path);

// Bytes as they are once decompressed.
Result<std::unique_ptr<ByteStream>> OpenBytes(const std::string& path);
// Text as UTF-8. Latin-1 is read as Windows-1252 is in browsers: 0x80 to 0x9F are printable; UTF-16 by its
// byte order mark, little-endian without one; what is no text becomes U+FFFD.
Result<std::unique_ptr<ByteStream>> OpenText(const std::string& path, Encoding encoding);

// How many bytes of the file (decompressed) this piece of decoded text was.
int64_t SourceLength(std::string_view text, Encoding encoding);

// Reads compressed files to their end in a thread of its own, beside the engine, to see that they are whole.
class Integrity {
 public:
  // Is given all that is read, in order, by that thread.
  using Watch = std::function<void(const std::string& path, std::string_view block)>;

  explicit Integrity(std::vector<std::string> paths, Watch watch = {});
  ~Integrity();
  Status Wait();

 private:
  Status result_;
  std::jthread thread_;
};

}  // namespace tranche
