// Named places where a test may kill or delay the program; inert unless TRANCHE_FAILPOINT is set.
//
//   TRANCHE_FAILPOINT=segment.sealed:kill@3        SIGKILL at the third hit
//   TRANCHE_FAILPOINT=batch.before_commit:hold@1   wait 10 s there (a test sends a signal meanwhile)
//   TRANCHE_FAILPOINT=publish.renamed:error@2      the action after this point fails with EIO
//   TRANCHE_FAILPOINT=*:tell                       says each place on stderr: "failpoint batch.claimed"
//
// Every failpoint stands in the table below, so that the crash suite can try each of them
// (`tranche docs --failpoints` lists them). Thread-safe.
#pragma once

#include <span>
#include <string_view>

#include "tranche/base/result.h"

namespace tranche {

// Dies, waits or does nothing. The error is only ever returned for the action `error`.
Status Failpoint(std::string_view name);

// All names, in the order in which a run meets them.
std::span<const std::string_view> FailpointNames();

// Reads TRANCHE_FAILPOINT; an unknown name or action is an error of Code::kJob. Called once by main().
Status ArmFailpoints();

}  // namespace tranche
