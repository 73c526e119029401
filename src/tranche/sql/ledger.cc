#include "tranche/sql/ledger.h"

#include <algorithm>
#include <array>

#include "tranche/connector/tables.h"

namespace tranche::sql {
namespace {

constexpr std::string_view kAdded = "committed_at";  // of tranche_batch, by a later version

struct Table {
  std::string_view name;
  std::vector<std::pair<const char*, const char*>> columns;
  const char* key;
};

const std::vector<Table>& Tables() {
  static const std::vector<Table> tables = {
      {kLedgerTables[0],
       {{"job_key", "TEXT NOT NULL"},
        {"store", "TEXT NOT NULL"},
        {"ledger_id", "TEXT NOT NULL"},
        {"run_id", "TEXT NOT NULL"},
        {"run_number", "BIGINT NOT NULL"},
        {"epoch", "BIGINT NOT NULL"},
        {"stage_id", "TEXT NOT NULL"},
        {"host", "TEXT NOT NULL"},
        {"table_name", "TEXT NOT NULL"},
        {"state", "TEXT NOT NULL"},
        {"stage_rows", "BIGINT NOT NULL"},
        {"sent", "BIGINT NOT NULL"},
        {"stored", "BIGINT NOT NULL"},
        {"superseded", "BIGINT NOT NULL"},
        {"unmatched", "BIGINT NOT NULL"},
        {"rejected", "BIGINT NOT NULL"},
        {"opened_at", "TEXT NOT NULL"},
        {"finished_at", "TEXT"}},
       "job_key, store"},
      {kLedgerTables[1],
       {{"run_id", "TEXT NOT NULL"},
        {"store", "TEXT NOT NULL"},
        {"from_row", "BIGINT NOT NULL"},
        {"to_row", "BIGINT NOT NULL"},
        {"epoch", "BIGINT NOT NULL"},
        {"sent", "BIGINT NOT NULL"},
        {"stored", "BIGINT NOT NULL"},
        {"superseded", "BIGINT NOT NULL"},
        {"unmatched", "BIGINT NOT NULL"},
        {"rejected", "BIGINT NOT NULL"},
        {"committed_at", "TEXT"}},
       "run_id, store, from_row"},
      {kLedgerTables[2],
       {{"run_id", "TEXT NOT NULL"},
        {"store", "TEXT NOT NULL"},
        {"row_number", "BIGINT NOT NULL"},
        {"reason", "TEXT NOT NULL"},
        {"column_name", "TEXT NOT NULL"},
        {"content", "TEXT NOT NULL"}},
       "run_id, store, \"row_number\""},
  };
  return tables;
}

std::string TypeOf(std::string_view name, std::string type, const Dialect& dialect) {
  // Together they are not more than the 3,072 bytes of InnoDB's longest key.
  static constexpr std::pair<std::string_view, int> kKeys[] = {
      {"job_key", 600}, {"store", 128}, {"run_id", 36}};
  if (dialect.sizes_keys && type.starts_with("TEXT")) {
    const auto* key = std::ranges::find(kKeys, name, &std::pair<std::string_view, int>::first);
    type.replace(0, 4, key != std::end(kKeys) ? fmt::format("VARCHAR({})", key->second) : "LONGTEXT");
  }
  return type;
}

std::string CreateTable(const Table& table, const Dialect& dialect) {
  std::string sql = fmt::format("CREATE TABLE {} (", QuoteName(table.name));
  for (auto [name, type] : table.columns) {
    sql += fmt::format("{} {}, ", QuoteName(name), TypeOf(name, type, dialect));
  }
  return sql + fmt::format("PRIMARY KEY ({})) {}", table.key, dialect.table_options);
}

// The statements that make those that are not there, and add what an earlier version's has not; an error if
// one is there that is someone else's.
Result<std::vector<std::string>> Missing(SqlConnection& connection) {
  std::vector<std::string> statements;
  const Dialect& dialect = connection.dialect();
  for (const Table& table : Tables()) {
    TRANCHE_ASSIGN(Columns columns, connection.ColumnsOf(table.name));
    if (columns.empty()) {
      statements.push_back(CreateTable(table, dialect));
      continue;
    }
    const auto& [last, type] = table.columns.back();
    const bool before = last == kAdded && columns.size() + 1 == table.columns.size();
    if (before) {
      statements.push_back(fmt::format("ALTER TABLE {} ADD COLUMN {} {}", QuoteName(table.name),
                                       QuoteName(last), TypeOf(last, type, dialect)));
      columns.push_back({last, ""});
    }
    if (!std::ranges::equal(columns, table.columns, {}, &Column::name, [](auto& own) { return own.first; })) {
      return Fail(Code::kJob, "table '{}' in the target is not the ledger of this version of Tranche",
                  table.name)
          .Hint("rename that table, or store into another database");
    }
  }
  return statements;
}

constexpr std::array kStates = {"new", "opened", "finished"};

Counts ToCounts(const TextRow& row, size_t from) {
  return {ToNumber(row[from]), ToNumber(row[from + 1]), ToNumber(row[from + 2]), ToNumber(row[from + 3]),
          ToNumber(row[from + 4])};
}

constexpr std::string_view kSeen = "seen";  // a note: rows that were seen committed

constexpr std::string_view kTrust =
    "if nothing else writes there and the rows that are stored may stay, run it with --trust-target";

}  // namespace

Status Ledger::MakeTables() {
  TRANCHE_ASSIGN(const auto missing, Missing(*connection_));
  for (const std::string& statement : missing) TRANCHE_TRY(connection_->Execute(statement));
  return {};
}

Result<std::string> Ledger::Definitions() {
  TRANCHE_ASSIGN(const auto missing, Missing(*connection_));
  std::string sql;
  for (const std::string& statement : missing) sql += statement + ";\n";
  return sql;
}

Status Ledger::CheckTables() {
  TRANCHE_TRY(Missing(*connection_));
  return {};
}

Result<Ledger::Run> Ledger::Open(const SinkContext& context, std::string_view table) {
  clock_ = context.clock;
  job_key_ = context.job_key;
  store_ = context.store;
  run_ = context.run_id;
  Run run;
  if (!connection_->dialect().ddl_commits) TRANCHE_TRY(MakeTables());
  for (const std::string& forgotten : context.forgotten) TRANCHE_TRY(Forget(forgotten));
  TRANCHE_TRY(Enter(context, table, run));
  if (run.state == State::kFinished) return run;
  TRANCHE_TRY(ReadCommitted(context, run.opened));
  TRANCHE_TRY(CheckComplete(run.opened, context));
  return run;
}

Status Ledger::Enter(const SinkContext& context, std::string_view table, Run& run) {
  TRANCHE_ASSIGN(
      auto rows,
      connection_->Query(
          "SELECT ledger_id, run_id, epoch, stage_id, state, host, stage_rows, sent, "
          "stored, superseded, unmatched, rejected, CASE WHEN EXISTS (SELECT 1 FROM "
          "tranche_batch b WHERE b.run_id = r.run_id AND b.store = r.store) THEN 1 ELSE 0 END, run_number "
          "FROM tranche_run r WHERE job_key = $1 AND store = $2",
          {Text(job_key_), Text(store_)}));
  std::string now = FormatTime(context.clock->NowMicros());
  epoch_ = 1;
  if (!rows.empty()) {
    const TextRow& row = rows.front();
    bool finished = row[4] == "finished", same_run = row[1] == run_, ours = row[0] == context.ledger_id;
    epoch_ = ToNumber(row[2]) + 1;
    // One state folder gives each number once.
    if (ours && !same_run && ToNumber(row[13]) >= context.run_number && !context.trust_target &&
        !context.again) {
      return Fail(Code::kData, "store '{}' knows of run {}, which the state folder has forgotten", store_,
                  ToNumber(row[13]))
          .Hint(fmt::format("was state.db restored from an older copy? Put the right one back; {}", kTrust));
    }
    if (!finished && !ours && !context.trust_target && !context.again) {
      return Fail(Code::kData,
                  "store '{}': another state folder began a run of this job here and did not finish it (on "
                  "{})",
                  store_, row[5].value_or("?"))
          .Hint(fmt::format("finish it there, with its .tranche folder; {}", kTrust));
    }
    if (!same_run && !context.trust_target && !context.again) {
      TRANCHE_ASSIGN(const auto lost, context.journal->FinishedAfter(row[1].value_or(""), !finished));
      if (lost) return Lost(*lost);
    }
    if (!same_run) TRANCHE_TRY(context.journal->SetNote(Journal::kAfter, row[1].value_or("")));
    if (same_run && finished) {
      run.state = State::kFinished;
      run.opened.published = true;
      run.opened.counts = ToCounts(row, 7);
      if (int64_t count = ToNumber(row[6]); count > 0) run.opened.committed.Add({0, count});
    } else if (same_run && (row[3] == context.stage_id || ToNumber(row[12]) == 0)) {
      run.state = row[4] == "opened" ? State::kOpened : State::kNew;
    } else if (same_run && !context.trust_target) {
      return Fail(Code::kData, "store '{}' holds batches of this run from other rows than the ones at hand",
                  store_)
          .Hint(fmt::format("the spool was made again since; begin a new run with --again, or {}", kTrust));
    } else {  // a run that is over, that this state folder gave up, or that the user told us to pass over
      if (!finished) {  // what a finished run has left there it keeps
        TRANCHE_TRY(Forget(row[1].value_or("")));
        run.abandoned = row[1].value_or("");
      }
      if (same_run && row[4] == "opened") run.state = State::kOpened;
    }
    TRANCHE_TRY(connection_->Execute(
        "UPDATE tranche_run SET ledger_id = $1, run_id = $2, run_number = $3, epoch = $4, stage_id = $5, "
        "host = $6, "
        "table_name = $7, state = $8, finished_at = CASE WHEN $9 = 1 THEN finished_at END, "
        "sent = CASE WHEN $10 = 1 THEN sent ELSE 0 END "
        "WHERE job_key = $11 AND store = $12",
        {Text(context.ledger_id), Text(run_), Number(context.run_number), Number(epoch_),
         Text(context.stage_id), Text(context.host), Text(std::string(table)),
         Text(kStates[static_cast<int>(run.state)]), Number(run.state == State::kFinished), Number(same_run),
         Text(job_key_), Text(store_)}));
    return {};
  }
  TRANCHE_ASSIGN(auto seen, context.journal->Note(kSeen));
  if (seen && !context.trust_target) {
    return Unknown();
  }
  TRANCHE_TRY(connection_->Execute(
      "INSERT INTO tranche_run VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'new', 0, 0, 0, 0, 0, 0, $10, "
      "NULL)",
      {Text(job_key_), Text(store_), Text(context.ledger_id), Text(run_), Number(context.run_number),
       Number(epoch_), Text(context.stage_id), Text(context.host), Text(std::string(table)), Text(now)}));
  return {};
}

Status Ledger::ReadCommitted(const SinkContext& context, Opened& opened) {
  TRANCHE_TRY(connection_->Each(
      "SELECT from_row, to_row, sent, stored, superseded, unmatched, rejected FROM tranche_batch WHERE "
      "run_id "
      "= $1 AND store = $2 ORDER BY from_row",
      {Text(run_), Text(store_)}, [&](const SqlConnection::Numbers& row) -> Status {
        if (!opened.committed.Add({row[0], row[1]})) {
          return Fail(Code::kInternal, "the ledger of store '{}' holds rows twice, near row {}", store_,
                      row[0]);
        }
        opened.counts += Counts{row[2], row[3], row[4], row[5], row[6]};
        return {};
      }));
  committed_ = opened.committed.rows();
  TRANCHE_ASSIGN(auto seen, context.journal->Note(kSeen));
  return context.trust_target ? Status() : CheckSeen(committed_, ToNumber(seen));
}

Status Ledger::CheckSeen(int64_t there, int64_t seen) const {
  if (there >= seen) return {};
  return Fail(Code::kData, "store '{}' has {} rows of this run, but {} were seen committed there", store_,
              there, seen)
      .Hint(
          "has a standby taken over that had not got them, or was it restored from an older copy? Store the "
          "missing rows once more with --trust-target, or begin a new run with --again");
}

Error Ledger::Lost(int64_t run) const {
  return Fail(Code::kData, "store '{}': run {} is finished here, and the target has lost it or its end",
              store_, run)
      .Hint(
          "has a standby taken over that had not got it, or was it restored from an older copy? Bring the "
          "target back to where it was; or store all inputs once more with --again; or go on without the "
          "rows "
          "that are lost with --trust-target");
}

Error Ledger::Unknown() const {
  return Fail(Code::kData,
              "store '{}': the target no longer knows of this run, which has stored batches there", store_)
      .Hint(
          "has a standby taken over that had not got them, or was it restored, emptied or replaced? Store "
          "all "
          "of this run once more with --trust-target, or begin a new one with --again");
}

Status Ledger::CheckKept() {
  TRANCHE_ASSIGN(const Columns columns, connection_->ColumnsOf(kLedgerTables[0]));
  if (columns.empty()) return Unknown();
  TRANCHE_ASSIGN(auto rows,
                 connection_->Query("SELECT epoch, (SELECT coalesce(sum(sent), 0) FROM tranche_batch "
                                    "WHERE run_id = $1 AND store = $2) FROM tranche_run WHERE "
                                    "job_key = $3 AND store = $2",
                                    {Text(run_), Text(store_), Text(job_key_)}));
  if (rows.empty() || ToNumber(rows[0][0]) < epoch_) return Unknown();
  return ToNumber(rows[0][0]) > epoch_ ? Status() : CheckSeen(ToNumber(rows[0][1]), committed_);
}

Status Ledger::NoteCommitted(const SinkContext& context, int64_t rows) {
  constexpr int64_t kEvery = 1'000'000'000;
  const bool first = committed_ == 0;
  committed_ += rows;
  int64_t now = context.clock->SteadyNanos();
  if (rows > 0 && !first && now - noted_at_ < kEvery) return {};
  noted_at_ = now;
  return context.journal->SetNote(kSeen, std::to_string(committed_));
}

// Every batch adds to its run's count of rows, in its own transaction: lines that went missing since show.
Status Ledger::CheckComplete(const Opened& opened, const SinkContext& context) {
  if (!connection_->dialect().counts_in_run) return {};
  TRANCHE_ASSIGN(auto rows,
                 connection_->Query("SELECT sent FROM tranche_run WHERE job_key = $1 AND store = $2",
                                    {Text(job_key_), Text(store_)}));
  const int64_t noted = ToNumber(rows.at(0).at(0));
  if (noted == opened.counts.sent) return {};
  if (!context.trust_target) {
    return Fail(Code::kData, "store '{}': the ledger has lost lines: {} rows were committed, it knows of {}",
                store_, noted, opened.counts.sent)
        .Hint(
            "was the target restored, or tranche_batch changed? Restore it, or begin a new run with --again");
  }
  TRANCHE_TRY(connection_->Execute("UPDATE tranche_run SET sent = $1 WHERE job_key = $2 AND store = $3",
                                   {Number(opened.counts.sent), Text(job_key_), Text(store_)}));
  return {};
}

Status Ledger::SetState(State state) {
  TRANCHE_TRY(connection_->Execute(
      "UPDATE tranche_run SET state = $1 WHERE job_key = $2 AND store = $3 AND epoch = $4",
      {Text(kStates[static_cast<int>(state)]), Text(job_key_), Text(store_), Number(epoch_)}));
  return {};
}

Result<Ledger::Claim> Ledger::Take(Span span) {
  TRANCHE_ASSIGN(
      int64_t entered,
      connection_->Execute(
          fmt::format("{} INTO tranche_batch SELECT $1, $2, $3, $4, epoch, 0, 0, 0, 0, 0, NULL FROM "
                      "tranche_run WHERE job_key = $5 AND store = $2 AND run_id = $1 AND epoch = $6 {} {}",
                      connection_->dialect().insert_new, connection_->dialect().share_lock,
                      connection_->dialect().or_nothing),
          {Text(run_), Text(store_), Number(span.from), Number(span.to), Text(job_key_), Number(epoch_)}));
  if (entered == 1) return Claim{};
  TRANCHE_ASSIGN(
      auto rows,
      connection_->Query("SELECT sent, stored, superseded, unmatched, rejected, to_row FROM tranche_batch "
                         "WHERE run_id = $1 AND store = $2 AND from_row = $3",
                         {Text(run_), Text(store_), Number(span.from)}));
  if (rows.empty()) return Claim{Claimed::kFenced, {}};
  if (ToNumber(rows[0][5]) != span.to) {
    return Fail(Code::kInternal, "rows from {} on are committed already, up to {} and not {}", span.from,
                ToNumber(rows[0][5]), span.to);
  }
  return Claim{Claimed::kAlready, ToCounts(rows[0], 0)};
}

Status Ledger::AddRejects(const std::vector<Reject>& rejects) {
  for (const Reject& reject : rejects) {
    TRANCHE_TRY(connection_->Execute("INSERT INTO tranche_reject VALUES ($1, $2, $3, $4, $5, $6)",
                                     {Text(run_), Text(store_), Number(reject.row), Text(reject.reason),
                                      Text(reject.column), Text(reject.content)}));
  }
  return {};
}

Status Ledger::Record(Span span, const Counts& counts) {
  if (!counts.balanced() || counts.sent != span.rows()) {
    return Fail(Code::kInternal,
                "the batch from row {} does not balance: {} sent = {} stored + {} superseded + {} unmatched "
                "+ {} rejected",
                span.from, span.rows(), counts.stored, counts.superseded, counts.unmatched, counts.rejected);
  }
  TRANCHE_ASSIGN(
      int64_t updated,
      connection_->Execute(
          "UPDATE tranche_batch SET sent = $1, stored = $2, superseded = $3, unmatched = $4, "
          "rejected = $5, committed_at = $6 WHERE run_id = $7 AND store = $8 AND from_row = $9 AND epoch = "
          "$10",
          {Number(counts.sent), Number(counts.stored), Number(counts.superseded), Number(counts.unmatched),
           Number(counts.rejected), Text(FormatTime(clock_->NowMicros())), Text(run_), Text(store_),
           Number(span.from), Number(epoch_)}));
  if (updated != 1) return Fail(Code::kInternal, "the claim of the batch from row {} is gone", span.from);
  if (!connection_->dialect().counts_in_run) return {};
  TRANCHE_TRY(connection_->Execute(
      "UPDATE tranche_run SET sent = sent + $1 WHERE job_key = $2 AND store = $3 AND epoch = $4",
      {Number(counts.sent), Text(job_key_), Text(store_), Number(epoch_)}));
  return {};
}

Result<Sink::Totals> Ledger::Sum(int64_t rows) {
  TRANCHE_ASSIGN(
      auto finished,
      connection_->Query("SELECT sent, stored, superseded, unmatched, rejected, stage_rows FROM "
                         "tranche_run WHERE job_key = $1 AND store = $2 AND run_id = $3 AND state = "
                         "'finished'",
                         {Text(job_key_), Text(store_), Text(run_)}));
  if (!finished.empty())
    return Sink::Totals{ToCounts(finished[0], 0), ToNumber(finished[0][5]) == rows, std::nullopt};
  // The spans tile [0, rows) if each begins where the one before it ends.
  TRANCHE_ASSIGN(
      auto sums,
      connection_->Query("SELECT coalesce(sum(sent), 0), coalesce(sum(stored), 0), "
                         "coalesce(sum(superseded), 0), coalesce(sum(unmatched), 0), "
                         "coalesce(sum(rejected), 0), coalesce(max(to_row), 0), coalesce(sum(CASE "
                         "WHEN from_row <> preceding THEN 1 ELSE 0 END), 0) "
                         "FROM (SELECT *, coalesce(lag(to_row) OVER (ORDER BY from_row), 0) AS preceding "
                         "FROM tranche_batch WHERE run_id = $1 AND "
                         "store = $2) spans",
                         {Text(run_), Text(store_)}));
  const TextRow& sum = sums.at(0);
  TRANCHE_TRY(CheckSeen(ToNumber(sum[0]), committed_));
  return Sink::Totals{ToCounts(sum, 0), ToNumber(sum[5]) == rows && ToNumber(sum[6]) == 0, std::nullopt};
}

Result<bool> Ledger::Finished() {
  TRANCHE_ASSIGN(
      auto rows,
      connection_->Query(fmt::format("SELECT state FROM tranche_run WHERE job_key = $1 AND store = $2 AND "
                                     "run_id = $3 {}",
                                     connection_->dialect().share_lock.empty() ? "" : "FOR UPDATE"),
                         {Text(job_key_), Text(store_), Text(run_)}));
  return !rows.empty() && rows[0][0] == kStates[static_cast<int>(State::kFinished)];
}

Status Ledger::Finish(int64_t rows, bool keep_batches) {
  TRANCHE_ASSIGN(Sink::Totals totals, Sum(rows));
  if (!totals.tiles) return Fail(Code::kData, "store '{}' has gaps: not all rows are committed", store_);
  const Counts& counts = totals.counts;
  TRANCHE_ASSIGN(int64_t updated,
                 connection_->Execute(
                     "UPDATE tranche_run SET state = 'finished', stage_rows = $1, sent = $2, stored = $3, "
                     "superseded = $4, unmatched = $5, rejected = $6, finished_at = CAST(CURRENT_TIMESTAMP "
                     "AS " +
                         std::string(connection_->dialect().text_type) +
                         ") WHERE job_key = $7 AND store = $8 AND run_id = $9 AND epoch = $10",
                     {Number(rows), Number(counts.sent), Number(counts.stored), Number(counts.superseded),
                      Number(counts.unmatched), Number(counts.rejected), Text(job_key_), Text(store_),
                      Text(run_), Number(epoch_)}));
  if (updated != 1) return Fail(Code::kBusy, "another process has taken over store '{}' of this run", store_);
  return keep_batches ? Status() : Forget(run_);
}

Status Ledger::Forget(const std::string& run) {
  TRANCHE_TRY(connection_->Execute("DELETE FROM tranche_batch WHERE run_id = $1 AND store = $2",
                                   {Text(run), Text(store_)}));
  return {};
}

Result<std::optional<Sink::Standing>> Ledger::Look(const SinkContext& context, std::string_view table) {
  TRANCHE_ASSIGN(const Columns known, connection_->ColumnsOf("tranche_run"));
  if (known.empty()) return std::nullopt;
  TRANCHE_ASSIGN(auto runs,
                 connection_->Query(
                     "SELECT run_id, state, sent, stored, superseded, unmatched, rejected FROM tranche_run "
                     "WHERE job_key = $1 AND store = $2",
                     {Text(context.job_key), Text(context.store)}));
  if (runs.empty()) return std::nullopt;
  Sink::Standing standing{.run_id = runs[0][0].value_or(""),
                          .finished = runs[0][1] == "finished",
                          .counts = ToCounts(runs[0], 2)};
  if (!standing.finished) {
    TRANCHE_ASSIGN(
        auto sums,
        connection_->Query("SELECT coalesce(sum(sent), 0), coalesce(sum(stored), 0), "
                           "coalesce(sum(superseded), 0), coalesce(sum(unmatched), 0), "
                           "coalesce(sum(rejected), 0) FROM tranche_batch WHERE run_id = $1 AND store = $2",
                           {Text(standing.run_id), Text(context.store)}));
    standing.counts = ToCounts(sums.at(0), 0);
  }
  TRANCHE_ASSIGN(const Columns columns, connection_->ColumnsOf(table));
  if (columns.empty()) return standing;
  TRANCHE_ASSIGN(auto rows, connection_->Query("SELECT count(*) FROM " + QuoteName(table)));
  standing.target_rows = ToNumber(rows.at(0).at(0));
  return standing;
}

Result<std::optional<Sink::StoredBatch>> Ledger::BatchOf(const SinkContext& context, int64_t row) {
  TRANCHE_ASSIGN(const Columns columns, connection_->ColumnsOf("tranche_batch"));
  if (columns.empty()) return std::nullopt;
  const std::string committed = FindColumn(columns, "committed_at") != nullptr ? "committed_at" : "NULL";
  TRANCHE_ASSIGN(auto rows,
                 connection_->Query("SELECT from_row, to_row, epoch, sent, stored, superseded, unmatched, "
                                    "rejected, " +
                                        committed +
                                        " FROM tranche_batch WHERE run_id = $1 AND store = $2 AND "
                                        "from_row <= $3 ORDER BY from_row DESC LIMIT 1",
                                    {Text(context.run_id), Text(context.store), Number(row)}));
  if (rows.empty() || ToNumber(rows[0][1]) <= row) return std::nullopt;
  return Sink::StoredBatch{.span = {ToNumber(rows[0][0]), ToNumber(rows[0][1])},
                           .counts = ToCounts(rows[0], 3),
                           .epoch = ToNumber(rows[0][2]),
                           .committed = rows[0][8].value_or(""),
                           .files = {}};
}

Status Ledger::ListRejects(const SinkContext& context, const std::function<Status(Reject)>& take) {
  TRANCHE_ASSIGN(Columns columns, connection_->ColumnsOf("tranche_reject"));
  if (columns.empty()) return {};
  TRANCHE_ASSIGN(
      auto rows,
      connection_->Query("SELECT \"row_number\", reason, column_name, content FROM tranche_reject WHERE "
                         "run_id = $1 AND store = $2 ORDER BY \"row_number\"",
                         {Text(context.run_id), Text(context.store)}));
  for (const TextRow& row : rows) {
    Reject reject;
    reject.origin = "store " + context.store;
    reject.row = ToNumber(row[0]);
    reject.reason = row[1].value_or("");
    reject.column = row[2].value_or("");
    reject.content = row[3].value_or("");
    TRANCHE_TRY(take(std::move(reject)));
  }
  return {};
}

}  // namespace tranche::sql
