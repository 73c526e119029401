// How often something that may pass by itself is tried again, and how long we wait before that.
#pragma once

#include <optional>

#include "tranche/base/clock.h"

namespace tranche {

struct RetryPolicy {
  int attempts = 6;
  Duration least = std::chrono::milliseconds(200);
  Duration most = std::chrono::seconds(30);
  std::optional<Duration> timeout;  // of one attempt

  // Before the attempt after `attempt` (from 1): exponential backoff with full jitter. Those that are tried
  // side by side have different seeds.
  // https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
  Duration Pause(int attempt, uint64_t seed) const;
};

}  // namespace tranche
