// The command line: which command with which flags, the help, and the completion scripts. The only place that
// knows CLI11.
#pragma once

#include <functional>
#include <optional>

#include "tranche/base/result.h"
#include "tranche/cli/session.h"

namespace tranche {

struct CommandLine {
  Flags flags;
  std::function<Status(Session&)> action;
  std::optional<int> exit;  // set: all is said already (help, version, a mistake), end with this code
};

CommandLine ParseCommandLine(int argc, char** argv);

}  // namespace tranche
