#include "tranche/base/log.h"

#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tranche {
namespace {

class FixedClock : public Clock {
 public:
  int64_t NowMicros() override { return 1795183387'123456; }
  int64_t SteadyNanos() override { return 0; }
  void Sleep(Duration) override {}
};

std::string Lines(LogOptions options, const std::function<void(Logger&)>& write) {
  char* text = nullptr;
  size_t size = 0;
  std::FILE* out = open_memstream(&text, &size);
  FixedClock clock;
  Logger log(out, clock, options);
  write(log);
  std::fclose(out);
  std::string lines(text, size);
  std::free(text);
  return lines;
}

TEST(Logger, JsonIsOneObjectALine) {
  auto write = [](Logger& log) { log.Info("run begun", {{"run", 7}, {"job", "a\"\n\xff"}, {"done", true}}); };
  EXPECT_EQ(Lines({.json = true}, write),
            "{\"time\":\"2026-11-20T14:03:07.123456Z\",\"level\":\"info\",\"event\":\"run begun\",\"run\":7,"
            "\"job\":\"a\\\"\\n\xef\xbf\xbd\",\"done\":true}\n");
}

TEST(Logger, TextIsOneLine) {
  auto write = [](Logger& log) { log.Warn("server is slow", {{"url", "a\nb\x1b[2J"}, {"seconds", 1.5}}); };
  EXPECT_EQ(Lines({}, write), "warning: server is slow url=a\\nb\\x1b[2J seconds=1.5\n");
}

TEST(Logger, VerbosityChooses) {
  auto write = [](Logger& log) {
    log.Debug("d");
    log.Info("i");
    log.Warn("w");
    log.Error("e");
  };
  EXPECT_EQ(Lines({.verbosity = Verbosity::kQuiet}, write), "warning: w\nerror: e\n");
  EXPECT_EQ(Lines({.verbosity = Verbosity::kNormal}, write), "i\nwarning: w\nerror: e\n");
  EXPECT_EQ(Lines({.verbosity = Verbosity::kVerbose}, write), "d\ni\nwarning: w\nerror: e\n");
}

TEST(Logger, SecretsAreNeverWritten) {
  auto write = [](Logger& log) {
    log.Redact("pw\"1");
    log.Redact("pw\"1long");
    log.Redact("");
    log.Error("cannot reach //u:pw\"1@h", {{"other", "pw\"1long pw\"1"}});
    EXPECT_EQ(log.Redacted("pw\"1pw\"1"), "******");
  };
  EXPECT_EQ(Lines({}, write), "error: cannot reach //u:***@h other=*** ***\n");
  EXPECT_THAT(Lines({.json = true}, write), testing::Not(testing::HasSubstr("pw")));
}

TEST(Clock, FormatsUtc) {
  EXPECT_EQ(FormatTime(0), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(FormatTime(-1), "1969-12-31T23:59:59.999999Z");
  EXPECT_EQ(FormatDate(1795183387'123456), "2026-11-20");
}

TEST(NewId, IsThirtyTwoHexDigits) {
  std::string id = NewId();
  EXPECT_EQ(id.size(), 32u);
  EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), id.npos);
  EXPECT_NE(id, NewId());
}

}  // namespace
}  // namespace tranche
