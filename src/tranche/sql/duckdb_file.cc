#include "tranche/sql/duckdb_file.h"

#include <fcntl.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <mutex>

#include "tranche/base/file.h"
#include "tranche/base/hash.h"

namespace tranche {
namespace {

Error CannotAttach(Error error, const std::string& path) {
  const bool held = error.message.find("Conflicting lock") != std::string::npos ||
                    error.message.find("Could not set lock") != std::string::npos;
  if (held) {
    return Fail(Code::kOutside, "cannot open {}: another process holds it", path)
        .Hint("DuckDB lets one process write, or several read");
  }
  if (error.message.find("not a valid DuckDB") != std::string::npos) {
    return Fail(Code::kJob, "{} is not a DuckDB file", path);
  }
  if (error.code == Code::kInternal) error.code = Code::kOutside;
  return std::move(error).In(fmt::format("cannot open {}", path));
}

struct Attached {
  std::string file;   // one file has one name, however its path is spelled
  std::string alias;  // that it has, or would have
  bool there = false, writable = false;
};

Result<Attached> FindAttached(Engine& engine, const std::string& path) {
  std::error_code failed;
  std::string whole = std::filesystem::weakly_canonical(path, failed).string();
  Attached attached{.file = failed ? path : std::move(whole)};
  attached.alias = "tranche_" + HashHex(attached.file).substr(0, 12);
  TRANCHE_ASSIGN(
      auto rows,
      engine.Select({SqlText(fmt::format("SELECT readonly FROM duckdb_databases() WHERE database_name = {}",
                                         QuoteText(attached.alias)))}));
  attached.there = !rows.empty();
  attached.writable = attached.there && rows.front().front() == "false";
  return attached;
}

// DuckDB makes a file under its own name in several steps, and one that was cut short in between it can
// neither read nor mend: a new file gets its name when it is whole.
Status MakeFile(Engine& engine, const Attached& wanted) {
  const std::filesystem::path path = wanted.file;
  const std::string folder = path.parent_path().string();
  const std::string aside = fmt::format("{}/.{}.tranche-new", folder, path.filename().string());
  TRANCHE_TRY(RemoveFile(aside));
  TRANCHE_TRY(RemoveFile(aside + ".wal"));
  const std::string alias = QuoteName(wanted.alias);
  auto made = engine.Execute(fmt::format("ATTACH {} AS {} (TYPE duckdb)", QuoteText(aside), alias));
  if (made) made = engine.Execute("DETACH " + alias);
  if (!made) return CannotAttach(std::move(made).error(), wanted.file);
  TRANCHE_TRY(SyncFile(aside));
  // Another process that made the file meanwhile was first.
  if (renameat2(AT_FDCWD, aside.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) != 0 && errno != EEXIST) {
    return FailErrno("make", wanted.file, errno);
  }
  TRANCHE_TRY(RemoveFile(aside));
  return SyncFolder(folder);
}

}  // namespace

Result<std::string> AttachDuckDb(Engine& engine, const std::string& path, bool writable) {
  // A file is attached once in a process: of two stores that both find it read-only, one changes that.
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  TRANCHE_ASSIGN(Attached found, FindAttached(engine, path));
  const auto& [file, alias, there, was_writable] = found;
  if (there) {
    if (!writable || was_writable) return alias;
    TRANCHE_TRY(engine.Execute("DETACH " + QuoteName(alias)));
  }
  if (writable && !Exists(file)) TRANCHE_TRY(MakeFile(engine, found));
  auto attached = engine.Execute(fmt::format("ATTACH IF NOT EXISTS {} AS {} (TYPE duckdb{})", QuoteText(file),
                                             QuoteName(alias), writable ? "" : ", READ_ONLY"));
  if (!attached) return CannotAttach(std::move(attached).error(), path);
  return alias;
}

Status LookIntoDuckDb(Engine& engine, const std::string& path, const std::function<Status(Engine&)>& look) {
  TRANCHE_ASSIGN(const Attached before, FindAttached(engine, path));
  TRANCHE_ASSIGN(auto session, engine.Fork());
  TRANCHE_TRY(AttachDuckDb(*session, path, /*writable=*/false));
  auto used = session->Execute("USE " + QuoteName(before.alias));
  Status looked = used ? look(*session) : Status(std::move(used).error());
  session.reset();
  if (!before.there) {
    auto detached = engine.Execute("DETACH " + QuoteName(before.alias));
    if (looked && !detached) return std::move(detached).error();
  }
  return looked;
}

}  // namespace tranche
