#include "tranche/state/schema.h"

#include "tranche/base/clock.h"
#include "tranche/base/sqlite_digest.h"

namespace tranche {
namespace {

constexpr int64_t kVersion = 5;
constexpr int64_t kApplication = 0x54524e43;  // "TRNC": tells our file from another program's

constexpr std::string_view kTables = R"sql(
CREATE TABLE meta (ledger_id TEXT NOT NULL, digest INTEGER NOT NULL) STRICT;

CREATE TABLE run (
  id TEXT PRIMARY KEY,
  number INTEGER NOT NULL UNIQUE,
  state TEXT NOT NULL CHECK (state IN ('open', 'finished', 'abandoned')),
  job_key TEXT NOT NULL,
  parameters TEXT NOT NULL,
  canonical TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  started INTEGER NOT NULL,
  finished INTEGER NOT NULL,
  seed INTEGER NOT NULL,
  engine TEXT NOT NULL,
  outcome TEXT NOT NULL,
  summary TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE split (
  run TEXT NOT NULL REFERENCES run,
  position INTEGER NOT NULL,
  input TEXT NOT NULL,
  split TEXT NOT NULL,
  PRIMARY KEY (run, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE stage (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  run TEXT NOT NULL REFERENCES run,
  name TEXT NOT NULL,
  sealed INTEGER NOT NULL CHECK (sealed IN (0, 1)),
  schema BLOB NOT NULL,
  "rows" INTEGER NOT NULL,
  tallies TEXT NOT NULL,
  UNIQUE (run, name)
) STRICT;

CREATE TABLE segment (
  id INTEGER PRIMARY KEY,
  stage TEXT NOT NULL REFERENCES stage (id) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  "from" INTEGER NOT NULL,
  "to" INTEGER NOT NULL CHECK ("to" >= "from"),
  bytes INTEGER NOT NULL,
  checksum TEXT NOT NULL,
  digest TEXT NOT NULL,
  file INTEGER NOT NULL CHECK (file IN (0, 1)),
  behind TEXT NOT NULL,
  UNIQUE (stage, number)
) STRICT;

CREATE TABLE journal (
  id INTEGER PRIMARY KEY,
  run TEXT NOT NULL REFERENCES run,
  store TEXT NOT NULL,
  "from" INTEGER NOT NULL,
  "to" INTEGER NOT NULL CHECK ("to" >= "from"),
  sent INTEGER NOT NULL,
  stored INTEGER NOT NULL,
  superseded INTEGER NOT NULL,
  unmatched INTEGER NOT NULL,
  rejected INTEGER NOT NULL,
  detail TEXT NOT NULL,
  UNIQUE (run, store, "from")
) STRICT;

CREATE TABLE reject (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  run TEXT NOT NULL REFERENCES run,
  segment INTEGER REFERENCES segment ON DELETE CASCADE,
  stage TEXT REFERENCES stage (id) ON DELETE CASCADE,
  journal INTEGER REFERENCES journal ON DELETE CASCADE,
  origin TEXT NOT NULL,
  reason TEXT NOT NULL,
  "column" TEXT NOT NULL,
  file TEXT NOT NULL,
  line INTEGER NOT NULL,
  byte INTEGER NOT NULL,
  row INTEGER NOT NULL,
  content TEXT NOT NULL,
  CHECK ((segment IS NOT NULL) + (stage IS NOT NULL) + (journal IS NOT NULL) = 1)
) STRICT;
CREATE INDEX reject_run ON reject (run, origin);
CREATE INDEX reject_segment ON reject (segment) WHERE segment IS NOT NULL;
CREATE INDEX reject_stage ON reject (stage) WHERE stage IS NOT NULL;
CREATE INDEX reject_journal ON reject (journal) WHERE journal IS NOT NULL;

CREATE TABLE note (
  run TEXT NOT NULL REFERENCES run,
  store TEXT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (run, store, name)
) STRICT, WITHOUT ROWID;
)sql";

Result<int64_t> Number(sqlite::Database& database, std::string_view sql) {
  TRANCHE_ASSIGN(auto rows, database.Query(sql));
  return std::get<int64_t>(rows.at(0).at(0));
}

// False = the file is new.
Result<bool> HasTables(sqlite::Database& database) {
  TRANCHE_ASSIGN(int64_t application, Number(database, "PRAGMA application_id"));
  TRANCHE_ASSIGN(int64_t version, Number(database, "PRAGMA user_version"));
  TRANCHE_ASSIGN(int64_t tables, Number(database, "SELECT count(*) FROM sqlite_schema"));
  if (application == 0 && version == 0 && tables == 0) return false;
  if (application != kApplication) {
    return Fail(Code::kOutside, "{} is not a state file of tranche", database.path())
        .Hint("move it away, or choose another folder with --state");
  }
  if (version > kVersion) {
    return Fail(Code::kOutside, "{} has format {}, written by a newer tranche; this one knows format {}",
                database.path(), version, kVersion)
        .Hint("run the newer one");
  }
  if (version < kVersion) {
    return Fail(Code::kOutside, "{} has format {}, written by an older tranche; this one knows format {}",
                database.path(), version, kVersion)
        .Hint("run the older one; or move its folder away to begin anew (what is stored stays)");
  }
  TRANCHE_ASSIGN(
      auto rows,
      database.Query("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name <> 'sqlite_sequence'"));
  for (const auto& row : rows) {
    const auto* sql = std::get_if<std::string>(&row.at(0));
    if (sql == nullptr || kTables.find(*sql) == kTables.npos) {
      return Fail(Code::kOutside, "{} is damaged: its tables are not those of format {}", database.path(),
                  kVersion);
    }
  }
  return true;
}

Status CreateTables(sqlite::Database& database) {
  TRANCHE_TRY(database.Execute(kTables));
  TRANCHE_TRY(database.Execute("INSERT INTO meta VALUES (?, 0)", {NewId()}));
  return database.Execute(
      fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}; COMMIT", kApplication, kVersion));
}

}  // namespace

Status CreateOrCheckTables(sqlite::Database& database) {
  TRANCHE_TRY(
      database.Execute("BEGIN IMMEDIATE"));  // the check too: two processes may open a new file at once
  Result<bool> there = HasTables(database);
  Status status;
  if (!there) status = there.error();
  if (there && *there) status = sqlite::CheckDigest(database);
  if (there && !*there) status = CreateTables(database);
  if (database.in_transaction()) {
    Status ended = database.Execute("ROLLBACK");
    if (status) status = std::move(ended);
  }
  return status ? sqlite::KeepDigest(database) : status;
}

Status CheckTables(sqlite::Database& database) {
  TRANCHE_ASSIGN(bool there, HasTables(database));
  if (!there) return Fail(Code::kOutside, "no runs yet in {}", database.path());
  return {};
}

Error ExplainStateError(Error error) {
  const bool foreign = error.message.ends_with(" is not a SQLite file");
  if (foreign || error.message.find(" is damaged: ") != error.message.npos) {
    error.code = Code::kOutside;
    return std::move(error).Hint(
        "put it back from a copy; or move its folder away to begin anew (what is stored stays)");
  }
  if (error.code == Code::kData)
    error.code = Code::kInternal;  // a constraint: its rows are ours, not the user's
  return error;
}

}  // namespace tranche
