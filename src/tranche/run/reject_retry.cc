#include "tranche/run/reject_retry.h"

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

#include "tranche/base/file.h"
#include "tranche/batch/cutter.h"
#include "tranche/plan/plan.h"
#include "tranche/run/inputs.h"
#include "tranche/run/reject_list.h"
#include "tranche/run/stored.h"

namespace tranche {
namespace {

using Json = nlohmann::json;

std::string ListPath(const std::string& folder, const std::string& name) { return folder + "/retry/" + name; }

struct List {
  std::string origin;
  std::vector<int64_t> numbers;

  static Result<List> Load(const std::string& folder, const std::string& name) {
    const std::string path = ListPath(folder, name) + ".json";
    TRANCHE_ASSIGN(const std::string text, ReadFile(path));
    List list;
    try {
      const Json json = Json::parse(text);
      json.at("origin").get_to(list.origin);
      json.at("numbers").get_to(list.numbers);
    } catch (const std::exception& error) {
      return Fail(Code::kOutside, "{} cannot be read: {}", path, error.what());
    }
    return list;
  }
};

// The column of a file of mended rows that says which rejects they are; the other one where the rows have a
// column of that name.
constexpr const char* kNumber = "number";
constexpr const char* kOtherNumber = "reject_number";

Node FileOptions(const std::string& file, const Columns& columns) {
  Node value;
  value.kind = Node::Kind::kMap;
  value.entries.push_back({{"path", {}}, Node::Scalar(file)});
  if (columns.empty()) return value;
  Node types;
  types.kind = Node::Kind::kMap;
  for (const Column& column : columns)
    types.entries.push_back({{column.name, {}}, Node::Scalar(column.type)});
  value.entries.push_back({{"types", {}}, std::move(types)});
  return value;
}

}  // namespace

Result<std::map<std::string, std::string>> ParametersOf(const RunRecord& run) {
  const auto parameters = Json::parse(run.parameters, nullptr, false);
  if (parameters.is_discarded())
    return Fail(Code::kOutside, "state.db: the parameters of run {} cannot be read", run.number);
  return parameters.get<std::map<std::string, std::string>>();
}

bool IsRetry(const RunRecord& run) {
  const auto parameters = ParametersOf(run);
  return parameters && parameters->contains(kRetryParameter);
}

Result<std::vector<RunRecord>> RetriesOf(const RunRecord& run, State& state) {
  std::vector<RunRecord> retries;
  TRANCHE_ASSIGN(auto runs, state.Runs());
  for (RunRecord& other : runs) {
    TRANCHE_ASSIGN(const auto parameters, ParametersOf(other));
    const auto name = parameters.find(kRetryParameter);
    if (name == parameters.end() || !name->second.starts_with(fmt::format("{}-", run.number))) continue;
    if (other.state == RunState::kAbandoned) {
      TRANCHE_ASSIGN(const Stored stored, StoredOf(state, other.id));
      if (!IsBinding(stored)) continue;
    }
    if (other.state != RunState::kOpen) retries.push_back(std::move(other));
  }
  return retries;
}

Result<RejectStanding> StandingOf(const JobLoader& load, State& state, const std::string& folder,
                                  const RunRecord& run, Engine& engine, int64_t most) {
  std::vector<RunRecord> sources{run};
  TRANCHE_ASSIGN(auto retries, RetriesOf(run, state));
  std::set<int64_t> taken;
  for (RunRecord& retry : retries) {
    TRANCHE_ASSIGN(const auto parameters, ParametersOf(retry));
    TRANCHE_ASSIGN(const List list, List::Load(folder, parameters.at(kRetryParameter)));
    taken.insert(list.numbers.begin(), list.numbers.end());
    sources.push_back(std::move(retry));
  }
  // With retries all rejects are counted: a number does not depend on how many are asked for.
  const int64_t counted = retries.empty() ? most : kAllRejects;
  RejectStanding standing{.open = {}, .taken = std::ssize(taken)};
  int64_t number = 0;
  for (const RunRecord& source : sources) {
    TRANCHE_ASSIGN(const auto parameters, ParametersOf(source));
    TRANCHE_ASSIGN(const Job job, load(parameters, source.id));
    TRANCHE_ASSIGN(auto rejects, ListRejects(job, state, source, engine, counted));
    for (Reject& reject : rejects) {
      if (!taken.contains(++number) && std::ssize(standing.open) < most)
        standing.open.push_back({.number = number, .reject = std::move(reject)});
    }
  }
  return standing;
}

Status RemoveUnusedLists(const std::string& folder, State& state) {
  if (!Exists(folder + "/retry")) return {};
  std::set<std::string> used;
  TRANCHE_ASSIGN(const auto runs, state.Runs());
  for (const RunRecord& run : runs) {
    TRANCHE_ASSIGN(const auto parameters, ParametersOf(run));
    if (const auto name = parameters.find(kRetryParameter); name != parameters.end())
      used.insert(name->second);
  }
  TRANCHE_ASSIGN(const auto names, ListFolder(folder + "/retry"));
  for (const std::string& name : names) {
    if (!used.contains(name.substr(0, name.find('.')))) TRANCHE_TRY(RemoveFile(folder + "/retry/" + name));
  }
  return {};
}

Result<Job> RetryJob(Job job, const SourceSpec& reader, const std::string& folder, const std::string& name) {
  TRANCHE_ASSIGN(const List list, List::Load(folder, name));
  TRANCHE_ASSIGN(job, JobAfter(std::move(job), list.origin));
  Input& input = job.inputs.front();
  input.spec = &reader;
  input.value = Node();
  input.value.kind = Node::Kind::kMap;
  input.value.entries.push_back({{"path", {}}, Node::Scalar(ListPath(folder, name) + ".duckdb")});
  input.value.entries.push_back({{"table", {}}, Node::Scalar("rejects")});
  job.parameters[kRetryParameter] = name;
  return job;
}

Result<Columns> ColumnsBefore(const Job& job, const std::string& origin, Engine& engine,
                              const std::string& scratch) {
  TRANCHE_ASSIGN(Sources sources, MakeSources(job));
  TRANCHE_ASSIGN(auto splits, PlanInputs(job, sources,
                                         {.engine = &engine, .scratch = scratch, .parameters = &job.values}));
  if (origin.starts_with("input ")) return sources.at(origin.substr(6))->columns();
  TRANCHE_ASSIGN(const Plan plan, MakePlan(job, sources, engine, /*seed=*/1));
  for (const PlannedStore& store : plan.stores) {
    if (origin == "store " + store.store->name) return plan.FindStage(store.stage)->columns;
  }
  for (const PlannedStage& stage : plan.stages) {
    for (const PlannedStep& step : stage.steps) {
      if (step.origin == origin) return step.before;
    }
  }
  return Fail(Code::kJob, "the job has no '{}' any more", origin);
}

Result<MendedRows> ReadMended(const std::string& file, const Columns& columns, const Registry& registry,
                              Engine& engine, const std::string& scratch) {
  const SourceSpec* spec = registry.FindSource(file.ends_with(".csv") ? "csv" : "json");
  SourceContext context{.input = "from", .engine = &engine, .scratch = scratch};
  const Node untyped = FileOptions(file, {});
  TRANCHE_ASSIGN(const auto guessing, OpenSource(*spec, untyped, context));
  const std::string number = FindColumn(guessing->columns(), kOtherNumber) ? kOtherNumber : kNumber;
  if (FindColumn(columns, number)) {
    return Fail(Code::kJob, "{}: the rows have a column '{}' of their own", file, number)
        .Hint(fmt::format("put the numbers of the rejects into a column '{}'", kOtherNumber));
  }
  Columns typed = columns;
  typed.push_back({number, "BIGINT"});
  const Node value = FileOptions(file, typed);
  TRANCHE_ASSIGN(const auto source, OpenSource(*spec, value, context));
  const std::string row = columns.empty() ? "'{}'" : fmt::format("to_json({})", RowForJson(columns));
  auto read = [&]() -> Result<std::vector<TextRow>> {
    TRANCHE_ASSIGN(const SqlText scan, source->Scan(context));
    const std::string marked = source->marks() ? QuoteName(kRejectColumn) : "NULL";
    return engine.Select({SqlText(fmt::format("SELECT {}, CAST({} AS VARCHAR), {} FROM {} AS input",
                                              QuoteName(number), row, marked, scan.text()))});
  };
  auto rows = read();
  while (!rows && source->Recover(rows.error())) rows = read();
  if (!rows) return std::move(rows).error();
  MendedRows mended;
  for (TextRow& one : *rows) {
    if (one.at(2)) {
      const Json mark = Json::parse(*one[2], nullptr, false);
      return Fail(Code::kJob, "{}:{}: a row cannot be read: {}", file, mark.value("line", 0),
                  mark.value("reason", ""));
    }
    const auto parsed = ParseInteger(one.at(0).value_or(""));
    if (!parsed) return Fail(Code::kJob, "{}: a row has no '{}'", file, number);
    if (!mended.emplace(*parsed, one.at(1).value_or("{}")).second)
      return Fail(Code::kJob, "{}: reject {} stands there twice", file, *parsed);
  }
  TRANCHE_TRY(source->TakeRejects(context, [&](const Reject& reject) -> Status {
    return Fail(Code::kJob, "{}:{}: a row cannot be read: {}", file, reject.line, reject.reason);
  }));
  return mended;
}

Result<std::string> SealList(const std::string& folder, int64_t run, const Columns& columns,
                             const std::vector<NumberedReject>& rejects, Engine& engine) {
  TRANCHE_TRY(MakeFolders(folder + "/retry"));
  int64_t next = 1;
  while (Exists(ListPath(folder, fmt::format("{}-{}", run, next)) + ".json")) ++next;
  const std::string name = fmt::format("{}-{}", run, next);
  const std::string rows = ListPath(folder, name) + ".duckdb";
  for (const char* end : {"", ".wal"}) TRANCHE_TRY(RemoveFile(rows + end));  // of one that was killed here
  std::string select;
  for (const Column& column : columns) {
    select += fmt::format("{}{} AS {}", select.empty() ? "" : ", ", FromRowJson(column, "content"),
                          QuoteName(column.name));
  }
  TRANCHE_TRY(engine.Execute(fmt::format("ATTACH {} AS tranche_retry (TYPE duckdb)", QuoteText(rows))));
  std::string values;
  List list{.origin = rejects.front().reject.origin};
  for (const NumberedReject& one : rejects) {
    values +=
        fmt::format("{}({}, {})", values.empty() ? "" : ", ", one.number, QuoteText(one.reject.content));
    list.numbers.push_back(one.number);
  }
  auto made = engine.Execute(fmt::format(
      "CREATE TABLE tranche_retry.rejects AS SELECT {} FROM (SELECT number, CAST(content AS JSON) AS content "
      "FROM (VALUES {}) AS listed(number, content)) ORDER BY number",
      select, values));
  auto detached = engine.Execute("DETACH tranche_retry");
  if (!made) {
    return Fail(Code::kJob, "what {} refused does not have the types of its columns: {}", list.origin,
                made.error().message)
        .Hint("mend the rows, and name them with --from FILE");
  }
  if (!detached) return std::move(detached).error();
  TRANCHE_TRY(SyncFile(rows));
  TRANCHE_TRY(WriteFileDurably(ListPath(folder, name) + ".json",
                               Json{{"origin", list.origin}, {"numbers", list.numbers}}.dump()));
  return name;
}

}  // namespace tranche
