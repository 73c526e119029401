#include "tranche/sinks/scratch.h"

#include <algorithm>
#include <filesystem>

#include "tranche/base/file.h"
#include "tranche/base/hash.h"
#include "tranche/base/sqlite.h"
#include "tranche/sql/duckdb_file.h"

namespace tranche {
namespace {

namespace fs = std::filesystem;

// Up to this size a database is copied with its rows (which foreign keys may need), beyond it without.
constexpr int64_t kMostCopied = 16 << 20;

constexpr const char* kProver = "tranche prove";  // how a server sees us

// The ledger of the real target has no part in what is tried on the copy.
constexpr std::string_view kDropLedger =
    "DROP TABLE IF EXISTS tranche_run; DROP TABLE IF EXISTS tranche_batch; "
    "DROP TABLE IF EXISTS tranche_reject;";

// Stores that share a path share the moved one, and each file keeps its name and ending.
std::string MovedPath(const Options& options, const ScratchPlace& place) {
  std::string path = options.Text("path");
  const std::string end = path.ends_with('/') ? "/" : "";
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return fmt::format("{}/{}/{}{}", place.folder, HashHex(path).substr(0, 8),
                     fs::path(path).filename().string(), end);
}

ScratchTarget Moved(const Options& options, const std::string& path) {
  ScratchTarget moved{.value = options.node()};
  for (auto& [key, value] : moved.value.entries) {
    if (key.name == "path") value = Node::Scalar(path, value.place);
  }
  return moved;
}

// Makes the copy under another name: one that is there is whole.
Status CopyOnce(const std::string& from, const std::string& to,
                const std::function<Status(const std::string& aside)>& copy) {
  if (!Exists(from) || Exists(to)) return {};
  TRANCHE_TRY(MakeFolders(fs::path(to).parent_path().string()));
  const std::string aside = to + ".copy";
  for (const char* end : {"", "-wal", "-shm", ".wal"}) TRANCHE_TRY(RemoveFile(aside + end));
  TRANCHE_TRY(copy(aside));
  return Rename(aside, to);
}

Status CopyDefinitions(sqlite::Database& from, sqlite::Database& to) {
  TRANCHE_ASSIGN(auto rows,
                 from.Query("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE "
                            "'sqlite\\_%' ESCAPE '\\' ORDER BY type <> 'table', rowid"));
  for (const auto& row : rows) TRANCHE_TRY(to.Execute(std::get<std::string>(row.at(0))));
  return {};
}

Status CopySqlite(const std::string& from, const std::string& to) {
  TRANCHE_ASSIGN(auto real, sqlite::Database::Open(from, sqlite::Access::kReadOnly));
  TRANCHE_ASSIGN(const FileIdentity identity, Identify(from));
  const bool whole = identity.size <= kMostCopied;
  if (whole) TRANCHE_TRY(real->Execute("VACUUM INTO ?", {to}));
  TRANCHE_ASSIGN(auto copy, sqlite::Database::Open(to, sqlite::Access::kCreate));
  if (!whole) TRANCHE_TRY(CopyDefinitions(*real, *copy));
  TRANCHE_TRY(copy->Execute(kDropLedger));
  return copy->Execute("PRAGMA wal_checkpoint(TRUNCATE)");
}

// While it is attached, nobody else writes to it.
Status CopyDuckDb(Engine& engine, const std::string& from, const std::string& to) {
  TRANCHE_ASSIGN(const FileIdentity identity, Identify(from));
  std::string copy = fmt::format("ATTACH {} AS tranche_copy (TYPE duckdb);", QuoteText(to));
  return LookIntoDuckDb(engine, from, [&](Engine& session) -> Status {
    std::error_code failed;
    if (identity.size > kMostCopied) {
      TRANCHE_ASSIGN(auto name, session.Select({SqlText("SELECT current_database()")}));
      copy += fmt::format("COPY FROM DATABASE {} TO tranche_copy (SCHEMA);", QuoteName(*name.at(0).at(0)));
    } else {
      for (const char* end : {"", ".wal"}) {
        if (Exists(from + end)) fs::copy_file(from + end, to + end, failed);
        if (failed) return Fail(Code::kOutside, "cannot copy {}{}: {}", from, end, failed.message());
      }
    }
    TRANCHE_TRY(session.Execute(copy));
    TRANCHE_ASSIGN(auto schemas,
                   session.Select({SqlText("SELECT schema_name FROM duckdb_schemas() WHERE "
                                           "database_name = 'tranche_copy' AND NOT internal")}));
    for (const TextRow& schema : schemas) {
      TRANCHE_TRY(session.Execute("USE tranche_copy." + QuoteName(schema.at(0).value_or("main"))));
      TRANCHE_TRY(session.Execute(kDropLedger));
    }
    TRANCHE_TRY(session.Execute("USE memory"));
    TRANCHE_TRY(session.Execute("DETACH tranche_copy"));
    return {};
  });
}

}  // namespace

Result<ScratchTarget> ScratchFiles(const Options& options, const ScratchPlace& place) {
  if (const Node* path = options.Raw("path"); path->text == "stdout") {
    return Fail(Code::kJob, "prove does not know how to make a scratch target for standard output")
        .At(path->place);
  }
  return Moved(options, MovedPath(options, place));
}

Result<ScratchTarget> ScratchSqlite(const Options& options, const ScratchPlace& place) {
  const std::string from = options.Text("path");
  const std::string to = MovedPath(options, place);
  TRANCHE_TRY(CopyOnce(from, to, [&](const std::string& aside) { return CopySqlite(from, aside); }));
  return Moved(options, to);
}

Result<ScratchTarget> ScratchDuckDb(const Options& options, const ScratchPlace& place) {
  const std::string from = options.Text("path");
  const std::string to = MovedPath(options, place);
  TRANCHE_TRY(
      CopyOnce(from, to, [&](const std::string& aside) { return CopyDuckDb(*place.engine, from, aside); }));
  return Moved(options, to);
}

Result<ScratchTarget> ScratchServer(std::shared_ptr<sql::Server> server, const TableOptions& table,
                                    const Options& options, const ScratchPlace& place) {
  for (const char* field : {"before", "after"}) {
    if (!options.Has(field)) continue;
    return Fail(Code::kJob, "prove does not run '{}': it could change tables that are not its own", field)
        .At(options.PlaceOf(field))
        .Hint("prove the job without it");
  }
  TRANCHE_ASSIGN(auto session, server->Connect(kProver, std::nullopt));
  TRANCHE_ASSIGN(const std::string schema, session->MakeScratch(table.table, place.name));
  ScratchTarget moved{.value = options.node()};
  std::erase_if(moved.value.entries,
                [](auto& entry) { return entry.first.name == "schema" || entry.first.name == "table"; });
  for (const auto& [name, text] : {std::pair("schema", schema), std::pair("table", table.table)}) {
    const Place written = options.PlaceOf(name);
    moved.value.entries.push_back({{name, written}, Node::Scalar(text, written)});
  }
  moved.remove = [server = std::move(server), name = place.name]() -> Status {
    TRANCHE_ASSIGN(auto dropping, server->Connect(kProver, std::nullopt));
    return dropping->DropScratch(name);
  };
  return moved;
}

}  // namespace tranche
