#include "tranche/base/hash.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <vector>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace tranche {
namespace {

std::string Hex(XXH128_hash_t hash) { return fmt::format("{:016x}{:016x}", hash.high64, hash.low64); }

}  // namespace

uint64_t Hash64(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

std::string HashHex(std::string_view bytes) { return Hex(XXH3_128bits(bytes.data(), bytes.size())); }

struct Hasher::State {
  XXH3_state_t xxh;
};

Hasher::Hasher() : state_(std::make_unique<State>()) { XXH3_128bits_reset(&state_->xxh); }
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

void Hasher::Update(std::string_view bytes) { XXH3_128bits_update(&state_->xxh, bytes.data(), bytes.size()); }

std::string Hasher::Hex() const { return tranche::Hex(XXH3_128bits_digest(&state_->xxh)); }

Result<std::string> HashFile(const std::string& path) {
  int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return FailErrno("open", path, errno);
  Hasher hasher;
  std::vector<char> block(1 << 20);
  ssize_t got = 0;
  while ((got = read(file, block.data(), block.size())) != 0) {
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      int error_number = errno;
      close(file);
      return FailErrno("read", path, error_number);
    }
    hasher.Update({block.data(), static_cast<size_t>(got)});
  }
  close(file);
  return hasher.Hex();
}

std::string KeyedHash(std::string_view key, std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), data, bytes.size(), digest, &size) ==
      nullptr) {
    std::abort();  // only for want of memory, or of SHA-256 itself
  }
  return fmt::format("{:02x}", fmt::join(digest, digest + size, ""));
}

}  // namespace tranche
