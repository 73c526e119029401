#include "tranche/base/clock.h"

#include <sys/random.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <thread>

#include <fmt/chrono.h>

namespace tranche {
namespace {

class RealClock : public Clock {
 public:
  int64_t NowMicros() override {
    auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  }
  int64_t SteadyNanos() override {
    auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
  }
  void Sleep(Duration duration) override { std::this_thread::sleep_for(duration); }
};

std::tm Utc(int64_t seconds) {
  std::time_t time = seconds;
  std::tm parts = {};
  gmtime_r(&time, &parts);
  return parts;
}

// Rounds towards the past, so that times before 1970 keep a fraction from 0 to 999999.
int64_t Seconds(int64_t micros) { return micros / 1'000'000 - (micros % 1'000'000 < 0 ? 1 : 0); }

}  // namespace

Clock& SystemClock() {
  static RealClock clock;
  return clock;
}

std::string FormatTime(int64_t micros) {
  int64_t seconds = Seconds(micros);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z", Utc(seconds), micros - seconds * 1'000'000);
}

std::string FormatDate(int64_t micros) { return fmt::format("{:%Y-%m-%d}", Utc(Seconds(micros))); }

std::string NewId() {
  unsigned char bytes[16];
  size_t filled = 0;
  while (filled < sizeof bytes) {
    ssize_t got = getrandom(bytes + filled, sizeof bytes - filled, 0);
    if (got > 0) {
      filled += static_cast<size_t>(got);
    } else if (errno != EINTR) {
      std::perror("getrandom");
      std::abort();  // without chance two runs could share an id
    }
  }
  return fmt::format("{:02x}", fmt::join(bytes, ""));
}

}  // namespace tranche
