// What the parts of one run share.
#pragma once

#include <algorithm>
#include <atomic>
#include <string>

#include "tranche/base/clock.h"
#include "tranche/base/log.h"
#include "tranche/connector/engine.h"
#include "tranche/job/job.h"
#include "tranche/plan/plan.h"
#include "tranche/report/report.h"
#include "tranche/run/budget.h"
#include "tranche/run/inputs.h"
#include "tranche/run/stop.h"
#include "tranche/state/state.h"

namespace tranche {

// How to run; nothing here changes what is stored.
struct RunOptions {
  std::string state_folder;  // "" = .tranche/<job name>/ beside the job file
  bool again = false;        // a new run even if nothing is new; gives up an unfinished one that can't go on
  bool yes = false;          // answers the question of --again on an append store
  bool trust_target = false;
  bool keep_batches = false;     // this start asks for it; see run/kept.h
  std::optional<int64_t> limit;  // rows of each input that flows
  std::optional<uint64_t> seed;  // of the steps that choose by chance; else it is chosen by chance itself
  int64_t memory = 0;            // bytes; what `memory:` or the machine says
  int threads = 0;
  std::optional<int64_t> segment_bytes;  // of a spool; for tests and `prove`, which have few rows
  std::string version;                   // of tranche
};

// Counters that the progress line shows.
struct ProgressCounters {
  std::atomic<int64_t> rows_read = 0;  // into spools
  std::atomic<int64_t> rows_to_store = 0;
  std::atomic<int64_t> rows_stored = 0;
  std::atomic<int64_t> bytes_stored = 0;
  std::atomic<int64_t> batches = 0;
  std::atomic<int64_t> rejects = 0;
};

struct RunContext {
  const Job& job;
  const RunOptions& options;
  // An unfinished run, in this start: by --again, or because the job was changed in time.
  bool gave_up = false;
  bool keeps = false;                  // by --keep-batches of this start or an earlier one
  bool places = false;                 // of its first start: then rows carry where they stood in their inputs
  std::vector<std::string> forgotten;  // ids of runs that kept, and need not any more
  std::string folder;                  // the job's state folder
  State& state;
  RunRecord& run;
  Engine& engine;
  Clock& clock;
  Logger& log;
  StopSignal& stop;
  RejectBudget& budget;
  ReportData& report;
  ProgressCounters& progress;

  // Of what `memory:` promises, what a batch of each store may hold.
  int64_t BatchMemory() const {
    int64_t stores = 0;
    for (const Body& body : job.bodies) stores += std::ssize(body.stores);
    return std::max<int64_t>(options.memory / 8 / std::max<int64_t>(stores, 1), 1 << 20);
  }
  InputsContext Inputs() const {
    return {.engine = &engine,
            .scratch = RunFolder(),
            .state = &state,
            .parameters = &job.values,
            .stop = &stop,
            .log = &log,
            .places = places};
  }
  std::string RunFolder() const { return folder + "/run/" + run.id; }  // standard input is kept there
  std::string SpoolFolder(const std::string& stage_id) const { return folder + "/spool/" + stage_id; }
};

}  // namespace tranche
