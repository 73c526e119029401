// Trace: a stored row back to the run, the batch and the file that it came from.
//
// A run that is kept (run/kept.h), or not finished yet, still has its rows as they were sent, each under its
// number. The batch that holds a number is in the ledger of the target. Rows that a step or a reader refused
// have no number: they are found among the rejects of all runs, by the columns of their content.
//
//   TRANCHE_ASSIGN(const Trace trace, TraceRows(load, state, folder, {.where = {{"id", "17"}}}, engine));
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tranche/base/result.h"
#include "tranche/connector/engine.h"
#include "tranche/connector/sink.h"
#include "tranche/run/runner.h"
#include "tranche/run/trace_question.h"
#include "tranche/state/state.h"

namespace tranche {

// What became of a row that was sent to a store.
enum class Fate {
  kStored,
  kDeleted,     // the row of its key
  kSuperseded,  // by a later row of its key in the same batch: `superseded_by`
  kRejected,
  kWaiting,  // of a run that is not finished: no batch has it yet
  kSent,     // what became of it the ledger does not say: `remark`
};

// Where the rows of a stage come from, as far as it is known.
struct InputPlace {
  std::string input;
  std::string file;   // or what else was read; empty: one of several, `files`
  int64_t files = 0;  // of the input
  int64_t line = 0;   // of the file, from 1; 0: not known
};

struct TracedRow {
  std::string store;  // empty: it did not get to one
  Fate fate = Fate::kStored;
  std::string stage;
  int64_t row = -1;  // its number in the stage; -1: it never got one
  std::optional<int64_t> superseded_by;
  std::optional<int64_t> later;  // the last row of its key that the run has in a later batch
  std::optional<Sink::StoredBatch> batch;
  std::string remark;                  // why there is no batch, or what is not known
  std::string origin, reason, column;  // of a reject
  std::vector<InputPlace> from;
  std::string content;  // JSON of the row; the raw line of one that could not be read
};

struct TracedRun {
  RunRecord run;
  bool kept = false;  // its rows were looked into
  std::vector<TracedRow> rows;
  bool more = false;  // there are more than were asked for
  std::vector<std::string> remarks;
};

struct Trace {
  std::vector<TracedRun> runs;  // all, oldest first
};

// `load` loads the job for a run; `folder` has the job's state. An error of Code::kJob where the question
// fits no store, or nothing is found: it says why and what to do.
Result<Trace> TraceRows(const JobLoader& load, State& state, const std::string& folder,
                        const TraceQuestion& question, Engine& engine);

}  // namespace tranche
