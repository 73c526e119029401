#include "tranche/sinks/server_sink.h"

#include <algorithm>
#include <map>
#include <mutex>

#include <arrow/type.h>

#include "tranche/base/failpoint.h"
#include "tranche/base/hash.h"
#include "tranche/connector/step.h"
#include "tranche/sinks/scratch.h"
#include "tranche/sinks/server_writer.h"
#include "tranche/sql/ledger.h"

namespace tranche {
namespace {

using sql::Fault;
using sql::ServerSession;

// What writes one batch after the other.
struct Lane {
  std::mutex mutex;  // of the engine's session, and of
  std::unique_ptr<ServerRows> rows;
  std::unique_ptr<ServerSession> session;
  std::unique_ptr<ServerWriter> writer;
  std::optional<sql::Ledger> ledger;
  Fault fault;       // of the transaction that failed last
  int64_t lost = 0;  // number of a session that may still be there
  int64_t allowed = 0;
};

class ServerStore : public Sink {
 public:
  ServerStore(std::unique_ptr<sql::Server> server, TableOptions options)
      : server_(std::move(server)), options_(std::move(options)) {}

  Status Check(std::shared_ptr<arrow::Schema> schema, Engine& engine,
               std::optional<Duration> timeout) override;
  Result<Opened> Open(std::shared_ptr<arrow::Schema> schema, SinkContext& context) override;
  Result<WriteReport> Write(const Batch& batch, SinkContext& context) override;
  bool makes_ready() const override { return true; }
  Result<std::shared_ptr<const ReadyRows>> Ready(const Batch& batch, SinkContext& context) override;
  Result<Totals> Sum(SinkContext& context) override {
    return Again(context, [&]() -> Result<Totals> {
      TRANCHE_TRY(ledger_->NoteCommitted(context, 0));
      return ledger_->Sum(context.rows);
    });
  }
  Status Finish(SinkContext& context) override;
  Status ListRejects(SinkContext& context, const std::function<Status(Reject)>& take) override;
  Result<std::optional<Standing>> Look(SinkContext& context) override;
  Result<std::optional<StoredBatch>> BatchOf(SinkContext& context, int64_t row) override;
  int parallel() const override { return options_.key.empty() ? std::numeric_limits<int>::max() : 1; }
  std::string Describe() const override {
    return options_.Describe(server_->dialect().name, server_->Describe());
  }
  std::string target() const override { return options_.TargetIn(server_->target(), /*any_case=*/false); }

 private:
  Status Connect(SinkContext& context);
  // Runs `work` on the store's own session, again where a failure may pass by itself.
  template <typename Work>
  auto Again(SinkContext& context, Work work) -> decltype(work());
  // `fault` says why it failed: the ROLLBACK that follows has none.
  template <typename Work>
  auto Transact(ServerSession& session, Fault& fault, Work work) -> decltype(work());
  Result<std::unique_ptr<ServerSession>> ConnectAgain(const std::string& application, SinkContext& context);
  // What a run must have for itself. A trial of `prove` is the same job, in another schema.
  std::string OwnName(const SinkContext& context) const {
    return fmt::format("{}/{}/{}", context.job_key, context.store, options_.schema);
  }
  Status TakeLock(SinkContext& context);
  Result<Opened> OpenTarget(SinkContext& context);
  Result<Opened> OpenInSteps(SinkContext& context);
  Status Swap(SinkContext& context);
  std::string Mark(const SinkContext& context) const { return "tranche run " + context.run_id; }
  Status OpenTable(SinkContext& context, const sql::Ledger::Run& run);
  Status MakeTable(const std::string& name, ServerSession& session);
  Status CheckNames() const;
  Status CheckTakes(const sql::TableInfo& table) const;
  Status CheckRights(ServerSession& session, sql::Ledger& ledger, bool makes);
  Status CheckStored(const Opened& opened);
  Lane& LaneOf(const SinkContext& context) {
    const std::scoped_lock lock(mutex_);
    return lanes_[context.engine];
  }
  Status PrepareLane(Lane& lane, SinkContext& context);
  Result<WriteReport> Attempt(Lane& lane, const Batch& batch, const ServerRows::Loaded& loaded,
                              SinkContext& context);

  std::unique_ptr<sql::Server> server_;
  TableOptions options_;
  std::string application_;
  std::unique_ptr<ServerSession> lock_;     // holds the run's lock
  std::unique_ptr<ServerSession> session_;  // for all but batches
  Fault fault_;                             // of its transaction that failed last
  std::optional<sql::Ledger> ledger_;
  Columns columns_;  // of the rows, as the engine types them
  std::shared_ptr<arrow::Schema> schema_;
  sql::TableInfo loaded_;  // the table that batches go into
  std::mutex mutex_;       // of what stands below
  std::map<const Engine*, Lane> lanes_;
  bool finished_ = false;
};

template <typename Work>
auto ServerStore::Again(SinkContext& context, Work work) -> decltype(work()) {
  for (int attempt = 1;; ++attempt) {
    Status connected = Connect(context);
    if (!connected) return std::move(connected).error();
    fault_ = {};
    auto result = work();
    if (result) return result;
    if (fault_.kind == Fault::Kind::kNone && session_) fault_ = session_->fault();
    if (!sql::IsTransient(fault_)) return result;
    if (fault_.kind == Fault::Kind::kLost) session_.reset();
    if (!context.try_again || !context.try_again(attempt)) return result;
  }
}

// A server that is not there yet, or has no room for one more session, is asked again.
Result<std::unique_ptr<ServerSession>> ServerStore::ConnectAgain(const std::string& application,
                                                                 SinkContext& context) {
  for (int attempt = 1;; ++attempt) {
    Fault fault;
    auto session = server_->Connect(application, context.timeout, &fault);
    if (session) return session;
    const bool passes = sql::IsTransient(fault) && context.try_again && context.try_again(attempt);
    if (!passes) return std::move(session).error().At(options_.place);
  }
}

Status ServerStore::Connect(SinkContext& context) {
  if (session_) return {};
  TRANCHE_ASSIGN(session_, ConnectAgain(application_, context));
  ledger_ = ledger_ ? ledger_->On(*session_) : sql::Ledger(*session_);
  return {};
}

template <typename Work>
auto ServerStore::Transact(ServerSession& session, Fault& fault, Work work) -> decltype(work()) {
  auto result = [&]() -> decltype(work()) {
    TRANCHE_TRY(session.Execute("BEGIN"));
    return work();
  }();
  if (result) return result;
  fault = session.fault();
  if (fault.kind != Fault::Kind::kLost)
    (void)session.Execute("ROLLBACK");  // if it fails, so does the next BEGIN
  return result;
}

Status ServerStore::Check(std::shared_ptr<arrow::Schema> schema, Engine& engine,
                          std::optional<Duration> timeout) {
  TRANCHE_TRY(options_.CheckRows(*schema));
  TRANCHE_ASSIGN(auto table, BatchTable::Make(engine, schema));
  columns_ = table->columns();
  if (Status named = CheckNames(); !named) return std::move(named).error().At(options_.place);
  Fault fault;
  auto connected = server_->Connect("tranche", timeout, &fault);
  if (!connected && fault.kind == Fault::Kind::kAgain) return {};  // it is there, and busy
  if (!connected) return std::move(connected).error();
  ServerSession& session = **connected;
  auto look = [&]() -> Status {
    sql::Ledger ledger(session);
    TRANCHE_TRY(ledger.CheckTables());
    TRANCHE_ASSIGN(const sql::TableInfo info, session.Look(options_.table));
    TRANCHE_TRY(CheckRights(session, ledger, !info.exists() || options_.replaces()));
    if (!info.exists()) return options_.before.empty() ? options_.CheckMissing() : Status();
    TRANCHE_TRY(CheckTakes(info));
    if (!options_.needs_unique_key()) return {};
    TRANCHE_ASSIGN(const bool unique, session.HasUniqueIndex(info, options_.key));
    if (!unique) return options_.NoIndex();
    return {};
  };
  Status looked = look();
  return options_.Lasting(std::move(looked));
}

// The ledger's tables are made where the table is.
Status ServerStore::CheckRights(ServerSession& session, sql::Ledger& ledger, bool makes) {
  TRANCHE_ASSIGN(const std::string definitions, ledger.Definitions());
  if (definitions.empty() && !makes) return {};
  TRANCHE_ASSIGN(const bool may, session.MayCreate());
  if (may) return {};
  if (definitions.empty()) return Fail(Code::kJob, "this user may not make tables there");
  return Fail(Code::kJob, "this user may not make the tables of the ledger")
      .Hint("let somebody who may run:\n" + definitions);
}

Status ServerStore::CheckNames() const {
  TRANCHE_TRY(server_->CheckName("table", options_.table));
  TRANCHE_TRY(server_->CheckName("schema", options_.schema));
  for (const Column& column : columns_) {
    if (options_.Writes(column.name)) TRANCHE_TRY(server_->CheckName("column", column.name));
  }
  return {};
}

Status ServerStore::CheckTakes(const sql::TableInfo& table) const {
  if (!table.problem.empty()) {
    return Fail(Code::kJob, "table '{}' cannot keep each row exactly once: {}", options_.TableName(),
                table.problem);
  }
  if (options_.replaces() && table.plain) return {};
  for (const Column& column : columns_) {
    if (!options_.Writes(column.name)) continue;
    const sql::TableColumn* own = table.Find(column.name);
    if (own != nullptr && own->generated) {
      return Fail(Code::kJob, "column '{}' of table '{}' makes its own values", own->name,
                  options_.TableName())
          .Hint("leave it out with `drop:`");
    }
    if (own != nullptr || options_.adds_columns()) continue;
    std::vector<std::string> names;
    for (const sql::TableColumn& known : table.columns) names.push_back(known.name);
    const std::string near = Nearest(column.name, names);
    return Fail(Code::kJob, "table '{}' has no column '{}'{}", options_.TableName(), column.name,
                near.empty() ? "" : fmt::format("; did you mean '{}'?", near))
        .Hint("write `columns: evolve` to have it added, or leave it out with `drop:`");
  }
  for (const sql::TableColumn& own : table.columns) {
    if (!options_.inserts() || !own.not_null || own.has_default || own.generated) continue;
    if (FindColumn(columns_, own.name) == nullptr) {
      return Fail(Code::kJob, "column '{}' of table '{}' must have a value and the rows have none", own.name,
                  options_.TableName())
          .Hint("add it with `derive:`, or give it a default in the table");
    }
  }
  return {};
}

Status ServerStore::TakeLock(SinkContext& context) {
  if (lock_) return {};
  const std::string application = application_ + " lock";
  for (int attempt = 1;; ++attempt) {
    TRANCHE_ASSIGN(auto session, ConnectAgain(application, context));
    TRANCHE_ASSIGN(auto holder, session->TryLock(OwnName(context)));
    if (!holder) {
      lock_ = std::move(session);
      return {};
    }
    // A killed process's session may live a little longer than the process.
    const bool take_over = context.trust_target || context.again;
    if (take_over) TRANCHE_TRY(session->EndSessions(application, 0));
    if (attempt == 10) {
      return Fail(Code::kBusy, "store '{}': another run of this job is under way: {}", context.store, *holder)
          .Hint("wait until it has ended; --trust-target ends its session");
    }
    context.clock->Sleep(std::chrono::milliseconds(100 * attempt));
  }
}

Result<Opened> ServerStore::Open(std::shared_ptr<arrow::Schema> schema, SinkContext& context) {
  TRANCHE_TRY(options_.CheckRows(*schema));
  application_ = "tranche " + HashHex(OwnName(context)).substr(0, 16);
  schema_ = schema;
  TRANCHE_ASSIGN(auto table, BatchTable::Make(*context.engine, schema));
  columns_ = table->columns();
  auto opened = Again(context, [&]() -> Result<Opened> {
    TRANCHE_TRY(TakeLock(context));
    // Batches of an earlier start that are still under way are ended.
    TRANCHE_TRY(session_->EndSessions(application_, 0));
    if (session_->dialect().ddl_commits) return OpenInSteps(context);
    for (int attempt = 1;; ++attempt) {
      auto done = Transact(*session_, fault_, [&]() -> Result<Opened> {
        TRANCHE_ASSIGN(Opened opened, OpenTarget(context));
        TRANCHE_TRY(session_->Execute("COMMIT"));
        return opened;
      });
      // Another store makes the ledger at the same time.
      const bool same_time = !done && (fault_.code == "23505" || fault_.code == "42P07");
      if (!same_time || attempt == 5) return done;
      context.clock->Sleep(std::chrono::milliseconds(50 * attempt));
    }
  });
  if (!opened) return std::move(opened).error().At(options_.place);
  TRANCHE_TRY(ledger_->NoteCommitted(context, 0));
  TRANCHE_TRY(Failpoint("store.opened"));
  return opened;
}

// Where a table is made, the transaction ends: it is opened in two, and what has to do with tables stands
// between them and may be done again.
Result<Opened> ServerStore::OpenInSteps(SinkContext& context) {
  TRANCHE_TRY(ledger_->MakeTables());
  auto run = Transact(*session_, fault_, [&]() -> Result<sql::Ledger::Run> {
    TRANCHE_ASSIGN(sql::Ledger::Run entered, ledger_->Open(context, options_.TableName()));
    TRANCHE_TRY(session_->Execute("COMMIT"));
    return entered;
  });
  if (!run) return std::move(run).error();
  finished_ = run->opened.published;
  if (finished_) return run->opened;
  if (!run->abandoned.empty()) {
    TRANCHE_TRY(session_->Execute("DROP TABLE IF EXISTS " + QuoteName(options_.Staging(run->abandoned))));
  }
  if (run->state == sql::Ledger::State::kNew) {
    TRANCHE_TRY(Transact(*session_, fault_, [&]() -> Status {
      TRANCHE_TRY(RunStatements(options_.before, *session_));
      TRANCHE_TRY(ledger_->SetState(sql::Ledger::State::kOpened));
      TRANCHE_TRY(session_->Execute("COMMIT"));
      return {};
    }));
  }
  TRANCHE_TRY(OpenTable(context, *run));
  if (!context.trust_target) TRANCHE_TRY(CheckStored(run->opened));
  return run->opened;
}

Result<Opened> ServerStore::OpenTarget(SinkContext& context) {
  TRANCHE_ASSIGN(sql::Ledger::Run run, ledger_->Open(context, options_.TableName()));
  finished_ = run.opened.published;
  if (finished_) return run.opened;
  if (!run.abandoned.empty()) {
    TRANCHE_TRY(session_->Execute("DROP TABLE IF EXISTS " + QuoteName(options_.Staging(run.abandoned))));
  }
  if (run.state == sql::Ledger::State::kNew) TRANCHE_TRY(RunStatements(options_.before, *session_));
  TRANCHE_TRY(OpenTable(context, run));
  if (!context.trust_target) TRANCHE_TRY(CheckStored(run.opened));
  TRANCHE_TRY(ledger_->SetState(sql::Ledger::State::kOpened));
  return run.opened;
}

Status ServerStore::MakeTable(const std::string& name, ServerSession& session) {
  std::string columns;
  for (const Column& column : columns_) {
    if (!options_.Writes(column.name)) continue;
    columns += fmt::format("{}{} {}", columns.empty() ? "" : ", ", QuoteName(column.name),
                           server_->TypeFor(column.type, options_.InKey(column.name)));
  }
  std::string key;
  for (const std::string& part : options_.key)
    key += (key.empty() ? "" : ", ") + QuoteName(FindColumn(columns_, part)->name);
  if (!key.empty()) columns += fmt::format(", PRIMARY KEY ({})", key);
  TRANCHE_TRY(session.Execute(
      fmt::format("CREATE TABLE {} ({}) {}", QuoteName(name), columns, session.dialect().table_options)));
  return {};
}

Status ServerStore::OpenTable(SinkContext& context, const sql::Ledger::Run& run) {
  TRANCHE_ASSIGN(sql::TableInfo target, session_->Look(options_.table));
  if (target.exists()) TRANCHE_TRY(CheckTakes(target));
  const bool keeps = options_.Keeps(target.exists(), target.plain);
  if (keeps && options_.adds_columns()) {
    for (const Column& column : columns_) {
      if (!options_.Writes(column.name) || target.Find(column.name) != nullptr) continue;
      TRANCHE_TRY(
          session_->Execute(fmt::format("ALTER TABLE {} ADD COLUMN {} {}", QuoteName(target.name),
                                        QuoteName(column.name), server_->TypeFor(column.type, false))));
    }
    TRANCHE_ASSIGN(target, session_->Look(options_.table));
  }
  const std::string name = options_.replaces() ? options_.Staging(context.run_id) : options_.table;
  TRANCHE_ASSIGN(loaded_, session_->Look(name));
  if (!loaded_.exists() && options_.replaces() && target.mark == Mark(context)) {
    loaded_ = target;  // it has taken its place already, and the ledger does not say so yet
    return {};
  }
  if (!loaded_.exists()) {
    if (run.opened.committed.rows() > 0 && !context.trust_target) return options_.TableGone(name);
    if (!target.exists()) TRANCHE_TRY(options_.CheckMissing());
    TRANCHE_TRY(options_.replaces() && keeps ? session_->CreateLike(target, name)
                                             : MakeTable(name, *session_));
    TRANCHE_ASSIGN(loaded_, session_->Look(name));
    if (!loaded_.problem.empty()) {
      return Fail(Code::kJob, "table '{}' cannot keep each row exactly once: {}", options_.TableName(),
                  loaded_.problem);
    }
  }
  if (options_.needs_unique_key()) {
    TRANCHE_ASSIGN(const bool unique, session_->HasUniqueIndex(loaded_, options_.key));
    if (!unique) return options_.NoIndex();
  }
  return {};
}

// What the ledger says is there must be there: else the table was emptied or restored behind its back.
Status ServerStore::CheckStored(const Opened& opened) {
  if (opened.counts.stored == 0) return {};
  TRANCHE_ASSIGN(auto rows,
                 session_->Query(fmt::format("SELECT count(*) FROM (SELECT 1 FROM {} LIMIT {}) AS t",
                                             QuoteName(loaded_.name), opened.counts.stored)));
  return options_.CheckStored(opened.counts.stored, sql::ToNumber(rows.at(0).at(0)));
}

// A lane has a session of its own, which it gets anew when it was lost.
Status ServerStore::PrepareLane(Lane& lane, SinkContext& context) {
  if (lane.session) return {};
  TRANCHE_ASSIGN(lane.session, server_->Connect(application_, context.timeout));
  if (lane.lost != 0) {
    TRANCHE_TRY(lane.session->EndSessions(application_, lane.lost));
    lane.lost = 0;
  }
  {
    const std::scoped_lock lock(mutex_);
    lane.ledger = ledger_->On(*lane.session);
  }
  if (Status kept = lane.ledger->CheckKept(); !kept) {
    const std::scoped_lock lock(mutex_);
    TRANCHE_TRY(ledger_->NoteCommitted(context, 0));  // so that the next start refuses as well
    return kept;
  }
  lane.writer = std::make_unique<ServerWriter>(*lane.session, loaded_, options_, *lane.rows);
  return lane.writer->Prepare();
}

Result<std::shared_ptr<const ReadyRows>> ServerStore::Ready(const Batch& batch, SinkContext& context) {
  Lane& lane = LaneOf(context);
  const std::scoped_lock lock(lane.mutex);
  if (!lane.rows) {
    TRANCHE_ASSIGN(lane.rows, ServerRows::Make(*context.engine, schema_, *server_, loaded_, options_));
  }
  TRANCHE_ASSIGN(auto loaded, lane.rows->Load(batch));
  return std::make_shared<const ServerRows::Loaded>(std::move(loaded));
}

Result<WriteReport> ServerStore::Write(const Batch& batch, SinkContext& context) {
  using Outcome = WriteReport::Outcome;
  std::shared_ptr<const ReadyRows> ready = batch.ready;
  if (!ready) {
    TRANCHE_ASSIGN(ready, Ready(batch, context));
  }
  const auto& loaded = static_cast<const ServerRows::Loaded&>(*ready);
  Lane& lane = LaneOf(context);
  auto failed = [&](Outcome outcome, const Error& error) {
    WriteReport report;
    report.outcome = outcome;
    report.message = error.ToString();
    return report;
  };
  if (Status prepared = PrepareLane(lane, context); !prepared) {
    const bool passes =
        !lane.session ? prepared.error().code == Code::kOutside : sql::IsTransient(lane.session->fault());
    lane.session.reset();
    if (!passes) return std::move(prepared).error().In(options_.TableName());
    return failed(Outcome::kRolledBack, prepared.error());
  }
  lane.allowed = 0;
  const int64_t number = lane.session->number();
  auto report = Transact(*lane.session, lane.fault, [&] { return Attempt(lane, batch, loaded, context); });
  if (report) return report;
  if (lane.fault.kind == Fault::Kind::kLost) {
    lane.lost = number;
    lane.writer.reset();
    lane.session.reset();
    return failed(Outcome::kUnknown, report.error());
  }
  if (lane.fault.kind == Fault::Kind::kAgain) return failed(Outcome::kRolledBack, report.error());
  return std::move(report).error().In(options_.TableName());
}

Result<WriteReport> ServerStore::Attempt(Lane& lane, const Batch& batch, const ServerRows::Loaded& loaded,
                                         SinkContext& context) {
  using Outcome = WriteReport::Outcome;
  ServerWriter::Refused refused = loaded.refused;
  WriteReport report;
  report.bytes = batch.bytes;
  TRANCHE_ASSIGN(sql::Ledger::Claim claim, lane.ledger->Take(batch.span));
  report.counts = claim.counts;
  if (claim.outcome != sql::Ledger::Claimed::kMine) {
    const bool fenced = claim.outcome == sql::Ledger::Claimed::kFenced;
    report.outcome = fenced ? Outcome::kFenced : Outcome::kAlreadyCommitted;
    TRANCHE_TRY(lane.session->Execute("ROLLBACK"));
    if (fenced) return report;
    const std::scoped_lock lock(mutex_);
    TRANCHE_TRY(ledger_->NoteCommitted(context, batch.span.rows()));
    return report;
  }
  TRANCHE_TRY(Failpoint("batch.claimed"));
  auto allow = [&](int64_t rejected) -> Status {
    if (rejected <= lane.allowed) return {};
    TRANCHE_TRY(context.allow_rejects(rejected - lane.allowed));
    lane.allowed = rejected;
    return {};
  };
  report.counts.sent = batch.span.rows();
  TRANCHE_TRY(lane.writer->Write(*loaded.rows, refused, report.counts, allow));
  TRANCHE_TRY(Failpoint("batch.written"));
  if (!refused.empty()) {
    TRANCHE_TRY(allow(static_cast<int64_t>(refused.size())));
    {
      const std::scoped_lock lock(lane.mutex);
      TRANCHE_ASSIGN(report.rejects, MakeRejects(lane.rows->table(), batch, context.store, refused));
    }
    TRANCHE_TRY(lane.ledger->AddRejects(report.rejects));
  }
  TRANCHE_TRY(lane.ledger->Record(batch.span, report.counts));
  TRANCHE_TRY(Failpoint("batch.before_commit"));
  TRANCHE_TRY(lane.session->Execute("COMMIT"));
  TRANCHE_TRY(Failpoint("batch.committed"));
  const std::scoped_lock lock(mutex_);
  TRANCHE_TRY(ledger_->NoteCommitted(context, batch.span.rows()));
  return report;
}

Status ServerStore::Swap(SinkContext& context) {
  TRANCHE_TRY(session_->ReplaceBy(options_.table, options_.Staging(context.run_id), Mark(context)));
  return Failpoint("replace.swapped");
}

Status ServerStore::Finish(SinkContext& context) {
  if (finished_) return {};
  {
    const std::scoped_lock lock(mutex_);
    lanes_.clear();
  }
  TRANCHE_TRY(Failpoint("publish.before"));
  Status status = Again(context, [&]() -> Status {
    // A session whose answer was lost may be at its COMMIT still.
    TRANCHE_TRY(session_->EndSessions(application_, 0));
    const bool by_itself = session_->dialect().ddl_commits;
    if (options_.replaces() && by_itself) {
      TRANCHE_ASSIGN(const bool finished, ledger_->Finished());
      if (!finished) TRANCHE_TRY(Swap(context));
    }
    return Transact(*session_, fault_, [&]() -> Status {
      TRANCHE_ASSIGN(const bool finished, ledger_->Finished());
      if (finished) {
        TRANCHE_TRY(session_->Execute("ROLLBACK"));
        return {};
      }
      if (options_.replaces() && !by_itself) TRANCHE_TRY(Swap(context));
      TRANCHE_TRY(RunStatements(options_.after, *session_));
      TRANCHE_TRY(ledger_->Finish(context.rows, context.keep_batches));
      TRANCHE_TRY(session_->Execute("COMMIT"));
      return {};
    });
  });
  if (!status) return std::move(status).error().In(options_.TableName());
  finished_ = true;
  return Failpoint("ledger.finished");
}

Status ServerStore::ListRejects(SinkContext& context, const std::function<Status(Reject)>& take) {
  if (application_.empty()) application_ = "tranche";
  TRANCHE_TRY(Connect(context));
  return ledger_->ListRejects(context, take);
}

Result<std::optional<Sink::Standing>> ServerStore::Look(SinkContext& context) {
  if (application_.empty()) application_ = "tranche";
  TRANCHE_TRY(Connect(context));
  return ledger_->Look(context, options_.table);
}

Result<std::optional<Sink::StoredBatch>> ServerStore::BatchOf(SinkContext& context, int64_t row) {
  if (application_.empty()) application_ = "tranche";
  TRANCHE_TRY(Connect(context));
  return ledger_->BatchOf(context, row);
}

}  // namespace

void SetServerStore(SinkSpec& spec, Field url, sql::MakeServer make) {
  spec.server = url.name;
  SetServerStore(spec, std::vector{std::move(url)},
                 [make](const Options& options, const std::string& schema) {
                   return sql::ServerOf(make, options, schema);
                 });
}

void SetServerStore(SinkSpec& spec, std::vector<Field> fields, ServerStoreMaker make) {
  for (Field& field : TableFields(Schemas::kSome)) fields.push_back(std::move(field));
  spec.shape = Shape::Object(std::move(fields));
  spec.modes = {"append", "replace", "upsert", "update", "delete", "changes"};
  spec.guarantee = "exactly once, by a ledger in the same database";
  spec.parallel = 16;
  spec.policy = {.rows = 1000, .automatic = true, .bytes = 32 << 20};
  spec.make = [make](const Options& options) -> Result<std::unique_ptr<Sink>> {
    TableOptions table;
    TRANCHE_TRY(table.ParseTable(options, Schemas::kSome));
    TRANCHE_ASSIGN(auto server, make(options, table.schema));
    return std::make_unique<ServerStore>(std::move(server), std::move(table));
  };
  spec.scratch = [make](const Options& options, const ScratchPlace& place) -> Result<ScratchTarget> {
    TableOptions table;
    TRANCHE_TRY(table.ParseTable(options, Schemas::kSome));
    TRANCHE_ASSIGN(auto server, make(options, table.schema));
    return ScratchServer(std::move(server), table, options, place);
  };
}

}  // namespace tranche
