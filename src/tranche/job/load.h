// Loads a job file: YAML → nodes with places → Job, with all mistakes at once.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tranche/base/clock.h"
#include "tranche/base/file.h"
#include "tranche/connector/engine.h"
#include "tranche/connector/spec.h"
#include "tranche/job/job.h"

namespace tranche {

struct LoadContext {
  const Registry* registry = nullptr;
  Engine* engine = nullptr;                // for the syntax of expressions (parses only); may be null
  Clock* clock = nullptr;                  // for `today`
  std::map<std::string, std::string> set;  // --set name=value
  // The job file, and those that it names; at most so many bytes.
  std::function<Result<std::string>(const std::string& path, int64_t max_bytes)> read = ReadFile;
  std::function<std::optional<std::string>(const std::string&)> environment;  // ${env:X}
  std::function<std::optional<std::string>(const std::string&)> secret;       // ${secret:X}
  std::string run_id;                                                         // ${run:id}
  bool offline = false;  // validate: secrets and parameters without default need no value
};

struct Loaded {
  Job job;                    // usable only if errors is empty
  std::vector<Error> errors;  // in order of the file
  std::vector<Error> warnings;
};

Loaded LoadJob(const std::string& path, const LoadContext& context);

}  // namespace tranche
