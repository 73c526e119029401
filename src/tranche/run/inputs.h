// The inputs of a run: what there was to read when it began, and whether that is still so.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tranche/base/result.h"
#include "tranche/connector/source.h"
#include "tranche/job/job.h"
#include "tranche/plan/plan.h"
#include "tranche/run/stop.h"
#include "tranche/state/state.h"

namespace tranche {

std::string ToJson(const Split& split);
Result<Split> ParseSplit(std::string_view json);

Result<Sources> MakeSources(const Job& job);

// A source that stands in no job, ready to be scanned. It reads its options again and again: `value`, like
// `spec`, must outlive it.
Result<std::unique_ptr<Source>> OpenSource(const SourceSpec& spec, const Node& value, SourceContext& context);

struct InputsContext {
  Engine* engine = nullptr;
  std::string scratch;  // the run's folder
  State* state = nullptr;
  const Parameters* parameters = nullptr;  // for ${…} in a source's query
  const StopSignal* stop = nullptr;
  Logger* log = nullptr;
  bool places = false;  // of rows that flow

  SourceContext For(const Job& job, const Input& input) const;
};

// Asks every source what there is, leaves out what `incremental: new_files` has read in finished runs, and
// opens it.
Result<std::vector<SplitRecord>> PlanInputs(const Job& job, Sources& sources, const InputsContext& context);

// Opens every source with the splits of the run's record.
Status OpenInputs(const Job& job, Sources& sources, const std::vector<SplitRecord>& splits,
                  const InputsContext& context);

// What is different now from the record: "orders.csv has changed (it was 1,204 bytes, it is 1,306)". Empty =
// nothing.
std::vector<std::string> ChangesSince(const std::vector<SplitRecord>& splits);

// Same files, all unchanged; what the sources found out about them may differ.
bool SameFiles(const std::vector<SplitRecord>& a, const std::vector<SplitRecord>& b);

// The splits as the sources hold them now (Recover may have changed them).
std::vector<SplitRecord> CurrentSplits(const Job& job, const Sources& sources);

}  // namespace tranche
