// Runs of a job with many tables: one for each table, one after the other. A table that fails keeps no other
// from being run.
//
// A *pass* is such a row of runs. What it has done is what state.db says of the runs that came after it had
// begun; that and with which parameters stands in <state folder>/tables.json until each of its tables is
// done. A pass that was not finished is taken up again, as a run is (R18): before another one begins, and
// with its own parameters.
//
//   {"passes": [{"parameters": {"day": "2026-11-20"}, "limit": null, "after": 12}]}
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tranche/run/runner.h"
#include "tranche/state/state.h"

namespace tranche {

// The names of the job's tables, in the order in which they are run. Asks the database.
Result<std::vector<std::string>> ListTables(const Job& job, Engine& engine, const StopSignal* stop);

// The table that a run is for; empty where there is none, or its record cannot be read.
std::string TableOfRun(const RunRecord& run);

// Names a job and its parameters: where the ledgers have what was stored.
std::string JobKey(const std::string& job, const std::map<std::string, std::string>& parameters,
                   std::optional<int64_t> limit);

// The job's lock is held.
struct TableRuns {
  const JobLoader& load;
  const RunOptions& options;
  RunEnvironment& environment;
  State& state;
  std::string folder;  // the job's state folder
  std::function<Status(const std::map<std::string, std::string>& set)>
      run;  // a table, or the rest of its run
  std::function<Status(const RunRecord& run)> resume;
  std::function<Status(const RunRecord& run, std::string why)> give_up;
};

// `job`: with no table chosen. The error is that of the worst table, and says which are not done.
Status RunTables(const Job& job, const std::map<std::string, std::string>& set, const TableRuns& runs);

}  // namespace tranche
