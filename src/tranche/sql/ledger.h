// Ledger: which spans of a run are committed in a database, kept in that database, in the same transaction as
// the rows.
//
// format (docs/format/ledger.md):
//   tranche_run     a job key and store: the run that stores now, or stored last, and its epoch, the fence
//   tranche_batch   a committed span of a run that is not finished, or that keeps its batches
//   tranche_reject  a row that the store refused
//
// Life: in one transaction Open, the creation of the target, SetState(kOpened). Then for each batch, in a
// transaction of its own: Claim, the rows, AddRejects, Record. At the end Sum, and Finish in the transaction
// that publishes. The caller begins and commits; none of these calls does.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tranche/base/result.h"
#include "tranche/connector/sink.h"
#include "tranche/sql/connection.h"

namespace tranche::sql {

class Ledger {
 public:
  enum class State { kNew, kOpened, kFinished };

  struct Run {
    State state = State::kNew;
    Opened opened;
    std::string abandoned;  // id of an unfinished run whose place this one took; may be empty
  };

  explicit Ledger(SqlConnection& connection) : connection_(&connection) {}
  // The same run, on another session: for the batches that one writes.
  Ledger On(SqlConnection& connection) const {
    Ledger other = *this;
    other.connection_ = &connection;
    return other;
  }

  // Makes the tables where they are missing (else the caller has: where that ends a transaction), enters this
  // run or raises its epoch, and reads what it has committed. Refuses what could double or lose rows: another
  // local state's unfinished run, another stage, spans or finished runs that are gone. `table` is the target,
  // for people.
  Result<Run> Open(const SinkContext& context, std::string_view table);

  Status MakeTables();
  // Refuses tables of the ledger's names that are not of its shape; makes none.
  Status CheckTables();
  // The statements that make the missing ones, for people; empty where none is missing.
  Result<std::string> Definitions();

  Status SetState(State state);

  enum class Claimed { kMine, kAlready, kFenced };
  struct Claim {
    Claimed outcome = Claimed::kMine;
    Counts counts;  // of kAlready
  };
  Result<Claim> Take(Span span);
  Status AddRejects(const std::vector<Reject>& rejects);
  Status Record(Span span, const Counts& counts);

  // After a COMMIT of `rows` more rows (0: of Open): notes in the local state, at the first and once a
  // second, how many rows were seen to be committed, so that another target, or one that was restored from an
  // older copy, is found out by the next Open.
  Status NoteCommitted(const SinkContext& context, int64_t rows);
  // On a new session in mid-run: refuses a server that has not got what was seen committed, such as a standby
  // that has taken over. A batch that is stored behind rows that are gone would let them overwrite it later.
  Status CheckKept();

  // Whether the run is finished there: by a COMMIT whose answer was lost. In a transaction on a server it
  // waits for one that is still under way.
  Result<bool> Finished();
  Result<Sink::Totals> Sum(int64_t rows);
  // Totals into the run's row, state finished; the batch rows go unless they are kept.
  Status Finish(int64_t rows, bool keep_batches);

  // What the ledger says of the newest run of `context`'s job and store, and how many rows `table` has; needs
  // no Open.
  Result<std::optional<Sink::Standing>> Look(const SinkContext& context, std::string_view table);
  // The span of `context`'s run that holds `row`; needs no Open.
  Result<std::optional<Sink::StoredBatch>> BatchOf(const SinkContext& context, int64_t row);
  // Rejects that `context`'s run has in the target; needs no Open.
  Status ListRejects(const SinkContext& context, const std::function<Status(Reject)>& take);

 private:
  Status Enter(const SinkContext& context, std::string_view table, Run& run);
  Status ReadCommitted(const SinkContext& context, Opened& opened);
  Status CheckComplete(const Opened& opened, const SinkContext& context);
  Status CheckSeen(int64_t there, int64_t seen) const;  // rows
  Error Lost(int64_t run) const;                        // a finished one
  Error Unknown() const;                                // of this run the target knows nothing
  Status Forget(const std::string& run);                // its batch rows go

  SqlConnection* connection_;
  Clock* clock_ = nullptr;
  std::string job_key_, store_, run_;
  int64_t epoch_ = 0;
  int64_t committed_ = 0;  // rows
  int64_t noted_at_ = 0;   // of the steady clock
};

}  // namespace tranche::sql
