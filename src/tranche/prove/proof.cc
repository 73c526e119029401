#include "tranche/prove/proof.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <set>

#include "tranche/base/file.h"
#include "tranche/prove/remains.h"
#include "tranche/state/state.h"

namespace tranche {
namespace {

constexpr int64_t kBatches = 8;  // of each store, so that there is something between the first and the last
constexpr int64_t kMostStarts = 6;  // of a resume: exit code 1 means "run it again"
constexpr int64_t kMostKept = 3;    // folders of trials that went wrong
// What only a second start comes by.
constexpr const char* kRecovery[] = {"resume.begun", "resume.gaps", "resume.stage_dropped"};

std::string Trimmed(std::string text) {
  text.erase(text.find_last_not_of(" \n") + 1);
  return text;
}

// How often each failpoint was passed, from what a start that tells them has said.
std::vector<std::pair<std::string, int64_t>> Passed(const std::string& said) {
  std::vector<std::pair<std::string, int64_t>> passed;
  constexpr std::string_view kWord = "failpoint ";
  for (size_t at = 0; at < said.size();) {
    const size_t end = std::min(said.find('\n', at), said.size());
    const std::string line = said.substr(at, end - at);
    at = end + 1;
    if (!line.starts_with(kWord)) continue;
    const std::string name = line.substr(kWord.size());
    auto found = std::ranges::find(passed, name, &std::pair<std::string, int64_t>::first);
    if (found == passed.end()) found = passed.insert(passed.end(), {name, 0});
    ++found->second;
  }
  return passed;
}

class Prover {
 public:
  Prover(const ProofOptions& options, ProofEnvironment& environment)
      : options_(options), env_(environment), random_(options.seed) {}

  Result<Certificate> Make() {
    const int64_t begun = env_.clock.SteadyNanos();
    TRANCHE_ASSIGN(const Job job, env_.load(env_.parameters, NewId()));
    certificate_.job = job.name;
    certificate_.job_file = job.file;
    certificate_.version = options_.version;
    certificate_.engine = env_.engine.version();
    certificate_.seed = options_.seed;
    certificate_.made = env_.clock.NowMicros();
    settings_.seed = random_();
    TRANCHE_TRY(CheckTargets(job));
    TRANCHE_ASSIGN(certificate_.inputs, KeepRows(job, env_.engine, options_.folder, options_.rows));
    TRANCHE_TRY(RunUndisturbed(job));
    const std::vector<std::vector<Kill>> ways = Ways();
    for (const std::vector<Kill>& kills : ways) {
      TRANCHE_TRY(env_.stop.Check());
      ShowProgress(std::ssize(ways));
      TRANCHE_ASSIGN(Certificate::Trial trial, Try(kills));
      certificate_.trials.push_back(std::move(trial));
    }
    ShowProgress(0);
    if (certificate_.failed() > 0) certificate_.kept = options_.folder;
    certificate_.seconds = (env_.clock.SteadyNanos() - begun) / 1e9;
    return std::move(certificate_);
  }

  // Where it came to no certificate: what it made outside its folder.
  void Abandon() {
    for (const std::string& folder : std::set<std::string>(open_)) (void)Remove(folder);
  }

 private:
  // A store without a scratch target is refused before anything is read.
  Status CheckTargets(const Job& job) {
    TRANCHE_TRY(MakeFolders(options_.folder));
    TRANCHE_TRY(settings_.Save(options_.folder));
    const std::string folder = NextFolder();
    TRANCHE_ASSIGN(const Rehearsal rehearsal, Rehearsal::Open(env_.registry, folder));
    TRANCHE_ASSIGN(const Job moved, rehearsal.Rehearse(job, env_.engine));
    return Remove(folder);
  }

  // A line that is written over, for a terminal; the last one is empty.
  void ShowProgress(int64_t trials) const {
    if (env_.log.json() || env_.log.verbosity() == Verbosity::kQuiet || isatty(STDERR_FILENO) == 0) return;
    fmt::print(stderr, "\r\x1b[K");
    if (trials > 0)
      fmt::print(stderr, "{} of {} trials, {} kills", certificate_.trials.size(), trials,
                 certificate_.kills());
    std::fflush(stderr);
  }

  std::string NextFolder() { return *open_.insert(fmt::format("{}/{}", options_.folder, ++folders_)).first; }

  Result<Start> StartIn(const std::string& folder, const std::optional<Kill>& kill, bool tell = false) {
    std::vector<std::string> arguments = options_.arguments;
    arguments.insert(arguments.end(), {"--scratch", folder});
    TRANCHE_TRY(MakeFolders(folder));
    return Launch(arguments, folder + "/said", kill, tell);
  }

  // The targets are named by the newest run's parameters and id.
  Result<Remains> CollectFrom(const std::string& folder) {
    TRANCHE_ASSIGN(const Job job, env_.load(env_.parameters, NewId()));
    TRANCHE_ASSIGN(auto state, State::OpenReadOnly(StateFolder(job, folder + "/state")));
    TRANCHE_ASSIGN(const auto runs, state->Runs());
    if (runs.empty()) return Fail(Code::kInternal, "a trial has begun no run: {}", folder);
    TRANCHE_ASSIGN(Job own, env_.load(env_.parameters, runs.back().id));
    TRANCHE_ASSIGN(auto engine, env_.make_engine());
    TRANCHE_ASSIGN(const Rehearsal rehearsal, Rehearsal::Open(env_.registry, folder));
    TRANCHE_ASSIGN(const Job moved, rehearsal.Rehearse(own, *engine));
    return Collect(moved, env_.registry, *engine, folder);
  }

  Status Remove(const std::string& folder) {
    TRANCHE_ASSIGN(const Job job, env_.load(env_.parameters, NewId()));
    TRANCHE_ASSIGN(auto engine, env_.make_engine());
    TRANCHE_ASSIGN(const Rehearsal rehearsal, Rehearsal::Open(env_.registry, folder));
    TRANCHE_TRY(rehearsal.RemoveTargets(job, *engine));
    open_.erase(folder);
    return RemoveFolder(folder);
  }

  Result<std::pair<Start, Remains>> Undisturbed(bool tell) {
    const std::string folder = NextFolder();
    TRANCHE_ASSIGN(Start start, StartIn(folder, std::nullopt, tell));
    if (start.exit != 0) {
      const Code code = start.exit == 1 ? Code::kOutside : start.exit == 2 ? Code::kJob : Code::kData;
      return Fail(code,
                  "nothing can be proved: the job does not run through on these rows (exit code {}): {}",
                  start.exit, Trimmed(start.said));
    }
    TRANCHE_ASSIGN(Remains remains, CollectFrom(folder));
    TRANCHE_TRY(Remove(folder));
    return std::pair(std::move(start), std::move(remains));
  }

  // Once as the job is, to learn how many rows each store gets; then twice with so small batches that there
  // are several, as all trials are run: what is different in these two has nothing to do with a kill.
  Status RunUndisturbed(const Job& job) {
    TRANCHE_ASSIGN(const auto first, Undisturbed(/*tell=*/false));
    int64_t stored = 0;
    for (const auto& [name, store] : first.second.stores) {
      stored += std::ssize(store.rows);
      settings_.rows_a_batch[name] = std::max<int64_t>(1, (store.sent + kBatches - 1) / kBatches);
    }
    if (stored == 0) return Fail(Code::kData, "nothing can be proved: nothing is stored of these rows");
    TRANCHE_TRY(settings_.Save(options_.folder));
    TRANCHE_ASSIGN(auto told, Undisturbed(/*tell=*/true));
    TRANCHE_ASSIGN(const auto again, Undisturbed(/*tell=*/false));
    expected_ = std::move(told.second);
    TRANCHE_ASSIGN(unsteady_, FindUnsteady(expected_, again.second));
    passed_ = Passed(told.first.said);
    seconds_ = again.first.seconds;
    DescribeStores(job);
    return {};
  }

  void DescribeStores(const Job& job) {
    certificate_.rejects = std::ssize(expected_.rejects);
    certificate_.rejected_rows = !unsteady_.rejected_rows;
    for (const Body& body : job.bodies) {
      for (const Store& store : body.stores) {
        auto& described = certificate_.stores.emplace_back();
        described.name = store.name;
        described.connector = store.spec->name;
        described.guarantee = store.spec->guarantee;
        described.rows = expected_.stores.at(store.name).sent;
        described.rows_a_batch = settings_.rows_a_batch.at(store.name);
        const std::set<std::string>& columns = unsteady_.columns[store.name];
        described.left_out.assign(columns.begin(), columns.end());
      }
    }
  }

  template <typename Items>
  const auto& Chosen(const Items& items) {
    return *(std::begin(items) + random_() % std::size(items));
  }

  // Each failpoint at its first, its middle and its last passing; at the first once more, with a resume that
  // is killed too; and random moments of a run and of its resumes.
  std::vector<std::vector<Kill>> Ways() {
    std::vector<std::vector<Kill>> ways;
    for (const auto& [name, count] : passed_) {
      for (const int64_t hit : std::set<int64_t>{1, (count + 1) / 2, count})
        ways.push_back({{.failpoint = name, .hit = hit}});
      ways.push_back({{.failpoint = name, .hit = (count + 1) / 2}, InRecovery(name)});
    }
    for (const char* name : kRecovery)
      ways.push_back({{.failpoint = Chosen(passed_).first}, {.failpoint = name}});
    for (int64_t i = 0; i < options_.kills; ++i) {
      std::vector<Kill>& kills = ways.emplace_back();
      do {
        kills.push_back({.seconds = std::uniform_real_distribution(0.0, seconds_)(random_)});
      } while (kills.size() < 3 && random_() % 2 == 0);
    }
    return ways;
  }

  // At the same place again, at one that only a resume comes by, or at any.
  Kill InRecovery(const std::string& name) {
    switch (random_() % 3) {
      case 0:
        return {.failpoint = name};
      case 1:
        return {.failpoint = Chosen(kRecovery)};
      default:
        return {.failpoint = Chosen(passed_).first};
    }
  }

  Result<Certificate::Trial> Try(const std::vector<Kill>& kills) {
    const std::string folder = NextFolder();
    Certificate::Trial trial{.first = kills.front()};
    for (const Kill& kill : kills) {
      TRANCHE_ASSIGN(const Start start, StartIn(folder, kill));
      if (start.killed) trial.kills.push_back(kill);
      if (!start.killed && start.exit > 1) trial.problems.push_back(Ending(start));
      if (!start.killed) break;  // it came to its end before
    }
    Start last{.exit = 1};
    for (int64_t i = 0; i < kMostStarts && last.exit == 1; ++i) {
      TRANCHE_ASSIGN(last, StartIn(folder, std::nullopt));
    }
    if (last.exit != 0) trial.problems.push_back(Ending(last));
    auto remains = CollectFrom(folder);
    if (!remains) {
      trial.problems.push_back(remains.error().ToString());
    } else {
      std::ranges::move(Differences(expected_, *remains, unsteady_), std::back_inserter(trial.problems));
    }
    if (trial.problems.empty() || ++kept_ > kMostKept) TRANCHE_TRY(Remove(folder));
    return trial;
  }

  static std::string Ending(const Start& start) {
    return fmt::format("a start ended with exit code {}: {}", start.exit, Trimmed(start.said));
  }

  const ProofOptions& options_;
  ProofEnvironment& env_;
  std::mt19937_64 random_;
  int64_t folders_ = 0;
  std::set<std::string> open_;  // folders of trials whose targets may be there
  int64_t kept_ = 0;
  RehearsalSettings settings_;
  Remains expected_;
  Unsteady unsteady_;
  std::vector<std::pair<std::string, int64_t>> passed_;  // in the order of the first passing
  double seconds_ = 0;                                   // that an undisturbed run takes
  Certificate certificate_;
};

}  // namespace

int64_t Certificate::kills() const {
  int64_t sum = 0;
  for (const Trial& trial : trials) sum += std::ssize(trial.kills);
  return sum;
}

int64_t Certificate::failed() const {
  return std::ranges::count_if(trials, [](const Trial& trial) { return !trial.problems.empty(); });
}

Result<Certificate> Prove(const ProofOptions& options, ProofEnvironment& environment) {
  Prover prover(options, environment);
  auto certificate = prover.Make();
  if (!certificate) prover.Abandon();
  if (certificate && !certificate->kept.empty()) return certificate;
  Status removed = RemoveFolder(options.folder);
  // And what holds it, if nothing else lies there: a job that never ran has no state.
  const std::filesystem::path holding = std::filesystem::path(options.folder).parent_path();
  rmdir(holding.c_str());
  rmdir(holding.parent_path().c_str());
  if (certificate) TRANCHE_TRY(removed);
  return certificate;
}

}  // namespace tranche
