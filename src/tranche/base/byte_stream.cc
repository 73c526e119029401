#include "tranche/base/byte_stream.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <zlib.h>
#include <zstd.h>

namespace tranche {
namespace {

constexpr size_t kBlock = 1 << 18;

class FileStream : public ByteStream {
 public:
  static Result<std::unique_ptr<ByteStream>> Open(const std::string& path) {
    int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return FailErrno("open", path, errno);
    posix_fadvise(file, 0, 0, POSIX_FADV_SEQUENTIAL);
    return std::make_unique<FileStream>(path, file);
  }
  FileStream(std::string path, int file) : path_(std::move(path)), file_(file) {}
  ~FileStream() override { close(file_); }

  Result<size_t> Read(std::span<char> into) override {
    while (true) {
      ssize_t got = read(file_, into.data(), into.size());
      if (got >= 0) return static_cast<size_t>(got);
      if (errno != EINTR) return FailErrno("read", path_, errno);
    }
  }

 private:
  std::string path_;
  int file_;
};

// What the two decompressors share: a block of input, and the errors.
class Decompressor : public ByteStream {
 protected:
  Decompressor(std::string path, std::unique_ptr<ByteStream> inner)
      : path_(std::move(path)), inner_(std::move(inner)), block_(kBlock) {}

  // More input; false at the end of the file.
  Result<bool> Refill() {
    TRANCHE_ASSIGN(size_t got, inner_->Read(block_));
    from_ = 0;
    to_ = got;
    return got > 0;
  }
  Error Truncated() const {
    return Fail(Code::kData, "{} ends in the middle of its compressed data", path_)
        .Hint("it was not written or copied whole; fetch it again");
  }
  Error Damaged(std::string_view what) const {
    return Fail(Code::kData, "{} is damaged: {}", path_, what).Hint("fetch it again");
  }

  std::string path_;
  std::unique_ptr<ByteStream> inner_;
  std::vector<char> block_;
  size_t from_ = 0;
  size_t to_ = 0;
};

// RFC 1952: a file is one or more members.
class GzipStream : public Decompressor {
 public:
  GzipStream(std::string path, std::unique_ptr<ByteStream> inner)
      : Decompressor(std::move(path), std::move(inner)) {
    inflateInit2(&zlib_, 15 + 16);
  }
  ~GzipStream() override { inflateEnd(&zlib_); }

  Result<size_t> Read(std::span<char> into) override {
    while (true) {
      if (from_ == to_ && !full_) {
        TRANCHE_ASSIGN(bool more, Refill());
        if (!more && within_) return Truncated();
        if (!more) return 0;
      }
      if (!within_) inflateReset(&zlib_);
      within_ = true;
      zlib_.next_in = reinterpret_cast<Bytef*>(block_.data() + from_);
      zlib_.avail_in = static_cast<uInt>(to_ - from_);
      zlib_.next_out = reinterpret_cast<Bytef*>(into.data());
      zlib_.avail_out = static_cast<uInt>(into.size());
      const int code = inflate(&zlib_, Z_NO_FLUSH);
      from_ = to_ - zlib_.avail_in;
      if (code == Z_STREAM_END) within_ = false;
      if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) {
        return Damaged(zlib_.msg ? zlib_.msg : "no gzip data");
      }
      const size_t got = into.size() - zlib_.avail_out;
      full_ = zlib_.avail_out == 0 && within_;  // it may hold more without more input
      if (got > 0) return got;
    }
  }

 private:
  z_stream zlib_ = {};
  bool within_ = false;  // a member has begun and not ended
  bool full_ = false;
};

// RFC 8878: a file is one or more frames.
class ZstdStream : public Decompressor {
 public:
  ZstdStream(std::string path, std::unique_ptr<ByteStream> inner)
      : Decompressor(std::move(path), std::move(inner)), zstd_(ZSTD_createDStream()) {}
  ~ZstdStream() override { ZSTD_freeDStream(zstd_); }

  Result<size_t> Read(std::span<char> into) override {
    while (true) {
      if (from_ == to_ && !full_) {
        TRANCHE_ASSIGN(bool more, Refill());
        if (!more && within_) return Truncated();
        if (!more) return 0;
      }
      ZSTD_inBuffer in{block_.data(), to_, from_};
      ZSTD_outBuffer out{into.data(), into.size(), 0};
      const size_t code = ZSTD_decompressStream(zstd_, &out, &in);
      if (ZSTD_isError(code)) return Damaged(ZSTD_getErrorName(code));
      from_ = in.pos;
      within_ = code != 0;
      full_ = out.pos == out.size && within_;  // it may hold more without more input
      if (out.pos > 0) return out.pos;
      full_ = false;
    }
  }

 private:
  ZSTD_DStream* zstd_;
  bool within_ = false;
  bool full_ = false;
};

void Append(std::string& text, uint32_t c) {
  if (c < 0x80) {
    text += static_cast<char>(c);
  } else if (c < 0x800) {
    text += static_cast<char>(0xC0 | c >> 6);
    text += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    text += static_cast<char>(0xE0 | c >> 12);
    text += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    text += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    text += static_cast<char>(0xF0 | c >> 18);
    text += static_cast<char>(0x80 | (c >> 12 & 0x3F));
    text += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    text += static_cast<char>(0x80 | (c & 0x3F));
  }
}

// https://encoding.spec.whatwg.org/index-windows-1252.txt, 0x80 to 0x9F
constexpr std::array<uint16_t, 32> kWindows1252 = {
    0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x8D,   0x017D, 0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178};

// Decodes block by block; what a block's end cuts through waits for the next one.
class Decoder : public ByteStream {
 public:
  Decoder(std::unique_ptr<ByteStream> inner, Encoding encoding)
      : inner_(std::move(inner)), encoding_(encoding) {}

  Result<size_t> Read(std::span<char> into) override {
    while (given_ == text_.size()) {
      text_.clear();
      given_ = 0;
      const size_t kept = raw_.size();
      raw_.resize(kept + kBlock);
      TRANCHE_ASSIGN(size_t got, inner_->Read(std::span(raw_).subspan(kept)));
      raw_.resize(kept + got);
      if (got == 0 && kept == 0) return 0;
      Decode(/*last=*/got == 0);
    }
    const size_t count = std::min(into.size(), text_.size() - given_);
    std::memcpy(into.data(), text_.data() + given_, count);
    given_ += count;
    return count;
  }

 private:
  void Decode(bool last) {
    if (encoding_ == Encoding::kLatin1) {
      for (unsigned char c : raw_) Append(text_, c >= 0x80 && c < 0xA0 ? kWindows1252[c - 0x80] : c);
      raw_.clear();
      return;
    }
    size_t at = 0;
    while (at + 1 < raw_.size()) {
      const uint32_t unit = Unit(at);
      if (!started_) {
        started_ = true;
        big_endian_ = unit == 0xFFFE;
        if (unit == 0xFFFE || unit == 0xFEFF) {
          Append(text_, 0xFEFF);  // the mark is kept: readers of text take it off, and count it
          at += 2;
          continue;
        }
      }
      if (unit >= 0xD800 && unit < 0xDC00) {
        if (at + 3 >= raw_.size() && !last) break;
        const uint32_t low = at + 3 < raw_.size() ? Unit(at + 2) : 0;
        const bool paired = low >= 0xDC00 && low < 0xE000;
        Append(text_, paired ? 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00) : 0xFFFD);
        at += paired ? 4 : 2;
        continue;
      }
      Append(text_, unit >= 0xDC00 && unit < 0xE000 ? 0xFFFD : unit);
      at += 2;
    }
    raw_.erase(raw_.begin(), raw_.begin() + static_cast<ptrdiff_t>(at));
    if (last && !raw_.empty()) {
      Append(text_, 0xFFFD);
      raw_.clear();
    }
  }

  uint32_t Unit(size_t at) const {
    const auto first = static_cast<unsigned char>(raw_[at]);
    const auto second = static_cast<unsigned char>(raw_[at + 1]);
    return big_endian_ ? first << 8 | second : second << 8 | first;
  }

  std::unique_ptr<ByteStream> inner_;
  Encoding encoding_;
  bool started_ = false;
  bool big_endian_ = false;
  std::vector<char> raw_;
  std::string text_;
  size_t given_ = 0;
};

Status ReadToEnd(const std::string& path, const Integrity::Watch& watch, const std::stop_token& stop) {
  TRANCHE_ASSIGN(auto stream, OpenBytes(path));
  std::vector<char> block(kBlock);
  while (!stop.stop_requested()) {
    TRANCHE_ASSIGN(size_t got, stream->Read(block));
    if (got == 0) break;
    if (watch) watch(path, {block.data(), got});
  }
  return {};
}

}  // namespace

bool IsCompressed(std::string_view path) { return path.ends_with(".gz") || path.ends_with(".zst"); }

Result<std::unique_ptr<ByteStream>> OpenBytes(const std::string& path) {
  TRANCHE_ASSIGN(std::unique_ptr<ByteStream> stream, FileStream::Open(path));
  if (path.ends_with(".gz")) stream = std::make_unique<GzipStream>(path, std::move(stream));
  if (path.ends_with(".zst")) stream = std::make_unique<ZstdStream>(path, std::move(stream));
  return stream;
}

Result<std::unique_ptr<ByteStream>> OpenText(const std::string& path, Encoding encoding) {
  TRANCHE_ASSIGN(auto stream, OpenBytes(path));
  if (encoding != Encoding::kUtf8) stream = std::make_unique<Decoder>(std::move(stream), encoding);
  return stream;
}

int64_t SourceLength(std::string_view text, Encoding encoding) {
  if (encoding == Encoding::kUtf8) return std::ssize(text);
  int64_t characters = 0;
  int64_t pairs = 0;
  for (unsigned char c : text) {
    characters += (c & 0xC0) != 0x80;
    pairs += c >= 0xF0;
  }
  return encoding == Encoding::kLatin1 ? characters : 2 * (characters + pairs);
}

Integrity::Integrity(std::vector<std::string> paths, Watch watch)
    : thread_([this, paths = std::move(paths), watch = std::move(watch)](const std::stop_token& stop) {
        for (const std::string& path : paths) {
          result_ = ReadToEnd(path, watch, stop);
          if (!result_ || stop.stop_requested()) return;
        }
      }) {}

Integrity::~Integrity() = default;  // asks the thread to stop, and waits for it

Status Integrity::Wait() {
  if (thread_.joinable()) thread_.join();
  return result_;
}

}  // namespace tranche
