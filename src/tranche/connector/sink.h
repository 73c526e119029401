// Sink: where batches go; one for each store of a job.
//
// Life: Make (by its spec) → Check, before a run is recorded → Open, at each start of the run; it says which
// spans are stored already → Write, for each batch of the gaps (the same span twice ends as once, with the
// same report) → Totals → Finish, which publishes and may be called again. A sink is used by one thread at a
// time; if its spec says parallel, several may call Write, each with other batches and a context of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/type_fwd.h>

#include "tranche/base/clock.h"
#include "tranche/base/result.h"
#include "tranche/batch/batch.h"
#include "tranche/batch/span.h"
#include "tranche/connector/engine.h"

namespace tranche {

// sent = stored + superseded + unmatched + rejected, always.
struct Counts {
  int64_t sent = 0;
  int64_t stored = 0;
  int64_t superseded = 0;  // replaced by a later row of the same key in the same batch
  int64_t unmatched = 0;   // a delete or update that found nothing
  int64_t rejected = 0;
  Counts& operator+=(const Counts& other);
  bool balanced() const { return sent == stored + superseded + unmatched + rejected; }
  bool operator==(const Counts&) const = default;
};

struct WriteReport {
  enum class Outcome { kCommitted, kAlreadyCommitted, kRolledBack, kUnknown, kFenced };
  Outcome outcome = Outcome::kCommitted;
  Counts counts;
  int64_t bytes = 0;            // written
  std::vector<Reject> rejects;  // committed with the batch, by the ledger that holds the batch
  std::string message;          // of kRolledBack and kUnknown: what the target said
  bool again = false;  // it was begun before, nobody knows how that ended: its rows may be there twice
};

// What a store without a ledger of its own remembers: durable in the run's local state when the call returns.
class Journal {
 public:
  struct Entry {
    Span span;
    Counts counts;
    std::string detail;  // JSON of the sink's own: parts with names, sizes, checksums
  };
  virtual ~Journal() = default;
  virtual Result<std::vector<Entry>> Entries() = 0;
  // The entry and the batch's rejects in one transaction. Rejects stand under the row numbers of the stage.
  virtual Status Add(const Entry& entry, const std::vector<Reject>& rejects) = 0;
  virtual Status Remove(Span span) = 0;  // a part was missing or torn: a gap again; its rejects go with it
  // Named notes: the intent to publish, and that it has been done.
  virtual Result<std::optional<std::string>> Note(std::string_view name) = 0;
  virtual Status SetNote(std::string_view name, std::string_view value) = 0;

  // A note: the run that a target knew last before this one.
  static constexpr std::string_view kAfter = "after";
  // The number of a run that is finished here and whose kAfter is `run`; with `itself` also that of `run`.
  virtual Result<std::optional<int64_t>> FinishedAfter(std::string_view run, bool itself) = 0;
};

struct SinkContext {
  std::string job_key;     // names the job and its parameters in a target's ledger
  std::string store;       // the store's name
  std::string run_id;      // 32 hex digits
  int64_t run_number = 0;  // for people
  std::string stage_id;    // of the spool that it stores
  std::string ledger_id;   // of this job's local state; a target that knows another one refuses
  std::string host;
  bool trust_target = false;  // --trust-target: a ledger that differs is taken as it is
  // Earlier unfinished runs of this job and store were given up: by --again, or because the job was changed.
  bool again = false;
  bool keep_batches = false;                // --keep-batches: a finished run's batch rows stay in the ledger
  std::vector<std::string> forgotten = {};  // ids of runs that kept them, and need not any more
  int64_t rows = 0;                         // of the stage
  Engine* engine = nullptr;                 // a session for this sink alone
  Journal* journal = nullptr;
  Clock* clock = nullptr;
  // Asks whether `more` rejects are still allowed (with those committed and in flight); an error of
  // Code::kData if not.
  std::function<Status(int64_t more)> allow_rejects;
  // After a failure that may pass by itself: waits as the store's retry policy says, and answers whether to
  // try again. `attempt` counts from 1.
  std::function<bool(int attempt)> try_again;
  std::optional<Duration> timeout;  // of the retry policy: the longest that an answer may take
};

struct Opened {
  SpanSet committed;       // spans of this run and stage that are stored already
  Counts counts;           // of those
  bool published = false;  // Finish was done already
};

class Sink {
 public:
  virtual ~Sink() = default;

  // Looks at the target, before the run is recorded, and writes nothing: what is wrong already, and Open
  // would find only when all inputs are read. What may be otherwise by then (another program holds the file)
  // is no error. `schema` as for Open, which may follow on the same sink; `timeout` as in its context.
  virtual Status Check(std::shared_ptr<arrow::Schema>, Engine&, std::optional<Duration>) { return {}; }

  // Creates or checks the target, takes the fence, reads the ledger. `schema`: visible columns of the stage.
  virtual Result<Opened> Open(std::shared_ptr<arrow::Schema> schema, SinkContext& context) = 0;

  virtual Result<WriteReport> Write(const Batch& batch, SinkContext& context) = 0;
  // Whether there is something to do with a batch, without the target, before the one before it is stored:
  // Ready does it, on another thread than Write's, and Write finds it in the batch.
  virtual bool makes_ready() const { return false; }
  virtual Result<std::shared_ptr<const ReadyRows>> Ready(const Batch&, SinkContext&) { return nullptr; }
  // Whether a batch may come in many pieces; else in one, which costs a copy of its rows.
  virtual bool takes_pieces() const { return false; }

  // What the target itself says is stored by this run: the sums of its ledger, and whether the spans tile [0,
  // rows).
  struct Totals {
    Counts counts;
    bool tiles = false;
    std::optional<int64_t>
        target_rows;  // counted in the target where that is cheap (Parquet, Arrow: footers)
  };
  virtual Result<Totals> Sum(SinkContext& context) = 0;

  // Publishes what was written, and records in the target that the run is finished.
  virtual Status Finish(SinkContext& context) = 0;

  // true: one unit, not batches (a single file, standard output): the runner calls WriteDirect once with a
  // query that gives all rows of the stage, instead of Write. Where the whole job is one query, that query
  // itself is handed over: no spool.
  virtual bool whole() const { return false; }
  // Writes aside and journals [0, rows) as one entry; Finish publishes.
  virtual Result<Counts> WriteDirect(const Query& query, SinkContext& context);

  // Rejects that this store's own ledger keeps (databases), handed on one by one.
  virtual Status ListRejects(SinkContext&, const std::function<Status(Reject)>&) { return {}; }

  // true: what was stored is seen by nobody before Finish, and is forgotten when Open is told of another
  // stage. Such a store may have rows of a stage that is not sealed yet; context.rows is 0 until it is.
  virtual bool aside() const { return false; }

  // Most batches at a time, where the options allow fewer than the spec does.
  virtual int parallel() const { return std::numeric_limits<int>::max(); }

  // What it alone may write: the path of its file or folder, and the table within; "" where others may write
  // as well.
  virtual std::string target() const { return ""; }

  // What the target says by itself, looked up without Open and without a write.
  struct Standing {
    std::string run_id;                  // the run that it knows last of this job and store
    bool finished = false;               // and published
    Counts counts;                       // the sums of its ledger
    std::optional<int64_t> target_rows;  // that lie there now, where that is cheap to know
  };
  // Nothing where it knows of no run, or cannot be looked at.
  virtual Result<std::optional<Standing>> Look(SinkContext&) { return std::nullopt; }

  // A batch as the ledger has it.
  struct StoredBatch {
    Span span;
    Counts counts;
    int64_t epoch = 0;               // the start of the run that committed it, from 1; 0: not known
    std::string committed;           // when, as FormatTime; empty: not known
    std::vector<std::string> files;  // that it was written into, in a store of files
  };
  // The committed batch of the context's run that holds `row`, looked up without Open and without a write.
  // Nothing where the ledger knows of none: it is not stored, or its line was not kept.
  virtual Result<std::optional<StoredBatch>> BatchOf(SinkContext&, int64_t) { return std::nullopt; }

  // Where the options make it another than the spec's: "at least once".
  virtual std::string guarantee() const { return ""; }

  virtual std::string Describe() const = 0;  // "parquet out/hourly/ partitioned by day, replace"
};

// For a store without a ledger of its own: the sums of its journal, and whether the spans tile [0, rows).
Result<Sink::Totals> SumOfJournal(SinkContext& context);

}  // namespace tranche
