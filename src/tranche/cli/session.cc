#include "tranche/cli/session.h"

#include <cstdlib>
#include <filesystem>
#include <set>

#include "tranche/base/file.h"
#include "tranche/cli/builtin.h"
#include "tranche/cli/machine.h"
#include "tranche/duckdb/duckdb_engine.h"
#include "tranche/run/reject_retry.h"
#include "tranche/run/runner.h"
#include "tranche/run/tables.h"

namespace tranche {
namespace {

// Of what `memory:` promises, what DuckDB's own limit leaves for queues, batches and what it does not count.
int64_t EngineMemory(int64_t memory) { return std::max<int64_t>(memory / 4 * 3, 112 << 20); }

// A sort or an aggregate that spills holds so much for each thread; with less, DuckDB gives up (seen at 96
// MiB a thread).
int EngineThreads(int64_t memory, int threads) {
  constexpr int64_t kForEach = 128 << 20;
  return static_cast<int>(std::clamp<int64_t>(EngineMemory(memory) / kForEach, 1, threads));
}

Error Joined(const std::vector<Error>& errors) {
  Error joined{.code = Code::kJob};
  for (const Error& error : errors) {
    if (&error != &errors.front()) joined.message += "\n";
    joined.message += error.ToString();
  }
  return joined;
}

std::optional<std::string> FromSystem(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

}  // namespace

Session::Session(const Flags& flags)
    : flags_(flags),
      registry_(BuiltinRegistry()),
      log_(stderr, SystemClock(),
           {.json = flags.json,
            .verbosity = flags.quiet ? Verbosity::kQuiet
                                     : (flags.verbose ? Verbosity::kVerbose : Verbosity::kNormal)}) {}

Result<std::unique_ptr<Session>> Session::Make(const Flags& flags) {
  std::unique_ptr<Session> session(new Session(flags));
  if (flags.engine != "duckdb") {
    return Fail(Code::kJob, "--engine {} is not in this version", flags.engine)
        .Hint("leave it out: the engine is duckdb");
  }
  for (const std::string& pair : flags.set) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Fail(Code::kJob, "--set wants name=value, not '{}'", pair);
    }
    session->set_[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  session->list_reader_ = *session->registry_.FindSource("duckdb");
  session->list_reader_.files = true;  // a list is sealed: reading it again is nothing new
  session->memory_ = MachineMemory() / 2;
  session->threads_ = MachineThreads();
  if (!flags.memory.empty()) {
    auto memory = ParseSize(flags.memory);
    if (!memory) return std::move(memory).error().In("--memory");
    session->memory_ = *memory;
  }
  if (flags.threads > 0) session->threads_ = flags.threads;
  TRANCHE_TRY(session->ReadEnvironmentFile());
  return session;
}

// Lines of NAME=VALUE; empty ones and those that begin with # are passed over; quotes around a value are
// taken off.
Status Session::ReadEnvironmentFile() {
  if (flags_.env_file.empty()) return {};
  const auto read = ReadFile(flags_.env_file);
  if (!read) return Fail(Code::kJob, "--env-file: {}", read.error().message);
  const std::string& text = *read;
  int number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    at = end + 1;
    ++number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.starts_with("export ")) line.erase(0, 7);
    if (line.empty() || line.front() == '#') continue;
    const size_t equals = line.find('=');
    if (equals == std::string::npos) {
      return Fail(Code::kJob, "a line of an environment file is NAME=VALUE").At({flags_.env_file, number, 1});
    }
    std::string value = line.substr(equals + 1);
    const bool quoted =
        value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front();
    environment_[line.substr(0, equals)] = quoted ? value.substr(1, value.size() - 2) : value;
  }
  return {};
}

Result<Engine*> Session::engine() {
  if (engine_ == nullptr) {
    const std::string spill = SpillFolder(std::filesystem::temp_directory_path().string() + "/tranche");
    TRANCHE_ASSIGN(
        engine_,
        MakeDuckDb({.memory_limit = EngineMemory(memory_), .threads = threads_, .spill_folder = spill}));
  }
  return engine_.get();
}

Result<Job> Session::Load(const std::string& path, const std::map<std::string, std::string>& set,
                          const std::string& run_id, bool offline) {
  TRANCHE_ASSIGN(Engine * parser, engine());
  std::map<std::string, std::string> own = set;
  const auto retry = own.extract(kRetryParameter);
  auto lookup = [this](const std::string& name) -> std::optional<std::string> {
    const auto found = environment_.find(name);
    return found == environment_.end() ? FromSystem(name) : std::optional(found->second);
  };
  auto secret = [this, lookup](const std::string& name) {
    auto value = lookup(name);
    if (value) log_.Redact(*value);
    return value;
  };
  Loaded loaded = LoadJob(path, {.registry = &registry_,
                                 .engine = parser,
                                 .clock = &SystemClock(),
                                 .set = own,
                                 .environment = lookup,
                                 .secret = secret,
                                 .run_id = run_id,
                                 .offline = offline});
  if (!loaded.errors.empty()) return Joined(loaded.errors);
  warnings_ = std::move(loaded.warnings);
  if (retry.empty()) return std::move(loaded.job);
  const std::string folder = std::filesystem::absolute(FolderOf(loaded.job)).string();
  return RetryJob(std::move(loaded.job), list_reader_, folder, retry.mapped());
}

void Session::SayWarnings() {
  for (const Error& warning : warnings_) log_.Warn(warning.ToString());
}

Status Session::Apply(const Job& job) {
  TRANCHE_ASSIGN(Engine * target, engine());
  const RunSettings& settings = job.run;
  if (flags_.memory.empty()) memory_ = settings.memory.value_or(MachineMemory() / 2);
  constexpr int64_t kLeast = 128 << 20;
  if (memory_ < kLeast)
    return Fail(Code::kJob, "memory of {} is too little", FormatBytes(memory_)).Hint("at least 128MiB");
  threads_ = EngineThreads(memory_,
                           flags_.threads > 0 ? flags_.threads : settings.threads.value_or(MachineThreads()));
  // Memory that was freed goes back to the machine once it is as much as that.
  const int64_t idle = std::min<int64_t>(memory_ / 32, 128 << 20);
  // What a stream may hold: with as much as two pieces of a CSV file, two threads read it.
  const int64_t streamed = std::clamp<int64_t>(memory_ / 128, 1 << 20, 16 << 20);
  for (const std::string& setting :
       {fmt::format("memory_limit = '{}B'", EngineMemory(memory_)), fmt::format("threads = {}", threads_),
        fmt::format("allocator_flush_threshold = '{}B'", idle),
        fmt::format("allocator_bulk_deallocation_flush_threshold = '{}B'", idle),
        fmt::format("streaming_buffer_size = '{}B'", streamed),
        fmt::format("temp_directory = {}", QuoteText(SpillFolder(FolderOf(job))))}) {
    if (auto set = target->Execute("SET " + setting); !set) return std::move(set).error();
  }
  return {};
}

std::string Session::FolderOf(const Job& job) const { return StateFolder(job, flags_.state); }

Result<std::unique_ptr<State>> Session::OpenState(const Job& job) {
  return State::OpenReadOnly(FolderOf(job));
}

Result<std::vector<std::string>> Session::TablesOf(const std::string& path) {
  TRANCHE_ASSIGN(const Job job, Load(path, set_, NewId()));
  if (!job.many()) return std::vector<std::string>();
  TRANCHE_ASSIGN(Engine * asks, engine());
  return ListTables(job, *asks, nullptr);
}

std::map<std::string, std::string> Session::SetOf(const std::string& table) const {
  std::map<std::string, std::string> set = set_;
  if (!table.empty()) set[kTableParameter] = table;
  return set;
}

namespace {

Result<RunRecord> FindNewest(State& state, const RunChoice& choice, bool retries) {
  TRANCHE_ASSIGN(auto runs, state.Runs());
  if (runs.empty()) return Fail(Code::kJob, "the job has not run yet");
  if (choice.number > 0) {
    for (RunRecord& run : runs) {
      if (run.number == choice.number) return std::move(run);
    }
    return Fail(Code::kJob, "there is no run {}; the newest is {}", choice.number, runs.back().number);
  }
  std::optional<RunRecord> newest;
  std::set<std::string> tables;
  for (RunRecord& run : runs) {
    TRANCHE_ASSIGN(const auto parameters, ParametersOf(run));
    const std::string table = TableOf(parameters);
    if (!choice.table.empty() && table != choice.table) continue;
    tables.insert(table);
    if (retries || !IsRetry(run)) newest = std::move(run);
  }
  if (tables.size() > 1) {
    return Fail(Code::kJob, "the job has runs of {} tables", tables.size())
        .Hint("name one by --set table=…, or a run by its number; `tranche status` shows them");
  }
  if (!newest) return Fail(Code::kJob, "table '{}' has not run yet", choice.table);
  return *std::move(newest);
}

}  // namespace

Result<RunRecord> FindRun(State& state, const RunChoice& choice) { return FindNewest(state, choice, true); }

Result<RunRecord> FindRefusing(State& state, const RunChoice& choice) {
  return FindNewest(state, choice, false);
}

}  // namespace tranche
