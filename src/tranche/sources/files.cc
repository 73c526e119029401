#include "tranche/sources/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>

#include "tranche/base/failpoint.h"
#include "tranche/sources/text_cursor.h"

namespace tranche {
namespace {

bool IsPattern(std::string_view path) { return path.find_first_of("*?[") != std::string_view::npos; }

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

Error NoFile(const std::string& path, const Place& place) {
  Error error = Fail(Code::kJob, "no file matches {}", path).At(place);
  auto names = ListFolder(FolderOf(path));
  if (!names) return std::move(error).Hint(fmt::format("the folder {} cannot be read", FolderOf(path)));
  const std::string name = path.substr(path.rfind('/') + 1);
  if (const std::string nearest = Nearest(name, *names); !nearest.empty()) {
    return std::move(error).Hint(fmt::format("did you mean {}?", nearest));
  }
  return error;
}

// A file that can be opened for reading.
Status CheckReadable(const std::string& path, const Place& place) {
  struct stat info = {};
  if (stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
    return Fail(Code::kJob, "{} is a folder", path)
        .Hint(fmt::format("write a pattern such as {}/*.csv",
                          path.ends_with('/') ? path.substr(0, path.size() - 1) : path))
        .At(place);
  }
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) {
    Error error = FailErrno("open", path, errno);
    error.code = Code::kJob;
    return std::move(error).At(place);
  }
  close(file);
  if (!S_ISREG(info.st_mode)) {
    return Fail(Code::kJob, "{} is not a regular file: it could not be read again after a crash", path)
        .Hint("use `path: stdin`, which is kept for the run")
        .At(place);
  }
  return {};
}

std::string EndingOf(std::string_view start) {
  if (start.starts_with("\x1F\x8B")) return ".gz";
  return start.starts_with("\x28\xB5\x2F\xFD") ? ".zst" : "";
}

// Standard input has no second time: what is there is made a file of the run, durable before anything reads
// it.
Result<std::string> KeepStandardInput(const SourceContext& context) {
  TRANCHE_TRY(MakeFolders(context.scratch));
  const std::string kept = fmt::format("{}/{}.stdin", context.scratch, context.input);
  for (const char* ending : {"", ".gz", ".zst"}) {
    if (Exists(kept + ending)) return kept + ending;  // this run has read it already
  }
  const std::string aside = kept + ".partial";
  const int file = open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return FailErrno("create", aside, errno);
  std::array<char, 1 << 16> block;
  std::string start;
  Status copied;
  while (copied) {
    const ssize_t got = read(STDIN_FILENO, block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) copied = FailErrno("read", "standard input", errno);
    if (got <= 0) break;
    if (start.size() < 4) start.append(block.data(), std::min<size_t>(static_cast<size_t>(got), 4));
    for (ssize_t done = 0; done < got && copied;) {
      const ssize_t put = write(file, block.data() + done, static_cast<size_t>(got - done));
      if (put < 0 && errno != EINTR) copied = FailErrno("write", aside, errno);
      done += std::max<ssize_t>(put, 0);
    }
  }
  close(file);
  TRANCHE_TRY(copied);
  TRANCHE_TRY(SyncFile(aside));
  const std::string path = kept + EndingOf(start);
  TRANCHE_TRY(Rename(aside, path));
  TRANCHE_TRY(SyncFolder(context.scratch));
  TRANCHE_TRY(Failpoint("new_input.kept"));
  return path;
}

}  // namespace

Field PathField(bool stdin_too) {
  return {
      "path", Shape::ListOrOne(Shape::Path()),
      fmt::format(
          "A file, a pattern (`*` `?` `[]`, `**` over folders), or a list of them{}. Files are read in byte "
          "order of their names.",
          stdin_too ? ", or `stdin`" : ""),
      Field::kRequired};
}

Result<std::vector<Split>> FindFiles(const Options& options, const SourceContext& context, bool stdin_too) {
  std::set<std::string> paths;
  const Place place = options.PlaceOf("path");
  for (const std::string& path : options.Texts("path")) {
    if (path == "stdin" && stdin_too) {
      TRANCHE_ASSIGN(std::string kept, KeepStandardInput(context));
      paths.insert(std::move(kept));
      continue;
    }
    if (!IsPattern(path) || Exists(path)) {
      if (!Exists(path) && errno != EACCES) return NoFile(path, place);
      TRANCHE_TRY(CheckReadable(path, place));
      paths.insert(path);
      continue;
    }
    TRANCHE_ASSIGN(auto found, Glob(path));
    bool any = false;
    for (std::string& name : found) {
      struct stat info = {};
      if (stat(name.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) continue;  // a pattern means files
      TRANCHE_TRY(CheckReadable(name, place));
      paths.insert(std::move(name));
      any = true;
    }
    if (!any) return NoFile(path, place);
  }
  std::vector<Split> splits;
  for (const std::string& path : paths) {
    if (!IsUtf8(path)) {
      return Fail(Code::kJob, "the name of {} is not UTF-8", path).Hint("rename the file").At(place);
    }
    TRANCHE_ASSIGN(FileIdentity identity, Identify(path));
    splits.push_back({.name = path, .identity = identity, .detail = {}});
  }
  return splits;
}

Result<Split> FindFile(const std::string& path, const Place& place) {
  if (!Exists(path) && errno != EACCES) return NoFile(path, place);
  TRANCHE_TRY(CheckReadable(path, place));
  TRANCHE_ASSIGN(FileIdentity identity, Identify(path));
  return Split{.name = path, .identity = identity, .detail = {}};
}

Status CheckUnchanged(const std::vector<Split>& splits) {
  for (const Split& split : splits) {
    TRANCHE_ASSIGN(FileIdentity now, Identify(split.name));
    if (now == split.identity) continue;
    return Fail(Code::kData, "{} was changed while it was read", split.name)
        .Hint("let its writer finish, and write new files aside and rename them");
  }
  return {};
}

std::string FileList(const std::vector<std::string>& paths) {
  std::string list = "[";
  for (const std::string& path : paths) {
    std::string plain;
    for (char c : path) {
      if (c == '*' || c == '?' || c == '[') {
        plain += {'[', c, ']'};
      } else {
        plain += c;
      }
    }
    if (list.size() > 1) list += ", ";
    list += QuoteText(plain);
  }
  return list + "]";
}

std::vector<std::string> Paths(const std::vector<Split>& splits) {
  std::vector<std::string> paths;
  for (const Split& split : splits) paths.push_back(split.name);
  return paths;
}

std::string DescribeFiles(const std::vector<Split>& splits) {
  int64_t bytes = 0;
  for (const Split& split : splits) bytes += split.identity.size;
  if (splits.size() == 1) return fmt::format("{}, {}", splits.front().name, FormatBytes(bytes));
  return fmt::format("{} files, {}", splits.size(), FormatBytes(bytes));
}

bool Concerns(const Error& error, const std::vector<Split>& splits) {
  return std::ranges::any_of(splits, [&](const Split& split) {
    return error.place.file == split.name || error.message.find(split.name) != std::string::npos;
  });
}

Source::ScanTotal CountScans(const Engine& engine, std::string_view function,
                             const std::vector<std::string>& firsts) {
  std::vector<ScanCount> scans = engine.LastScans();
  Source::ScanTotal total;
  for (const std::string& first : firsts) {
    const std::string name = first.substr(first.rfind('/') + 1);
    auto found = std::ranges::find_if(scans, [&](const ScanCount& scan) {
      return scan.function == function && scan.detail.find(name) != std::string::npos;
    });
    if (found == scans.end()) {
      total.exact = false;
      continue;
    }
    total.rows += found->rows;
    scans.erase(found);
  }
  return total;
}

void FileSource::StartIntegrity(const std::vector<std::string>& paths, Integrity::Watch watch) {
  std::vector<std::string> compressed;
  std::ranges::copy_if(paths, std::back_inserter(compressed), IsCompressed);
  integrity_.reset();
  if (!compressed.empty()) integrity_ = std::make_unique<Integrity>(std::move(compressed), std::move(watch));
}

Status FileSource::TakeRejects(SourceContext&, const std::function<Status(Reject)>&) {
  settled_ = true;
  if (integrity_) TRANCHE_TRY(integrity_->Wait());
  TRANCHE_TRY(CheckUnchanged(splits_));
  settled_ = false;
  return {};
}

Result<Registration> Registration::Make(Engine& engine, std::shared_ptr<arrow::Schema> schema,
                                        ReaderFactory factory) {
  Registration made;
  TRANCHE_ASSIGN(made.text_, engine.Register(std::move(schema), std::move(factory)));
  made.engine_ = &engine;
  return made;
}

Registration::Registration(Registration&& other) noexcept
    : engine_(std::exchange(other.engine_, nullptr)), text_(std::move(other.text_)) {}

Registration& Registration::operator=(Registration&& other) noexcept {
  std::swap(engine_, other.engine_);
  std::swap(text_, other.text_);
  return *this;
}

Registration::~Registration() {
  if (engine_ != nullptr) engine_->Unregister(text_);
}

}  // namespace tranche
