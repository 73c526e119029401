#include "tranche/run/tables.h"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "tranche/base/file.h"
#include "tranche/run/reject_retry.h"

namespace tranche {
namespace {

using Json = nlohmann::json;
using Set = std::map<std::string, std::string>;

struct Pass {
  Set parameters;  // but the table
  std::optional<int64_t> limit;
  int64_t after = 0;  // its runs have greater numbers
};

std::string PathOf(const std::string& folder) { return folder + "/tables.json"; }

Result<std::vector<Pass>> LoadPasses(const std::string& folder) {
  std::vector<Pass> passes;
  const std::string path = PathOf(folder);
  if (!Exists(path)) return passes;
  TRANCHE_ASSIGN(const std::string text, ReadFile(path));
  try {
    const Json whole = Json::parse(text);
    for (const Json& json : whole.at("passes")) {
      Pass& pass = passes.emplace_back();
      json.at("parameters").get_to(pass.parameters);
      json.at("after").get_to(pass.after);
      if (!json.at("limit").is_null()) pass.limit = json.at("limit").get<int64_t>();
    }
  } catch (const std::exception& error) {
    return Fail(Code::kOutside, "{} cannot be read: {}", path, error.what())
        .Hint("move it away: the tables that were done are then done once more");
  }
  return passes;
}

Status SavePasses(const std::string& folder, const std::vector<Pass>& passes) {
  if (passes.empty()) return RemoveFile(PathOf(folder));
  Json list = Json::array();
  for (const Pass& pass : passes) {
    list.push_back({{"parameters", pass.parameters},
                    {"limit", pass.limit ? Json(*pass.limit) : Json(nullptr)},
                    {"after", pass.after}});
  }
  return WriteFileDurably(PathOf(folder), Json{{"passes", std::move(list)}}.dump());
}

Set WithTable(Set parameters, const std::string& table) {
  parameters[kTableParameter] = table;
  return parameters;
}

// Of all that went wrong, what is said: our bug; what a person must mend before anything is run; what passes
// by itself when it is run again; the data.
constexpr std::array kWorst = {Code::kInternal, Code::kJob, Code::kOutside, Code::kBusy, Code::kData};

class Passes {
 public:
  Passes(const Job& job, std::vector<std::string> tables, const TableRuns& runs)
      : job_(job), tables_(std::move(tables)), runs_(runs) {}

  Status Run(const Set& set) {
    const bool named = !set.empty();
    TRANCHE_TRY(CheckTables(set));
    TRANCHE_ASSIGN(passes_, LoadPasses(runs_.folder));
    auto asked = [&](const Pass& pass) {
      return pass.limit == runs_.options.limit && (!named || pass.parameters == job_.parameters);
    };
    if (runs_.options.again) std::erase_if(passes_, asked);
    std::vector<Pass> unfinished;
    std::ranges::copy_if(passes_, std::back_inserter(unfinished), asked);
    if (!named) TRANCHE_TRY(ResumeOthers(unfinished));
    const bool goes_on =
        std::ranges::find(unfinished, job_.parameters, &Pass::parameters) != unfinished.end();
    for (const Pass& pass : unfinished) TRANCHE_TRY(RunPass(pass));
    if (!goes_on) {
      TRANCHE_ASSIGN(const Pass next, Begin());
      TRANCHE_TRY(RunPass(next));
    }
    return failed_.empty() ? Status() : Summary();
  }

 private:
  // What the job says of each table is wrong before anything is run, or never.
  Status CheckTables(const Set& set) const {
    std::string mistakes;
    std::map<std::string, std::string> targets;
    for (const std::string& table : tables_) {
      auto job = runs_.load(WithTable(set, table), NewId());
      if (!job) {
        if (job.error().code != Code::kJob) return std::move(job).error();
        mistakes += (mistakes.empty() ? "" : "\n") + job.error().ToString();
        continue;
      }
      for (const Body& body : job->bodies) {
        for (const Store& store : body.stores) {
          if (store.mode() != "replace") continue;
          TRANCHE_ASSIGN(const auto sink, store.spec->make(Options(&store.spec->shape, &store.value)));
          const std::string target = sink->target();
          const auto [other, fresh] = targets.try_emplace(target, table);
          if (target.empty() || fresh || other->second == table) continue;
          mistakes += (mistakes.empty() ? "" : "\n") +
                      Fail(Code::kJob, "tables '{}' and '{}' would be stored in the same place by store '{}'",
                           other->second, table, store.name)
                          .Hint("give one of them a job of its own")
                          .At(store.place)
                          .ToString();
        }
      }
    }
    if (mistakes.empty()) return {};
    return Error{Code::kJob, mistakes};
  }

  Result<Pass> Begin() {
    TRANCHE_ASSIGN(const auto before, runs_.state.Runs());
    const Pass pass{.parameters = job_.parameters,
                    .limit = runs_.options.limit,
                    .after = before.empty() ? 0 : before.back().number};
    passes_.push_back(pass);
    TRANCHE_TRY(SavePasses(runs_.folder, passes_));
    return pass;
  }

  // Runs that are in no pass (begun with --set), or of a table that is not there any more.
  Status ResumeOthers(const std::vector<Pass>& unfinished) {
    std::set<std::string> reached;
    for (const std::string& table : tables_) {
      reached.insert(KeyOf(job_.parameters, table));
      for (const Pass& pass : unfinished) reached.insert(KeyOf(pass.parameters, table));
    }
    TRANCHE_ASSIGN(const auto runs, runs_.state.Runs());
    for (const RunRecord& run : runs) {
      if (run.state != RunState::kOpen || reached.contains(run.job_key)) continue;
      TRANCHE_ASSIGN(const Set parameters, ParametersOf(run));
      const std::string table = TableOf(parameters);
      if (table.empty() || job_.tables->Matches(table)) {
        TRANCHE_TRY(Note(table, runs_.resume(run)));
        continue;
      }
      runs_.environment.log.Info(
          fmt::format("run {} is given up: table '{}' is not in the list any more; what it "
                      "stored stays",
                      run.number, table));
      TRANCHE_TRY(runs_.give_up(run, "given up: its table is not in the list any more"));
    }
    return {};
  }

  // A table that has failed gets no later run before that one: it would be overtaken.
  Status RunPass(const Pass& pass) {
    TRANCHE_ASSIGN(const auto earlier, runs_.state.Runs());
    std::set<std::string> done;  // job keys
    for (const RunRecord& run : earlier) {
      if (run.number > pass.after && run.state == RunState::kFinished) done.insert(run.job_key);
    }
    for (const std::string& table : tables_) {
      if (done.contains(KeyOf(pass.parameters, table)) || failed_.contains(table)) continue;
      TRANCHE_TRY(Note(table, runs_.run(WithTable(pass.parameters, table))));
    }
    if (!failed_.empty()) return {};
    std::erase_if(passes_, [&](const Pass& other) {
      return other.after == pass.after && other.parameters == pass.parameters;
    });
    TRANCHE_TRY(SavePasses(runs_.folder, passes_));
    runs_.environment.log.Info(
        fmt::format("{} {} done", std::ssize(tables_), tables_.size() == 1 ? "table is" : "tables are"));
    return {};
  }

  // A failure is said, and the next table's turn comes; but not where somebody wants all to end.
  Status Note(const std::string& table, Status ran) {
    if (ran) return {};
    if (runs_.environment.stop.requested()) return ran;
    failed_[table] = ran.error().code;
    runs_.environment.log.Error(std::move(ran).error().In(fmt::format("table '{}'", table)).ToString());
    return {};
  }

  Error Summary() const {
    std::vector<std::string> names;
    Code code = Code::kData;
    for (const Code worse : kWorst) {
      const bool there = std::ranges::any_of(failed_, [&](const auto& one) { return one.second == worse; });
      if (!there) continue;
      code = worse;
      break;
    }
    for (const auto& [table, failure] : failed_)
      names.push_back(fmt::format("'{}' (exit code {})", table, ExitCode(failure)));
    const auto good =
        std::ranges::count_if(tables_, [&](const auto& table) { return !failed_.contains(table); });
    return Fail(code, "{} of {} tables are done, and not {}", good, std::ssize(tables_),
                fmt::join(names, ", "))
        .Hint("mend what is said above, and run the job again: it does only what is not done");
  }

  std::string KeyOf(const Set& parameters, const std::string& table) const {
    return JobKey(job_.name, WithTable(parameters, table), runs_.options.limit);
  }

  const Job& job_;
  const std::vector<std::string> tables_;
  const TableRuns& runs_;
  std::vector<Pass> passes_;            // as they stand in the file
  std::map<std::string, Code> failed_;  // by table
};

}  // namespace

std::string TableOfRun(const RunRecord& run) {
  const auto parameters = ParametersOf(run);
  return parameters ? TableOf(*parameters) : "";
}

std::string JobKey(const std::string& job, const std::map<std::string, std::string>& parameters,
                   std::optional<int64_t> limit) {
  Json key{{"job", job}, {"parameters", parameters}, {"engine", "duckdb"}};
  if (limit) key["limit"] = *limit;
  return key.dump();
}

Result<std::vector<std::string>> ListTables(const Job& job, Engine& engine, const StopSignal* stop) {
  const Input& input = *job.FindInput(job.tables->input);
  SourceContext context = InputsContext{.engine = &engine, .stop = stop}.For(job, input);
  const Node* written = input.value.Find("schema");
  const std::string schema = written == nullptr ? "" : written->text;
  auto there = input.spec->tables(Options(&input.spec->shape, &input.value), schema, context);
  if (!there) return std::move(there).error().At(job.tables->place);
  if (!schema.empty()) there->where += ", schema " + schema;
  return job.tables->Expand(*std::move(there));
}

Status RunTables(const Job& job, const std::map<std::string, std::string>& set, const TableRuns& runs) {
  TRANCHE_ASSIGN(std::vector<std::string> tables,
                 ListTables(job, runs.environment.engine, &runs.environment.stop));
  return Passes(job, std::move(tables), runs).Run(set);
}

}  // namespace tranche
