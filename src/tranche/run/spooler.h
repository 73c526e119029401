// Spooler: makes the stages of a plan: runs a stage's query and seals what comes as segments, with the
// rejects.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "tranche/base/result.h"
#include "tranche/batch/segment.h"
#include "tranche/plan/plan.h"
#include "tranche/run/context.h"

namespace tranche {

// What one making of a stage counted; kept with the sealed stage as JSON.
struct StageTally {
  std::string query;  // digest of the planned query: another plan can't take the stage over
  struct InputTally {
    int64_t read = 0;
    bool exact = true;
    int64_t rejected = 0;  // by the reader
  };
  std::map<std::string, InputTally> inputs;
  std::map<std::string, int64_t> rejected;  // by the origin of the step
  int64_t folded = 0;                       // Σ of the hidden count of aggregates
  int64_t rows = 0;                         // sealed, or written directly
  int64_t bytes = 0;
  double seconds = 0;

  int64_t step_rejects() const;
  std::string ToJson() const;
  static Result<StageTally> Parse(std::string_view json);
};

// A stage whose rows can be read again and again.
struct SealedStage {
  std::string id;
  std::optional<Spool> spool;  // always there
  StageTally tally;
};

class Spooler {
 public:
  Spooler(RunContext& context, Sources& sources) : context_(context), sources_(sources) {}

  // Takes over a stage that an earlier start of the run has sealed; its checksums are verified.
  Result<SealedStage> Resume(const PlannedStage& stage, const StageRecord& record);
  // Told of a stage when its columns are known: the spool grows from now on; and, with `flows`, each time
  // that a segment is there and more rows come. An error of it ends the making.
  using Begun = std::function<Status(const std::string& id, const Spool& spool, bool flows)>;
  // Runs its query and seals it. `sealed`: the stages before it. After an error a part of it may lie in the
  // state (its rejects, for people to see); the next start drops that, or goes on with it: `begun_before` is
  // the record of a steady stage whose segments stay. Its query is run again from the start, and the rows
  // of the segments that are recorded are compared; or of an ordered one, which goes on behind them.
  // `holds`: of a steady stage whose rows are dropped once all its stores have them. Its segments stay in
  // memory then, with a digest in the state; only where they would become too many are they files.
  Result<SealedStage> Make(const PlannedStage& stage, const std::map<std::string, SealedStage>& sealed,
                           const Begun& begun, bool holds, const StageRecord* begun_before = nullptr);

  // Counts the rejects of a stage that an earlier start has made.
  Status Charge(const StageTally& tally);

  // Checks that decide before the stage's query whether it may run.
  Status CheckBefore(const PlannedStage& stage, const std::map<std::string, SealedStage>& sealed);

  // The stage's query with everything put in, for a direct store. `readers`: of spools, to be
  // freed. `behind`: where an ordered stage goes on.
  struct Composed {
    bool any_order = false;  // of what it reads
    SqlText sql = {};
    std::vector<std::string> readers = {};
  };
  Result<Composed> Compose(const PlannedStage& stage, const SqlText& query,
                           const std::map<std::string, SealedStage>& sealed, const std::string& behind = "");
  void Free(const Composed& composed);
  // After the stage's query has ended on `engine`: what the sources counted and refused.
  Status Tally(const PlannedStage& stage, const std::string& stage_id, Engine& engine, StageTally& tally);

 private:
  Result<SealedStage> MakeOnce(const PlannedStage& stage, const std::string& id,
                               const std::map<std::string, SealedStage>& sealed, const Begun& begun,
                               bool holds, std::vector<SegmentInfo> known, StageTally& tally);
  Status CheckAfter(const PlannedStage& stage, const Spool& spool);
  Status RunGuard(const Guard& guard, const SqlText& sql);
  SourceContext ContextOf(const std::string& input);

  RunContext& context_;
  Sources& sources_;
};

// Registers a reader over a spool, or its first `rows`, with the engine: "SELECT * FROM <returned>". Of a
// spool that grows, it reads until that is sealed. `passed` is told up to which row all is read, and more has
// come.
Result<std::string> RegisterSpool(Engine& engine, const Spool& spool,
                                  std::optional<int64_t> rows = std::nullopt,
                                  std::function<void(int64_t)> passed = {});

// "(SELECT <visible columns> FROM <registered spool>)".
SqlText SpoolRelation(const Spool& spool, const std::string& registered, bool hidden);

}  // namespace tranche
