#include "tranche/state/state.h"

#include "tranche/base/file.h"
#include "tranche/base/sqlite.h"
#include "tranche/state/schema.h"

namespace tranche {
namespace {

using sqlite::Row;
using sqlite::Statement;

constexpr std::string_view kRunStates[] = {"open", "finished", "abandoned"};

std::string_view Name(RunState state) { return kRunStates[static_cast<size_t>(state)]; }

// Whatever is none of the three is damage; a run that is open can do no harm then.
RunState ParseRunState(std::string_view name) {
  return name == "finished"    ? RunState::kFinished
         : name == "abandoned" ? RunState::kAbandoned
                               : RunState::kOpen;
}

std::string Text(const Statement& row, int index) { return std::string(row.Text(index)); }

class SqliteState : public State {
 public:
  SqliteState(std::unique_ptr<sqlite::Database> database, std::string ledger_id)
      : database_(std::move(database)), ledger_id_(std::move(ledger_id)) {}

  std::string ledger_id() const override { return ledger_id_; }

  Status AddRun(const RunRecord& run, const std::vector<SplitRecord>& splits,
                const std::vector<std::pair<std::string, std::string>>& notes) override {
    return Write([&]() -> Status {
      TRANCHE_TRY(database_->Execute(
          "INSERT INTO run SELECT ?, coalesce(max(number), 0) + 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM run",
          {run.id, std::string(Name(run.state)), run.job_key, run.parameters, run.canonical, run.fingerprint,
           run.started, run.finished, static_cast<int64_t>(run.seed), run.engine, run.outcome, run.summary}));
      for (const auto& [name, value] : notes)
        TRANCHE_TRY(database_->Execute("INSERT INTO note VALUES (?, '', ?, ?)", {run.id, name, value}));
      return InsertSplits(run.id, splits);
    });
  }

  Status ReplaceSplits(const std::string& run, const std::vector<SplitRecord>& splits) override {
    return Write([&]() -> Status {
      TRANCHE_TRY(database_->Execute("DELETE FROM split WHERE run = ?", {run}));
      return InsertSplits(run, splits);
    });
  }

  Status UpdateRun(const RunRecord& run) override {
    return Write([&]() -> Status {
      TRANCHE_TRY(database_->Execute(
          "UPDATE run SET state = ?, finished = ?, outcome = ?, summary = ?, canonical = ? WHERE id = ?",
          {std::string(Name(run.state)), run.finished, run.outcome, run.summary, run.canonical, run.id}));
      return ExpectOne("run", run.id);
    });
  }

  Result<std::vector<RunRecord>> Runs() override {
    return Read<RunRecord>(
        "SELECT id, number, state, job_key, parameters, canonical, fingerprint, started, finished, seed, "
        "engine, "
        "outcome, summary FROM run ORDER BY number",
        {}, [](const Statement& row) {
          return RunRecord{.id = Text(row, 0),
                           .number = row.Int(1),
                           .state = ParseRunState(row.Text(2)),
                           .job_key = Text(row, 3),
                           .parameters = Text(row, 4),
                           .canonical = Text(row, 5),
                           .fingerprint = Text(row, 6),
                           .started = row.Int(7),
                           .finished = row.Int(8),
                           .seed = static_cast<uint64_t>(row.Int(9)),
                           .engine = Text(row, 10),
                           .outcome = Text(row, 11),
                           .summary = Text(row, 12)};
        });
  }

  Result<std::vector<SplitRecord>> Splits(const std::string& run) override {
    return Read<SplitRecord>(
        "SELECT input, split FROM split WHERE run = ? ORDER BY position", {run},
        [](const Statement& row) { return SplitRecord{.input = Text(row, 0), .split = Text(row, 1)}; });
  }

  Result<std::vector<std::string>> FinishedSplits(const std::string& input,
                                                  const std::string& table) override {
    return Read<std::string>(
        "SELECT split FROM split JOIN run ON run.id = split.run WHERE run.state = 'finished' AND input = ? "
        "AND CASE WHEN json_valid(parameters) THEN coalesce(json_extract(parameters, '$.table'), '') ELSE '' "
        "END = ? "
        "ORDER BY run.number, position",
        {input, table}, [](const Statement& row) { return Text(row, 0); });
  }

  Result<std::vector<StageRecord>> Stages(const std::string& run) override {
    return Read<StageRecord>(
        "SELECT name, id, sealed, schema, \"rows\", tallies FROM stage WHERE run = ? ORDER BY number", {run},
        [](const Statement& row) {
          return StageRecord{.name = Text(row, 0),
                             .id = Text(row, 1),
                             .sealed = row.Int(2) != 0,
                             .schema = std::string(row.BlobAt(3)),
                             .rows = row.Int(4),
                             .tallies = Text(row, 5)};
        });
  }

  Status AddStage(const std::string& run, const StageRecord& stage) override {
    return Write([&]() -> Status {
      return database_->Execute(
          "INSERT INTO stage (run, name, id, sealed, schema, \"rows\", tallies) VALUES (?, ?, ?, ?, ?, ?, ?)",
          {run, stage.name, stage.id, int64_t{stage.sealed}, sqlite::Blob{stage.schema}, stage.rows,
           stage.tallies});
    });
  }

  Status DropStage(const std::string& run, const std::string& stage_id) override {
    return Write([&]() -> Status {
      return database_->Execute("DELETE FROM stage WHERE run = ? AND id = ?", {run, stage_id});
    });
  }

  Status AddSegment(const std::string& stage_id, const SegmentInfo& segment,
                    const std::vector<Reject>& rejects) override {
    return Write([&]() -> Status {
      TRANCHE_ASSIGN(std::string run, RunOfUnsealed(stage_id));
      TRANCHE_TRY(database_->Execute(
          "INSERT INTO segment (stage, number, \"from\", \"to\", bytes, checksum, digest, file, behind) "
          "SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 "
          "WHERE (SELECT count(*) = ?2 AND coalesce(max(\"to\"), 0) = ?3 FROM segment WHERE stage = ?1)",
          {stage_id, int64_t{segment.number}, segment.span.from, segment.span.to, segment.bytes,
           segment.checksum, segment.digest, int64_t{segment.file}, segment.behind}));
      if (database_->changes() != 1) {
        return Fail(Code::kInternal, "segment {} does not follow the last one of stage {}", segment.number,
                    stage_id);
      }
      return InsertRejects(run, "segment", LastRow(), rejects);
    });
  }

  Status FileSegment(const std::string& stage_id, const SegmentInfo& segment) override {
    return Write([&]() -> Status {
      TRANCHE_TRY(database_->Execute(
          "UPDATE segment SET file = 1, bytes = ?, checksum = ? WHERE stage = ? AND number = ?",
          {segment.bytes, segment.checksum, stage_id, int64_t{segment.number}}));
      return ExpectOne("segment", fmt::format("{} of stage {}", segment.number, stage_id));
    });
  }

  Status DropSegments(const std::string& stage_id, int64_t row) override {
    return Write([&]() -> Status {
      return database_->Execute("UPDATE segment SET file = 0 WHERE stage = ? AND number > 0 AND \"to\" <= ?",
                                {stage_id, row});
    });
  }

  Status DropStageRejects(const std::string& stage_id, bool of_segments) override {
    return Write([&]() -> Status {
      return database_->Execute(
          "DELETE FROM reject WHERE stage = ?1 OR ?2 AND segment IN (SELECT id FROM "
          "segment WHERE stage = ?1)",
          {stage_id, int64_t{of_segments}});
    });
  }

  Status AddStageRejects(const std::string& stage_id, const std::vector<Reject>& rejects) override {
    if (rejects.empty()) return {};
    return Write([&]() -> Status {
      TRANCHE_ASSIGN(std::string run, RunOfUnsealed(stage_id));
      return InsertRejects(run, "stage", stage_id, rejects);
    });
  }

  Status SealStage(const StageRecord& stage) override {
    return Write([&]() -> Status {
      TRANCHE_TRY(database_->Execute(
          "UPDATE stage SET sealed = 1, schema = ?, \"rows\" = ?, tallies = ? WHERE id = ?",
          {sqlite::Blob{stage.schema}, stage.rows, stage.tallies, stage.id}));
      return ExpectOne("stage", stage.id);
    });
  }

  Result<std::vector<SegmentInfo>> Segments(const std::string& stage_id) override {
    return Read<SegmentInfo>(
        "SELECT number, \"from\", \"to\", bytes, checksum, digest, file, behind FROM segment WHERE stage = ? "
        "ORDER BY number",
        {stage_id}, [](const Statement& row) {
          return SegmentInfo{.number = static_cast<int>(row.Int(0)),
                             .span = {row.Int(1), row.Int(2)},
                             .bytes = row.Int(3),
                             .checksum = Text(row, 4),
                             .digest = Text(row, 5),
                             .behind = Text(row, 7),
                             .file = row.Int(6) != 0};
        });
  }

  Result<std::vector<JournalRecord>> Journal(const std::string& run, const std::string& store) override {
    return Read<JournalRecord>(
        "SELECT \"from\", \"to\", sent, stored, superseded, unmatched, rejected, detail FROM journal "
        "WHERE run = ? AND store = ? ORDER BY \"from\"",
        {run, store}, [](const Statement& row) {
          return JournalRecord{.span = {row.Int(0), row.Int(1)},
                               .sent = row.Int(2),
                               .stored = row.Int(3),
                               .superseded = row.Int(4),
                               .unmatched = row.Int(5),
                               .rejected = row.Int(6),
                               .detail = Text(row, 7)};
        });
  }

  Status AddJournal(const std::string& run, const std::string& store, const JournalRecord& record,
                    const std::vector<Reject>& rejects) override {
    return Write([&]() -> Status {
      // The spans are disjoint, so only the last one that begins before this one's end can overlap it.
      TRANCHE_TRY(database_->Execute(
          "INSERT INTO journal (run, store, \"from\", \"to\", sent, stored, superseded, unmatched, rejected, "
          "detail) "
          "SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10 WHERE coalesce((SELECT \"to\" FROM journal "
          "WHERE run = ?1 AND store = ?2 AND \"from\" < ?4 ORDER BY \"from\" DESC LIMIT 1), 0) <= ?3",
          {run, store, record.span.from, record.span.to, record.sent, record.stored, record.superseded,
           record.unmatched, record.rejected, record.detail}));
      if (database_->changes() != 1) {
        return Fail(Code::kInternal, "rows {} to {} overlap those that store {} has journalled",
                    record.span.from, record.span.to, store);
      }
      return InsertRejects(run, "journal", LastRow(), rejects);
    });
  }

  Status RemoveJournal(const std::string& run, const std::string& store, Span span) override {
    return Write([&]() -> Status {
      return database_->Execute(
          "DELETE FROM journal WHERE run = ? AND store = ? AND \"from\" = ? AND \"to\" = ?",
          {run, store, span.from, span.to});
    });
  }

  Result<std::optional<std::string>> Note(const std::string& run, const std::string& store,
                                          std::string_view name) override {
    TRANCHE_ASSIGN(auto values,
                   Read<std::string>("SELECT value FROM note WHERE run = ? AND store = ? AND name = ?",
                                     {run, store, std::string(name)},
                                     [](const Statement& row) { return Text(row, 0); }));
    return values.empty() ? std::nullopt : std::optional(values.front());
  }

  Status SetNote(const std::string& run, const std::string& store, std::string_view name,
                 std::string_view value) override {
    return Write([&]() -> Status {
      return database_->Execute("INSERT OR REPLACE INTO note VALUES (?, ?, ?, ?)",
                                {run, store, std::string(name), std::string(value)});
    });
  }

  Result<std::vector<StoredReject>> Rejects(const std::string& run, std::string_view origin,
                                            int64_t limit) override {
    return Read<StoredReject>(
        "SELECT id, origin, reason, \"column\", file, line, byte, row, content FROM reject "
        "WHERE run = ?1 AND (?2 = '' OR origin = ?2) ORDER BY id LIMIT ?3",
        {run, std::string(origin), limit}, [](const Statement& row) {
          return StoredReject{.id = row.Int(0),
                              .reject = {.origin = Text(row, 1),
                                         .reason = Text(row, 2),
                                         .column = Text(row, 3),
                                         .file = Text(row, 4),
                                         .line = row.Int(5),
                                         .byte = row.Int(6),
                                         .row = row.Int(7),
                                         .content = Text(row, 8)}};
        });
  }

  Result<std::vector<std::pair<std::string, int64_t>>> SegmentRejectCounts(
      const std::string& stage_id) override {
    return Read<std::pair<std::string, int64_t>>(
        "SELECT origin, count(*) FROM reject WHERE segment IN (SELECT id FROM segment WHERE stage = ?) "
        "GROUP BY origin",
        {stage_id}, [](const Statement& row) { return std::pair(Text(row, 0), row.Int(1)); });
  }

  Result<std::vector<std::pair<std::string, int64_t>>> RejectCounts(const std::string& run) override {
    return Read<std::pair<std::string, int64_t>>(
        "SELECT origin, count(*) FROM reject WHERE run = ? GROUP BY origin ORDER BY min(id)", {run},
        [](const Statement& row) { return std::pair(Text(row, 0), row.Int(1)); });
  }

 private:
  // Does `write` in one transaction: all of it is durable, or nothing has happened.
  template <typename Function>
  Status Write(Function write) {
    std::lock_guard lock(mutex_);
    Status status = database_->Execute("BEGIN IMMEDIATE");
    if (status) status = write();
    if (status) status = database_->Execute("COMMIT");
    if (status) return {};
    // The first error is the one to tell; a transaction that cannot even be rolled back ends with the
    // process.
    if (database_->in_transaction()) (void)database_->Execute("ROLLBACK");
    return ExplainStateError(std::move(status).error());
  }

  template <typename T, typename Function>
  Result<std::vector<T>> Read(std::string_view sql, const Row& values, Function take) {
    std::lock_guard lock(mutex_);
    std::vector<T> records;
    Status status = [&]() -> Status {
      TRANCHE_ASSIGN(Statement statement, database_->Prepare(sql));
      for (size_t i = 0; i < values.size(); ++i) statement.Bind(static_cast<int>(i) + 1, values[i]);
      while (true) {
        TRANCHE_ASSIGN(bool more, statement.Step());
        if (!more) return {};
        records.push_back(take(statement));
      }
    }();
    if (!status) return ExplainStateError(std::move(status).error());
    return records;
  }

  Status InsertSplits(const std::string& run, const std::vector<SplitRecord>& splits) {
    int64_t position = 0;
    for (const SplitRecord& split : splits) {
      TRANCHE_TRY(database_->Execute("INSERT INTO split VALUES (?, ?, ?, ?)",
                                     {run, position++, split.input, split.split}));
    }
    return {};
  }

  // `owner` is a column of the table reject.
  Status InsertRejects(const std::string& run, std::string_view owner, const sqlite::Value& id,
                       const std::vector<Reject>& rejects) {
    if (rejects.empty()) return {};
    TRANCHE_ASSIGN(
        Statement insert,
        database_->Prepare(fmt::format(
            "INSERT INTO reject (run, {}, origin, reason, \"column\", file, line, byte, row, content) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            owner)));
    insert.BindText(1, run);
    insert.Bind(2, id);
    for (const Reject& reject : rejects) {
      insert.BindText(3, reject.origin);
      insert.BindText(4, reject.reason);
      insert.BindText(5, reject.column);
      insert.BindText(6, reject.file);
      insert.BindInt(7, reject.line);
      insert.BindInt(8, reject.byte);
      insert.BindInt(9, reject.row);
      insert.BindText(10, reject.content);
      TRANCHE_TRY(insert.Step());
      insert.Reset();
    }
    return {};
  }

  Result<std::string> RunOfUnsealed(const std::string& stage_id) {
    TRANCHE_ASSIGN(auto rows,
                   database_->Query("SELECT run FROM stage WHERE id = ? AND sealed = 0", {stage_id}));
    if (rows.empty()) return Fail(Code::kInternal, "stage {} is sealed or unknown", stage_id);
    return std::get<std::string>(rows[0][0]);
  }

  Status ExpectOne(std::string_view what, const std::string& id) {
    if (database_->changes() == 1) return {};
    return Fail(Code::kInternal, "{} {} is not in {}", what, id, database_->path());
  }

  sqlite::Value LastRow() const { return database_->last_row_id(); }

  std::mutex mutex_;
  std::unique_ptr<sqlite::Database> database_;
  std::string ledger_id_;
};

Result<std::unique_ptr<State>> OpenWith(const std::string& path, sqlite::Access access) {
  TRANCHE_ASSIGN(auto database, sqlite::Database::Open(path, access));
  TRANCHE_TRY(access == sqlite::Access::kReadOnly ? CheckTables(*database) : CreateOrCheckTables(*database));
  TRANCHE_ASSIGN(auto rows, database->Query("SELECT ledger_id FROM meta"));
  const auto* ledger_id = rows.size() == 1 ? std::get_if<std::string>(&rows[0][0]) : nullptr;
  if (ledger_id == nullptr) return Fail(Code::kOutside, "{} is damaged: its ledger id is lost", path);
  return std::make_unique<SqliteState>(std::move(database), *ledger_id);
}

}  // namespace

Result<std::unique_ptr<State>> State::Open(const std::string& folder) {
  TRANCHE_TRY(MakeFolders(folder));
  auto state = OpenWith(folder + "/state.db", sqlite::Access::kCreate);
  if (!state) return ExplainStateError(std::move(state).error());
  return state;
}

Result<std::unique_ptr<State>> State::OpenReadOnly(const std::string& folder) {
  std::string path = folder + "/state.db";
  if (!Exists(path)) return Fail(Code::kOutside, "no runs yet in {}", folder);
  auto state = OpenWith(path, sqlite::Access::kReadOnly);
  if (!state) return ExplainStateError(std::move(state).error());
  return state;
}

}  // namespace tranche
