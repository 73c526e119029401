#include "tranche/run/progress.h"

#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <mutex>

#include "tranche/base/units.h"

namespace tranche {
namespace {

constexpr std::chrono::milliseconds kEvery(200);

}  // namespace

ProgressLine::ProgressLine(const ProgressCounters& counters, const Logger& log) : counters_(counters) {
  if (log.json() || log.verbosity() == Verbosity::kQuiet || !isatty(STDERR_FILENO)) return;
  thread_ = std::jthread([this](const std::stop_token& stop) {
    const int64_t begun = SystemClock().SteadyNanos();
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    while (true) {
      never.wait_for(lock, stop, kEvery, [] { return false; });
      if (stop.stop_requested()) return;
      Draw((SystemClock().SteadyNanos() - begun) / 1e9);
    }
  });
}

ProgressLine::~ProgressLine() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
  std::fputs("\r\033[K", stderr);
}

void ProgressLine::Draw(double seconds) {
  const int64_t stored = counters_.rows_stored;
  const int64_t total = counters_.rows_to_store;
  std::string line;
  if (total == 0) {
    const int64_t read = counters_.rows_read;
    line = fmt::format("reading  {} rows  {} rows/s", FormatCount(read),
                       FormatCount(static_cast<int64_t>(read / seconds)));
  } else {
    const double rate = stored / seconds;
    const double left = rate > 0 ? (total - stored) / rate : 0;
    line = fmt::format("storing  {} of {} rows  {} rows/s  {}/s  {} batches  {} left", FormatCount(stored),
                       FormatCount(total), FormatCount(static_cast<int64_t>(rate)),
                       FormatBytes(static_cast<int64_t>(counters_.bytes_stored / seconds)),
                       FormatCount(counters_.batches),
                       FormatDuration(std::chrono::seconds(static_cast<int64_t>(left))));
  }
  if (const int64_t rejects = counters_.rejects; rejects > 0)
    line += fmt::format("  {} rejected", FormatCount(rejects));
  fmt::print(stderr, "\r\033[K{}", line);
  std::fflush(stderr);
}

}  // namespace tranche
