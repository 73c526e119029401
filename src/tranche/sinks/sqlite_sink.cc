#include <sys/stat.h>

#include <algorithm>

#include <arrow/type.h>

#include "tranche/base/failpoint.h"
#include "tranche/base/file.h"
#include "tranche/sinks/database_sink.h"
#include "tranche/sinks/scratch.h"
#include "tranche/sinks/sinks.h"
#include "tranche/sinks/sqlite_writer.h"
#include "tranche/sql/ledger.h"

namespace tranche {
namespace {

constexpr int kSqlError = 1;      // SQLITE_ERROR
constexpr int kForeignKey = 787;  // SQLITE_CONSTRAINT_FOREIGNKEY

// Another program writes, or holds the file longer than we wait.
bool IsBusy(int code) { return (code & 0xff) == 5 || (code & 0xff) == 6; }

class SqliteStore : public Sink {
 public:
  explicit SqliteStore(DatabaseOptions options) : options_(std::move(options)) {}

  Status Check(std::shared_ptr<arrow::Schema> schema, Engine& engine,
               std::optional<Duration> timeout) override;
  Result<Opened> Open(std::shared_ptr<arrow::Schema> schema, SinkContext& context) override;
  Result<WriteReport> Write(const Batch& batch, SinkContext& context) override;
  Result<Totals> Sum(SinkContext& context) override { return ledger_->Sum(context.rows); }
  Status Finish(SinkContext& context) override;
  Status ListRejects(SinkContext& context, const std::function<Status(Reject)>& take) override;
  Result<std::optional<Standing>> Look(SinkContext& context) override;
  Result<std::optional<StoredBatch>> BatchOf(SinkContext& context, int64_t row) override;
  std::string Describe() const override { return options_.Describe("sqlite", options_.path); }
  std::string target() const override { return options_.TargetIn(options_.path, /*any_case=*/true); }

 private:
  Status Connect(sqlite::Access access);
  // Checks without a write; leaves the store connected for reading.
  Status CheckTarget(std::shared_ptr<arrow::Schema> schema, Engine& engine);
  // Looks at the table and makes rows_. Whether it is there with a definition that stays; then the rows fit
  // it, but for `missing` columns that are to be added.
  Result<bool> LookAt(SqliteTable& target, std::shared_ptr<arrow::Schema> schema, Engine& engine,
                      Columns& missing);
  Status MakeWriter(const SqliteTable& table);
  Result<Opened> OpenTarget(std::shared_ptr<arrow::Schema> schema, SinkContext& context);
  Status OpenTable(std::shared_ptr<arrow::Schema> schema, SinkContext& context, bool resumed);
  Status CheckStored(const Opened& opened, SinkContext& context);
  // Nothing: begin again.
  Result<std::optional<WriteReport>> Attempt(const Batch& batch, SinkContext& context,
                                             SqliteWriter::Refused& refused);
  Result<bool> Commit(SqliteWriter::Refused& refused);
  Status RunStatements(const std::vector<Statement>& statements);
  // Runs `work` in a transaction that is rolled back if it fails.
  template <typename Work>
  auto Transact(Work work) -> decltype(work());

  DatabaseOptions options_;
  std::unique_ptr<sqlite::Database> database_;
  std::unique_ptr<sql::SqlConnection> connection_;
  std::unique_ptr<sql::Ledger> ledger_;
  std::unique_ptr<SqliteRows> rows_;
  std::unique_ptr<SqliteWriter> writer_;
  int64_t allowed_ = 0;  // rejects of the batch at hand that were asked for
  std::string loaded_;   // the table that batches go into
  bool finished_ = false;
};

template <typename Work>
auto SqliteStore::Transact(Work work) -> decltype(work()) {
  TRANCHE_TRY(database_->Execute("BEGIN IMMEDIATE"));
  auto result = work();
  // A failed rollback leaves nothing to be done: the first error is the one to tell, and closing rolls back.
  if (database_->in_transaction()) (void)database_->Execute("ROLLBACK").has_value();
  return result;
}

Status SqliteStore::Connect(sqlite::Access access) {
  if (database_) return {};
  TRANCHE_ASSIGN(database_, sqlite::Database::Open(options_.path, access));
  connection_ = sql::Connect(*database_);
  ledger_ = std::make_unique<sql::Ledger>(*connection_);
  return {};
}

Status SqliteStore::Check(std::shared_ptr<arrow::Schema> schema, Engine& engine, std::optional<Duration>) {
  TRANCHE_TRY(options_.Check(*schema));
  if (!Exists(options_.path)) return options_.before.empty() ? options_.CheckMissing() : Status();
  return options_.Lasting(SqliteStore(options_).CheckTarget(std::move(schema), engine));
}

Status SqliteStore::CheckTarget(std::shared_ptr<arrow::Schema> schema, Engine& engine) {
  TRANCHE_TRY(Connect(sqlite::Access::kReadOnly));
  TRANCHE_TRY(ledger_->CheckTables());
  if (!options_.before.empty()) return {};  // who knows what the table will be then
  SqliteTable target(*database_, options_.table);
  Columns missing;
  TRANCHE_ASSIGN(bool keeps, LookAt(target, std::move(schema), engine, missing));
  if (!target.exists()) return options_.CheckMissing();
  if (!keeps || !missing.empty()) return {};
  return MakeWriter(target);
}

Result<Opened> SqliteStore::Open(std::shared_ptr<arrow::Schema> schema, SinkContext& context) {
  TRANCHE_TRY(options_.Prepare(*schema));
  if (Status connected = Connect(sqlite::Access::kCreate); !connected) {
    return std::move(connected).error().At(options_.place);
  }
  auto opened = Transact([&]() -> Result<Opened> {
    TRANCHE_ASSIGN(Opened opened, OpenTarget(schema, context));
    TRANCHE_TRY(database_->Execute("COMMIT"));
    return opened;
  });
  if (!opened) return std::move(opened).error().At(options_.place);
  TRANCHE_TRY(ledger_->NoteCommitted(context, 0));
  TRANCHE_TRY(Failpoint("store.opened"));
  return opened;
}

Result<Opened> SqliteStore::OpenTarget(std::shared_ptr<arrow::Schema> schema, SinkContext& context) {
  TRANCHE_ASSIGN(sql::Ledger::Run run, ledger_->Open(context, options_.table));
  finished_ = run.opened.published;
  if (finished_) return run.opened;
  if (!run.abandoned.empty()) {
    TRANCHE_TRY(database_->Execute("DROP TABLE IF EXISTS " + QuoteName(options_.Staging(run.abandoned))));
  }
  if (run.state == sql::Ledger::State::kNew) TRANCHE_TRY(RunStatements(options_.before));
  TRANCHE_TRY(OpenTable(std::move(schema), context, run.opened.committed.rows() > 0));
  if (!context.trust_target) TRANCHE_TRY(CheckStored(run.opened, context));
  TRANCHE_TRY(ledger_->SetState(sql::Ledger::State::kOpened));
  return run.opened;
}

// What SQLite has against the user's own SQL is the user's to mend.
Status SqliteStore::RunStatements(const std::vector<Statement>& statements) {
  Status status = tranche::RunStatements(statements, *connection_);
  if (!status && (database_->error_code() & 0xff) == kSqlError) status.error().code = Code::kJob;
  return status;
}

Result<bool> SqliteStore::LookAt(SqliteTable& target, std::shared_ptr<arrow::Schema> schema, Engine& engine,
                                 Columns& missing) {
  TRANCHE_TRY(target.Look());
  const bool keeps = options_.Keeps(target.exists(), target.plain());
  TRANCHE_ASSIGN(rows_,
                 SqliteRows::Make(engine, std::move(schema), keeps ? target.columns() : Columns{}, options_));
  if (!keeps) return false;
  TRANCHE_TRY(target.CheckTakes(rows_->columns(), options_));
  missing = target.Without(rows_->columns());
  return true;
}

Status SqliteStore::OpenTable(std::shared_ptr<arrow::Schema> schema, SinkContext& context, bool resumed) {
  SqliteTable target(*database_, options_.table);
  Columns missing;
  TRANCHE_ASSIGN(bool keeps, LookAt(target, std::move(schema), *context.engine, missing));
  if (!missing.empty()) TRANCHE_TRY(target.Add(missing));
  loaded_ = options_.replaces() ? options_.Staging(context.run_id) : target.name();
  SqliteTable loaded(*database_, loaded_);
  TRANCHE_TRY(loaded.Look());
  if (!loaded.exists()) {
    if (resumed && !context.trust_target) return options_.TableGone(loaded_);
    if (!target.exists()) TRANCHE_TRY(options_.CheckMissing());
    TRANCHE_TRY(options_.replaces() && keeps ? target.CreateLike(loaded_)
                                             : loaded.Create(rows_->columns(), options_.key));
    TRANCHE_TRY(loaded.Look());
  }
  return MakeWriter(loaded);
}

Status SqliteStore::MakeWriter(const SqliteTable& table) {
  TRANCHE_ASSIGN(writer_, SqliteWriter::Make(*database_, table, rows_->columns(), options_));
  return {};
}

// What the ledger says is there must be there: else the table was emptied or restored behind its back.
Status SqliteStore::CheckStored(const Opened& opened, SinkContext&) {
  if (opened.counts.stored == 0) return {};
  TRANCHE_ASSIGN(auto rows, connection_->Query("SELECT count(*) FROM " + QuoteName(loaded_)));
  return options_.CheckStored(opened.counts.stored, sql::ToNumber(rows.at(0).at(0)));
}

Result<WriteReport> SqliteStore::Write(const Batch& batch, SinkContext& context) {
  TRANCHE_ASSIGN(auto unfit, rows_->Load(batch));
  SqliteWriter::Refused refused;
  for (RefusedCell& cell : unfit) refused.try_emplace(cell.row, cell);
  allowed_ = 0;
  while (true) {
    auto report = Transact([&] { return Attempt(batch, context, refused); });
    if (!report && IsBusy(database_->error_code())) {
      WriteReport rolled_back;
      rolled_back.outcome = WriteReport::Outcome::kRolledBack;
      rolled_back.message = report.error().ToString();
      return rolled_back;
    }
    if (!report) return std::move(report).error().In(options_.table);
    if (*report) return **std::move(report);
  }
}

Result<std::optional<WriteReport>> SqliteStore::Attempt(const Batch& batch, SinkContext& context,
                                                        SqliteWriter::Refused& refused) {
  using Outcome = WriteReport::Outcome;
  WriteReport report;
  report.bytes = batch.bytes;
  TRANCHE_ASSIGN(sql::Ledger::Claim claim, ledger_->Take(batch.span));
  report.counts = claim.counts;
  if (claim.outcome != sql::Ledger::Claimed::kMine) {
    bool fenced = claim.outcome == sql::Ledger::Claimed::kFenced;
    report.outcome = fenced ? Outcome::kFenced : Outcome::kAlreadyCommitted;
    return report;
  }
  TRANCHE_TRY(Failpoint("batch.claimed"));
  report.counts.sent = batch.span.rows();
  TRANCHE_ASSIGN(bool alive, writer_->Write(*rows_, batch.span.rows(), refused, report.counts));
  if (!alive) return std::nullopt;
  TRANCHE_TRY(Failpoint("batch.written"));
  report.counts.rejected = static_cast<int64_t>(refused.size());
  if (!refused.empty()) {
    TRANCHE_TRY(context.allow_rejects(report.counts.rejected - allowed_));
    allowed_ = report.counts.rejected;
    std::vector<RefusedCell> cells;
    for (const auto& [row, cell] : refused) cells.push_back(cell);
    TRANCHE_ASSIGN(report.rejects, MakeRejects(rows_->table(), batch, context.store, std::move(cells)));
    TRANCHE_TRY(ledger_->AddRejects(report.rejects));
  }
  TRANCHE_TRY(ledger_->Record(batch.span, report.counts));
  TRANCHE_TRY(Failpoint("batch.before_commit"));
  TRANCHE_ASSIGN(bool committed, Commit(refused));
  if (!committed) return std::nullopt;
  TRANCHE_TRY(Failpoint("batch.committed"));
  TRANCHE_TRY(ledger_->NoteCommitted(context, batch.span.rows()));
  return report;
}

// false: rows were refused by a deferred foreign key; begin again without them.
Result<bool> SqliteStore::Commit(SqliteWriter::Refused& refused) {
  Status status = database_->Execute("COMMIT");
  if (status) return true;
  if (database_->error_code() != kForeignKey || !database_->in_transaction())
    return std::move(status).error();
  TRANCHE_TRY(writer_->FindOrphans(refused));
  return false;
}

Status SqliteStore::Finish(SinkContext& context) {
  if (finished_) return {};
  TRANCHE_TRY(Failpoint("publish.before"));
  Status status = Transact([&]() -> Status {
    if (options_.replaces()) {
      writer_.reset();  // its statements would lock the table that is renamed
      SqliteTable target(*database_, options_.table);
      TRANCHE_TRY(target.ReplaceBy(loaded_, rows_->columns()));
      TRANCHE_TRY(Failpoint("replace.swapped"));
    }
    TRANCHE_TRY(RunStatements(options_.after));
    TRANCHE_TRY(ledger_->Finish(context.rows, context.keep_batches));
    return database_->Execute("COMMIT");
  });
  if (!status) return std::move(status).error().In(options_.table);
  finished_ = true;
  return Failpoint("ledger.finished");
}

Status SqliteStore::ListRejects(SinkContext& context, const std::function<Status(Reject)>& take) {
  if (!database_ && !Exists(options_.path)) return {};
  TRANCHE_TRY(Connect(sqlite::Access::kReadOnly));
  return ledger_->ListRejects(context, take);
}

Result<std::optional<Sink::Standing>> SqliteStore::Look(SinkContext& context) {
  if (!Exists(options_.path)) return std::nullopt;
  TRANCHE_TRY(Connect(sqlite::Access::kReadOnly));
  return ledger_->Look(context, options_.table);
}

Result<std::optional<Sink::StoredBatch>> SqliteStore::BatchOf(SinkContext& context, int64_t row) {
  if (!Exists(options_.path)) return std::nullopt;
  TRANCHE_TRY(Connect(sqlite::Access::kReadOnly));
  return ledger_->BatchOf(context, row);
}

}  // namespace

SinkSpec SqliteSink() {
  SinkSpec spec;
  spec.name = "sqlite";
  spec.summary = "Writes a table of a SQLite database.";
  spec.doc =
      "The file and the table are made where they are missing. Columns go by name, without case. A batch is "
      "one transaction, "
      "which holds its rows and its line in the ledger (tables `tranche_run`, `tranche_batch` and "
      "`tranche_reject` of the "
      "same file), so a crash at any moment neither loses nor doubles a row.\n\n"
      "A row that the table refuses (a constraint, a trigger, a type of a STRICT table) is rejected with "
      "SQLite's own "
      "message; the table's own `ON CONFLICT` clauses are not followed, because they drop rows in "
      "silence.\n\n"
      "Types: numbers, text and bytes as they are; BOOLEAN as 0 and 1; DECIMAL of at most 15 digits as REAL, "
      "longer ones and "
      "UBIGINT as TEXT; dates, times and UUIDs as TEXT; lists, structs and maps as JSON. NaN is rejected: "
      "SQLite would make "
      "it NULL.\n\n"
      "`replace` loads into a table beside and swaps both in one transaction. A table with a definition of "
      "its own (keys, "
      "constraints, indexes, triggers, views on it) keeps it: its rows are replaced.";
  spec.shape = DatabaseShape("issues.db", Schemas::kNone);
  spec.example = "sqlite: {path: issues.db, table: issues, mode: upsert, key: [id]}";
  spec.modes = {"append", "replace", "upsert", "update", "delete", "changes"};
  spec.policy = {.rows = 1000, .automatic = true, .bytes = 32 << 20};
  spec.guarantee = "exactly once, by a ledger in the same file";
  spec.scratch = ScratchSqlite;
  spec.make = [](const Options& options) -> Result<std::unique_ptr<Sink>> {
    TRANCHE_ASSIGN(DatabaseOptions parsed, DatabaseOptions::Parse(options, Schemas::kNone));
    return std::make_unique<SqliteStore>(std::move(parsed));
  };
  return spec;
}

}  // namespace tranche
