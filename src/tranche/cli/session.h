// What every command needs: the flags, the connectors, an engine, a log, and the loading of jobs with them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tranche/base/log.h"
#include "tranche/connector/engine.h"
#include "tranche/connector/spec.h"
#include "tranche/job/load.h"
#include "tranche/run/context.h"
#include "tranche/state/state.h"

namespace tranche {

// Flags of all commands; those of one command stand in its own file.
struct Flags {
  std::vector<std::string> set;  // name=value
  std::string state;
  std::string env_file;
  std::string memory;
  int threads = 0;
  std::string engine = "duckdb";
  bool json = false;
  bool quiet = false;
  bool verbose = false;
};

class Session {
 public:
  static Result<std::unique_ptr<Session>> Make(const Flags& flags);

  const Registry& registry() const { return registry_; }
  Logger& log() { return log_; }
  const Flags& flags() const { return flags_; }
  const std::map<std::string, std::string>& set() const { return set_; }
  // Made at the first call: `status` and `docs` need none.
  Result<Engine*> engine();
  int64_t memory() const { return memory_; }
  int threads() const { return threads_; }

  // All mistakes are said at once, in one Error of Code::kJob. With kRetryParameter in `set` it is the job of
  // that retry. Warnings are for `validate` and `plan` to say.
  Result<Job> Load(const std::string& path, const std::map<std::string, std::string>& set,
                   const std::string& run_id, bool offline = false);

  void SayWarnings();  // of the last Load

  // The tables of a job that runs once for each of them; of other jobs, and where --set names one, none.
  Result<std::vector<std::string>> TablesOf(const std::string& path);
  // The values of --set, with that table; "" = as they are.
  std::map<std::string, std::string> SetOf(const std::string& table) const;

  // memory: and threads: of a job, unless a flag says otherwise. What does not fit into memory is spilled
  // beside its state.
  Status Apply(const Job& job);

  // The job's state, without writing anything.
  Result<std::unique_ptr<State>> OpenState(const Job& job);
  std::string FolderOf(const Job& job) const;

 private:
  explicit Session(const Flags& flags);
  Status ReadEnvironmentFile();

  Flags flags_;
  Registry registry_;
  SourceSpec list_reader_;  // of retries
  Logger log_;
  std::map<std::string, std::string> set_;
  std::map<std::string, std::string> environment_;  // of --env-file
  std::vector<Error> warnings_;
  std::unique_ptr<Engine> engine_;
  int64_t memory_ = 0;
  int threads_ = 0;
};

// A run of a job: the one of this number; or (0) the newest, and of one table where there are several.
struct RunChoice {
  int64_t number = 0;
  std::string table;
};
Result<RunRecord> FindRun(State& state, const RunChoice& choice);
// The same, but of the newest ones none that is a retry of rejects.
Result<RunRecord> FindRefusing(State& state, const RunChoice& choice);

}  // namespace tranche
