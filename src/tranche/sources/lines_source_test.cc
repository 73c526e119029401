#include <gmock/gmock.h>

#include "tranche/sources/pattern.h"
#include "tranche/sources/source_fixture.h"

namespace tranche {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class LinesSourceTest : public SourceFixture {
 protected:
  Outcome ReadLines(const std::string& content,
                    nlohmann::ordered_json options = nlohmann::ordered_json::object()) {
    options["path"] = Write("a.log", content);
    return Read(LinesSource(), options);
  }
};

TEST_F(LinesSourceTest, ReadsWholeLines) {
  Outcome outcome = ReadLines("one\n\r\n  two\r\nlast");
  EXPECT_EQ(outcome.columns, "file VARCHAR, line BIGINT, text VARCHAR");
  EXPECT_EQ(Short(outcome.rows), "a.log|1|one\na.log|2|\na.log|3|  two\na.log|4|last\n");
  EXPECT_EQ(outcome.read, 4);
  EXPECT_TRUE(outcome.exact);
}

TEST_F(LinesSourceTest, TakesLinesApartByAPattern) {
  const nlohmann::ordered_json options = {
      {"pattern",
       R"re(^(?<ip>\S+) (-|x) \[(?P<seen>[^\]]+)\] "(?<request>[^"]*)" (?<status>\d+) (?<bytes>\d+|-)$)re"},
      {"types",
       {{"seen", {{"timestamp", "%d/%b/%Y:%H:%M:%S %z"}}}, {"status", "smallint"}, {"bytes", "bigint"}}},
      {"nulls", {"-"}}};
  const std::string good = "10.0.0.1 - [03/Nov/2026:10:00:00 +0100] \"GET /\" 200 -\n";
  Outcome outcome = ReadLines(good, options);
  EXPECT_EQ(outcome.columns, "ip VARCHAR, seen TIMESTAMP, request VARCHAR, status SMALLINT, bytes BIGINT");
  EXPECT_EQ(outcome.rows, "10.0.0.1|2026-11-03 09:00:00|GET /|200|NULL\n");
  EXPECT_EQ(outcome.recovered, 0);
  outcome = ReadLines(good + "nonsense\n\n10.0.0.1 - [03/Nov/2026:10:00:00 +0100] \"\" 99999 5\n", options);
  EXPECT_EQ(outcome.rows, "10.0.0.1|2026-11-03 09:00:00|GET /|200|NULL\n");
  EXPECT_THAT(outcome.rejects,
              ElementsAre("a.log:2 @54 -: does not match the pattern [nonsense]",
                          "a.log:3 @63 -: does not match the pattern []",
                          HasSubstr("a.log:4 @64 status: \"99999\" is not of type SMALLINT [10.0.0.1")));
  EXPECT_EQ(outcome.recovered, 1);
  EXPECT_EQ(outcome.read, 4);
}

TEST_F(LinesSourceTest, AMatchOfNothingIsAMatch) {
  EXPECT_EQ(ReadLines("5\nx\n", {{"pattern", "(?<n>[0-9]*)"}}).rows, "5\nNULL\n");
}

TEST_F(LinesSourceTest, RefusesLongLinesAndBadBytes) {
  const std::string text = "one\n" + std::string(18 << 20, 'x') + "\nb\xFF\nlast\n";
  Outcome outcome = ReadLines(text);
  EXPECT_EQ(Short(outcome.rows), "a.log|1|one\na.log|4|last\n");
  ASSERT_EQ(outcome.rejects.size(), 2U);
  EXPECT_THAT(outcome.rejects[0], HasSubstr("a.log:2 @4 -: is longer than 16 MiB [xxx"));
  EXPECT_THAT(outcome.rejects[1], HasSubstr("a.log:3 @18874373 -: is not valid UTF-8"));
}

TEST_F(LinesSourceTest, ReadsLatin1) {
  Outcome outcome = ReadLines("f\xFC\nx\n", {{"encoding", "latin-1"}, {"pattern", "^(?<a>f.*)"}});
  EXPECT_EQ(outcome.rows, "fü\n");
  EXPECT_THAT(outcome.rejects, ElementsAre("a.log:2 @3 -: does not match the pattern [x]"));
}

TEST_F(LinesSourceTest, MistakesInPatterns) {
  EXPECT_THAT(ReadLines("x\n", {{"pattern", "(a)"}}).rows, HasSubstr("the pattern has no named group"));
  EXPECT_THAT(ReadLines("x\n", {{"pattern", "(?<a>x)(?<a>y)"}}).rows, HasSubstr("group 'a' is twice"));
  EXPECT_THAT(ReadLines("x\n", {{"pattern", "(?<a>x)(?=y)"}}).rows,
              HasSubstr("job.yaml:1:1: the pattern is not"));
  EXPECT_THAT(ReadLines("x\n", {{"pattern", "(?<a>x"}}).rows, HasSubstr("missing )"));
}

TEST(PatternTest, FindsGroups) {
  EXPECT_THAT(ParsePattern(R"(\((?<a>[^()\]]+)(?:x)(y)[](?<no>](?P<b>\Q(?<c>)\E))")->groups,
              ElementsAre("a", "", "b"));
}

}  // namespace
}  // namespace tranche
