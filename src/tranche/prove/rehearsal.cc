#include "tranche/prove/rehearsal.h"

#include <algorithm>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "tranche/base/file.h"
#include "tranche/batch/cutter.h"
#include "tranche/plan/plan.h"
#include "tranche/run/inputs.h"

namespace tranche {
namespace {

constexpr const char* kRows = "/rows.duckdb";
constexpr const char* kSettings = "/settings.json";
// Where a store takes as many batches at a time as there are threads: the engine of a trial has one, so that
// sums of fractions come out the same, but its stores are to have several batches under way.
constexpr int kBatchesAtATime = 4;

std::string TableOf(const Job& job, std::string_view input) {
  const auto found = std::ranges::find(job.inputs, input, &Input::name);
  return fmt::format("input_{}", found - job.inputs.begin());
}

Node ObjectOf(std::initializer_list<std::pair<const char*, std::string>> fields) {
  Node node;
  node.kind = Node::Kind::kMap;
  for (const auto& [name, text] : fields) node.entries.push_back({{name, {}}, Node::Scalar(text)});
  return node;
}

// Columns that nothing uses cannot be bad.
const std::set<std::string>* UnusedOf(const Plan& plan, const std::string& input) {
  for (const PlannedStage& stage : plan.stages) {
    if (const auto found = stage.unused.find(input); found != stage.unused.end()) return &found->second;
  }
  return nullptr;
}

Result<KeptInput> KeepOne(const Job& job, const Input& input, Source& source, const SourceContext& context,
                          int64_t most) {
  SourceContext own = context;
  TRANCHE_ASSIGN(const SqlText scan, source.Scan(own));
  std::string columns;
  for (const Column& column : source.columns())
    columns += (columns.empty() ? "" : ", ") + QuoteName(column.name);
  const std::string table = "kept." + TableOf(job, input.name);
  std::string sql =
      fmt::format("CREATE OR REPLACE TABLE {} AS SELECT {} FROM {}", table, columns, scan.text());
  if (source.marks()) sql += fmt::format(" WHERE {} IS NULL", QuoteName(kRejectColumn));
  const bool part = job.Flows(input.name);
  if (part) sql += fmt::format(" LIMIT {}", most);
  TRANCHE_TRY(context.engine->Execute(sql));
  TRANCHE_ASSIGN(auto count, context.engine->Select({SqlText("SELECT count(*) FROM " + table)}));
  const int64_t rows = ParseInteger(count.at(0).at(0).value_or("")).value_or(0);
  return KeptInput{.name = input.name, .rows = rows, .all = !part || rows < most};
}

Result<std::vector<KeptInput>> KeepAll(const Job& job, Engine& engine, const std::string& scratch,
                                       int64_t most) {
  TRANCHE_ASSIGN(Sources sources, MakeSources(job));
  TRANCHE_ASSIGN(auto splits, PlanInputs(job, sources,
                                         {.engine = &engine, .scratch = scratch, .parameters = &job.values}));
  while (true) {
    TRANCHE_ASSIGN(const Plan plan, MakePlan(job, sources, engine, /*seed=*/1));
    std::vector<KeptInput> kept;
    Status read;
    for (const Input& input : job.inputs) {
      const SourceContext context{.input = input.name,
                                  .engine = &engine,
                                  .scratch = scratch,
                                  .parameters = &job.values,
                                  .unused = UnusedOf(plan, input.name)};
      Source& source = *sources.at(input.name);
      auto one = KeepOne(job, input, source, context, most);
      if (!one && source.Recover(one.error())) break;
      if (!one) return std::move(one).error();
      kept.push_back(*std::move(one));
    }
    if (kept.size() == job.inputs.size()) return kept;
  }
}

}  // namespace

Result<RehearsalSettings> RehearsalSettings::Load(const std::string& folder) {
  RehearsalSettings settings;
  TRANCHE_ASSIGN(const std::string text, ReadFile(folder + kSettings));
  try {
    const auto json = nlohmann::json::parse(text);
    json.at("seed").get_to(settings.seed);
    json.at("rows_a_batch").get_to(settings.rows_a_batch);
  } catch (const std::exception& error) {
    return Fail(Code::kOutside, "{}{} cannot be read: {}", folder, kSettings, error.what());
  }
  return settings;
}

Status RehearsalSettings::Save(const std::string& folder) const {
  return WriteFileDurably(folder + kSettings,
                          nlohmann::json{{"seed", seed}, {"rows_a_batch", rows_a_batch}}.dump());
}

Result<std::vector<KeptInput>> KeepRows(const Job& job, Engine& engine, const std::string& folder,
                                        int64_t most) {
  TRANCHE_TRY(MakeFolders(folder));
  TRANCHE_TRY(engine.Execute(fmt::format("ATTACH {} AS kept (TYPE duckdb)", QuoteText(folder + kRows))));
  auto kept = KeepAll(job, engine, folder + "/input", most);
  auto detached = engine.Execute("DETACH kept");  // the trials open it
  if (kept && !detached) return std::move(detached).error();
  return kept;
}

Result<Rehearsal> Rehearsal::Open(const Registry& registry, const std::string& trial) {
  Rehearsal rehearsal;
  rehearsal.trial_ = trial;
  TRANCHE_ASSIGN(rehearsal.settings_,
                 RehearsalSettings::Load(std::filesystem::path(trial).parent_path().string()));
  const SourceSpec* source = registry.FindSource("duckdb");
  if (source == nullptr) return Fail(Code::kInternal, "there is no source for the kept rows");
  rehearsal.kept_ = *source;
  // The file is never changed: a run that was killed at its very end has nothing new to do.
  rehearsal.kept_.files = true;
  return rehearsal;
}

Result<ScratchTarget> Rehearsal::TargetOf(const Store& store, Engine& engine) const {
  if (!store.spec->scratch) {
    return Fail(Code::kJob, "prove does not know how to make a scratch target for {}", store.spec->name)
        .At(store.place);
  }
  namespace fs = std::filesystem;
  const fs::path trial(trial_);
  const ScratchPlace place{.folder = trial_ + "/targets",
                           .name = fmt::format("tranche_prove_{}_{}", trial.parent_path().filename().string(),
                                               trial.filename().string()),
                           .engine = &engine};
  auto target = store.spec->scratch(Options(&store.spec->shape, &store.value), place);
  if (!target) return std::move(target).error().At(store.place);
  return target;
}

Result<Job> Rehearsal::Rehearse(Job job, Engine& engine) const {
  const std::string rows = std::filesystem::path(trial_).parent_path().string() + kRows;
  for (Input& input : job.inputs) {
    input.spec = &kept_;
    input.value = ObjectOf({{"path", rows}, {"table", TableOf(job, input.name)}});
    input.new_files = false;
    input.increment.reset();
  }
  for (Body& body : job.bodies) {
    for (Store& store : body.stores) {
      TRANCHE_ASSIGN(ScratchTarget target, TargetOf(store, engine));
      store.value = std::move(target.value);
      if (store.batch.parallel == 0) store.batch.parallel = kBatchesAtATime;
      const auto batch = settings_.rows_a_batch.find(store.name);
      if (batch != settings_.rows_a_batch.end()) store.batch.rows = batch->second;
    }
  }
  return job;
}

Status Rehearsal::RemoveTargets(const Job& job, Engine& engine) const {
  Status removed;
  for (const Body& body : job.bodies) {
    for (const Store& store : body.stores) {
      auto target = TargetOf(store, engine);
      Status status;
      if (!target) {
        status = std::move(target).error();
      } else if (target->remove) {
        status = target->remove();
      }
      if (removed && !status) removed = std::move(status);
    }
  }
  return removed;
}

}  // namespace tranche
