// Runner: the one way in which a job runs, new or resumed. It never names a connector.
//
// A run: lock → which run (R18) → record → stages are sealed → stores take their rows → balance → publish →
// finished. Stores begin when every stage is sealed. So, until the first store is opened, a run whose inputs
// have changed can begin anew; from then on it does not look at its inputs any more.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tranche/base/clock.h"
#include "tranche/base/log.h"
#include "tranche/base/result.h"
#include "tranche/connector/engine.h"
#include "tranche/job/job.h"
#include "tranche/run/context.h"
#include "tranche/run/stop.h"

namespace tranche {

// The job with these parameters, as the run with this id would see it.
using JobLoader =
    std::function<Result<Job>(const std::map<std::string, std::string>& set, const std::string& run_id)>;

struct RunResult {
  int64_t run = 0;
  bool nothing_new = false;  // `run` is the one that had done it already
  std::string table;         // of a job that runs once a table
  std::string balance;       // BalanceLine
  std::string report;        // path of the HTML report
  std::vector<std::string> warnings;
};

struct RunEnvironment {
  Engine& engine;
  Clock& clock;
  Logger& log;
  StopSignal& stop;
  std::function<void(const RunResult&)> done;  // is told of each run that ended well
};

// Runs what `set` asks for: an unfinished run comes first; then there may be a second one. A job with many
// tables runs once for each of them (run/tables.h), unless `set` names one.
Status RunJob(const JobLoader& load, const std::map<std::string, std::string>& set, const RunOptions& options,
              RunEnvironment& environment);

// Where a job's state lies, and within it what the engine spills; leftovers of a killed run are removed at
// the next start.
std::string StateFolder(const Job& job, const std::string& asked);
std::string SpillFolder(const std::string& state_folder);

}  // namespace tranche
