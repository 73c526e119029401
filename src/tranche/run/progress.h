// ProgressLine: one line at the bottom of a terminal while a run works; nothing where stderr is no terminal.
#pragma once

#include <thread>

#include "tranche/base/log.h"
#include "tranche/run/context.h"

namespace tranche {

class ProgressLine {
 public:
  ProgressLine(const ProgressCounters& counters, const Logger& log);
  ~ProgressLine();  // wipes the line
  ProgressLine(const ProgressLine&) = delete;

 private:
  void Draw(double seconds);

  const ProgressCounters& counters_;
  std::jthread thread_;
};

}  // namespace tranche
