#include "tranche/base/units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tranche {
namespace {

using namespace std::chrono_literals;

TEST(ParseSize, TakesEveryUnit) {
  EXPECT_EQ(ParseSize("8MiB").value(), 8 << 20);
  EXPECT_EQ(ParseSize("1.5 GB").value(), 1'500'000'000);
  EXPECT_EQ(ParseSize("0.5KiB").value(), 512);
  EXPECT_EQ(ParseSize("3kB").value(), 3000);
  EXPECT_EQ(ParseSize("2MB").value(), 2'000'000);
  EXPECT_EQ(ParseSize("2GiB").value(), int64_t{2} << 30);
  EXPECT_EQ(ParseSize("0B").value(), 0);
  EXPECT_EQ(ParseSize("17 B").value(), 17);
}

TEST(ParseSize, RefusesWhatCouldMeanTwoThings) {
  for (const char* text : {"8M", "8", "8mb", "8Mib", "-8MiB", "MiB", "", "8MiBx", "1e3MB", ".5MB", "5.MB",
                           "8 Mi B", "0x8MB", "nanMB", "99999999999GiB"}) {
    Result<int64_t> size = ParseSize(text);
    ASSERT_FALSE(size) << text;
    EXPECT_EQ(size.error().code, Code::kJob);
    EXPECT_THAT(size.error().message, testing::HasSubstr(text));
  }
}

TEST(ParseDuration, TakesEveryUnit) {
  EXPECT_EQ(ParseDuration("200ms").value(), 200ms);
  EXPECT_EQ(ParseDuration("1h30m").value(), 90min);
  EXPECT_EQ(ParseDuration("2d").value(), 48h);
  EXPECT_EQ(ParseDuration("1w").value(), 168h);
  EXPECT_EQ(ParseDuration("1.5s").value(), 1500ms);
  EXPECT_EQ(ParseDuration("0s").value(), 0s);
  EXPECT_EQ(ParseDuration("0.1s").value(), 100ms);
}

TEST(ParseDuration, RefusesTheRest) {
  for (const char* text :
       {"30", "", "s", "30m1h", "1s1s", "-1s", "1 h", "1us", "1min", "1h30", "1e2s", "400000w"}) {
    EXPECT_FALSE(ParseDuration(text)) << text;
  }
}

TEST(ParseNumbers, WholeTextOnly) {
  EXPECT_EQ(ParseInteger("-12").value(), -12);
  EXPECT_EQ(ParseInteger("9223372036854775807").value(), INT64_MAX);
  for (const char* text : {"", "1.0", "1 ", " 1", "+1", "1_000", "0x10", "9223372036854775808"}) {
    EXPECT_FALSE(ParseInteger(text)) << text;
  }
  EXPECT_EQ(ParseNumber("1e-3").value(), 0.001);
  for (const char* text : {"", "nan", "inf", "1e999", "1,5", "1.5x"}) EXPECT_FALSE(ParseNumber(text)) << text;
  EXPECT_TRUE(ParseBoolean("true").value());
  EXPECT_FALSE(ParseBoolean("false").value());
  for (const char* text : {"yes", "True", "1", "on", ""}) EXPECT_FALSE(ParseBoolean(text)) << text;
}

TEST(RejectLimit, CountStopsAsSoonAsItIsKnown) {
  RejectLimit limit = ParseRejectLimit("10").value();
  EXPECT_FALSE(limit.Exceeded(10, 11, false));
  EXPECT_TRUE(limit.Exceeded(11, 11, false));
  EXPECT_EQ(limit.ToString(), "10");
  EXPECT_TRUE(RejectLimit().Exceeded(1, 100, false)) << "no limit given = none allowed";
}

TEST(RejectLimit, PercentIsJudgedAtTheEnd) {
  RejectLimit limit = ParseRejectLimit("0.1%").value();
  EXPECT_FALSE(limit.Exceeded(500, 1000, false));
  EXPECT_FALSE(limit.Exceeded(1, 1000, true));
  EXPECT_TRUE(limit.Exceeded(2, 1000, true));
  EXPECT_EQ(limit.ToString(), "0.1%");
  EXPECT_FALSE(limit.Exceeded(0, 0, true));
  EXPECT_FALSE(ParseRejectLimit("0.29%").value().Exceeded(29, 10'000, true));
  EXPECT_TRUE(ParseRejectLimit("0.29%").value().Exceeded(30, 10'000, true));
  for (const char* text : {"", "%", "-1", "101%", "1.5", "x%", "-1%"})
    EXPECT_FALSE(ParseRejectLimit(text)) << text;
}

TEST(Format, Counts) {
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatCount(1000), "1,000");
  EXPECT_EQ(FormatCount(1234567), "1,234,567");
  EXPECT_EQ(FormatCount(-123456), "-123,456");
}

TEST(Format, Bytes) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(12'897'485), "12.3 MiB");
  EXPECT_EQ(FormatBytes((1 << 20) - 1), "1.0 MiB");
}

TEST(Format, Durations) {
  EXPECT_EQ(FormatDuration(12ms), "12ms");
  EXPECT_EQ(FormatDuration(1240ms), "1.24s");
  EXPECT_EQ(FormatDuration(125s), "2m 05s");
  EXPECT_EQ(FormatDuration(59'999ms), "1m 00s");
  EXPECT_EQ(FormatDuration(3h + 2min), "3h 02m");
}

TEST(Nearest, FindsWhatWasMeant) {
  std::vector<std::string> names = {"window", "by", "rows", "process"};
  EXPECT_EQ(Nearest("windw", names), "window");
  EXPECT_EQ(Nearest("porcess", names), "process");
  EXPECT_EQ(Nearest("zebra", names), "");
  EXPECT_EQ(EditDistance("ab", "ba"), 1);
  EXPECT_EQ(EditDistance("", "abc"), 3);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3);
}

}  // namespace
}  // namespace tranche
