// The report of a run: what it read, did and stored, as one HTML file that needs no network.
//
// The runner fills a ReportData while it works and keeps ToJson of it as the run's summary in state.db; a
// resumed run parses that, and goes on adding. RenderReport draws it. Nothing here opens a file or knows a
// connector.
//
//   ReportData data;
//   data.job = "delays";
//   auto& store = data.stores.emplace_back();
//   store.name = "hourly";
//   store.batches.Add({.rows = 10'000, .bytes = 812'000, .seconds = 0.012});
//   std::string html = RenderReport(data);
//
// Every text may be hostile (names, reasons, values of rows): it is escaped where it is drawn. Secrets must
// not be put in.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tranche/base/result.h"
#include "tranche/batch/batch.h"
#include "tranche/connector/engine.h"
#include "tranche/connector/sink.h"

namespace tranche {

// At most kMost items, evenly spread over all that were added: when it is full, every second one goes.
template <typename T>
struct Thinned {
  static constexpr int64_t kMost = 2000;
  std::vector<T> items;
  int64_t stride = 1;  // every stride-th is kept
  int64_t seen = 0;    // added so far

  void Add(T item) {
    if (seen++ % stride != 0) return;
    items.push_back(std::move(item));
    if (std::ssize(items) < kMost) return;
    for (size_t i = 0; 2 * i < items.size(); ++i) items[i] = std::move(items[2 * i]);
    items.resize((items.size() + 1) / 2);
    stride *= 2;
  }
};

struct ReportData {
  struct Input {
    std::string name;
    std::string connector;    // "csv"
    std::string description;  // Source::Describe
    int64_t read = 0;         // rows, refused ones included
    bool exact = true;        // false where the engine stopped early (limit)
    int64_t rejected = 0;     // by the reader
    int64_t splits = 0;       // files
    int64_t bytes = 0;        // of the files; 0 = unknown
  };

  // Rows that go into a stage.
  struct Flow {
    enum class Kind { kInput, kStage };
    Kind kind = Kind::kInput;
    std::string name;  // of the input or the stage
    int64_t rows = 0;
    bool joined = false;  // looked up by a join or named in sql: not part of the stage's equation
  };

  // One equation holds for a stage of row-wise steps and folds:
  //   Σ flows.rows = filtered + rejected + (folds ? folded : rows)
  struct Stage {
    std::string name;  // "prepared", "branch by_month"
    std::string kind;  // "whole spool", "streamed spool", "direct"
    std::vector<Flow> from;
    std::vector<std::string> steps;  // in order: "filter (prepare 2)"
    std::string sql;
    int64_t filtered = 0;
    int64_t rejected = 0;  // by its readers and steps
    bool folds = false;
    int64_t folded = 0;    // rows that its groups were made of
    int64_t rows = 0;      // sealed, or written by the engine where it is direct
    bool equation = true;  // false: a join, dedupe, limit, sample or sql is in it, only in and out are shown
    int64_t bytes = 0;     // of its segments
    double seconds = 0;
  };

  struct Progress {
    double seconds = 0;  // since the run's first start
    int64_t rows = 0;    // stored until then
    int64_t bytes = 0;
  };
  struct BatchSample {
    int64_t rows = 0;
    int64_t bytes = 0;
    double seconds = 0;  // from the first try to the commit
  };
  // Some of the rows that a store got, in their order: all of them, or every n-th (at most 2,000).
  struct Sample {
    Columns columns;
    std::vector<TextRow> rows;
    bool spread = true;  // over all rows, else the first ones
  };
  struct Store {
    std::string name;
    std::string connector;
    std::string description;  // Sink::Describe
    std::string guarantee;    // "exactly once: one transaction a batch, with its ledger row"
    std::string stage;        // that it stores
    Counts counts;
    bool published = false;
    int64_t bytes = 0;
    int64_t retries = 0;
    double seconds = 0;            // from its first batch to its end
    int64_t chosen_rows = 0;       // of a batch, where the run has found the size by itself; else 0
    Thinned<BatchSample> batches;  // batches.seen of them were committed
    Thinned<Progress>
        progress;  // one point a batch, or every second; the rates are drawn from the differences
    Sample sample;
  };

  struct RejectReason {
    std::string origin;  // "input flights"
    std::string reason;  // ReasonPattern of what was said
    int64_t rows = 0;
  };

  std::string job;
  std::string job_file;
  std::string run_id;
  int64_t run_number = 0;
  std::string
      outcome;  // "done", "running", "stopped", "refused" (too many rejects, a failed check, no balance)
  std::string message;    // the last error, or empty
  int64_t started = 0;    // micros
  int64_t finished = 0;   // 0 = not yet
  int64_t starts = 1;     // 1 + how often it was resumed
  bool balanced = false;  // every equation holds and the spans of every store tile
  std::vector<std::string> warnings;

  std::vector<Input> inputs;
  std::vector<Stage> stages;  // a stage stands after those that it comes from
  std::vector<Store> stores;

  std::vector<RejectReason> reject_reasons;
  std::vector<Reject> rejects;  // the first ones, as they came

  std::vector<std::pair<std::string, std::string>> parameters;
  std::vector<std::pair<std::string, std::string>>
      environment;  // "version" "0.1.0", "engine" "duckdb 1.5.6", "memory" …

  // Counts it, and keeps it if it is one of the first twenty. Beyond 200 kinds of reasons all others are one.
  void AddReject(const Reject& reject);
};

// A reason without its values, so that equal mistakes count as one:
// "value -3 breaks check 'paid': amount >= 0" → "value … breaks check 'paid': amount >= 0".
std::string ReasonPattern(std::string_view reason);

std::string RenderReport(const ReportData& data);

std::string ToJson(const ReportData& data);
Result<ReportData> ParseSummary(std::string_view json);

}  // namespace tranche
