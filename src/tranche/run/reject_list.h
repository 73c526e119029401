// The rejects of a run, from wherever they are kept: beside the job, and in the ledgers of its targets.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "tranche/connector/sink.h"
#include "tranche/job/job.h"
#include "tranche/state/state.h"

namespace tranche {

inline constexpr int64_t kAllRejects = std::numeric_limits<int64_t>::max();

// The first `most` of them: of readers, steps and files in the order in which they came, then of each
// database. `job`: with the run's parameters and id.
Result<std::vector<Reject>> ListRejects(const Job& job, State& state, const RunRecord& run, Engine& engine,
                                        int64_t most);

// For a sink that is only looked at: what the run `run` is known by there.
SinkContext LookingContext(const RunRecord& run, const std::string& store, Engine& engine, Journal& journal);

}  // namespace tranche
