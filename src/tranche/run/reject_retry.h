// Retry of rejects: a run of the same job whose input is a list of rows that an earlier run refused. They go
// on where they were refused: at the step, or in the store. The list is sealed before the run begins, so
// that a retry is resumed like any run, and what it has listed counts as taken for ever: a row is listed
// once, whatever becomes of it. Rows that are refused again are rejects of the retry, and open as such.
//
//   <state>/retry/<run>-<n>.duckdb   the rows, a table
//   <state>/retry/<run>-<n>.json     which they are; written last
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tranche/base/result.h"
#include "tranche/connector/engine.h"
#include "tranche/connector/spec.h"
#include "tranche/job/job.h"
#include "tranche/run/runner.h"
#include "tranche/state/state.h"

namespace tranche {

// A parameter that makes a run of the job a retry; no job can ask for one of that name. Its value names the
// list: "3-1", the first of run 3.
inline constexpr const char* kRetryParameter = "rejects of run";

struct NumberedReject {
  int64_t number = 0;  // from 1, for ever: of the run, then of its finished retries
  Reject reject;
};

struct RejectStanding {
  std::vector<NumberedReject> open;
  int64_t taken = 0;  // by retries
};
// What of `run`'s rejects no retry has taken; the first `most`. `load` loads the job for a run; `folder` has
// the job's state.
Result<RejectStanding> StandingOf(const JobLoader& load, State& state, const std::string& folder,
                                  const RunRecord& run, Engine& engine, int64_t most);

// Removes lists that no run was begun with; under the lock of `rejects retry`.
Status RemoveUnusedLists(const std::string& folder, State& state);

// The parameters of a run's record.
Result<std::map<std::string, std::string>> ParametersOf(const RunRecord& run);
bool IsRetry(const RunRecord& run);
// The retries of `run` that have taken their rows, oldest first: finished, or given up after they had begun
// to store.
Result<std::vector<RunRecord>> RetriesOf(const RunRecord& run, State& state);

// The job from where `origin` refused rows on: without what was done before, and with one input, in place of
// whatever there was. Refused where that would not give what the run would have stored.
Result<Job> JobAfter(Job job, const std::string& origin);

// The same, reading the list of that name in `folder` by `reader` (the source duckdb).
Result<Job> RetryJob(Job job, const SourceSpec& reader, const std::string& folder, const std::string& name);

// Mended rows that take the place of rejects: by their number, as JSON.
using MendedRows = std::map<int64_t, std::string>;
// Reads `file` (csv or json) with the column `number` (or `reject_number`) and those of `columns`.
Result<MendedRows> ReadMended(const std::string& file, const Columns& columns, const Registry& registry,
                              Engine& engine, const std::string& scratch);

// The columns of the rows that `origin` refuses, as the job's inputs are now.
Result<Columns> ColumnsBefore(const Job& job, const std::string& origin, Engine& engine,
                              const std::string& scratch);

// Seals a list of `rejects`, all of one origin, and gives its name.
Result<std::string> SealList(const std::string& folder, int64_t run, const Columns& columns,
                             const std::vector<NumberedReject>& rejects, Engine& engine);

}  // namespace tranche
