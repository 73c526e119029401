// Files with durability: what has returned Ok is on disk, and survives a power cut.
// All errors are Code::kOutside and name the path.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tranche/base/result.h"

namespace tranche {

// What tells one version of a file from another, without reading it.
struct FileIdentity {
  int64_t size = 0;
  int64_t modified_ns = 0;  // mtime
  int64_t changed_ns = 0;   // ctime: also moves when mtime is set back by hand
  int64_t inode = 0;
  bool operator==(const FileIdentity&) const = default;
};
Result<FileIdentity> Identify(const std::string& path);

bool Exists(const std::string& path);
Result<std::string> ReadFile(const std::string& path, int64_t max_bytes = 64 << 20);

// Writes aside, fsyncs, renames over `path`, fsyncs the folder.
Status WriteFileDurably(const std::string& path, std::string_view content);

Status SyncFile(const std::string& path);  // opens, fsyncs, closes; a failure is never retried
Status SyncFolder(const std::string& path);
Status MakeFolders(const std::string& path);  // like mkdir -p; each new entry is fsynced into its parent
// Its folders are not synced: for many names, whose folders the caller syncs once.
Status RenameUnsynced(const std::string& from, const std::string& to);
// Both fsync the folders concerned after the change; what is renamed must have been synced before.
Status Rename(const std::string& from, const std::string& to);
// renameat2(RENAME_EXCHANGE): both must exist; their names are swapped in one step.
Status Exchange(const std::string& a, const std::string& b);
Status RemoveFile(const std::string& path);    // absent is fine
Status RemoveFolder(const std::string& path);  // with all that is in it, never through a link; absent is fine

// Names in a folder (not "." and ".."), in byte order.
Result<std::vector<std::string>> ListFolder(const std::string& path);

// Shell pattern with * ? [] and ** over folders → matching files in byte order. No match = empty.
// Hidden names (".x", "_tranche.json") match only where the pattern spells their beginning. A backslash takes
// a special character as it is. `**` does not enter folders through links.
Result<std::vector<std::string>> Glob(const std::string& pattern);

// A lock on a file that is never deleted; held until destruction. close-on-exec.
class FileLock {
 public:
  // kBusy if another process holds it; the message has what that process wrote into the file (`holder`).
  static Result<FileLock> Acquire(const std::string& path, std::string_view holder);
  // Whether nobody holds it just now.
  static bool Probe(const std::string& path);
  FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace tranche
