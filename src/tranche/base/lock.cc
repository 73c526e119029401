#include <fcntl.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <initializer_list>

#include "tranche/base/file.h"

namespace tranche {
namespace {

// There flock is emulated or local to each machine: two machines could hold it.
bool IsNetworkFileSystem(int file) {
  constexpr uint32_t kNfs = 0x6969, kSmb = 0x517B, kCifs = 0xFF534D42, kSmb2 = 0xFE534D42;
  struct statfs info = {};
  if (fstatfs(file, &info) != 0) return false;
  auto type = static_cast<uint32_t>(info.f_type);
  return type == kNfs || type == kSmb || type == kCifs || type == kSmb2;
}

std::string ReadHolder(int file) {
  char text[512];
  ssize_t got = pread(file, text, sizeof text, 0);
  std::string holder(text, got > 0 ? static_cast<size_t>(got) : 0);
  return holder.empty() ? "a process that has not said its name yet" : holder;
}

}  // namespace

Result<FileLock> FileLock::Acquire(const std::string& path, std::string_view holder) {
  int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (file < 0) return FailErrno("open the lock", path, errno);
  FileLock lock(file);
  if (IsNetworkFileSystem(file)) {
    return Fail(Code::kOutside, "cannot lock {}: it lies on a network file system", path)
        .Hint("put the state on a local disk with --state");
  }
  while (flock(file, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return Fail(Code::kBusy, "{} is held by {}", path, ReadHolder(file));
    if (errno != EINTR) return FailErrno("lock", path, errno);
  }
  // Only people read this; whether the lock is held does not depend on it.
  if (ftruncate(file, 0) != 0 || pwrite(file, holder.data(), holder.size(), 0) < 0) {
    return FailErrno("write", path, errno);
  }
  return lock;
}

bool FileLock::Probe(const std::string& path) {
  const int file = open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0) return true;
  const FileLock lock(file);
  return flock(file, LOCK_SH | LOCK_NB) == 0;
}

FileLock::~FileLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace tranche
