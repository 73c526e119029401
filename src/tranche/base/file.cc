#include "tranche/base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>

namespace tranche {
namespace {

// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  // close() tells of errors too (NFS, quotas).
  bool Close() { return close(std::exchange(fd_, -1)) == 0; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

using Folder = std::unique_ptr<DIR, decltype([](DIR* folder) { closedir(folder); })>;

std::string ParentOf(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  size_t slash = path.rfind('/');
  if (slash == path.npos) return ".";
  return std::string(path.substr(0, std::max<size_t>(slash, 1)));
}

Status SyncDescriptor(int fd, const std::string& path) {
  if (fsync(fd) != 0) return FailErrno("sync", path, errno);
  return {};
}

// Names in an open folder, which is closed by it.
Result<std::vector<std::string>> ReadNames(Folder folder, const std::string& path) {
  std::vector<std::string> names;
  while (true) {
    errno = 0;
    dirent* entry = readdir(folder.get());
    if (entry == nullptr) break;
    std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return FailErrno("list", path, errno);
  std::ranges::sort(names);
  return names;
}

Status WriteAll(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    ssize_t written = write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FailErrno("write", path, errno);
    content.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

Status WriteAndSync(const std::string& path, std::string_view content) {
  Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!file.valid()) return FailErrno("create", path, errno);
  TRANCHE_TRY(WriteAll(file.get(), content, path));
  TRANCHE_TRY(SyncDescriptor(file.get(), path));
  if (!file.Close()) return FailErrno("close", path, errno);
  return {};
}

Status SyncParents(const std::string& a, const std::string& b) {
  std::string first = ParentOf(a), second = ParentOf(b);
  TRANCHE_TRY(SyncFolder(first));
  return first == second ? Status() : SyncFolder(second);
}

Status RemoveEntries(int folder_fd, const std::string& path);

Status RemoveEntry(int folder_fd, const std::string& name, const std::string& path) {
  if (unlinkat(folder_fd, name.c_str(), 0) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM) return FailErrno("remove", path, errno);
  int error_number = errno;
  Descriptor child(openat(folder_fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!child.valid()) return FailErrno("remove", path, errno == ENOTDIR ? error_number : errno);
  TRANCHE_TRY(RemoveEntries(child.Release(), path));
  if (unlinkat(folder_fd, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
    return FailErrno("remove", path, errno);
  }
  return {};
}

// Takes over `folder_fd`.
Status RemoveEntries(int folder_fd, const std::string& path) {
  Descriptor own(folder_fd);
  int copy = fcntl(folder_fd, F_DUPFD_CLOEXEC, 0);
  Folder folder(copy < 0 ? nullptr : fdopendir(copy));
  if (!folder) return FailErrno("list", path, errno);
  TRANCHE_ASSIGN(auto names, ReadNames(std::move(folder), path));
  for (const std::string& name : names) TRANCHE_TRY(RemoveEntry(folder_fd, name, path + "/" + name));
  return {};
}

}  // namespace

Result<FileIdentity> Identify(const std::string& path) {
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) return FailErrno("read", path, errno);
  auto nanos = [](const timespec& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; };
  return FileIdentity{.size = info.st_size,
                      .modified_ns = nanos(info.st_mtim),
                      .changed_ns = nanos(info.st_ctim),
                      .inode = static_cast<int64_t>(info.st_ino)};
}

bool Exists(const std::string& path) {
  struct stat info = {};
  return stat(path.c_str(), &info) == 0;
}

Result<std::string> ReadFile(const std::string& path, int64_t max_bytes) {
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return FailErrno("open", path, errno);
  std::string content;
  char block[1 << 16];
  while (true) {
    ssize_t got = read(file.get(), block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FailErrno("read", path, errno);
    if (got == 0) return content;
    if (static_cast<int64_t>(content.size()) + got > max_bytes) {
      return Fail(Code::kOutside, "{} is larger than the {} bytes that may be read of it", path, max_bytes);
    }
    content.append(block, static_cast<size_t>(got));
  }
}

Status WriteFileDurably(const std::string& path, std::string_view content) {
  std::string aside = path + ".tmp";
  TRANCHE_TRY(RemoveFile(aside));
  Status status = WriteAndSync(aside, content);
  if (status) status = Rename(aside, path);
  if (!status) unlink(aside.c_str());  // the first error is the one to tell
  return status;
}

Status SyncFile(const std::string& path) {
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return FailErrno("open", path, errno);
  return SyncDescriptor(file.get(), path);
}

Status SyncFolder(const std::string& path) {
  Descriptor folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return FailErrno("open", path, errno);
  // EINVAL: this file system has no notion of syncing a folder, so there is nothing left to do.
  if (fsync(folder.get()) != 0 && errno != EINVAL) return FailErrno("sync", path, errno);
  return {};
}

Status MakeFolders(const std::string& path) {
  struct stat info = {};
  if (stat(path.c_str(), &info) == 0) {
    return S_ISDIR(info.st_mode) ? Status() : FailErrno("make folder", path, ENOTDIR);
  }
  std::string parent = ParentOf(path);
  if (parent != path) TRANCHE_TRY(MakeFolders(parent));
  if (mkdir(path.c_str(), 0777) != 0 && errno != EEXIST) return FailErrno("make folder", path, errno);
  return SyncFolder(parent);
}

Status RenameUnsynced(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) != 0) {
    return FailErrno("rename", fmt::format("{} to {}", from, to), errno);
  }
  return {};
}

Status Rename(const std::string& from, const std::string& to) {
  TRANCHE_TRY(RenameUnsynced(from, to));
  return SyncParents(to, from);
}

Status Exchange(const std::string& a, const std::string& b) {
  if (renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) != 0) {
    return FailErrno("exchange", fmt::format("{} and {}", a, b), errno);
  }
  return SyncParents(a, b);
}

Status RemoveFile(const std::string& path) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return FailErrno("remove", path, errno);
  return {};
}

Status RemoveFolder(const std::string& path) {
  Descriptor folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder.valid()) return errno == ENOENT ? Status() : FailErrno("remove", path, errno);
  TRANCHE_TRY(RemoveEntries(folder.Release(), path));
  if (rmdir(path.c_str()) != 0 && errno != ENOENT) return FailErrno("remove", path, errno);
  return {};
}

Result<std::vector<std::string>> ListFolder(const std::string& path) {
  Folder folder(opendir(path.c_str()));
  if (!folder) return FailErrno("list", path, errno);
  return ReadNames(std::move(folder), path);
}

}  // namespace tranche
