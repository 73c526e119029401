#include <chrono>
#include <filesystem>
#include <memory>

#include "tranche/cli/commands.h"
#include "tranche/prove/rehearsal.h"
#include "tranche/run/runner.h"

namespace tranche {
namespace {

constexpr int64_t kRehearsedSegment = 32 << 10;  // of few rows: so that stores begin before all is read

using Set = std::map<std::string, std::string>;

std::optional<std::chrono::sys_days> ParseDay(const std::string& text) {
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  int read = 0;
  if (std::sscanf(text.c_str(), "%4d-%2u-%2u%n", &year, &month, &day, &read) != 3 || read != std::ssize(text))
    return {};
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  return date.ok() ? std::optional<std::chrono::sys_days>(date) : std::nullopt;
}

// A range of dates, a..b, is a run a day.
Result<std::vector<Set>> Expand(const Set& set) {
  std::vector<Set> sets{set};
  for (const auto& [name, value] : set) {
    const size_t dots = value.find("..");
    if (dots == std::string::npos || name == kTableParameter) continue;
    const auto first = ParseDay(value.substr(0, dots));
    const auto last = ParseDay(value.substr(dots + 2));
    if (!first || !last) continue;
    if (*last < *first) return Fail(Code::kJob, "--set {}={}: the range ends before it begins", name, value);
    std::vector<Set> expanded;
    for (const Set& one : sets) {
      for (auto day = *first; day <= *last; day += std::chrono::days(1)) {
        Set copy = one;
        const std::chrono::year_month_day date(day);
        copy[name] = fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                                 static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
        expanded.push_back(std::move(copy));
      }
    }
    sets = std::move(expanded);
  }
  return sets;
}

void Say(Session& session, const RunResult& result) {
  if (result.nothing_new) {
    const std::string of = result.table.empty() ? "" : fmt::format("table '{}': ", result.table);
    session.log().Info(
        of + (result.run == 0 ? "nothing new" : fmt::format("nothing new since run {}", result.run)));
    return;
  }
  if (session.log().json()) {
    session.log().Info("done", {{"run", result.run}, {"balance", result.balance}, {"report", result.report}});
    return;
  }
  if (session.log().verbosity() == Verbosity::kQuiet) return;
  const std::string near =
      std::filesystem::path(result.report).lexically_proximate(std::filesystem::current_path()).string();
  fmt::print(stderr, "{}\nreport: {}\n", result.balance, near.starts_with("..") ? result.report : near);
}

}  // namespace

Status RunOne(Session& session, const RunFlags& flags, const std::string& path, const Set& set,
              StopSignal& stop) {
  RunOptions options{.state_folder = session.flags().state,
                     .again = flags.again,
                     .yes = flags.yes,
                     .trust_target = flags.trust_target,
                     .keep_batches = flags.keep_batches,
                     .version = kVersion};
  if (flags.limit > 0) options.limit = flags.limit;
  if (!flags.segment.empty()) {
    TRANCHE_ASSIGN(options.segment_bytes, ParseSize(flags.segment));
  }
  std::optional<Rehearsal> rehearsal;
  if (!flags.scratch.empty()) {
    TRANCHE_ASSIGN(rehearsal, Rehearsal::Open(session.registry(), flags.scratch));
    options.state_folder = rehearsal->state_folder();
    options.seed = rehearsal->settings().seed;
    options.segment_bytes = kRehearsedSegment;
  }
  const JobLoader load = [&](const Set& values, const std::string& run_id) -> Result<Job> {
    TRANCHE_ASSIGN(Job job, session.Load(path, values, run_id));
    TRANCHE_TRY(session.Apply(job));
    if (rehearsal) {
      TRANCHE_ASSIGN(Engine * engine, session.engine());
      TRANCHE_ASSIGN(job, rehearsal->Rehearse(std::move(job), *engine));
    }
    options.memory = session.memory();
    options.threads = session.threads();
    if (job.run.timeout) stop.SetTimeout(*job.run.timeout);
    return job;
  };
  TRANCHE_ASSIGN(Engine * engine, session.engine());
  RunEnvironment environment{.engine = *engine,
                             .clock = SystemClock(),
                             .log = session.log(),
                             .stop = stop,
                             .done = [&](const RunResult& result) { Say(session, result); }};
  return RunJob(load, set, options, environment);
}

Status RunCommand(Session& session, const RunFlags& flags) {
  if (flags.watch)
    return Fail(Code::kJob, "--watch is not in this version").Hint("start it again by cron or a timer");
  StopSignal stop;
  stop.Install();
  TRANCHE_ASSIGN(const std::vector<Set> sets, Expand(session.set()));
  Status last;
  for (const std::string& job : flags.jobs) {
    for (const Set& set : sets) {
      Status done = RunOne(session, flags, job, set, stop);
      if (stop.by_signal() && !done) session.log().Error(done.error().ToString());
      stop.RaiseAgain();
      if (stop.requested()) return done;
      if (done) continue;
      if (flags.jobs.size() == 1 && sets.size() == 1) return done;
      const Code code = done.error().code;
      session.log().Error(std::move(done).error().In(job).ToString());
      last = Fail(code, "not all of {} runs were done", flags.jobs.size() * sets.size());
    }
  }
  return last;
}

}  // namespace tranche
