#include "tranche/sinks/publish.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <set>

#include "tranche/base/failpoint.h"
#include "tranche/base/file.h"

namespace tranche {
namespace {

namespace fs = std::filesystem;

// 0 where there is nothing.
int64_t InodeOf(const std::string& path) {
  struct stat info = {};
  return lstat(path.c_str(), &info) == 0 ? static_cast<int64_t>(info.st_ino) : 0;
}

constexpr std::string_view kMoveIt = "move it away, or choose another path";

// Held while parts are renamed into a folder: two jobs that append to it must not write its manifest at once.
class FolderLock {
 public:
  static Result<FolderLock> Acquire(const std::string& path) {
    int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return FailErrno("open", path, errno);
    FolderLock lock(fd);
    while (flock(fd, LOCK_EX) != 0) {
      if (errno != EINTR) return FailErrno("lock", path, errno);
    }
    return lock;
  }
  FolderLock(FolderLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~FolderLock() {
    if (fd_ >= 0) close(fd_);
  }

 private:
  explicit FolderLock(int fd) : fd_(fd) {}
  int fd_;
};

// Each folder on the way from `root` down to the file `name` is a real one, made where it is missing.
Status MakeFoldersWithin(const std::string& root, const std::string& name) {
  fs::path folder = root;
  for (const fs::path& step : fs::path(name).parent_path()) {
    folder /= step;
    struct stat info = {};
    if (lstat(folder.c_str(), &info) == 0 && !S_ISDIR(info.st_mode)) {
      return Fail(Code::kOutside, "{} is not a folder", folder.string()).Hint(std::string(kMoveIt));
    }
    TRANCHE_TRY(MakeFolders(folder.string()));
  }
  return {};
}

// The names of the parts, which nothing has synced before.
Status SyncNames(const std::string& root, const std::vector<FilePart>& parts) {
  std::set<std::string> folders = {root};
  for (const FilePart& part : parts) folders.insert(fs::path(root + "/" + part.name).parent_path().string());
  for (const std::string& folder : folders) TRANCHE_TRY(SyncFolder(folder));
  return {};
}

}  // namespace

Publisher::Publisher(Target target, std::string run_id)
    : target_(std::move(target)), run_(std::move(run_id)) {
  fs::path path(target_.path);
  parent_ = path.parent_path().string();
  name_ = path.filename().string();
  aside_ = fmt::format("{}/.{}.tranche-{}", parent_, name_, run_);
  sidecar_ = fmt::format("{}/.{}.tranche.json", parent_, name_);
}

Status Publisher::Prepare() const {
  TRANCHE_TRY(MakeFolders(parent_));
  return Check();
}

Status Publisher::Check() const {
  fs::path folder = parent_;
  while (!Exists(folder.string()) && folder.has_relative_path()) folder = folder.parent_path();
  std::error_code error;
  if (fs::is_directory(folder, error) && access(folder.c_str(), W_OK | X_OK) != 0) {
    return FailErrno("write to", folder.string(), errno);
  }
  struct stat info = {};
  if (lstat(target_.path.c_str(), &info) != 0) return {};
  if (target_.folder && !S_ISDIR(info.st_mode)) {
    return Fail(Code::kJob, "{} is not a folder", target_.path)
        .Hint("leave out the / at the end, or choose another path");
  }
  if (!target_.folder && S_ISDIR(info.st_mode)) {
    return Fail(Code::kJob, "{} is a folder", target_.path)
        .Hint("end the path with / to write files into it");
  }
  if (!target_.folder && !S_ISREG(info.st_mode)) {
    return Fail(Code::kJob, "{} is not a regular file", target_.path)
        .Hint("for standard output write path: stdout");
  }
  if (target_.append) {
    return access(target_.path.c_str(), W_OK | X_OK) == 0 ? Status()
                                                          : FailErrno("write to", target_.path, errno);
  }
  return CheckReplaceable();
}

Status Publisher::RemoveGivenUp() const {
  TRANCHE_ASSIGN(auto names, ListFolder(parent_));
  std::string start = fmt::format(".{}.tranche-", name_);
  for (const std::string& name : names) {
    std::string path = parent_ + "/" + name;
    struct stat info = {};
    if (!name.starts_with(start) || path == aside_ || lstat(path.c_str(), &info) != 0) continue;
    TRANCHE_TRY(S_ISDIR(info.st_mode) ? RemoveFolder(path) : RemoveFile(path));
  }
  return {};
}

Status Publisher::CheckReplaceable() const {
  if (InodeOf(target_.path) == 0) return {};
  if (target_.folder) {
    TRANCHE_ASSIGN(auto files, ReadManifest(fmt::format("{}/{}", target_.path, kManifest)));
    TRANCHE_ASSIGN(std::string foreign, FindForeign(target_.path, files));
    if (foreign.empty()) return {};
    return Fail(Code::kJob, "{}/{} was not written by Tranche, or was changed since", target_.path, foreign)
        .Hint(std::string(kMoveIt));
  }
  TRANCHE_ASSIGN(auto files, ReadManifest(sidecar_));
  for (const FilePart& file : files) {
    TRANCHE_ASSIGN(bool intact, Intact(target_.path, file));
    if (intact) return {};
  }
  return Fail(Code::kJob, "{} was not written by Tranche, or was changed since", target_.path)
      .Hint(std::string(kMoveIt));
}

Result<bool> Publisher::Begun(Journal& journal) const {
  TRANCHE_ASSIGN(auto intent, journal.Note("publish"));
  if (!intent) return false;
  if (target_.append) return true;
  // Begun, but nothing is renamed yet: the parts still are where they were written.
  return InodeOf(target_.path) != 0 && std::to_string(InodeOf(target_.path)) == *intent;
}

Result<bool> Publisher::Done(Journal& journal) {
  TRANCHE_ASSIGN(auto done, journal.Note("published"));
  return done.has_value();
}

std::string Publisher::Locate(const FilePart& part) const {
  std::string inside = target_.folder ? "/" + part.name : "";
  std::string before = aside_ + inside;
  return Exists(before) ? before : target_.path + inside;
}

Status Publisher::Publish(const std::vector<FilePart>& parts, Journal& journal) {
  TRANCHE_ASSIGN(bool done, Done(journal));
  if (done) return {};
  TRANCHE_TRY(Failpoint("publish.before"));
  if (target_.append) return Append(parts, journal);
  return target_.folder ? PublishFolder(parts, journal) : PublishFile(parts, journal);
}

Result<bool> Publisher::Intend(Journal& journal) {
  TRANCHE_ASSIGN(bool renamed, Begun(journal));
  if (renamed) return false;
  int64_t inode = InodeOf(aside_);
  if (inode == 0) {
    return Fail(Code::kOutside, "{} is gone, which this run has written", aside_).Hint("run it again");
  }
  TRANCHE_TRY(CheckReplaceable());
  TRANCHE_TRY(journal.SetNote("publish", std::to_string(inode)));
  TRANCHE_TRY(Failpoint("publish.intent"));
  return true;
}

Status Publisher::PublishFile(const std::vector<FilePart>& parts, Journal& journal) {
  if (parts.size() != 1) {
    return Fail(Code::kInternal, "{} was not written before it was published", target_.path);
  }
  TRANCHE_ASSIGN(bool open, Intend(journal));
  if (open) {
    // The sidecar names what is there and what will be: it is right before and after the rename.
    TRANCHE_ASSIGN(auto known, ReadManifest(sidecar_));
    std::vector<FilePart> named = {parts.front()};
    for (const FilePart& file : known) {
      TRANCHE_ASSIGN(bool intact, Intact(target_.path, file));
      if (intact) named.push_back(file);
    }
    TRANCHE_TRY(WriteFileDurably(sidecar_, ToJson(named)));
    TRANCHE_TRY(Rename(aside_, target_.path));
    TRANCHE_TRY(Failpoint("publish.renamed"));
  }
  return Record(journal);
}

Status Publisher::PublishFolder(const std::vector<FilePart>& parts, Journal& journal) {
  TRANCHE_ASSIGN(bool renamed, Begun(journal));
  if (!renamed) {
    TRANCHE_TRY(SyncNames(aside_, parts));
    TRANCHE_TRY(WriteFileDurably(fmt::format("{}/{}", aside_, kManifest), ToJson(parts)));
    TRANCHE_ASSIGN(std::string foreign, FindForeign(aside_, parts));
    if (!foreign.empty()) {
      return Fail(Code::kOutside, "{}/{} is not a file of this run", aside_, foreign)
          .Hint("move it away, and run it again");
    }
  }
  TRANCHE_ASSIGN(bool open, Intend(journal));
  if (open) {
    TRANCHE_TRY(InodeOf(target_.path) == 0 ? Rename(aside_, target_.path) : Exchange(aside_, target_.path));
    TRANCHE_TRY(Failpoint("publish.renamed"));
  }
  TRANCHE_TRY(RemoveReplaced());
  return Record(journal);
}

// After an exchange the old folder has the hidden name. What its manifest names goes; what someone has put
// there in the meantime goes back to where it was put.
Status Publisher::RemoveReplaced() {
  if (InodeOf(aside_) == 0) return {};
  TRANCHE_ASSIGN(auto files, ReadManifest(fmt::format("{}/{}", aside_, kManifest)));
  std::set<std::string> names{std::string(kManifest)};
  for (const FilePart& file : files) names.insert(file.name);
  TRANCHE_ASSIGN(FolderContent content, ScanFolder(aside_));
  std::vector<std::string> all = content.files;
  all.insert(all.end(), content.others.begin(), content.others.end());
  // The manifest goes last: it is what tells the rest apart after a crash here.
  std::ranges::stable_partition(all, [](const std::string& name) { return name != kManifest; });
  for (const std::string& name : all) {
    std::string from = aside_ + "/" + name, to = target_.path + "/" + name;
    if (names.contains(name)) {
      TRANCHE_TRY(RemoveFile(from));
    } else if (InodeOf(to) == 0) {
      TRANCHE_TRY(MakeFoldersWithin(target_.path, name));
      TRANCHE_TRY(Rename(from, to));
    } else {
      return Fail(Code::kOutside, "{} appeared while the folder was replaced, and cannot be put back", from)
          .Hint("move it away, and run it again");
    }
  }
  // Only what is empty: a file that came this moment is not lost.
  std::ranges::reverse(content.folders);
  content.folders.push_back("");
  for (const std::string& name : content.folders) {
    std::string path = aside_ + "/" + name;
    if (rmdir(path.c_str()) != 0 && errno != ENOENT) return FailErrno("remove", path, errno);
  }
  return {};
}

Status Publisher::Append(const std::vector<FilePart>& parts, Journal& journal) {
  TRANCHE_TRY(MakeFolders(target_.path));
  TRANCHE_ASSIGN(bool begun, Begun(journal));
  if (!begun) TRANCHE_TRY(SyncNames(aside_, parts));  // from here on a part that is lost is not written again
  TRANCHE_TRY(journal.SetNote("publish", "append"));
  TRANCHE_TRY(Failpoint("publish.intent"));
  TRANCHE_ASSIGN(FolderLock lock, FolderLock::Acquire(target_.path));
  // First the manifest: what it names and is not there yet does no harm.
  std::string manifest = fmt::format("{}/{}", target_.path, kManifest);
  TRANCHE_ASSIGN(auto files, ReadManifest(manifest));
  std::erase_if(files, [&](const FilePart& file) { return file.run == run_; });
  files.insert(files.end(), parts.begin(), parts.end());
  TRANCHE_TRY(WriteFileDurably(manifest, ToJson(files)));
  for (const FilePart& part : parts) TRANCHE_TRY(AppendOne(part));
  TRANCHE_TRY(SyncNames(target_.path, parts));
  TRANCHE_TRY(RemoveFolder(aside_));
  return Record(journal);
}

Status Publisher::AppendOne(const FilePart& part) {
  std::string from = aside_ + "/" + part.name, to = target_.path + "/" + part.name;
  if (InodeOf(from) == 0) {
    auto there = Identify(to);
    if (there && there->size == part.size) return {};
    return Fail(Code::kOutside, "{} is gone, which this run has written", to)
        .Hint("begin a new run with --again");
  }
  if (InodeOf(to) != 0)
    return Fail(Code::kOutside, "{} is in the way", to).Hint("move it away, and run it again");
  TRANCHE_TRY(MakeFoldersWithin(target_.path, part.name));
  TRANCHE_TRY(RenameUnsynced(from, to));
  return Failpoint("publish.renamed");
}

Status Publisher::Record(Journal& journal) {
  TRANCHE_TRY(SyncFolder(parent_));
  TRANCHE_TRY(Failpoint("publish.synced"));
  TRANCHE_TRY(journal.SetNote("published", target_.path));
  return Failpoint("publish.recorded");
}

}  // namespace tranche
