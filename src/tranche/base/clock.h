// Time and chance, passed in so that tests own them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace tranche {

using Duration = std::chrono::nanoseconds;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual int64_t NowMicros() = 0;    // since 1970-01-01T00:00:00Z
  virtual int64_t SteadyNanos() = 0;  // never goes back; no relation to the date
  virtual void Sleep(Duration duration) = 0;
};

Clock& SystemClock();

std::string FormatTime(int64_t micros);  // "2026-11-20T14:03:07.123456Z"
std::string FormatDate(int64_t micros);  // "2026-11-20"

// 16 random bytes from the system as 32 hex digits: run ids, stage ids.
std::string NewId();

}  // namespace tranche
