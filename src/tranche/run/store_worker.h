// StoreWorker: brings the rows of a stage into one store: opens it, cuts the gaps into batches, writes them
// with retries, several at a time where the store takes that, and at the end compares what the store itself
// counts with what was sent. Used by one thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tranche/base/result.h"
#include "tranche/batch/batch_sizer.h"
#include "tranche/batch/cutter.h"
#include "tranche/connector/sink.h"
#include "tranche/plan/plan.h"
#include "tranche/run/context.h"
#include "tranche/run/spooler.h"
#include "tranche/run/state_journal.h"

namespace tranche {

class StoreWorker {
 public:
  // `rows` of the stage; `sealed` may be null for a direct store.
  static Result<std::unique_ptr<StoreWorker>> Make(RunContext& context, PlannedStore& planned,
                                                   ReportData::Store& report);
  ~StoreWorker();

  // Opens the store and says what is there. `rows`: 0 while the stage grows; SetRows tells them later.
  Status Open(std::shared_ptr<arrow::Schema> schema, std::string stage_id, int64_t rows);
  bool complete() const;  // all spans of [0, rows) are committed
  // All rows before it are committed, or read by a store that takes them as one; the last ones only when they
  // are committed. `on_stored` is called, by any of its threads, when it may have changed.
  int64_t stored_to() const;
  void OnStored(std::function<void()> on_stored) { on_stored_ = std::move(on_stored); }
  // Cuts the gaps and writes them, as the rows come.
  Status Store(const Spool& spool);
  // Before it goes, and another one takes over: what it has added to the run's counts.
  void TakeBack();
  // Gives up what a direct store has journalled: its stage is made anew.
  Status Forget();
  // The whole query goes into the store; used where the stage has no spool.
  Result<Counts> StoreDirect(const SqlText& sql);
  void SetRows(int64_t rows) { sink_context_.rows = rows; }

  // The store's own sums. Error where they do not balance with the stage.
  Status Judge();
  Status Finish();

  // The rejects that the store's own ledger keeps, where they are not too many; after Judge.
  const std::vector<Reject>& rejects() const { return rejects_; }

  Engine& engine() { return *engine_; }  // the session that a direct store's query runs on

  const std::string& name() const { return planned_.store->name; }

 private:
  StoreWorker(RunContext& context, PlannedStore& planned, ReportData::Store& report);
  // Writes one batch at a time; several of them share the batches of a store.
  struct Lane;
  Status MakeLanes();
  Status Write(Lane& lane, Cutter& cutter);
  bool TryAgain(int attempt, int64_t salt);
  Status WriteBatch(Lane& lane, const Batch& batch);
  Result<WriteReport> TryWrite(Lane& lane, const Batch& batch);
  void Note(const WriteReport& report, Span span, double seconds, int retries);
  void Tell() const;  // that stored_to() may have changed
  void Sample(const Spool& spool);
  void ReadRejects();

  RunContext& context_;
  PlannedStore& planned_;
  ReportData::Store& report_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<StateJournal> journal_;
  SinkContext sink_context_;
  Opened opened_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::mutex cutting_;               // of the cutter
  mutable std::mutex mutex_;         // of what is opened, of the report, and of the size of batches
  std::optional<BatchSizer> sizer_;  // where nobody has said how many rows
  std::atomic<bool> failed_ = false;
  std::atomic<int64_t> passed_ = 0;  // rows that a store of one unit has read
  std::function<void()> on_stored_;
  int64_t begun_ = 0;
  std::vector<Reject> rejects_;
};

}  // namespace tranche
