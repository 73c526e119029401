// Job: a job file, parsed, checked against the specs and with its ${…} put in. docs/job-file.md is for
// people; this is what the planner reads.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tranche/base/retry.h"
#include "tranche/base/units.h"
#include "tranche/batch/batch.h"
#include "tranche/connector/engine.h"
#include "tranche/connector/node.h"
#include "tranche/connector/spec.h"
#include "tranche/job/table_list.h"

namespace tranche {

struct StepItem {
  const StepSpec* spec = nullptr;
  Node value;  // what stands under its key, resolved
  Place place;
  std::string origin;  // "check (prepare 2)"
  std::optional<RejectLimit> rejects;
};

struct Input {
  std::string name;
  const SourceSpec* spec = nullptr;
  Node value;
  Place place;
  std::vector<StepItem> prepare;
  bool new_files = false;              // incremental: new_files
  std::optional<Increment> increment;  // incremental: {column, …}
  RetryPolicy retry;                   // of a source that is reached over a network
  std::optional<RejectLimit> rejects;
};

struct Store {
  std::string name;
  const SinkSpec* spec = nullptr;
  Node value;
  Place place;
  BatchPolicy batch;  // the spec's default where the job says nothing
  RetryPolicy retry;
  std::optional<RejectLimit> rejects;

  std::string mode() const;  // append, replace, …; "" for {column, …}, and where there are none
};

struct Window {
  std::string time;   // a column
  std::string every;  // as written: "1h"
  Duration length{};  // d and w are calendar days and weeks: then `days` counts
  int days = 0;
  std::string as = "window_start";
  std::string zone = "UTC";
  Place place;
  Place zone_place;
};

struct Group {
  std::vector<std::string> by;
  std::optional<Window> window;
  std::optional<int64_t> rows;
  Place place;
};

// A job has one body, or branches.
struct Body {
  std::string name;               // "" for the job's own
  std::vector<std::string> from;  // inputs or branches; empty = the prepared rows; several = union by name
  std::vector<StepItem> prepare;
  std::optional<Group> group;
  std::vector<StepItem> process;
  std::vector<Store> stores;
  std::optional<RejectLimit> rejects;
  Place place;
};

struct RunSettings {
  std::optional<int64_t> memory;  // bytes
  std::optional<int> threads;
  std::optional<Duration> timeout;
};

struct Job {
  std::string name;
  std::string file;           // absolute path
  std::vector<Input> inputs;  // in order of the file
  // One run for each of these, with the parameter `table`; a job without that is all of them, and can't be
  // run.
  std::optional<TableList> tables;
  std::vector<std::string> from;  // as in Body, for `prepare`; empty where every body has its own
  std::vector<StepItem> prepare;
  std::vector<Body> bodies;  // at least one
  RejectLimit rejects{.count = 0, .percent = {}};
  RunSettings run;

  std::map<std::string, std::string> parameters;  // name → value as text, defaults included
  Parameters values;                              // what $name in expressions stands for; secrets are marked
  std::vector<std::string> secrets;               // names that the file asks for

  std::string
      canonical;  // JSON of what decides the rows (no run, rejects, batch, retry): the fingerprint's text
  std::string tuning;  // JSON of the rest: may change between crash and resume

  // Whether it is still to be said which table.
  bool many() const { return tables && !parameters.contains(kTableParameter); }
  const Input* FindInput(std::string_view name) const;
  // Whether the input's rows flow through the job, and are not only joined.
  bool Flows(std::string_view input) const;
};

}  // namespace tranche
