// StoreWorker: brings the rows of a sealed stage into one store: opens it, cuts the gaps into batches, writes
// them with retries, and at the end compares what the store itself counts with what was sent. One thread a
// worker.
#pragma once

#include <memory>
#include <string>

#include "tranche/base/result.h"
#include "tranche/connector/sink.h"
#include "tranche/plan/plan.h"
#include "tranche/run/context.h"
#include "tranche/run/spooler.h"

namespace tranche {

class StoreWorker {
 public:
  // `rows` of the stage; `sealed` may be null for a direct store.
  static Result<std::unique_ptr<StoreWorker>> Make(RunContext& context, PlannedStore& planned,
                                                   ReportData::Store& report);
  ~StoreWorker();

  // Opens the store and says what is there.
  Status Open(std::shared_ptr<arrow::Schema> schema, std::string stage_id, int64_t rows);
  bool complete() const;  // all spans of [0, rows) are committed
  // Cuts the gaps and writes them.
  Status Store(const SealedStage& stage);
  // Gives up what a direct store has journalled: its stage is made anew.
  Status Forget();
  // The whole query goes into the store; used where the stage has no spool.
  Result<Counts> StoreDirect(const SqlText& sql);
  // Once a direct stage knows how many rows it has.
  void SetRows(int64_t rows) { sink_context_.rows = rows; }

  // The store's own sums. Error where they do not balance with the stage.
  Status Judge();
  Status Finish();

  // The first rejects that the store's own ledger keeps; after Judge.
  const std::vector<Reject>& rejects() const { return rejects_; }

  Engine& engine() { return *engine_; }  // the session that a direct store's query runs on

  const std::string& name() const { return planned_.store->name; }

 private:
  StoreWorker(RunContext& context, PlannedStore& planned, ReportData::Store& report);
  Status WriteBatch(const Batch& batch);
  Result<WriteReport> TryWrite(const Batch& batch);
  void Note(const WriteReport& report, int64_t rows, double seconds);
  void Sample(const SealedStage& stage);

  class StateJournal;

  RunContext& context_;
  PlannedStore& planned_;
  ReportData::Store& report_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<StateJournal> journal_;
  SinkContext sink_context_;
  Opened opened_;
  int64_t allowed_ = 0;  // rejects that the budget has counted for the batch in hand
  int64_t begun_ = 0;
  std::vector<Reject> rejects_;
};

}  // namespace tranche
