// XXH3: checksums of spool segments and parts, digests of rows. Not cryptographic.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "tranche/base/result.h"

namespace tranche {

uint64_t Hash64(std::string_view bytes);
std::string HashHex(std::string_view bytes);            // 32 hex digits (XXH3-128)
Result<std::string> HashFile(const std::string& path);  // the same over a file's content, read in blocks

// HashHex of bytes that come piece by piece.
class Hasher {
 public:
  Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  ~Hasher();
  void Update(std::string_view bytes);
  std::string Hex() const;  // of all bytes so far

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// HMAC-SHA-256 as 64 hex digits, for what must not be guessed back (secrets in a fingerprint).
std::string KeyedHash(std::string_view key, std::string_view bytes);

}  // namespace tranche
