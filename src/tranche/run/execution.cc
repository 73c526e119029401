#include "tranche/run/execution.h"

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include "tranche/base/failpoint.h"
#include "tranche/base/file.h"
#include "tranche/base/hash.h"
#include "tranche/batch/cutter.h"
#include "tranche/run/balance.h"

namespace tranche {
namespace {

template <typename Items>
auto* Named(Items& items, std::string_view name) {
  for (auto& item : items) {
    if (item.name == name) return &item;
  }
  return &items.emplace_back(typename Items::value_type{.name = std::string(name)});
}

}  // namespace

// A store that takes rows. If it goes early, so does its stage.
struct Execution::Storing {
  Spool spool;
  Status outcome = {};
  std::atomic<bool> failed = false;
  std::jthread thread = {};  // last: it is joined before the rest goes

  explicit Storing(Spool rows) : spool(std::move(rows)) {}
  ~Storing() {
    if (thread.joinable()) spool.GiveUp();
  }
};

Execution::Execution(RunContext& context, Sources sources, bool resumed)
    : context_(context), sources_(std::move(sources)), resumed_(resumed) {}
Execution::~Execution() = default;

Status Execution::Run() {
  StopSignal::Watch watch(context_.stop, context_.engine);
  TRANCHE_ASSIGN(stored_, StoredOf(context_.state, context_.run.id));
  TRANCHE_TRY(PrepareInputs());
  TRANCHE_TRY(MakeStages());
  TRANCHE_TRY(StoreAll());
  return Finish();
}

// Until a store has been opened, inputs that changed are simply read as they are now.
Status Execution::PrepareInputs() {
  const InputsContext inputs = context_.Inputs();
  TRANCHE_ASSIGN(auto splits, context_.state.Splits(context_.run.id));
  if (resumed_) NameNewFiles(splits, inputs);
  if (!resumed_ || stored_ == Stored::kAllRead) return OpenInputs(context_.job, sources_, splits, inputs);
  const std::vector<std::string> changes = ChangesSince(splits);
  if (changes.empty()) return OpenInputs(context_.job, sources_, splits, inputs);
  if (stored_ == Stored::kWhileRead) {
    return Fail(Code::kData, "{}, and rows of it are stored already", changes.front())
        .Hint("put it back as it was to let the run finish; or --again: give it up (what it stored stays)");
  }
  context_.log.Info("begins anew, nothing was stored yet", {{"because", changes.front()}});
  TRANCHE_ASSIGN(auto stages, context_.state.Stages(context_.run.id));
  TRANCHE_TRY(DropStages(stages));
  TRANCHE_ASSIGN(splits, PlanInputs(context_.job, sources_, inputs));
  return context_.state.ReplaceSplits(context_.run.id, splits);
}

// Files that match now and did not when the run began are for the next run. What can't be looked at is not
// named.
void Execution::NameNewFiles(const std::vector<SplitRecord>& recorded, const InputsContext& inputs) {
  std::set<std::string> known;
  for (const SplitRecord& record : recorded) {
    if (const auto split = ParseSplit(record.split); split) known.insert(split->name);
  }
  auto sources = MakeSources(context_.job);
  if (!sources) return;
  for (const Input& input : context_.job.inputs) {
    if (!input.spec->files) continue;
    SourceContext context{.input = input.name, .engine = inputs.engine, .scratch = inputs.scratch};
    const auto splits = sources->at(input.name)->Plan(context);
    if (!splits) continue;
    for (const Split& split : *splits) {
      if (!known.contains(split.name))
        context_.log.Info("left for the next run", {{"file", Near(split.name, context_.job)}});
    }
  }
}

Status Execution::DropStages(const std::vector<StageRecord>& stages) {
  for (const StageRecord& stage : stages) {
    TRANCHE_TRY(context_.state.DropStage(context_.run.id, stage.id));
    TRANCHE_TRY(RemoveFolder(context_.SpoolFolder(stage.id)));
    TRANCHE_TRY(Failpoint("resume.stage_dropped"));
  }
  return {};
}

Status Execution::MakeStages() {
  while (true) {
    Status made = TryStages();
    if (!made) EndStores();
    if (made || context_.stop.requested()) return made;
    bool again = false;
    for (auto& [name, source] : sources_) again = again || source->Recover(made.error());
    if (!again) return made;
    // The plan changes with what the sources hand on now: nothing of the old one is kept.
    TRANCHE_TRY(context_.state.ReplaceSplits(context_.run.id, CurrentSplits(context_.job, sources_)));
    if (!goes_on()) {
      TRANCHE_ASSIGN(auto stages, context_.state.Stages(context_.run.id));
      TRANCHE_TRY(DropStages(stages));
    }
    for (const auto& [name, stage] : sealed_) {
      for (const auto& [origin, count] : stage.tally.rejected) context_.budget.TakeBack(origin, count);
      for (const auto& [input, tally] : stage.tally.inputs)
        context_.budget.TakeBack("input " + input, tally.rejected);
    }
    sealed_.clear();
    workers_.clear();
  }
}

Status Execution::TryStages() {
  TRANCHE_ASSIGN(plan_,
                 MakePlan(context_.job, sources_, context_.engine, context_.run.seed, context_.places));
  for (const std::string& warning : plan_.warnings) context_.log.Warn(warning);
  Describe();
  TRANCHE_ASSIGN(auto records, context_.state.Stages(context_.run.id));
  TRANCHE_TRY(MakeWorkers());
  direct_ = IsDirect(records);
  if (direct_) return StoreDirect(plan_.stages.front());
  Spooler spooler(context_, sources_);
  for (const PlannedStage& stage : plan_.stages) {
    std::optional<SealedStage> sealed;
    const StageRecord* begun_before = nullptr;
    for (const StageRecord& record : records) {
      if (record.name != stage.name) continue;
      if (!record.sealed && goes_on()) {
        begun_before = &record;
        continue;
      }
      if (!record.sealed) {
        TRANCHE_TRY(DropStages({record}));
        continue;
      }
      TRANCHE_ASSIGN(sealed, spooler.Resume(stage, record));
      if (sealed->tally.query != HashHex(stage.query.text())) {
        return Fail(Code::kData,
                    "stage '{}' was sealed by another version of tranche, which planned it differently",
                    stage.name)
            .Hint("finish the run with that version, or give it up by --again");
      }
    }
    if (!sealed) {
      auto begun = [&](const std::string& id, const Spool& spool, bool flows) {
        return StoreWhileItGrows(stage, id, spool, flows);
      };
      TRANCHE_ASSIGN(sealed, spooler.Make(stage, sealed_, begun, Holds(stage), begun_before));
    }
    DescribeStage(stage, sealed->tally, false);
    sealed_[stage.name] = *std::move(sealed);
  }
  return JudgeStages();
}

// The equations of the stages, and the reject limits that are judged at the end of their place.
Status Execution::JudgeStages() {
  int64_t read = 0;
  for (const PlannedStage& stage : plan_.stages) {
    ReportData::Stage& report = *Named(context_.report.stages, stage.name);
    TRANCHE_TRY(JudgeStage(report, stage.filters));
    int64_t came = 0;
    for (const ReportData::Flow& flow : report.from) {
      if (flow.kind == ReportData::Flow::Kind::kInput) {
        read += flow.rows;
        TRANCHE_TRY(context_.budget.JudgeEnd("input " + flow.name, flow.rows));
      }
      if (!flow.joined) came += flow.rows;
    }
    for (const PlannedStep& step : stage.steps) TRANCHE_TRY(context_.budget.JudgeEnd(step.origin, came));
  }
  return context_.budget.JudgeRest(read);
}

// A run that keeps its rows keeps them in a spool, unless it was asked to when all was written already.
bool Execution::IsDirect(const std::vector<StageRecord>& records) const {
  if (plan_.stores.size() != 1 || !plan_.stores.front().direct) return false;
  const bool written =
      std::ranges::any_of(records, [](const auto& stage) { return stage.sealed && stage.schema.empty(); });
  return written || !context_.keeps;
}

Status Execution::MakeWorkers() {
  workers_.clear();
  for (PlannedStore& store : plan_.stores) {
    ReportData::Store& report = *Named(context_.report.stores, store.store->name);
    TRANCHE_ASSIGN(auto worker, StoreWorker::Make(context_, store, report));
    workers_.push_back(std::move(worker));
  }
  return {};
}

Status Execution::Note(Stored how) {
  if (stored_ >= how) return {};
  stored_ = how;
  return NoteStored(context_.state, context_.run.id, how);
}

bool Execution::Streams(const PlannedStage& stage) const {
  return stage.streams() && !context_.options.limit && !context_.budget.judges_ends();
}

// Nobody sees the rows of a store aside; the others wait until it is sure that there will be more than one
// segment: a job of few rows is read to its end before anything is stored.
Status Execution::StoreWhileItGrows(const PlannedStage& stage, const std::string& id, const Spool& spool,
                                    bool flows) {
  const bool streams = flows && Streams(stage);
  const bool drops = Streams(stage) && Drops(stage);
  for (size_t i = 0; i < plan_.stores.size(); ++i) {
    const PlannedStore& store = plan_.stores[i];
    const auto begun = under_way_.find(i);
    if (begun != under_way_.end() && begun->second->failed) {
      begun->second->thread.join();
      return std::move(begun->second->outcome);
    }
    if (store.stage != stage.name) continue;
    const bool whole = store.sink->whole();
    const bool aside = store.sink->aside();
    if (streams && !whole) TRANCHE_TRY(Note(aside ? Stored::kAside : Stored::kWhileRead));
    // A thread of the engine may wait for the rows of a whole one: they must flow.
    const bool now = whole ? aside && flows : aside || streams;
    if (!now || begun != under_way_.end()) continue;
    if (drops) workers_[i]->OnStored([this, &stage, id, spool] { DropStored(stage, id, spool); });
    Start(i, id, spool);
  }
  if (drops) DropStored(stage, id, spool);
  return {};
}

bool Execution::Drops(const PlannedStage& stage) const {
  const bool read_again = std::ranges::any_of(plan_.stages, [&](const PlannedStage& later) {
    return std::ranges::find(later.stages, stage.name) != later.stages.end();
  });
  const bool judged =
      std::ranges::any_of(stage.guards, [](const Guard& guard) { return guard.when == Guard::When::kAfter; });
  return !read_again && !judged && !context_.keeps;
}

bool Execution::Holds(const PlannedStage& stage) const {
  return stage.steady && Streams(stage) && Drops(stage) &&
         std::ranges::none_of(plan_.stores, [&](const PlannedStore& store) {
           return store.stage == stage.name && store.sink->whole() && !store.sink->aside();
         });
}

void Execution::DropStored(const PlannedStage& stage, const std::string& id, Spool spool) {
  const std::scoped_lock lock(dropping_);
  int64_t row = spool.rows();
  for (size_t i = 0; i < plan_.stores.size(); ++i) {
    if (plan_.stores[i].stage == stage.name) row = std::min(row, workers_[i]->stored_to());
  }
  // What could not be noted stays until the run is finished.
  if (spool.HasFilesToDrop(row) && !(context_.state.DropSegments(id, row) && Failpoint("segment.dropped")))
    return;
  spool.Drop(row);
}

// They finish the batches in hand.
void Execution::EndStores() {
  under_way_.clear();
  for (auto& worker : workers_) worker->TakeBack();
}

Status Execution::StoreAll() {
  if (direct_) return {};  // its stage and its store are one
  TRANCHE_TRY(Note(Stored::kAllRead));
  for (size_t i = 0; i < workers_.size(); ++i) {
    const SealedStage& stage = sealed_.at(plan_.stores[i].stage);
    context_.progress.rows_to_store += stage.spool->rows();
    if (!under_way_.contains(i)) Start(i, stage.id, *stage.spool);
  }
  for (auto& [number, storing] : under_way_) storing->thread.join();
  for (auto& [number, storing] : under_way_) {
    TRANCHE_TRY(std::move(storing->outcome));
    workers_[number]->SetRows(storing->spool.rows());
  }
  return {};
}

void Execution::Start(size_t store, const std::string& stage_id, const Spool& spool) {
  Storing& storing = *(under_way_[store] = std::make_unique<Storing>(spool));
  storing.thread = std::jthread([&storing, &worker = *workers_[store], stage_id] {
    const int64_t end = storing.spool.end();
    storing.outcome =
        worker.Open(VisibleSchema(*storing.spool.schema()), stage_id, end == Spool::kEnd ? 0 : end);
    if (storing.outcome) storing.outcome = worker.Store(storing.spool);
    if (!storing.outcome) storing.failed = true;
  });
}

Status Execution::StoreDirect(const PlannedStage& stage) {
  StoreWorker& worker = *workers_.front();
  Spooler spooler(context_, sources_);
  TRANCHE_ASSIGN(auto records, context_.state.Stages(context_.run.id));
  // The one stage of a direct job has a record too: its rejects and its counts hang on it.
  StageRecord record{.name = stage.name, .id = NewId()};
  for (const StageRecord& earlier : records) record = earlier;
  StageTally tally;
  if (record.sealed) {
    TRANCHE_ASSIGN(tally, StageTally::Parse(record.tallies));
  }
  TRANCHE_TRY(worker.Open(nullptr, record.id, tally.rows));
  if (record.sealed && worker.complete()) {
    TRANCHE_TRY(spooler.Charge(tally));
  } else {
    TRANCHE_TRY(worker.Forget());
    if (!records.empty()) TRANCHE_TRY(DropStages({record}));
    record = {.name = stage.name, .id = NewId()};
    tally = {.query = HashHex(stage.query.text())};
    TRANCHE_TRY(context_.state.AddStage(context_.run.id, record));
    TRANCHE_TRY(spooler.CheckBefore(stage, sealed_));
    const int64_t begun = context_.clock.SteadyNanos();
    TRANCHE_ASSIGN(auto composed, spooler.Compose(stage, stage.query, sealed_));
    // Of rows without an order, all threads of the engine write.
    TRANCHE_TRY(
        worker.engine().Execute(fmt::format("SET preserve_insertion_order = {}", !composed.any_order)));
    TRANCHE_ASSIGN(const Counts counts, worker.StoreDirect(composed.sql));
    tally.rows = counts.sent;
    TRANCHE_TRY(spooler.Tally(stage, record.id, worker.engine(), tally));
    tally.seconds = (context_.clock.SteadyNanos() - begun) / 1e9;
    record.sealed = true;
    record.rows = tally.rows;
    record.tallies = tally.ToJson();
    TRANCHE_TRY(context_.state.SealStage(record));
    worker.SetRows(tally.rows);
  }
  DescribeStage(stage, tally, true);
  return JudgeStages();
}

Status Execution::Finish() {
  for (auto& worker : workers_) {
    TRANCHE_TRY(worker->Judge());
    for (const Reject& reject : worker->rejects()) context_.report.AddReject(reject);
  }
  context_.report.balanced = true;
  TRANCHE_TRY(Failpoint("run.balanced"));
  TRANCHE_TRY(Note(Stored::kAllRead));
  for (auto& worker : workers_) TRANCHE_TRY(worker->Finish());
  workers_.clear();
  return {};
}

// What is known before a row has been read.
void Execution::Describe() {
  ReportData& report = context_.report;
  report.inputs.clear();
  report.stages.clear();
  for (const Input& input : context_.job.inputs) {
    const Source& source = *sources_.at(input.name);
    ReportData::Input& described = report.inputs.emplace_back();
    described.name = input.name;
    described.connector = input.spec->name;
    described.description = Near(source.Describe(), context_.job);
    described.splits = std::ssize(source.splits());
    for (const Split& split : source.splits()) described.bytes += split.identity.size;
  }
  for (const PlannedStore& store : plan_.stores) {
    ReportData::Store& described = *Named(report.stores, store.store->name);
    described.connector = store.store->spec->name;
    described.description = Near(store.sink->Describe(), context_.job);
    described.guarantee = store.guarantee();
    described.stage = store.stage;
  }
}

void Execution::DescribeStage(const PlannedStage& stage, const StageTally& tally, bool direct) {
  ReportData::Stage& described = *Named(context_.report.stages, stage.name);
  described.kind = direct ? "direct" : Streams(stage) ? "streamed spool" : "whole spool";
  described.sql = stage.query.text();
  described.equation = !stage.opaque;
  described.folds = stage.folds;
  described.folded = tally.folded;
  described.rows = tally.rows;
  described.bytes = tally.bytes;
  described.seconds = tally.seconds;
  described.rejected = tally.step_rejects();
  for (const PlannedStep& step : stage.steps) described.steps.push_back(step.origin);
  auto flows = [&](const std::string& name) {
    return std::ranges::find(stage.flow, name) != stage.flow.end();
  };
  for (const auto& [name, input] : tally.inputs) {
    described.from.push_back(
        {.kind = ReportData::Flow::Kind::kInput, .name = name, .rows = input.read, .joined = !flows(name)});
    ReportData::Input& total = *Named(context_.report.inputs, name);
    total.read = input.read;
    total.exact = input.exact;
    total.rejected = input.rejected;
    if (flows(name)) {
      described.rejected += input.rejected;
      described.equation = described.equation && input.exact;
    }
  }
  for (const std::string& name : stage.stages) {
    // A union may take the same rows twice: a branch that changes nothing stands for what it starts from.
    const int64_t times = std::max<int64_t>(1, std::ranges::count(stage.flow, name));
    described.from.push_back({.kind = ReportData::Flow::Kind::kStage,
                              .name = name,
                              .rows = times * sealed_.at(name).tally.rows,
                              .joined = !flows(name)});
  }
}

}  // namespace tranche
