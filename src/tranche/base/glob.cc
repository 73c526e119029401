#include <dirent.h>
#include <fnmatch.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "tranche/base/file.h"

namespace tranche {
namespace {

enum class Kind { kNothing, kFile, kFolder };

Kind KindOf(const std::string& path, bool follow) {
  struct stat info = {};
  if ((follow ? stat(path.c_str(), &info) : lstat(path.c_str(), &info)) != 0) return Kind::kNothing;
  return S_ISDIR(info.st_mode) ? Kind::kFolder : Kind::kFile;
}

bool HasWildcard(std::string_view part) { return part.find_first_of("*?[\\") != part.npos; }

bool Matches(const std::string& part, const std::string& name) {
  if (name.starts_with("_tranche") && !part.starts_with("_tranche")) return false;
  return fnmatch(part.c_str(), name.c_str(), FNM_PERIOD) == 0;
}

bool Hidden(std::string_view name) { return name.starts_with('.') || name.starts_with("_tranche"); }

// Splits "/a/**/*.csv" into {"a", "**", "*.csv"}; what comes before the first part is returned as the root.
std::string SplitPattern(std::string_view pattern, std::vector<std::string>& parts) {
  std::string root = pattern.starts_with('/') ? "/" : "";
  while (!pattern.empty()) {
    size_t slash = std::min(pattern.find('/'), pattern.size());
    std::string part(pattern.substr(0, slash));
    bool again = part == "**" && !parts.empty() && parts.back() == "**";
    if (!part.empty() && !again) parts.push_back(std::move(part));
    pattern.remove_prefix(std::min(slash + 1, pattern.size()));
  }
  return root;
}

class Walk {
 public:
  explicit Walk(std::vector<std::string> parts) : parts_(std::move(parts)) {}

  // Finds what parts_[index...] match in `folder`, which is "" or ends with a slash.
  Status Enter(const std::string& folder, size_t index) {
    const std::string& part = parts_[index];
    bool last = index + 1 == parts_.size();
    if (part == "**") return EnterAll(folder, index);
    if (!HasWildcard(part)) return Take(folder + part, index, last);
    TRANCHE_ASSIGN(auto names, Names(folder));
    for (const std::string& name : names) {
      if (Matches(part, name)) TRANCHE_TRY(Take(folder + name, index, last));
    }
    return {};
  }

  std::vector<std::string> TakeFiles() {
    std::ranges::sort(files_);
    auto [first, end] = std::ranges::unique(files_);
    files_.erase(first, end);
    return std::move(files_);
  }

 private:
  Status Take(const std::string& path, size_t index, bool last) {
    Kind kind = KindOf(path, true);
    if (last) {
      if (kind == Kind::kFile) files_.push_back(path);
      return {};
    }
    return kind == Kind::kFolder ? Enter(path + "/", index + 1) : Status();
  }

  // `**`: this folder and every folder below it; links are not entered, so it ends.
  Status EnterAll(const std::string& folder, size_t index) {
    bool last = index + 1 == parts_.size();
    if (!last) TRANCHE_TRY(Enter(folder, index + 1));
    TRANCHE_ASSIGN(auto names, Names(folder));
    for (const std::string& name : names) {
      if (Hidden(name)) continue;
      std::string path = folder + name;
      if (KindOf(path, false) == Kind::kFolder) {
        TRANCHE_TRY(EnterAll(path + "/", index));
      } else if (last && KindOf(path, true) == Kind::kFile) {
        files_.push_back(path);
      }
    }
    return {};
  }

  // A folder that is not there matches nothing; one that must not be read is an error.
  Result<std::vector<std::string>> Names(const std::string& folder) {
    std::string path = folder.empty() ? "." : folder;
    if (KindOf(path, true) != Kind::kFolder) return std::vector<std::string>();
    return ListFolder(path);
  }

  std::vector<std::string> parts_;
  std::vector<std::string> files_;
};

}  // namespace

Result<std::vector<std::string>> Glob(const std::string& pattern) {
  std::vector<std::string> parts;
  std::string root = SplitPattern(pattern, parts);
  if (parts.empty()) return std::vector<std::string>();
  Walk walk(std::move(parts));
  TRANCHE_TRY(walk.Enter(root, 0));
  return walk.TakeFiles();
}

}  // namespace tranche
