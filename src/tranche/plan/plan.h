// Plan: a job turned into stages and stores. A stage is one query for the engine; it ends in a spool, or,
// where the whole job is one query into one file, goes directly into its store.
//
// The queries speak of inputs and of earlier stages by relation names (InputRelation, StageRelation); the
// runner puts in what stands behind them (a scan, a reader of a spool) by `WithRelations`.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tranche/base/result.h"
#include "tranche/connector/engine.h"
#include "tranche/connector/sink.h"
#include "tranche/connector/source.h"
#include "tranche/connector/step.h"
#include "tranche/job/job.h"

namespace tranche {

std::string InputRelation(std::string_view input);  // "tranche input flights", quoted
std::string StageRelation(std::string_view stage);

// One step within a stage, for `plan` and `preview`.
struct PlannedStep {
  std::string origin;  // "check (prepare 2)"
  SqlText select;      // the query up to and with this step
  Columns before;      // that it sees, and its rejects have
};

struct PlannedStage {
  std::string
      name;  // "rows", "prepared", "input weather", "branch by_month"; unique, the same on each resume
  std::vector<PlannedStep> steps;
  SqlText query;    // of the visible and hidden columns
  Columns columns;  // visible
  std::vector<std::string> hidden;
  std::vector<Guard> guards;
  std::vector<std::string> inputs;  // whose rows flow into this stage or are joined to it
  std::vector<std::string> flow;    // of these and of `stages`: what flows (not joined), for the balance
  std::vector<std::string> stages;  // earlier stages that it reads
  std::map<std::string, std::set<std::string>> unused;  // by input: columns that the query does not use
  std::string why_ends;  // why a spool stands behind it: "two stores read it", "dedupe needs all rows that
                         // check left"
  bool filters = false;  // has a step that drops rows one by one
  bool folds = false;    // ends in an aggregate whose hidden count is still there
  bool row_wise = true;  // each step takes a row by itself, and hands on that row or none
  bool steady = false;   // its query gives the same rows in the same order each time (plan/steady.h)
  bool opaque = false;   // join, dedupe, limit, sample, sql: no equation between in and out

  bool marked() const;   // may hold refused rows
  bool ordered() const;  // its query goes in the order of an input's key, and can go on behind any row
  bool streams() const { return steady || ordered(); }  // stores may begin before it is sealed
};

struct PlannedStore {
  const Store* store = nullptr;
  std::unique_ptr<Sink> sink;
  std::string stage;    // whose rows it takes
  bool direct = false;  // the stage is not spooled: its query goes into this store
  std::vector<std::string> columns;
  std::string guarantee() const;  // of each row
};

struct Plan {
  std::vector<PlannedStage> stages;  // in an order in which they can be made
  std::vector<PlannedStore> stores;
  std::vector<std::string> warnings;

  const PlannedStage* FindStage(std::string_view name) const;
};

// Sources by input name; opened, so that their columns are known.
using Sources = std::map<std::string, std::unique_ptr<Source>>;

// The engine binds (nothing is read). Errors point into the job file.
// `places`: rows carry where they stood in their inputs, as far as the steps hand that on.
Result<Plan> MakePlan(const Job& job, const Sources& sources, Engine& engine, uint64_t seed,
                      bool places = false);

// "WITH <relation> AS …, … <query>": defines the relations that `query` names. One that is named more than
// once is materialized, so that an input is read once.
SqlText WithRelations(const std::map<std::string, SqlText>& definitions, const SqlText& query);

// A description with paths as people see them: relative to the job file.
std::string Near(std::string description, const Job& job);

// For `tranche plan`: stages, queries, stores with their guarantees.
std::string ExplainPlan(const Job& job, const Plan& plan, const Sources& sources);

}  // namespace tranche
