#include "tranche/run/runner.h"

#include <unistd.h>

#include <filesystem>
#include <random>
#include <set>

#include <nlohmann/json.hpp>

#include "tranche/base/failpoint.h"
#include "tranche/base/file.h"
#include "tranche/base/hash.h"
#include "tranche/job/canonical.h"
#include "tranche/run/balance.h"
#include "tranche/run/execution.h"
#include "tranche/run/kept.h"
#include "tranche/run/progress.h"
#include "tranche/run/reject_retry.h"
#include "tranche/run/stored.h"
#include "tranche/run/tables.h"

namespace tranche {
namespace {

constexpr int64_t kReportedRejects = 10'000;
// In the folder of a run that state.db knows of.
constexpr std::string_view kRecorded = "/recorded";

std::string KeyOf(const Job& job, const RunOptions& options) {
  return JobKey(job.name, job.parameters, options.limit);
}

// " with day=2026-11-20", or nothing.
std::string Described(const std::map<std::string, std::string>& parameters) {
  std::string text;
  for (const auto& [name, value] : parameters)
    text += fmt::format("{}{}={}", text.empty() ? " with " : ", ", name, value);
  return text;
}

// The lines that differ between two jobs, as JSON that people can read.
std::string Difference(const std::string& before, const std::string& after) {
  auto flatten = [](const std::string& text) {
    const auto json = nlohmann::json::parse(text, nullptr, false);
    return json.is_discarded() ? nlohmann::json::object() : json.flatten();
  };
  const auto one = flatten(before);
  const auto other = flatten(after);
  std::string text;
  for (const auto& [key, value] : one.items()) {
    if (!other.contains(key)) text += fmt::format("\n  - {} {}", key, value.dump());
  }
  for (const auto& [key, value] : other.items()) {
    if (!one.contains(key)) {
      text += fmt::format("\n  + {} {}", key, value.dump());
    } else if (one[key] != value) {
      text += fmt::format("\n  ~ {} {} → {}", key, one[key].dump(), value.dump());
    }
  }
  return text;
}

using Set = std::map<std::string, std::string>;

class Runner {
 public:
  Runner(const JobLoader& load, const RunOptions& options, RunEnvironment& environment)
      : load_(load), options_(options), env_(environment) {}

  Status Run(const Set& set) {
    std::string id = NewId();
    TRANCHE_ASSIGN(const Job job, load_(set, id));
    folder_ = StateFolder(job, options_.state_folder);
    TRANCHE_TRY(MakeFolders(folder_));
    TRANCHE_ASSIGN(FileLock lock, FileLock::Acquire(folder_ + "/lock", fmt::format("process {}", getpid())));
    TRANCHE_ASSIGN(state_, State::Open(folder_));
    TRANCHE_TRY(Sweep());
    if (!job.many()) return RunOne(set, job, std::move(id));
    const TableRuns runs{
        .load = load_,
        .options = options_,
        .environment = env_,
        .state = *state_,
        .folder = folder_,
        .run = [&](const Set& one) -> Status {
          std::string one_id = NewId();
          TRANCHE_ASSIGN(const Job of_table, load_(one, one_id));
          return RunOne(one, of_table, std::move(one_id));
        },
        .resume = [&](const RunRecord& run) -> Status {
          TRANCHE_TRY(Resume(run));
          return {};
        },
        .give_up = [&](const RunRecord& run, std::string why) { return GiveUp(run, std::move(why)); }};
    return RunTables(job, set, runs);
  }

 private:
  Status RunOne(const Set& set, const Job& job, std::string id) {
    gave_up_ = false;
    TRANCHE_ASSIGN(std::optional<RunRecord> unfinished, FindUnfinished(job, !set.empty()));
    if (unfinished) {
      TRANCHE_ASSIGN(const bool resumed, Resume(*unfinished));
      if (resumed) {
        // The defaults (yesterday) may mean another run by now; it comes after the old one, never before.
        if (!set.empty() || unfinished->job_key == KeyOf(job, options_)) return {};
        env_.log.Info(fmt::format("goes on with the next run{}", Described(job.parameters)));
      }
    }
    TRANCHE_ASSIGN(const RunResult fresh, Begin(job, std::move(id)));
    env_.done(fresh);
    return {};
  }

  // Removes what runs that were killed at their very end, or in mid-query, have left.
  Status Sweep() {
    TRANCHE_TRY(RemoveFolder(SpillFolder(folder_)));
    std::set<std::string> wanted;  // stage ids and run ids
    TRANCHE_ASSIGN(auto runs, state_->Runs());
    TRANCHE_TRY(CheckNoneForgotten(runs));
    for (const RunRecord& run : runs) {
      if (run.state != RunState::kOpen) {
        if (Exists(folder_ + "/run/" + run.id)) TRANCHE_TRY(PutSpoolsAway(*state_, folder_, run));
        continue;
      }
      wanted.insert(run.id);
      TRANCHE_ASSIGN(auto stages, state_->Stages(run.id));
      for (const StageRecord& stage : stages) wanted.insert(stage.id);
    }
    for (const std::string& folder : {folder_ + "/spool", folder_ + "/run"}) {
      if (!Exists(folder)) continue;
      TRANCHE_ASSIGN(auto names, ListFolder(folder));
      for (const std::string& name : names) {
        if (!wanted.contains(name)) TRANCHE_TRY(RemoveFolder(folder + "/" + name));
      }
    }
    return {};
  }

  // SQLite passes over the end of a log that is damaged, and an older copy of state.db looks like any other.
  Status CheckNoneForgotten(const std::vector<RunRecord>& runs) {
    const std::string folder = folder_ + "/run";
    if (!Exists(folder)) return {};
    TRANCHE_ASSIGN(auto names, ListFolder(folder));
    for (const std::string& name : names) {
      if (!Exists(folder + "/" + name + std::string(kRecorded))) continue;
      if (std::ranges::find(runs, name, &RunRecord::id) != runs.end()) continue;
      return Fail(Code::kOutside, "{}/state.db is damaged: it has lost run {}", folder_, name)
          .Hint("put the right one back; or move that folder away to begin anew (what is stored stays)");
    }
    return {};
  }

  // An explicit --set names its run; else the oldest unfinished one comes first.
  Result<std::optional<RunRecord>> FindUnfinished(const Job& job, bool named) {
    TRANCHE_ASSIGN(auto runs, state_->Runs());
    for (RunRecord& run : runs) {
      if (run.state != RunState::kOpen) continue;
      if (named && run.job_key != KeyOf(job, options_)) continue;
      return std::optional(std::move(run));
    }
    return std::optional<RunRecord>();
  }

  // False = the run was given up, because it may be and because it had to.
  Result<bool> Resume(RunRecord run) {
    TRANCHE_TRY(Failpoint("resume.begun"));
    if (options_.again) {
      TRANCHE_TRY(GiveUp(run, "given up by --again"));
      return false;
    }
    TRANCHE_ASSIGN(const Set parameters, ParametersOf(run));
    auto job = load_(parameters, run.id);
    const bool changed = job && !IsSameJob(job->canonical, run.canonical);
    if (!job || changed) {
      TRANCHE_ASSIGN(const Stored stored, StoredOf(*state_, run.id));
      if (!IsBinding(stored)) {
        env_.log.Info("the unfinished run had stored nothing; it is given up for the job as it is now",
                      {{"run", run.number}});
        TRANCHE_TRY(GiveUp(run, "the job was changed before anything was stored"));
        return false;
      }
      if (!job) return std::move(job).error();
      return Fail(Code::kJob,
                  "the job has changed since run {} began, and that run has stored rows already:{}",
                  run.number, Difference(run.canonical, job->canonical))
          .Hint(
              "undo the change to let it finish; or --again: give it up (what it stored stays) and begin "
              "anew");
    }
    env_.log.Info(fmt::format("run {} resumes{}", run.number, Described(parameters)), {{"job", job->name}});
    TRANCHE_ASSIGN(Sources sources, MakeSources(*job));
    TRANCHE_ASSIGN(const RunResult result, Execute(*job, run, std::move(sources), /*resumed=*/true));
    env_.done(result);
    return true;
  }

  Status GiveUp(RunRecord run, std::string why) {
    gave_up_ = true;
    run.state = RunState::kAbandoned;
    run.outcome = std::move(why);
    run.finished = env_.clock.NowMicros();
    TRANCHE_TRY(state_->UpdateRun(run));
    return PutSpoolsAway(*state_, folder_, run);
  }

  Result<RunResult> Begin(const Job& job, std::string id) {
    RunRecord run{.id = std::move(id),
                  .job_key = KeyOf(job, options_),
                  .parameters = nlohmann::json(job.parameters).dump(),
                  .canonical = job.canonical,
                  .fingerprint = HashHex(job.canonical),
                  .started = env_.clock.NowMicros(),
                  .seed = options_.seed.value_or(std::random_device()() & 0x7fffffff),
                  .engine = env_.engine.version()};
    TRANCHE_ASSIGN(Sources sources, MakeSources(job));
    const std::string scratch = folder_ + "/run/" + run.id;
    TRANCHE_ASSIGN(auto splits, PlanInputs(job, sources,
                                           {.engine = &env_.engine,
                                            .scratch = scratch,
                                            .state = state_.get(),
                                            .parameters = &job.values,
                                            .stop = &env_.stop,
                                            .places = options_.keep_batches}));
    TRANCHE_ASSIGN(std::optional<int64_t> done, AlreadyDone(job, run, splits));
    if (done) return RunResult{.run = *done, .nothing_new = true, .table = TableOf(job.parameters)};
    // A job that can't be planned, or whose stores can't take its rows, is wrong, and has not run.
    TRANCHE_TRY(CheckPlan(job, sources, run));
    TRANCHE_TRY(ConfirmAgain(job, run));
    std::vector<std::pair<std::string, std::string>> notes;
    if (options_.keep_batches) notes.push_back(NoteOf(Keeping::kPlaces));
    TRANCHE_TRY(state_->AddRun(run, splits, notes));
    TRANCHE_TRY(Failpoint("run.recorded"));
    TRANCHE_ASSIGN(auto runs, state_->Runs());
    run.number = runs.back().number;
    env_.log.Info(fmt::format("run {} begins{}", run.number, Described(job.parameters)), {{"job", job.name}});
    return Execute(job, run, std::move(sources), /*resumed=*/false);
  }

  Status CheckPlan(const Job& job, const Sources& sources, const RunRecord& run) {
    TRANCHE_ASSIGN(Plan plan, MakePlan(job, sources, env_.engine, run.seed));
    for (PlannedStore& store : plan.stores) {
      const std::string stub = Stub(plan.FindStage(store.stage)->columns);
      TRANCHE_ASSIGN(auto reader, env_.engine.Run({SqlText("SELECT * FROM " + stub)}));
      auto schema = reader->schema();
      reader.reset();  // the sink may use the session
      Status fits = store.sink->Check(std::move(schema), env_.engine, store.store->retry.timeout);
      if (!fits) return std::move(fits).error().At(store.store->place);
    }
    return {};
  }

  // The finished run that has read the same unchanged files with the same job and parameters.
  Result<std::optional<int64_t>> AlreadyDone(const Job& job, const RunRecord& run,
                                             const std::vector<SplitRecord>& splits) {
    const bool all_files =
        std::ranges::all_of(job.inputs, [](const Input& input) { return input.spec->files; });
    const bool only_new = std::ranges::any_of(
        job.inputs, [](const Input& input) { return input.new_files || input.increment.has_value(); });
    const bool none_new = only_new && splits.empty();
    if (options_.again || (!all_files && !none_new)) return std::optional<int64_t>();
    TRANCHE_ASSIGN(auto runs, state_->Runs());
    std::optional<int64_t> last;
    for (const RunRecord& earlier : runs) {
      if (earlier.state != RunState::kFinished || earlier.job_key != run.job_key) continue;
      last = earlier.number;
      if (earlier.fingerprint != run.fingerprint) continue;
      TRANCHE_ASSIGN(auto read, state_->Splits(earlier.id));
      if (SameFiles(read, splits)) return std::optional(earlier.number);
    }
    if (none_new) return last ? last : std::optional<int64_t>(0);
    return std::optional<int64_t>();
  }

  // --again on an append store doubles rows on purpose: that wants a yes.
  Status ConfirmAgain(const Job& job, const RunRecord& run) {
    if (!options_.again || options_.yes) return {};
    TRANCHE_ASSIGN(auto runs, state_->Runs());
    for (const Body& body : job.bodies) {
      for (const Store& store : body.stores) {
        if (store.mode() != "append") continue;
        const int64_t rows = StoredBefore(runs, run.job_key, store.name);
        if (rows == 0) continue;
        const std::string question = fmt::format("store '{}' appends: {} rows will be stored a second time",
                                                 store.name, FormatCount(rows));
        if (!isatty(STDIN_FILENO)) {
          return Fail(Code::kJob, "{}", question).Hint("say --yes if that is what you want").At(store.place);
        }
        fmt::print(stderr, "{}. Go on? [y/N] ", question);
        const int answer = std::getchar();
        if (answer != 'y' && answer != 'Y') return Fail(Code::kJob, "not run: the answer was no");
      }
    }
    return {};
  }

  static int64_t StoredBefore(const std::vector<RunRecord>& runs, const std::string& job_key,
                              const std::string& store) {
    int64_t rows = 0;
    for (const RunRecord& run : runs) {
      if (run.job_key != job_key) continue;
      const auto summary = ParseSummary(run.summary);
      if (!summary) continue;
      for (const auto& stored : summary->stores) {
        if (stored.name == store) rows = stored.counts.stored;
      }
    }
    return rows;
  }

  Result<RunResult> Execute(const Job& job, RunRecord& run, Sources sources, bool resumed) {
    ReportData report = BeginReport(job, run, resumed);
    RejectBudget budget(job);
    ProgressCounters counters;
    if (options_.keep_batches) TRANCHE_TRY(NoteKept(*state_, run));
    TRANCHE_ASSIGN(const Keeping keeping, KeepingOf(*state_, run));
    TRANCHE_ASSIGN(const auto forgotten, ForgottenRuns(*state_, folder_));
    if (keeping != Keeping::kNothing)
      report.environment.emplace_back("kept", "its rows and batches, for `tranche trace`");
    RunContext context{.job = job,
                       .options = options_,
                       .gave_up = gave_up_,
                       .keeps = keeping != Keeping::kNothing,
                       .places = keeping == Keeping::kPlaces,
                       .forgotten = forgotten,
                       .folder = folder_,
                       .state = *state_,
                       .run = run,
                       .engine = env_.engine,
                       .clock = env_.clock,
                       .log = env_.log,
                       .stop = env_.stop,
                       .budget = budget,
                       .report = report,
                       .progress = counters};
    TRANCHE_TRY(MakeFolders(context.RunFolder() + std::string(kRecorded)));
    run.summary = env_.log.Redacted(ToJson(report));  // a start that is killed still counts
    TRANCHE_TRY(state_->UpdateRun(run));
    Status done;
    {
      const ProgressLine line(counters, env_.log);
      done = Execution(context, std::move(sources), resumed).Run();
    }
    if (done) TRANCHE_TRY(NoteForgotten(*state_, forgotten));
    return End(run, report, std::move(done));
  }

  ReportData BeginReport(const Job& job, const RunRecord& run, bool resumed) {
    ReportData report;
    if (auto earlier = ParseSummary(run.summary); resumed && earlier) {
      report = *std::move(earlier);
      ++report.starts;
      report.warnings.clear();
      report.reject_reasons.clear();
      report.rejects.clear();
    }
    report.job = job.name;
    report.job_file = job.file;
    report.run_id = run.id;
    report.run_number = run.number;
    report.started = run.started;
    report.balanced = false;
    report.parameters.assign(job.parameters.begin(), job.parameters.end());
    report.environment = {
        {"tranche", options_.version},
        {"engine", env_.engine.version()},
        {"memory", FormatBytes(options_.memory)},
        {"threads", fmt::format("{}", options_.threads)},
        {"resumed", report.starts == 2 ? "once" : fmt::format("{} times", report.starts - 1)}};
    return report;
  }

  // Records how it ended; on success that is the moment from which the run is finished.
  Result<RunResult> End(RunRecord& run, ReportData& report, Status done) {
    report.finished = env_.clock.NowMicros();
    report.outcome = done ? "done" : done.error().code == Code::kData ? "refused" : "stopped";
    report.message = done ? "" : done.error().ToString();
    if (auto rejects = state_->Rejects(run.id, "", kReportedRejects); rejects) {
      for (const auto& stored : *rejects) report.AddReject(stored.reject);
    }
    run.outcome = env_.log.Redacted(done ? "done" : report.message);
    run.summary = env_.log.Redacted(ToJson(report));
    RunResult result{.run = run.number, .balance = BalanceLine(report), .warnings = report.warnings};
    result.report = fmt::format("{}/report-{}.html", folder_, run.number);
    Status written = WriteFileDurably(result.report, env_.log.Redacted(RenderReport(report)));
    if (done && written) {  // a run that is finished has its report
      run.state = RunState::kFinished;
      run.finished = report.finished;
    }
    Status updated = state_->UpdateRun(run);
    if (!done) {
      if (written) env_.log.Info("report", {{"path", result.report}});
      return std::move(done).error();
    }
    TRANCHE_TRY(std::move(written));
    TRANCHE_TRY(std::move(updated));
    TRANCHE_TRY(Failpoint("run.finished"));
    TRANCHE_TRY(PutSpoolsAway(*state_, folder_, run));
    return result;
  }

  const JobLoader& load_;
  const RunOptions& options_;
  RunEnvironment& env_;
  std::string folder_;
  std::unique_ptr<State> state_;
  bool gave_up_ = false;
};

}  // namespace

std::string StateFolder(const Job& job, const std::string& asked) {
  if (!asked.empty()) return asked + "/" + job.name;
  return (std::filesystem::path(job.file).parent_path() / ".tranche" / job.name).string();
}

std::string SpillFolder(const std::string& state_folder) { return state_folder + "/spill"; }

Status RunJob(const JobLoader& load, const std::map<std::string, std::string>& set, const RunOptions& options,
              RunEnvironment& environment) {
  return Runner(load, options, environment).Run(set);
}

}  // namespace tranche
