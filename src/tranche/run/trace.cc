#include "tranche/run/trace.h"

#include <algorithm>
#include <map>
#include <set>

#include "tranche/base/file.h"
#include "tranche/report/report.h"
#include "tranche/run/kept.h"
#include "tranche/run/kept_rows.h"
#include "tranche/run/reject_list.h"
#include "tranche/run/reject_retry.h"
#include "tranche/run/state_journal.h"
#include "tranche/run/tables.h"

namespace tranche {
namespace {

const ReportData::Stage* FindStage(const ReportData& report, const std::string& name) {
  const auto found = std::ranges::find(report.stages, name, &ReportData::Stage::name);
  return found == report.stages.end() ? nullptr : &*found;
}

// The inputs whose rows flow into a stage, through the stages before it.
void AddInputs(const ReportData& report, const std::string& stage, std::set<std::string>& inputs) {
  const ReportData::Stage* found = FindStage(report, stage);
  if (found == nullptr) return;
  for (const ReportData::Flow& flow : found->from) {
    if (flow.joined) continue;
    if (flow.kind == ReportData::Flow::Kind::kInput) inputs.insert(flow.name);
    if (flow.kind == ReportData::Flow::Kind::kStage) AddInputs(report, flow.name, inputs);
  }
}

class Tracer {
 public:
  Tracer(const JobLoader& load, State& state, const std::string& folder, const TraceQuestion& question,
         Engine& engine)
      : load_(load), state_(state), folder_(folder), question_(question), engine_(engine) {}

  Result<Trace> Run() {
    Trace trace;
    TRANCHE_ASSIGN(auto runs, state_.Runs());
    if (runs.empty()) return Fail(Code::kJob, "the job has not run yet");
    for (RunRecord& run : runs) {
      if (!question_.table.empty() && TableOfRun(run) != question_.table) continue;
      TracedRun& traced = trace.runs.emplace_back();
      traced.run = std::move(run);
      if (Status looked = Look(traced); !looked) traced.remarks.push_back(looked.error().ToString());
    }
    const bool any = std::ranges::any_of(trace.runs, [](const TracedRun& run) { return !run.rows.empty(); });
    if (!any) return NothingFound(trace);
    return trace;
  }

 private:
  Status Look(TracedRun& traced) {
    const RunRecord& run = traced.run;
    TRANCHE_ASSIGN(const auto parameters, ParametersOf(run));
    auto job = load_(parameters, run.id);
    if (!job) return std::move(job).error().In("cannot be looked into with the job as it is now");
    report_ = ParseSummary(run.summary).value_or(ReportData());
    TRANCHE_ASSIGN(splits_, state_.Splits(run.id));
    FindRejects(traced, *job);
    const std::string spools = run.state == RunState::kFinished ? KeptFolder(folder_, run.number)
                               : run.state == RunState::kOpen   ? folder_ + "/spool"
                                                                : "";
    traced.kept = !spools.empty() && Exists(spools);
    for (const Body& body : job->bodies) {
      for (const Store& store : body.stores) {
        store_known_ = store_known_ || question_.store.empty() || store.name == question_.store;
        const auto where = AskedOf(store, question_);
        if (!where) continue;
        asked_any_ = true;
        Status looked = traced.kept ? LookInto(traced, *job, store, *where, spools) : Status();
        if (!looked) traced.remarks.push_back(std::move(looked).error().In("store " + store.name).ToString());
        AddRejects(traced, *where, store.name);
      }
    }
    return {};
  }

  // Those of the run, from wherever they are kept. Targets without any are not asked.
  void FindRejects(TracedRun& traced, const Job& job) {
    rejects_.clear();
    added_.clear();
    const bool open = traced.run.state == RunState::kOpen;
    const bool in_stores = std::ranges::any_of(
        report_.stores, [](const ReportData::Store& store) { return store.counts.rejected > 0; });
    const auto counts = state_.RejectCounts(traced.run.id);
    if (counts && counts->empty() && !in_stores && !open) return;
    auto rejects = ListRejects(job, state_, traced.run, engine_, kAllRejects);
    if (rejects) {
      rejects_ = *std::move(rejects);
    } else {
      traced.remarks.push_back("its rejects cannot be looked up: " + rejects.error().ToString());
    }
  }

  // Rows that got no number: of readers and steps, and of stores whose rows are not there any more.
  void AddRejects(TracedRun& traced, const Conditions& where, const std::string& store) {
    for (size_t i = 0; i < rejects_.size(); ++i) {
      const Reject& reject = rejects_[i];
      const bool of_store = reject.origin.starts_with("store ");
      if (of_store && (traced.kept || reject.origin != "store " + store)) continue;
      const bool meets = Meets(reject.content, where);
      if (!meets && !(reject.origin.starts_with("input ") && Holds(reject.content, where))) continue;
      if (added_.contains(i)) continue;
      if (std::ssize(added_) == question_.most) {
        traced.more = true;
        return;
      }
      added_.insert(i);
      TracedRow& row = traced.rows.emplace_back();
      if (!meets) row.remark = "it could not be read: what it holds was compared as text";
      if (of_store) row.store = store;
      row.fate = Fate::kRejected;
      row.origin = reject.origin;
      row.reason = reject.reason;
      row.column = reject.column;
      row.content = reject.content;
      if (reject.file.empty()) continue;
      const bool input = reject.origin.starts_with("input ");
      row.from.push_back(
          {.input = input ? reject.origin.substr(6) : "", .file = reject.file, .line = reject.line});
    }
  }

  // The stage whose rows the store takes. A run that was killed in its first start does not say.
  Result<StageRecord> StageOf(const RunRecord& run, const std::string& store) {
    TRANCHE_ASSIGN(auto stages, state_.Stages(run.id));
    const auto known = std::ranges::find(report_.stores, store, &ReportData::Store::name);
    for (StageRecord& stage : stages) {
      if (known != report_.stores.end() ? stage.name == known->stage : stages.size() == 1)
        return std::move(stage);
    }
    if (stages.empty()) return Fail(Code::kJob, "no row has got to it yet");
    if (run.state == RunState::kOpen)
      return Fail(Code::kJob, "which rows it takes is known when the run has ended").Hint("run it again");
    return Fail(Code::kJob, "the run had no such store");
  }

  Status LookInto(TracedRun& traced, const Job& job, const Store& store, const Conditions& where,
                  const std::string& spools) {
    TRANCHE_ASSIGN(const StageRecord stage, StageOf(traced.run, store.name));
    TRANCHE_ASSIGN(auto kept, KeptRows::Open(state_, stage, spools + "/" + stage.id, engine_));
    auto found = kept->Find(where, question_.most + 1);
    if (!found) {
      question_error_ = found.error();
      return {};
    }
    question_error_.reset();
    fits_ = true;
    if (std::ssize(*found) > question_.most) {
      traced.more = true;
      found->pop_back();
    }
    if (found->empty()) return {};
    const std::vector<std::string> key = KeyOf(store);
    std::vector<std::vector<int64_t>> groups;
    if (!key.empty()) {
      TRANCHE_ASSIGN(groups, kept->OfSameKey(where, key));
    }
    TRANCHE_ASSIGN(const auto session, engine_.Fork());
    auto sink = store.spec->make(Options(&store.spec->shape, &store.value));
    if (!sink) return std::move(sink).error();
    StateJournal journal(state_, traced.run.id, store.name);
    SinkContext context = LookingContext(traced.run, store.name, *session, journal);
    Batches batches(**sink, context);
    for (KeptRows::Row& row : *found) {
      TracedRow& one = traced.rows.emplace_back();
      one.store = store.name;
      one.stage = stage.name;
      one.row = row.number;
      one.from = PlacesOf(stage.name, row);
      one.content = std::move(row.content);
      const auto group = std::ranges::find_if(groups, [&](const std::vector<int64_t>& numbers) {
        return std::ranges::find(numbers, row.number) != numbers.end();
      });
      Judge(one, traced.run, store, group == groups.end() ? std::vector<int64_t>() : *group, batches);
    }
    const std::string now = Near((*sink)->Describe(), job);
    sink->reset();  // it works on the session
    const auto known = std::ranges::find(report_.stores, store.name, &ReportData::Store::name);
    if (known == report_.stores.end()) return {};
    if (known->description != now) {
      traced.remarks.push_back(
          fmt::format("store '{}' was {} then; the job has {} now", store.name, known->description, now));
    }
    return {};
  }

  // The target's ledger, asked once a batch.
  class Batches {
   public:
    Batches(Sink& sink, SinkContext& context) : sink_(sink), context_(context) {}
    Result<std::optional<Sink::StoredBatch>> Of(int64_t row) {
      if (failed_) return Error(*failed_);
      for (const Sink::StoredBatch& batch : known_) {
        if (row >= batch.span.from && row < batch.span.to) return std::optional(batch);
      }
      auto found = sink_.BatchOf(context_, row);
      if (!found) failed_ = found.error();
      if (found && *found) known_.push_back(**found);
      return found;
    }

   private:
    Sink& sink_;
    SinkContext& context_;
    std::vector<Sink::StoredBatch> known_;
    std::optional<Error> failed_;  // not asked again
  };

  // The reject of a row that the store refused.
  const Reject* Refused(const std::string& store, int64_t row) const {
    const auto found = std::ranges::find_if(rejects_, [&](const Reject& reject) {
      return reject.row == row && reject.origin == "store " + store;
    });
    return found == rejects_.end() ? nullptr : &*found;
  }

  // What became of a row. `same`: the numbers of all rows of its key; empty where the store has no key.
  void Judge(TracedRow& row, const RunRecord& run, const Store& store, const std::vector<int64_t>& same,
             Batches& batches) const {
    auto batch = batches.Of(row.row);
    if (batch) row.batch = *batch;
    if (const Reject* reject = Refused(store.name, row.row); reject != nullptr) {
      row.fate = Fate::kRejected;
      row.origin = reject->origin;
      row.reason = reject->reason;
      row.column = reject->column;
      return;
    }
    if (!batch) {
      row.fate = Fate::kSent;
      row.remark = "its batch cannot be looked up: " + batch.error().ToString();
      return;
    }
    if (!*batch) {
      row.fate = run.state == RunState::kOpen ? Fate::kWaiting : Fate::kSent;
      if (run.state != RunState::kOpen)
        row.remark = "the target's ledger has no batch rows of this run any more";
      return;
    }
    for (const int64_t number : same) {
      if (number <= row.row || Refused(store.name, number) != nullptr) continue;
      if (number >= (*batch)->span.to) {
        row.later = number;
      } else if ((*batch)->counts.superseded > 0) {  // of deletes with one key all but one find nothing
        row.superseded_by = number;
      }
    }
    const int64_t unmatched = (*batch)->counts.unmatched;
    row.fate = row.superseded_by          ? Fate::kSuperseded
               : store.mode() == "delete" ? Fate::kDeleted
                                          : Fate::kStored;
    if (unmatched == 0) return;
    row.fate = Fate::kSent;
    row.remark = unmatched == (*batch)->counts.sent
                     ? "no row of the batch found its key in the table"
                     : fmt::format(
                           "{} of the {} rows of its batch found no row of their key, and which ones the "
                           "ledger does not say",
                           FormatCount(unmatched), FormatCount((*batch)->counts.sent));
  }

  std::vector<InputPlace> PlacesOf(const std::string& stage, const KeptRows::Row& row) const {
    std::vector<InputPlace> places;
    if (!row.file.empty())
      return {{.input = InputOf(row.file), .file = row.file, .files = 1, .line = row.line}};
    std::set<std::string> inputs;
    AddInputs(report_, stage, inputs);
    for (const std::string& input : inputs) {
      InputPlace& place = places.emplace_back(InputPlace{.input = input});
      for (const SplitRecord& record : splits_) {
        if (record.input != input) continue;
        if (const auto split = ParseSplit(record.split); ++place.files == 1 && split)
          place.file = split->name;
      }
      if (place.files != 1) place.file.clear();
    }
    return places;
  }

  std::string InputOf(const std::string& file) const {
    for (const SplitRecord& record : splits_) {
      if (const auto split = ParseSplit(record.split); split && split->name == file) return record.input;
    }
    return "";
  }

  Error NothingFound(const Trace& trace) const {
    std::string remarks;
    for (const TracedRun& run : trace.runs) {
      for (const std::string& remark : run.remarks) {
        remarks += fmt::format("\nrun {}: {}", run.run.number, remark);
      }
    }
    if (!store_known_) return Fail(Code::kJob, "the job has no store '{}'{}", question_.store, remarks);
    if (!asked_any_) {
      return Fail(Code::kJob, "no store of the job has a key of {} column{}{}", question_.key.size(),
                  question_.key.size() == 1 ? "" : "s", remarks)
          .Hint("name a column: `tranche trace JOB column=value`");
    }
    const bool kept = std::ranges::any_of(trace.runs, &TracedRun::kept);
    if (!kept) {
      return Fail(Code::kJob, "no run of the job has kept its batches, and none has rejected this row{}",
                  remarks)
          .Hint("run it with --keep-batches, and its rows can be traced from then on");
    }
    if (!fits_ && question_error_) return *question_error_;
    std::string looked;
    for (const TracedRun& run : trace.runs) {
      if (run.kept) looked += fmt::format("{}{}", looked.empty() ? "" : ", ", run.run.number);
    }
    return Fail(Code::kJob, "no row of the runs that are kept ({}) has this key or these values{}", looked,
                remarks)
        .Hint("runs without --keep-batches cannot be looked into, and values are compared exactly");
  }

  const JobLoader& load_;
  State& state_;
  const std::string& folder_;
  const TraceQuestion& question_;
  Engine& engine_;
  ReportData report_;  // of the run at hand
  std::vector<SplitRecord> splits_;
  std::vector<Reject> rejects_;
  std::set<size_t> added_;  // of these
  bool store_known_ = false;
  bool asked_any_ = false;
  bool fits_ = false;  // some stage has the columns
  std::optional<Error> question_error_;
};

}  // namespace

Result<Trace> TraceRows(const JobLoader& load, State& state, const std::string& folder,
                        const TraceQuestion& question, Engine& engine) {
  return Tracer(load, state, folder, question, engine).Run();
}

}  // namespace tranche
