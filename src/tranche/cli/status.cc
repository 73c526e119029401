#include <filesystem>
#include <map>
#include <memory>

#include "tranche/base/file.h"
#include "tranche/cli/commands.h"
#include "tranche/cli/table.h"
#include "tranche/run/balance.h"
#include "tranche/run/kept.h"
#include "tranche/run/reject_list.h"
#include "tranche/run/reject_retry.h"
#include "tranche/run/state_journal.h"
#include "tranche/run/tables.h"

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

// `table`: only its runs; "" = all.
Status ShowRuns(const std::string& title, const std::string& folder, const std::string& table = "") {
  TRANCHE_ASSIGN(auto state, State::OpenReadOnly(folder));
  TRANCHE_ASSIGN(const auto runs, state->Runs());
  const bool running = IsRunning(folder);
  std::vector<TextRow> rows;
  for (const RunRecord& run : runs) {
    TRANCHE_ASSIGN(const auto parameters, ParametersOf(run));
    if (!table.empty() && TableOf(parameters) != table) continue;
    const bool this_one = running && &run == &runs.back();
    rows.push_back({fmt::format("{}", run.number), FormatTime(run.started).substr(0, 19),
                    StateName(run, this_one), run.parameters == "{}" ? "" : run.parameters,
                    Summary(run, this_one)});
  }
  fmt::print("{}\n{}", title, FormatTable({"run", "started", "state", "parameters", "rows"}, rows, 120));
  return {};
}

int64_t BytesIn(const std::string& folder) {
  int64_t bytes = 0;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, ignored)) {
    if (entry.is_regular_file(ignored)) bytes += static_cast<int64_t>(entry.file_size(ignored));
  }
  return bytes;
}

// The runs that `trace` can look into, if there are any.
Status ShowKept(const std::string& folder) {
  TRANCHE_ASSIGN(auto state, State::OpenReadOnly(folder));
  TRANCHE_ASSIGN(const auto runs, KeptRuns(*state, folder));
  std::string kept;
  for (const RunRecord& run : runs) {
    kept += fmt::format("{}run {} ({})", kept.empty() ? "" : ", ", run.number,
                        FormatBytes(BytesIn(KeptFolder(folder, run.number))));
  }
  if (!kept.empty()) fmt::print("kept for trace: {}\n", kept);
  return {};
}

Status ShowRun(State& state, const std::string& folder, int64_t number) {
  TRANCHE_ASSIGN(const RunRecord run, FindRun(state, {number, ""}));
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
  const std::string kept = KeptFolder(folder, run.number);
  if (Exists(kept)) fmt::print("kept      {} in {}\n", FormatBytes(BytesIn(kept)), kept);
  return {};
}

std::string Rows(int64_t rows, std::string_view words) {
  return fmt::format("{} {} {}", FormatCount(rows), rows == 1 ? "row is" : "rows are", words);
}

// What state.db has of a store, the target's ledger, and the rows that lie there: whether they agree.
std::string Verdict(const Store& store, const RunRecord& run, int64_t retried,
                    const Sink::Standing& standing) {
  const int64_t stored = standing.counts.stored;
  if (standing.run_id != run.id) return "differs: the target's ledger knows another run last";
  if (run.state == RunState::kOpen) return Rows(stored, "stored so far, says the target");
  if (run.state == RunState::kAbandoned) return Rows(stored, "there of a run that was given up");
  if (!standing.finished)
    return fmt::format("differs: run {} is finished, and the target's ledger says it is not", run.number);
  const auto report = ParseSummary(run.summary);
  for (const auto& known : report ? report->stores : std::vector<ReportData::Store>()) {
    if (known.name != store.name || known.counts == standing.counts) continue;
    return fmt::format("differs: {}, says the target's ledger; state.db says {}", Rows(stored, "stored"),
                       FormatCount(known.counts.stored));
  }
  if (!standing.target_rows) return "agrees: " + Rows(stored, "stored");
  // Others may add rows to a table, and what a key replaces or deletes leaves no row of its own.
  const int64_t there = *standing.target_rows;
  const std::string mode = store.mode();
  const bool fewer = (mode == "append" || mode == "replace") && there < stored + retried;
  const bool more = mode == "replace" && there > stored;
  return fmt::format("{}: {}{}, {} there", fewer || more ? "differs" : "agrees", Rows(stored, "stored"),
                     retried > 0 ? fmt::format(", {} more by retries", FormatCount(retried)) : "",
                     FormatCount(there));
}

// Rows that finished retries of the run's rejects have stored.
Result<int64_t> RetriedInto(const Store& store, State& state, const RunRecord& run) {
  TRANCHE_ASSIGN(const auto retries, RetriesOf(run, state));
  int64_t rows = 0;
  for (const RunRecord& retry : retries) {
    const auto report = ParseSummary(retry.summary);
    for (const auto& known : report ? report->stores : std::vector<ReportData::Store>()) {
      if (known.name == store.name && retry.state == RunState::kFinished) rows += known.counts.stored;
    }
  }
  return rows;
}

// A target that cannot be reached is said, and is no failure of `status`.
std::string Reconciled(Session& session, State& state, const Store& store, const RunRecord& run) {
  auto look = [&]() -> Result<std::string> {
    TRANCHE_ASSIGN(Engine * engine, session.engine());
    TRANCHE_ASSIGN(const auto fork, engine->Fork());
    TRANCHE_ASSIGN(const auto sink, store.spec->make(Options(&store.spec->shape, &store.value)));
    StateJournal journal(state, run.id, store.name);
    SinkContext context = LookingContext(run, store.name, *fork, journal);
    TRANCHE_ASSIGN(const auto standing, sink->Look(context));
    if (standing) {
      TRANCHE_ASSIGN(const int64_t retried, RetriedInto(store, state, run));
      return Verdict(store, run, retried, *standing);
    }
    return run.state == RunState::kFinished
               ? fmt::format("differs: run {} is finished, and the target knows nothing of it", run.number)
               : "nothing is stored there of this run";
  };
  const auto looked = look();
  if (looked) return *looked;
  return (looked.error().code == Code::kData ? "differs: " : "cannot be reached: ") +
         looked.error().ToString();
}

Status ShowTarget(Session& session, State& state, const std::string& path, const RunRecord& run) {
  TRANCHE_ASSIGN(const auto parameters, ParametersOf(run));
  const std::string table = TableOf(parameters);
  const std::string of = table.empty() ? "" : fmt::format("table {}, ", table);
  auto job = session.Load(path, parameters, run.id);
  if (!job) {
    fmt::print("{}its stores cannot be looked at: {}\n", of, job.error().ToString());
    return {};
  }
  for (const Body& body : job->bodies) {
    for (const Store& store : body.stores) {
      fmt::print("{}store {}: {}\n", of, store.name, Reconciled(session, state, store, run));
    }
  }
  return {};
}

// By the newest run; where the job runs once a table, by that of each.
Status ShowTargets(Session& session, const std::string& path, const std::string& folder) {
  TRANCHE_ASSIGN(auto state, State::OpenReadOnly(folder));
  TRANCHE_ASSIGN(const auto runs, state->Runs());
  const std::string asked = TableOf(session.set());
  std::vector<std::string> tables;  // as they came first
  std::map<std::string, const RunRecord*> newest;
  for (const RunRecord& run : runs) {
    TRANCHE_ASSIGN(const auto parameters, ParametersOf(run));
    const std::string table = TableOf(parameters);
    if (!asked.empty() && asked != table) continue;
    const auto [known, fresh] = newest.try_emplace(table);
    if (fresh) tables.push_back(table);
    if (!IsRetry(run)) known->second = &run;
  }
  for (const std::string& table : tables) {
    if (const RunRecord* run = newest.at(table)) TRANCHE_TRY(ShowTarget(session, *state, path, *run));
  }
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
  if (flags.run == 0) {
    TRANCHE_TRY(ShowRuns("job " + job.name, session.FolderOf(job), TableOf(session.set())));
    TRANCHE_TRY(ShowKept(session.FolderOf(job)));
    return ShowTargets(session, flags.path, session.FolderOf(job));
  }
  TRANCHE_ASSIGN(auto state, session.OpenState(job));
  return ShowRun(*state, session.FolderOf(job), flags.run);
}

}  // namespace tranche
