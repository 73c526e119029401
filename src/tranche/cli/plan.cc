#include <memory>

#include <fmt/ranges.h>

#include "tranche/cli/commands.h"
#include "tranche/cli/planned_job.h"
#include "tranche/run/tables.h"

namespace tranche {
namespace {

// What a run of this job would take up again; of a job that runs once a table, any of its tables'.
std::string DescribeResume(Session& session, const Job& job) {
  auto state = session.OpenState(job);
  if (!state) return "";
  auto runs = (*state)->Runs();
  if (!runs) return "";
  std::string text;
  for (const RunRecord& run : *runs) {
    if (run.state != RunState::kOpen) continue;
    const std::string table = TableOfRun(run);
    text += fmt::format("\nrun {}{} is unfinished, begun {}: it is resumed first\n", run.number,
                        table.empty() ? "" : fmt::format(" of table '{}'", table), FormatTime(run.started));
    auto stages = (*state)->Stages(run.id);
    if (!stages) continue;
    for (const StageRecord& stage : *stages) {
      text += stage.sealed ? fmt::format("  stage '{}' is sealed: {} rows are not read again\n", stage.name,
                                         FormatCount(stage.rows))
                           : fmt::format("  stage '{}' is not complete: it is made again\n", stage.name);
    }
  }
  return text;
}

}  // namespace

Status PlanCommand(Session& session, const PlanFlags& flags) {
  TRANCHE_ASSIGN(const PlannedJob planned, PlanJob(session, flags.path));
  session.SayWarnings();
  if (!planned.tables.empty()) {
    fmt::print("runs once for each of these tables: {}\nthe plan of '{}':\n\n",
               fmt::join(planned.tables, ", "), planned.tables.front());
  }
  fmt::print("{}{}", ExplainPlan(planned.job, planned.plan, planned.sources),
             DescribeResume(session, planned.job));
  for (const std::string& warning : planned.plan.warnings) session.log().Warn(warning);
  return {};
}

}  // namespace tranche
