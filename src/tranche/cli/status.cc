#include <filesystem>
#include <memory>

#include "tranche/base/file.h"
#include "tranche/cli/commands.h"
#include "tranche/cli/table.h"
#include "tranche/run/balance.h"

namespace tranche {
namespace {

// "held" where a process has the lock now.
bool IsRunning(const std::string& folder) {
  const std::string path = folder + "/lock";
  if (!Exists(path)) return false;
  return !FileLock::Probe(path);
}

std::string StateName(const RunRecord& run, bool running) {
  switch (run.state) {
    case RunState::kFinished:
      return "finished";
    case RunState::kAbandoned:
      return "given up";
    case RunState::kOpen:
      return running ? "running" : "unfinished";
  }
  return "";
}

// What a run has come to, as far as it has said.
std::string Summary(const RunRecord& run, bool running) {
  const auto report = ParseSummary(run.summary);
  if (report && !report->inputs.empty()) return BalanceLine(*report);
  if (!run.outcome.empty() || run.state != RunState::kOpen) return run.outcome;
  return running ? "" : "was killed; run the job again, it resumes";
}

Status ShowRuns(const std::string& title, const std::string& folder) {
  TRANCHE_ASSIGN(auto state, State::OpenReadOnly(folder));
  TRANCHE_ASSIGN(const auto runs, state->Runs());
  const bool running = IsRunning(folder);
  std::vector<TextRow> rows;
  for (const RunRecord& run : runs) {
    const bool this_one = running && &run == &runs.back();
    rows.push_back({fmt::format("{}", run.number), FormatTime(run.started).substr(0, 19),
                    StateName(run, this_one), run.parameters == "{}" ? "" : run.parameters,
                    Summary(run, this_one)});
  }
  fmt::print("{}\n{}", title, FormatTable({"run", "started", "state", "parameters", "rows"}, rows, 120));
  return {};
}

Status ShowRun(State& state, const std::string& folder, int64_t number) {
  TRANCHE_ASSIGN(const RunRecord run, FindRun(state, number));
  const bool running = IsRunning(folder);
  fmt::print("run {}: {}\nstarted   {}\n", run.number, StateName(run, running), FormatTime(run.started));
  if (run.finished > 0) fmt::print("finished  {}\n", FormatTime(run.finished));
  const std::string summary = Summary(run, running);
  if (!run.outcome.empty() && run.outcome != summary) fmt::print("outcome   {}\n", run.outcome);
  if (!summary.empty()) fmt::print("{}\n", summary);
  TRANCHE_ASSIGN(const auto stages, state.Stages(run.id));
  for (const StageRecord& stage : stages) {
    fmt::print("stage {}: {}\n", stage.name,
               stage.sealed ? FormatCount(stage.rows) + " rows" : "not complete");
  }
  TRANCHE_ASSIGN(const auto rejects, state.RejectCounts(run.id));
  for (const auto& [origin, count] : rejects) fmt::print("rejected  {}: {}\n", origin, FormatCount(count));
  return {};
}

// Without a job: every state folder below this one.
Status ShowAll(const std::string& root) {
  const std::string folder = root.empty() ? ".tranche" : root;
  int shown = 0;
  std::error_code ignored;
  std::filesystem::recursive_directory_iterator entries(folder, ignored);
  for (; entries != std::filesystem::recursive_directory_iterator(); ++entries) {
    const auto& entry = *entries;
    if (entry.path().filename() == "prove") entries.disable_recursion_pending();  // trials are no runs
    if (entry.path().filename() != "state.db") continue;
    const std::string job = std::filesystem::relative(entry.path().parent_path(), folder).string();
    TRANCHE_TRY(ShowRuns("job " + job, entry.path().parent_path().string()));
    ++shown;
  }
  if (shown == 0)
    return Fail(Code::kJob, "nothing has run here: there is no state in '{}'", folder)
        .Hint("name a job file");
  return {};
}

}  // namespace

Status StatusCommand(Session& session, const StatusFlags& flags) {
  if (flags.path.empty()) return ShowAll(session.flags().state);
  TRANCHE_ASSIGN(const Job job, session.Load(flags.path, session.set(), NewId(), /*offline=*/true));
  if (flags.run == 0) return ShowRuns("job " + job.name, session.FolderOf(job));
  TRANCHE_ASSIGN(auto state, session.OpenState(job));
  return ShowRun(*state, session.FolderOf(job), flags.run);
}

}  // namespace tranche
