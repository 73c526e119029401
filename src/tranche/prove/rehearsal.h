// Rehearsal: a job as `prove` runs it. Its steps and stores are the user's; its inputs are rows that were
// read once and kept, and its targets are others of the same kind, where nobody else looks.
//
//   <folder>/rows.duckdb      a table an input
//   <folder>/settings.json    what every trial is run with
//   <folder>/<n>/             one trial: state/ and targets/
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tranche/base/result.h"
#include "tranche/connector/engine.h"
#include "tranche/connector/spec.h"
#include "tranche/job/job.h"

namespace tranche {

struct RehearsalSettings {
  uint64_t seed = 0;                            // of the steps that choose by chance
  std::map<std::string, int64_t> rows_a_batch;  // by store; as in the job where it is not named

  static Result<RehearsalSettings> Load(const std::string& folder);
  Status Save(const std::string& folder) const;
};

// What was kept of an input.
struct KeptInput {
  std::string name;
  int64_t rows = 0;
  bool all = false;  // it has no more
};

// Reads the inputs, of each that flows at most `most` rows, and keeps them in `folder`. Rows that the reader
// refuses are left out.
Result<std::vector<KeptInput>> KeepRows(const Job& job, Engine& engine, const std::string& folder,
                                        int64_t most);

class Rehearsal {
 public:
  // `trial` is a folder within the one that KeepRows has filled.
  static Result<Rehearsal> Open(const Registry& registry, const std::string& trial);

  // The job with other inputs and targets. What it needs lives as long as this.
  Result<Job> Rehearse(Job job, Engine& engine) const;
  const RehearsalSettings& settings() const { return settings_; }
  std::string state_folder() const { return trial_ + "/state"; }

  // The targets that do not go with the folder; after Rehearse.
  Status RemoveTargets(const Job& job, Engine& engine) const;

 private:
  Result<ScratchTarget> TargetOf(const Store& store, Engine& engine) const;

  std::string trial_;
  RehearsalSettings settings_;
  SourceSpec kept_;  // reads what was kept
};

}  // namespace tranche
