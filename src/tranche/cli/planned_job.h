// A job with its inputs opened and its plan made, nothing written: for `plan` and `preview`.
#pragma once

#include <string>

#include "tranche/cli/session.h"
#include "tranche/plan/plan.h"

namespace tranche {

struct PlannedJob {
  Job job;
  std::vector<std::string> tables;  // of a job that runs once a table: `job` is for the first
  Sources sources;
  Plan plan;
  std::string scratch;  // a folder for standard input, removed with this

  PlannedJob() = default;
  PlannedJob(PlannedJob&&) = default;
  PlannedJob& operator=(PlannedJob&&) = delete;
  ~PlannedJob();
};

Result<PlannedJob> PlanJob(Session& session, const std::string& path);

}  // namespace tranche
