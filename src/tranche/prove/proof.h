// Prove: runs a job on some of its rows into scratch targets, kills it at every durable action that it comes
// by and at random moments, lets it resume (and kills it while it does), and compares what is stored then
// with what an undisturbed run has stored. The user's targets and state are only read.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tranche/base/clock.h"
#include "tranche/base/log.h"
#include "tranche/base/result.h"
#include "tranche/connector/engine.h"
#include "tranche/connector/spec.h"
#include "tranche/prove/launch.h"
#include "tranche/prove/rehearsal.h"
#include "tranche/run/runner.h"

namespace tranche {

struct ProofOptions {
  int64_t rows = 10'000;  // of each input that flows
  int64_t kills = 20;     // at random moments
  uint64_t seed = 0;      // of these
  std::string folder;     // of its own; removed at the end, unless something went wrong
  // What `tranche run` is started with, for the run that `load` loads; --scratch comes from here.
  std::vector<std::string> arguments;
  std::string version;  // of tranche
};

struct ProofEnvironment {
  const Registry& registry;
  JobLoader load;
  std::map<std::string, std::string> parameters;                 // for `load`
  Engine& engine;                                                // reads the inputs
  std::function<Result<std::unique_ptr<Engine>>()> make_engine;  // for reading back, one a trial
  Clock& clock;
  Logger& log;
  StopSignal& stop;
};

struct Certificate {
  struct Store {
    std::string name, connector, guarantee;
    int64_t rows = 0;
    int64_t rows_a_batch = 0;           // 0: one unit
    std::vector<std::string> left_out;  // columns that come out differently each time
  };
  struct Trial {
    std::vector<Kill> kills;  // that took place
    Kill first;               // that was meant to
    std::vector<std::string> problems;
  };
  std::string job, job_file;
  std::string version, engine;
  uint64_t seed = 0;
  int64_t made = 0;  // micros
  double seconds = 0;
  std::vector<KeptInput> inputs;
  std::vector<Store> stores;
  int64_t rejects = 0;
  bool rejected_rows = true;  // their content was compared too
  std::vector<Trial> trials;
  std::string kept;  // the folder, where something went wrong

  int64_t kills() const;
  int64_t failed() const;  // trials
};

Result<Certificate> Prove(const ProofOptions& options, ProofEnvironment& environment);

}  // namespace tranche
