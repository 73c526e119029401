#include <algorithm>
#include <filesystem>

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "tranche/base/failpoint.h"
#include "tranche/base/file.h"
#include "tranche/sinks/batch_table.h"
#include "tranche/sinks/database_sink.h"
#include "tranche/sinks/duckdb_writer.h"
#include "tranche/sinks/scratch.h"
#include "tranche/sinks/sinks.h"
#include "tranche/sql/bisect.h"
#include "tranche/sql/duckdb_file.h"
#include "tranche/sql/ledger.h"

namespace tranche {
namespace {

// Two sessions of this process changed the same thing at once; DuckDB lets the first win and says so to the
// other.
bool IsConflict(const Error& error) {
  return error.code == Code::kOutside && error.message.find("onflict") != std::string::npos;
}

class DuckDbStore : public Sink {
 public:
  explicit DuckDbStore(DatabaseOptions options) : options_(std::move(options)) {}

  Status Check(std::shared_ptr<arrow::Schema> schema, Engine& engine,
               std::optional<Duration> timeout) override;
  Result<Opened> Open(std::shared_ptr<arrow::Schema> schema, SinkContext& context) override;
  Result<WriteReport> Write(const Batch& batch, SinkContext& context) override;
  Result<Totals> Sum(SinkContext& context) override { return ledger_->Sum(context.rows); }
  Status Finish(SinkContext& context) override;
  Status SyncName() const;
  Status ListRejects(SinkContext& context, const std::function<Status(Reject)>& take) override;
  Result<std::optional<Standing>> Look(SinkContext& context) override;
  Result<std::optional<StoredBatch>> BatchOf(SinkContext& context, int64_t row) override;
  std::string Describe() const override { return options_.Describe("duckdb", options_.path); }
  std::string target() const override { return options_.TargetIn(options_.path, /*any_case=*/true); }

 private:
  using Refused = DuckDbWriter::Refused;

  // false: the file has no such schema.
  Result<bool> Connect(Engine& engine, bool writable);
  Result<bool> UseSchema(const std::string& database, bool writable);
  // Checks without a write; leaves the store connected for reading.
  Status CheckTarget(const arrow::Schema& schema, Engine& engine);
  Status MakeTable(const arrow::Schema& schema);
  // Looks at the table. Whether it is there with a definition that stays; then the rows have columns that fit
  // it, but for `missing` ones that are to be added.
  Result<bool> LookAt(DuckDbTable& target, Columns& missing);
  Status MakeWriter(const DuckDbTable& table);
  Result<Opened> OpenTarget(SinkContext& context);
  Status OpenTable(SinkContext& context, bool resumed);
  Status CheckStored(const Opened& opened);
  // Adds the rows that the table refuses; an error if it refuses none.
  Status FindRefused(const arrow::RecordBatch& rows, Refused& refused, const Error& error);
  struct Attempted {
    WriteReport report;
    std::optional<Error> row_error;  // rolled back: some row is to blame
  };
  Result<Attempted> Attempt(const Batch& batch, const arrow::RecordBatch& rows, const Refused& refused,
                            SinkContext& context);
  // Runs `work` in a transaction that is rolled back unless it returns a value and did not end it itself. One
  // error aborts a DuckDB transaction, and a COMMIT after it gives no error and stores nothing: so COMMIT
  // only ever follows success.
  template <typename Work>
  auto Transact(Work work) -> decltype(work());
  Status Commit();
  // DuckDB does not always say which file it could not write.
  Error Named(Error error) const {
    return std::move(error).In(error.code == Code::kOutside ? options_.path : options_.table);
  }

  DatabaseOptions options_;
  Engine* engine_ = nullptr;
  std::unique_ptr<sql::SqlConnection> connection_;
  std::unique_ptr<sql::Ledger> ledger_;
  std::unique_ptr<BatchTable> table_;
  Columns columns_;  // that go into the table
  std::unique_ptr<DuckDbWriter> writer_;
  std::string loaded_;  // the table that batches go into
  int64_t allowed_ = 0;
  bool in_transaction_ = false;
  bool finished_ = false;
};

template <typename Work>
auto DuckDbStore::Transact(Work work) -> decltype(work()) {
  TRANCHE_TRY(engine_->Execute("BEGIN TRANSACTION"));
  in_transaction_ = true;
  auto result = work();
  if (std::exchange(in_transaction_, false)) (void)engine_->Execute("ROLLBACK").has_value();
  return result;
}

Status DuckDbStore::Commit() {
  in_transaction_ = false;  // whatever comes of it
  TRANCHE_TRY(engine_->Execute("COMMIT"));
  return {};
}

Result<bool> DuckDbStore::Connect(Engine& engine, bool writable) {
  if (connection_) return true;
  TRANCHE_ASSIGN(std::string name, AttachDuckDb(engine, options_.path, writable));
  TRANCHE_TRY(engine.Execute("USE " + QuoteName(name)));
  engine_ = &engine;
  if (!options_.schema.empty()) {
    TRANCHE_ASSIGN(bool there, UseSchema(name, writable));
    if (!there && writable) TRANCHE_TRY(options_.CheckMissing());
    if (!there) return false;
  }
  connection_ = sql::Connect(engine);
  ledger_ = std::make_unique<sql::Ledger>(*connection_);
  return true;
}

// Names are then of the schema: the table's, and those of the ledger.
Result<bool> DuckDbStore::UseSchema(const std::string& database, bool writable) {
  const std::string schema = fmt::format("{}.{}", QuoteName(database), QuoteName(options_.schema));
  if (writable && options_.makes_table()) {
    TRANCHE_TRY(engine_->Execute("CREATE SCHEMA IF NOT EXISTS " + schema));
  }
  TRANCHE_ASSIGN(
      auto found,
      engine_->Select({SqlText(fmt::format("SELECT 1 FROM duckdb_schemas() WHERE database_name = {} AND "
                                           "lower(schema_name) = lower({})",
                                           QuoteText(database), QuoteText(options_.schema)))}));
  if (found.empty()) return false;
  TRANCHE_TRY(engine_->Execute("USE " + schema));
  return true;
}

Status DuckDbStore::MakeTable(const arrow::Schema& schema) {
  TRANCHE_ASSIGN(table_, BatchTable::Make(*engine_, WithPosition(schema)));
  columns_.clear();
  for (const Column& column : table_->columns()) {
    if (column.name != kPositionColumn && options_.Writes(column.name)) columns_.push_back(column);
  }
  return {};
}

Status DuckDbStore::Check(std::shared_ptr<arrow::Schema> schema, Engine& engine, std::optional<Duration>) {
  TRANCHE_TRY(options_.Check(*schema));
  if (!Exists(options_.path)) return options_.before.empty() ? options_.CheckMissing() : Status();
  return options_.Lasting(LookIntoDuckDb(engine, options_.path, [&](Engine& session) {
    return DuckDbStore(options_).CheckTarget(*schema, session);
  }));
}

Status DuckDbStore::CheckTarget(const arrow::Schema& schema, Engine& engine) {
  TRANCHE_ASSIGN(bool there, Connect(engine, /*writable=*/false));
  if (!there) return options_.CheckMissing();
  TRANCHE_TRY(MakeTable(schema));
  TRANCHE_TRY(ledger_->CheckTables());
  if (!options_.before.empty()) return {};  // who knows what the table will be then
  DuckDbTable target(*connection_, options_.table);
  Columns missing;
  TRANCHE_ASSIGN(bool keeps, LookAt(target, missing));
  if (!target.exists()) return options_.CheckMissing();
  if (!keeps || !missing.empty()) return {};
  return MakeWriter(target);
}

Result<Opened> DuckDbStore::Open(std::shared_ptr<arrow::Schema> schema, SinkContext& context) {
  TRANCHE_TRY(options_.Prepare(*schema));
  auto connected = Connect(*context.engine, /*writable=*/true);
  if (!connected) return std::move(connected).error().At(options_.place);
  TRANCHE_TRY(MakeTable(*schema));
  auto open = [&]() -> Result<Opened> {
    TRANCHE_ASSIGN(Opened opened, OpenTarget(context));
    TRANCHE_TRY(Commit());
    return opened;
  };
  auto opened = Transact(open);
  for (int attempt = 1; !opened && IsConflict(opened.error()) && attempt < 10; ++attempt) {
    context.clock->Sleep(std::chrono::milliseconds(20 * attempt));  // another store makes the same ledger
    opened = Transact(open);
  }
  if (!opened) return Named(std::move(opened).error()).At(options_.place);
  TRANCHE_TRY(SyncName());
  TRANCHE_TRY(ledger_->NoteCommitted(context, 0));
  TRANCHE_TRY(Failpoint("store.opened"));
  return opened;
}

Result<Opened> DuckDbStore::OpenTarget(SinkContext& context) {
  TRANCHE_ASSIGN(sql::Ledger::Run run, ledger_->Open(context, options_.table));
  finished_ = run.opened.published;
  if (finished_) return run.opened;
  if (!run.abandoned.empty()) {
    TRANCHE_TRY(engine_->Execute("DROP TABLE IF EXISTS " + QuoteName(options_.Staging(run.abandoned))));
  }
  if (run.state == sql::Ledger::State::kNew) TRANCHE_TRY(RunStatements(options_.before, *connection_));
  TRANCHE_TRY(OpenTable(context, run.opened.committed.rows() > 0));
  if (!context.trust_target) TRANCHE_TRY(CheckStored(run.opened));
  TRANCHE_TRY(ledger_->SetState(sql::Ledger::State::kOpened));
  return run.opened;
}

Result<bool> DuckDbStore::LookAt(DuckDbTable& target, Columns& missing) {
  TRANCHE_TRY(target.Look());
  const bool keeps = options_.Keeps(target.exists(), target.plain());
  if (!keeps) return false;
  TRANCHE_TRY(target.CheckTakes(columns_, options_));
  missing = target.Without(columns_);
  return true;
}

Status DuckDbStore::OpenTable(SinkContext& context, bool resumed) {
  DuckDbTable target(*connection_, options_.table);
  Columns missing;
  TRANCHE_ASSIGN(bool keeps, LookAt(target, missing));
  if (!missing.empty()) TRANCHE_TRY(target.Add(missing));
  loaded_ = options_.replaces() ? options_.Staging(context.run_id) : target.name();
  DuckDbTable loaded(*connection_, loaded_);
  TRANCHE_TRY(loaded.Look());
  if (!loaded.exists()) {
    if (resumed && !context.trust_target) return options_.TableGone(loaded_);
    if (!target.exists()) TRANCHE_TRY(options_.CheckMissing());
    TRANCHE_TRY(options_.replaces() && keeps ? target.CreateLike(loaded_)
                                             : loaded.Create(columns_, options_.key));
    TRANCHE_TRY(loaded.Look());
  }
  return MakeWriter(loaded);
}

Status DuckDbStore::MakeWriter(const DuckDbTable& table) {
  TRANCHE_ASSIGN(writer_, DuckDbWriter::Make(*engine_, *connection_, *table_, columns_, table, options_));
  return {};
}

Status DuckDbStore::CheckStored(const Opened& opened) {
  if (opened.counts.stored == 0) return {};
  TRANCHE_ASSIGN(auto rows, connection_->Query("SELECT count(*) FROM " + QuoteName(loaded_)));
  return options_.CheckStored(opened.counts.stored, sql::ToNumber(rows.at(0).at(0)));
}

Result<DuckDbStore::Attempted> DuckDbStore::Attempt(const Batch& batch, const arrow::RecordBatch& rows,
                                                    const Refused& refused, SinkContext& context) {
  using Outcome = WriteReport::Outcome;
  Attempted attempted;
  WriteReport& report = attempted.report;
  report.bytes = batch.bytes;
  TRANCHE_ASSIGN(sql::Ledger::Claim claim, ledger_->Take(batch.span));
  report.counts = claim.counts;
  if (claim.outcome != sql::Ledger::Claimed::kMine) {
    bool fenced = claim.outcome == sql::Ledger::Claimed::kFenced;
    report.outcome = fenced ? Outcome::kFenced : Outcome::kAlreadyCommitted;
    return attempted;
  }
  TRANCHE_TRY(Failpoint("batch.claimed"));
  auto written = writer_->Write(rows, Without(rows.num_rows(), refused));
  if (!written && written.error().code == Code::kData) {
    attempted.row_error = std::move(written).error();
    return attempted;
  }
  if (!written) return std::move(written).error();
  TRANCHE_TRY(Failpoint("batch.written"));
  Refused all = refused;
  std::ranges::move(written->refused, std::back_inserter(all));
  std::ranges::sort(all, {}, &RefusedCell::row);
  report.counts = written->counts;
  report.counts.sent = rows.num_rows();
  report.counts.rejected = static_cast<int64_t>(all.size());
  if (!all.empty()) {
    TRANCHE_TRY(context.allow_rejects(report.counts.rejected - allowed_));
    allowed_ = report.counts.rejected;
    TRANCHE_ASSIGN(report.rejects, MakeRejects(*table_, batch, context.store, std::move(all)));
    TRANCHE_TRY(ledger_->AddRejects(report.rejects));
  }
  TRANCHE_TRY(ledger_->Record(batch.span, report.counts));
  TRANCHE_TRY(Failpoint("batch.before_commit"));
  if (Status committed = Commit(); !committed) {  // the claim will tell what came of it
    report.outcome = Outcome::kUnknown;
    report.message = committed.error().ToString();
    return attempted;
  }
  TRANCHE_TRY(Failpoint("batch.committed"));
  TRANCHE_TRY(ledger_->NoteCommitted(context, batch.span.rows()));
  return attempted;
}

Status DuckDbStore::FindRefused(const arrow::RecordBatch& rows, Refused& refused, const Error& error) {
  std::vector<int64_t> candidates;
  for (Span span : Without(rows.num_rows(), refused)) {
    for (int64_t row = span.from; row < span.to; ++row) candidates.push_back(row);
  }
  TRANCHE_ASSIGN(auto found,
                 sql::Bisect(static_cast<int64_t>(candidates.size()),
                             [&](const std::vector<Span>& probed) -> Result<std::optional<std::string>> {
                               std::vector<Span> spans;
                               for (Span span : probed) {
                                 for (int64_t i = span.from; i < span.to; ++i) {
                                   if (spans.empty() || spans.back().to != candidates[i])
                                     spans.push_back({candidates[i], candidates[i]});
                                   ++spans.back().to;
                                 }
                               }
                               auto inserted = Transact([&] { return writer_->Write(rows, spans); });
                               if (inserted) return std::nullopt;
                               if (inserted.error().code != Code::kData) return std::move(inserted).error();
                               return inserted.error().message;
                             }));
  if (found.empty()) return Error(error);
  for (sql::RefusedRow& row : found) refused.push_back({candidates[row.row], std::move(row.reason), ""});
  std::ranges::sort(refused, {}, &RefusedCell::row);
  return {};
}

Result<WriteReport> DuckDbStore::Write(const Batch& batch, SinkContext& context) {
  TRANCHE_ASSIGN(auto rows, WithPosition(*batch.rows()));
  TRANCHE_ASSIGN(Refused refused, writer_->FindUnfit(*rows));
  Batch numbered{batch.span, {rows}, batch.bytes};
  allowed_ = 0;
  while (true) {
    auto attempted = Transact([&] { return Attempt(numbered, *rows, refused, context); });
    if (!attempted && IsConflict(attempted.error())) {
      WriteReport rolled_back;
      rolled_back.outcome = WriteReport::Outcome::kRolledBack;
      rolled_back.message = attempted.error().ToString();
      return rolled_back;
    }
    if (!attempted) return Named(std::move(attempted).error());
    if (!attempted->row_error) return std::move(attempted->report);
    TRANCHE_TRY(FindRefused(*rows, refused, *attempted->row_error));
  }
}

Status DuckDbStore::Finish(SinkContext& context) {
  if (finished_) return SyncName();
  TRANCHE_TRY(Failpoint("publish.before"));
  Status status = Transact([&]() -> Status {
    if (options_.replaces()) {
      DuckDbTable target(*connection_, options_.table);
      TRANCHE_TRY(target.ReplaceBy(loaded_, columns_));
      TRANCHE_TRY(Failpoint("replace.swapped"));
    }
    TRANCHE_TRY(RunStatements(options_.after, *connection_));
    TRANCHE_TRY(ledger_->Finish(context.rows, context.keep_batches));
    return Commit();
  });
  if (!status) return Named(std::move(status).error());
  finished_ = true;
  TRANCHE_TRY(Failpoint("ledger.finished"));
  return SyncName();
}

// DuckDB syncs its log, but not the folder that has the log's name.
Status DuckDbStore::SyncName() const {
  return SyncFolder(std::filesystem::path(options_.path).parent_path().string());
}

Status DuckDbStore::ListRejects(SinkContext& context, const std::function<Status(Reject)>& take) {
  if (!connection_ && !Exists(options_.path)) return {};
  TRANCHE_ASSIGN(bool there, Connect(*context.engine, /*writable=*/false));
  if (!there) return {};
  return ledger_->ListRejects(context, take);
}

Result<std::optional<Sink::Standing>> DuckDbStore::Look(SinkContext& context) {
  if (!Exists(options_.path)) return std::nullopt;
  std::optional<Standing> standing;
  TRANCHE_TRY(LookIntoDuckDb(*context.engine, options_.path, [&](Engine& session) -> Status {
    DuckDbStore store(options_);
    TRANCHE_ASSIGN(const bool there, store.Connect(session, /*writable=*/false));
    if (!there) return {};
    TRANCHE_ASSIGN(standing, store.ledger_->Look(context, options_.table));
    return {};
  }));
  return standing;
}

Result<std::optional<Sink::StoredBatch>> DuckDbStore::BatchOf(SinkContext& context, int64_t row) {
  if (!Exists(options_.path)) return std::nullopt;
  std::optional<StoredBatch> batch;
  TRANCHE_TRY(LookIntoDuckDb(*context.engine, options_.path, [&](Engine& session) -> Status {
    DuckDbStore store(options_);
    TRANCHE_ASSIGN(const bool there, store.Connect(session, /*writable=*/false));
    if (!there) return {};
    TRANCHE_ASSIGN(batch, store.ledger_->BatchOf(context, row));
    return {};
  }));
  return batch;
}

}  // namespace

SinkSpec DuckDbSink() {
  SinkSpec spec;
  spec.name = "duckdb";
  spec.summary = "Writes a table of a DuckDB database.";
  spec.doc =
      "The file and the table are made where they are missing, with the types that the rows have. Columns go "
      "by name, without "
      "case. A batch is one transaction, which holds its rows and its line in the ledger (tables "
      "`tranche_run`, "
      "`tranche_batch` and `tranche_reject` of the same file), so a crash at any moment neither loses nor "
      "doubles a row.\n\n"
      "Values for a column of another type are cast; a row whose value does not fit, or would be rounded to "
      "an integer or a "
      "decimal, is rejected, as is one that a constraint of the table refuses. DuckDB allows one process at "
      "a file that is "
      "written.\n\n"
      "`replace` loads into a table beside and swaps both in one transaction. A table with constraints, "
      "defaults or indexes "
      "keeps them: its rows are replaced.";
  spec.shape = DatabaseShape("labs.duckdb", Schemas::kSome);
  spec.example = "duckdb: {path: labs.duckdb, table: labs, mode: replace}";
  spec.modes = {"append", "replace", "upsert", "update", "delete", "changes"};
  spec.guarantee = "exactly once, by a ledger in the same file";
  spec.policy.rows = 32'000;  // a transaction of DuckDB costs some 10 ms, whatever it holds
  spec.policy.automatic = true;
  spec.policy.bytes = 64 << 20;
  spec.scratch = ScratchDuckDb;
  spec.make = [](const Options& options) -> Result<std::unique_ptr<Sink>> {
    TRANCHE_ASSIGN(DatabaseOptions parsed, DatabaseOptions::Parse(options, Schemas::kSome));
    return std::make_unique<DuckDbStore>(std::move(parsed));
  };
  return spec;
}

}  // namespace tranche
