// Launch: starts our own program once more, and kills it at a place or at a moment.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tranche/base/result.h"

namespace tranche {

// Where a start is killed: at the `hit`-th passing of a failpoint, or after so many seconds.
struct Kill {
  std::string failpoint;  // "" = by time
  int64_t hit = 1;
  double seconds = 0;
  std::string ToString() const;  // "batch.committed, 2nd time" or "after 0.214 s"
};

struct Start {
  bool killed = false;  // by SIGKILL
  int exit = 0;
  std::string said;  // on stderr
  double seconds = 0;
};

// Runs /proc/self/exe with `arguments`, its stderr in the file `said`, until it ends or is killed. `tell`: it
// says each failpoint that it passes. A start that has not ended after ten minutes is an error.
Result<Start> Launch(const std::vector<std::string>& arguments, const std::string& said,
                     const std::optional<Kill>& kill, bool tell = false);

}  // namespace tranche
