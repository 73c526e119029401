// State: what one job remembers on this machine, in <state folder>/state.db (SQLite, WAL, synchronous FULL).
// What has returned Ok is durable. docs/format/state.md has the tables. One process at a time (the job's
// lock), thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tranche/base/result.h"
#include "tranche/batch/batch.h"
#include "tranche/batch/segment.h"

namespace tranche {

enum class RunState { kOpen, kFinished, kAbandoned };

struct RunRecord {
  std::string id;      // 32 hex digits
  int64_t number = 0;  // 1, 2, 3… a job
  RunState state = RunState::kOpen;
  std::string job_key;      // job name, parameters, --limit, engine, as JSON
  std::string parameters;   // JSON of name → text
  std::string canonical;    // of the Job, as it was when the run began
  std::string fingerprint;  // HashHex of canonical with a keyed hash of the secrets
  int64_t started = 0;      // micros
  int64_t finished = 0;
  uint64_t seed = 0;
  std::string engine;   // "duckdb 1.5.6"
  std::string outcome;  // "", "done", or the last error
  std::string summary;  // JSON: the balance and what the report draws
};

struct SplitRecord {
  std::string input;
  std::string split;  // JSON of a Split
  bool operator==(const SplitRecord&) const = default;
};

// A stage of a run: made (sealed) or to be made again.
struct StageRecord {
  std::string name;     // within the plan: "prepared", "branch by_month"
  std::string id;       // random; names the folder under spool/
  bool sealed = false;  // complete: all its segments are there
  std::string schema;   // SerializeSchema
  int64_t rows = 0;
  std::string tallies;  // JSON: rows read and rejected for each input, rows folded
};

// A store's local record: for stores without a ledger of their own, and whether it is published.
struct JournalRecord {
  Span span;
  int64_t sent = 0, stored = 0, superseded = 0, unmatched = 0, rejected = 0;
  std::string detail;
};

class State {
 public:
  // Creates it where it is missing. A file of a newer version, or one that is damaged, is an error with what
  // to do.
  static Result<std::unique_ptr<State>> Open(const std::string& folder);
  // Without writing anything; kOutside with "no runs yet" if there is none.
  static Result<std::unique_ptr<State>> OpenReadOnly(const std::string& folder);
  virtual ~State() = default;

  virtual std::string ledger_id() const = 0;  // random, made with the file

  // Sets the number. `notes`: of the run itself, by name.
  virtual Status AddRun(const RunRecord& run, const std::vector<SplitRecord>& splits,
                        const std::vector<std::pair<std::string, std::string>>& notes = {}) = 0;
  virtual Status ReplaceSplits(const std::string& run, const std::vector<SplitRecord>& splits) = 0;
  virtual Status UpdateRun(const RunRecord& run) = 0;  // state, finished, outcome, summary, canonical
  virtual Result<std::vector<RunRecord>> Runs() = 0;   // newest last
  virtual Result<std::vector<SplitRecord>> Splits(const std::string& run) = 0;
  // Names of files (with identity) that finished runs of this job have read from `input`: for incremental:
  // new_files. Of a job that runs once a table, the runs of this one (the parameter `table`; else "").
  virtual Result<std::vector<std::string>> FinishedSplits(const std::string& input,
                                                          const std::string& table) = 0;

  virtual Result<std::vector<StageRecord>> Stages(const std::string& run) = 0;
  virtual Status AddStage(const std::string& run, const StageRecord& stage) = 0;
  // Throws away a stage with its segments and rejects (the files are the caller's to remove).
  virtual Status DropStage(const std::string& run, const std::string& stage_id) = 0;
  // A segment and its rejects, in one transaction. It must follow the last one without a gap.
  virtual Status AddSegment(const std::string& stage_id, const SegmentInfo& segment,
                            const std::vector<Reject>& rejects) = 0;
  // A segment that had no file has one now: `bytes`, `checksum`.
  virtual Status FileSegment(const std::string& stage_id, const SegmentInfo& segment) = 0;
  // Notes that the files of the segments that end at `row` or before may go; the first one stays.
  virtual Status DropSegments(const std::string& stage_id, int64_t row) = 0;
  // Of a stage that is read once more: from the start, then those of its segments come again too, or behind
  // its segments.
  virtual Status DropStageRejects(const std::string& stage_id, bool of_segments) = 0;
  virtual Status AddStageRejects(const std::string& stage_id, const std::vector<Reject>& rejects) = 0;
  virtual Status SealStage(const StageRecord& stage) = 0;  // rows, schema, tallies, sealed
  virtual Result<std::vector<SegmentInfo>> Segments(const std::string& stage_id) = 0;

  // In order of their spans, which are disjoint: an overlapping one is refused.
  virtual Result<std::vector<JournalRecord>> Journal(const std::string& run, const std::string& store) = 0;
  virtual Status AddJournal(const std::string& run, const std::string& store, const JournalRecord& record,
                            const std::vector<Reject>& rejects) = 0;
  virtual Status RemoveJournal(const std::string& run, const std::string& store, Span span) = 0;
  virtual Result<std::optional<std::string>> Note(const std::string& run, const std::string& store,
                                                  std::string_view name) = 0;
  virtual Status SetNote(const std::string& run, const std::string& store, std::string_view name,
                         std::string_view value) = 0;

  // Rejects of a run that lie here (of stages and of stores without a ledger); `origin` "" = all. The first
  // `limit` of them in the order in which they came.
  struct StoredReject {
    int64_t id = 0;
    Reject reject;
  };
  virtual Result<std::vector<StoredReject>> Rejects(const std::string& run, std::string_view origin,
                                                    int64_t limit) = 0;
  virtual Result<std::vector<std::pair<std::string, int64_t>>> SegmentRejectCounts(
      const std::string& stage_id) = 0;  // by origin
  virtual Result<std::vector<std::pair<std::string, int64_t>>> RejectCounts(
      const std::string& run) = 0;  // by origin
};

}  // namespace tranche
