#include "tranche/run/store_worker.h"

#include <unistd.h>

#include <future>
#include <thread>

#include "tranche/base/failpoint.h"
#include "tranche/run/state_journal.h"

namespace tranche {

// The first lane works on the worker's session, each other one has its own.
struct StoreWorker::Lane {
  std::unique_ptr<Engine> engine;
  SinkContext context;
  int64_t allowed = 0;  // rejects that the budget has counted for the batch in hand
  bool warm = false;    // it has stored a batch: the first one opens sessions
};

StoreWorker::StoreWorker(RunContext& context, PlannedStore& planned, ReportData::Store& report)
    : context_(context), planned_(planned), report_(report) {}

// The sink works on this worker's session: it must go first.
StoreWorker::~StoreWorker() { planned_.sink.reset(); }

Result<std::unique_ptr<StoreWorker>> StoreWorker::Make(RunContext& context, PlannedStore& planned,
                                                       ReportData::Store& report) {
  std::unique_ptr<StoreWorker> worker(new StoreWorker(context, planned, report));
  TRANCHE_ASSIGN(worker->engine_, context.engine.Fork());
  worker->journal_ = std::make_unique<StateJournal>(context.state, context.run.id, planned.store->name);
  return worker;
}

Status StoreWorker::Open(std::shared_ptr<arrow::Schema> schema, std::string stage_id, int64_t rows) {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  const std::string origin = "store " + name();
  sink_context_ = {.job_key = context_.run.job_key,
                   .store = name(),
                   .run_id = context_.run.id,
                   .run_number = context_.run.number,
                   .stage_id = std::move(stage_id),
                   .ledger_id = context_.state.ledger_id(),
                   .host = host,
                   .trust_target = context_.options.trust_target,
                   .again = context_.options.again || context_.gave_up,
                   .keep_batches = context_.keeps,
                   .forgotten = context_.forgotten,
                   .rows = rows,
                   .engine = engine_.get(),
                   .journal = journal_.get(),
                   .clock = &context_.clock,
                   .try_again = [this](int attempt) { return TryAgain(attempt, 0); },
                   .timeout = planned_.store->retry.timeout};
  TRANCHE_ASSIGN(Opened opened, planned_.sink->Open(std::move(schema), sink_context_));
  {
    const std::scoped_lock lock(mutex_);
    opened_ = std::move(opened);
  }
  TRANCHE_TRY(context_.budget.Add(origin, opened_.counts.rejected));
  context_.progress.rows_stored += opened_.counts.stored;
  if (opened_.counts.sent > 0) {
    const std::string of = rows > 0 ? fmt::format("{}", rows) : "rows that are still being read";
    context_.log.Info("resumed", {{"store", name()}, {"committed", opened_.counts.sent}, {"of", of}});
  }
  begun_ = context_.clock.SteadyNanos();
  Tell();
  return Failpoint("resume.gaps");
}

Status StoreWorker::MakeLanes() {
  const int asked = planned_.store->batch.parallel;
  const int count = std::min({asked > 0 ? asked : context_.options.threads, planned_.store->spec->parallel,
                              planned_.sink->parallel()});
  for (int i = 0; i < std::max(count, 1); ++i) {
    Lane& lane = *lanes_.emplace_back(std::make_unique<Lane>());
    lane.context = sink_context_;
    if (i > 0) {
      TRANCHE_ASSIGN(lane.engine, context_.engine.Fork());
      lane.context.engine = lane.engine.get();
    }
    lane.context.allow_rejects = [this, &lane](int64_t more) -> Status {
      TRANCHE_TRY(context_.budget.Add("store " + name(), more));
      lane.allowed += more;
      return {};
    };
  }
  return {};
}

bool StoreWorker::complete() const {
  return opened_.published || opened_.committed.Tiles(sink_context_.rows);
}

Result<WriteReport> StoreWorker::TryWrite(Lane& lane, const Batch& batch) {
  lane.allowed = 0;
  auto report = planned_.sink->Write(batch, lane.context);
  using Outcome = WriteReport::Outcome;
  if (!report || report->outcome == Outcome::kRolledBack || report->outcome == Outcome::kUnknown) {
    context_.budget.TakeBack("store " + name(), lane.allowed);
  }
  return report;
}

// `salt`: what is retried side by side waits differently.
bool StoreWorker::TryAgain(int attempt, int64_t salt) {
  const RetryPolicy& policy = planned_.store->retry;
  if (attempt >= policy.attempts || context_.stop.requested()) return false;
  context_.clock.Sleep(policy.Pause(attempt, context_.run.seed + static_cast<uint64_t>(salt)));
  return true;
}

// The same span again and again until its outcome is known.
Status StoreWorker::WriteBatch(Lane& lane, const Batch& batch) {
  const int64_t begun = context_.clock.SteadyNanos();
  for (int attempt = 1;; ++attempt) {
    TRANCHE_ASSIGN(WriteReport report, TryWrite(lane, batch));
    switch (report.outcome) {
      case WriteReport::Outcome::kCommitted:
      case WriteReport::Outcome::kAlreadyCommitted: {
        const double seconds = (context_.clock.SteadyNanos() - begun) / 1e9;
        Note(report, batch.span, seconds, attempt - 1);
        if (report.again) {
          context_.log.Warn("these rows may be stored twice",
                            {{"store", name()}, {"from", batch.span.from}, {"to", batch.span.to}});
        }
        {
          const std::scoped_lock lock(mutex_);
          if (sizer_ && lane.warm && attempt == 1) sizer_->Stored(batch.span.rows(), seconds);
          lane.warm = true;
        }
        Tell();
        return {};
      }
      case WriteReport::Outcome::kFenced:
        return Fail(Code::kBusy, "store '{}': another run has taken over", name())
            .Hint("wait until it has ended, then run this again");
      case WriteReport::Outcome::kRolledBack:
      case WriteReport::Outcome::kUnknown: {
        const std::scoped_lock lock(mutex_);
        if (sizer_) sizer_->Refused();
        break;
      }
    }
    TRANCHE_TRY(context_.stop.Check());
    if (!TryAgain(attempt, batch.span.from)) {
      return Fail(Code::kOutside, "store '{}': rows {} to {} could not be stored in {} attempts: {}", name(),
                  batch.span.from, batch.span.to, attempt, report.message)
          .Hint("run it again to resume");
    }
  }
}

void StoreWorker::Tell() const {
  if (on_stored_) on_stored_();
}

int64_t StoreWorker::stored_to() const {
  const std::scoped_lock lock(mutex_);
  return std::max(opened_.committed.prefix(), passed_.load());
}

void StoreWorker::Note(const WriteReport& report, Span span, double seconds, int retries) {
  const std::scoped_lock lock(mutex_);
  opened_.committed.Add(span);
  opened_.counts += report.counts;
  report_.retries += retries;
  report_.bytes += report.bytes;
  report_.batches.Add({.rows = span.rows(), .bytes = report.bytes, .seconds = seconds});
  report_.progress.Add({.seconds = (context_.clock.NowMicros() - context_.run.started) / 1e6,
                        .rows = opened_.counts.stored,
                        .bytes = report_.bytes});
  context_.progress.rows_stored += report.counts.stored;
  context_.progress.bytes_stored += report.bytes;
  context_.progress.rejects += report.counts.rejected;
  ++context_.progress.batches;
}

Status StoreWorker::Store(const Spool& spool) {
  if (planned_.sink->whole()) {
    if (!opened_.published && !(spool.end() != Spool::kEnd && opened_.committed.Tiles(spool.end()))) {
      TakeBack();  // of rows that came from a stage which was read half
      TRANCHE_ASSIGN(std::string reader, RegisterSpool(*engine_, spool, std::nullopt, [this](int64_t row) {
                       passed_ = row;
                       Tell();
                     }));
      SqlText sql("SELECT * FROM ");
      sql << SpoolRelation(spool, reader, /*hidden=*/false);
      auto counts = StoreDirect(sql);
      engine_->Unregister(reader);
      if (!counts) return std::move(counts).error();
      Tell();
    }
    Sample(spool);
    return {};
  }
  TRANCHE_TRY(MakeLanes());
  BatchPolicy policy = planned_.store->batch;
  const int64_t batches = std::ssize(lanes_) * (planned_.sink->makes_ready() ? 2 : 1);
  policy.bytes = std::min<int64_t>(policy.bytes, context_.BatchMemory() / batches);
  if (policy.automatic) sizer_.emplace(policy.rows);
  Cutter cutter(spool, opened_.committed.Gaps(spool.end()), policy);
  std::vector<Status> outcomes(lanes_.size());
  std::vector<std::jthread> threads;
  for (size_t i = 1; i < lanes_.size(); ++i) {
    threads.emplace_back([&, i] { outcomes[i] = Write(*lanes_[i], cutter); });
  }
  outcomes[0] = Write(*lanes_[0], cutter);
  threads.clear();
  if (sizer_) report_.chosen_rows = sizer_->rows();
  for (Status& outcome : outcomes) TRANCHE_TRY(std::move(outcome));
  Sample(spool);
  return context_.budget.JudgeEnd("store " + name(), spool.rows());
}

Status StoreWorker::Write(Lane& lane, Cutter& cutter) {
  auto cut = [&]() -> Result<std::optional<Batch>> {
    const std::scoped_lock lock(cutting_);
    if (failed_) return std::nullopt;
    if (sizer_) {
      const std::scoped_lock sizing(mutex_);
      cutter.SetRows(sizer_->rows());
    }
    return cutter.Next();
  };
  auto next = [&]() -> Result<std::optional<Batch>> {
    TRANCHE_ASSIGN(std::optional<Batch> batch, cut());
    if (!batch) return std::nullopt;
    if (!planned_.sink->takes_pieces()) {
      TRANCHE_ASSIGN(batch, Joined(*std::move(batch)));
    }
    TRANCHE_ASSIGN(batch->ready, planned_.sink->Ready(*batch, lane.context));
    return batch;
  };
  const auto when =
      planned_.sink->makes_ready() ? std::launch::async : std::launch::deferred;  // else when it is asked for
  auto write = [&]() -> Status {
    auto coming = std::async(when, next);
    while (true) {
      TRANCHE_TRY(context_.stop.Check());
      TRANCHE_ASSIGN(const std::optional<Batch> batch, coming.get());
      if (!batch) return {};
      coming = std::async(when, next);
      TRANCHE_TRY(WriteBatch(lane, *batch));
    }
  };
  Status written = write();
  if (!written) failed_ = true;
  return written;
}

void StoreWorker::TakeBack() {
  const std::scoped_lock lock(mutex_);  // other stores may ask how far this one is
  context_.budget.TakeBack("store " + name(), opened_.counts.rejected);
  context_.progress.rows_stored -= opened_.counts.stored;
  opened_ = {};
}

Status StoreWorker::Forget() {
  for (const Span& span : opened_.committed.spans()) TRANCHE_TRY(journal_->Remove(span));
  opened_ = {};
  return {};
}

Result<Counts> StoreWorker::StoreDirect(const SqlText& sql) {
  StopSignal::Watch watch(context_.stop, *engine_);
  const int64_t begun = context_.clock.SteadyNanos();
  auto counts = planned_.sink->WriteDirect({sql, &context_.job.values}, sink_context_);
  TRANCHE_TRY(context_.stop.Check());
  if (!counts) return std::move(counts).error();
  Note({.counts = *counts}, {0, counts->sent}, (context_.clock.SteadyNanos() - begun) / 1e9, 0);
  return *counts;
}

Status StoreWorker::Judge() {
  report_.seconds += (context_.clock.SteadyNanos() - begun_) / 1e9;
  TRANCHE_ASSIGN(const Sink::Totals totals, planned_.sink->Sum(sink_context_));
  report_.counts = totals.counts;
  ReadRejects();
  const int64_t rows = sink_context_.rows;
  if (totals.counts.sent != rows || !totals.counts.balanced() || !totals.tiles) {
    return Fail(Code::kData,
                "store '{}' does not balance: {} rows of the stage; the store says {} sent = {} stored + {} "
                "superseded + {} unmatched + {} rejected{}",
                name(), rows, totals.counts.sent, totals.counts.stored, totals.counts.superseded,
                totals.counts.unmatched, totals.counts.rejected, totals.tiles ? "" : ", with gaps")
        .Hint("look into the target's tranche_batch, or at the parts; nothing was published");
  }
  if (totals.target_rows && *totals.target_rows != totals.counts.stored) {
    return Fail(Code::kData, "store '{}' does not balance: {} rows were stored, {} are in its files", name(),
                totals.counts.stored, *totals.target_rows);
  }
  return {};
}

// For the report, which is as good without them: where there are very many, they stay in the target.
void StoreWorker::ReadRejects() {
  constexpr int64_t kMost = 10'000;
  rejects_.clear();
  if (report_.counts.rejected == 0 || report_.counts.rejected > kMost) return;
  const Status listed = planned_.sink->ListRejects(sink_context_, [&](Reject reject) -> Status {
    rejects_.push_back(std::move(reject));
    return {};
  });
  if (!listed) rejects_.clear();
}

Status StoreWorker::Finish() {
  TRANCHE_TRY(planned_.sink->Finish(sink_context_));
  report_.published = true;
  return Failpoint("store.finished");
}

namespace {

constexpr int64_t kSampleRows = 1000;
constexpr int64_t kSampleText = 500;       // characters of a value
constexpr int64_t kSampleReads = 400'000;  // beyond that many rows only the first are looked at

}  // namespace

// A sample is for the report: without one the run is as good.
void StoreWorker::Sample(const Spool& spool) {
  // The first segment is always there.
  const std::vector<SegmentInfo> segments = spool.segments();
  const bool whole = std::ranges::all_of(segments, &SegmentInfo::file);
  const int64_t there = whole ? spool.rows() : segments.front().span.to;
  auto reader = RegisterSpool(*engine_, spool, there);
  if (!reader) return;
  const std::string rows = SpoolRelation(spool, *reader, /*hidden=*/false).text();
  const int64_t stride = !whole || there > kSampleReads ? 1 : (there + kSampleRows - 1) / kSampleRows;
  std::string sql = fmt::format("FROM {} LIMIT {}", rows, kSampleRows);
  if (stride > 1) {
    sql =
        fmt::format("FROM (SELECT *, row_number() OVER () AS __tranche_n FROM {}) WHERE __tranche_n % {} = 1",
                    rows, stride);
  }
  sql = fmt::format("SELECT left(COLUMNS(c -> c <> '__tranche_n')::VARCHAR, {}) {}", kSampleText, sql);
  if (auto columns = engine_->Bind({SqlText("SELECT * FROM " + rows), nullptr}); columns) {
    if (auto sample = engine_->Select({SqlText(sql), nullptr}); sample) {
      report_.sample = {.columns = *std::move(columns),
                        .rows = *std::move(sample),
                        .spread = stride > 1 || there <= kSampleRows};
    }
  }
  engine_->Unregister(*reader);
}

}  // namespace tranche
