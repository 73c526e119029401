#include "tranche/report/report.h"

#include <cmath>
#include <regex>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tranche/report/chart.h"
#include "tranche/report/flow.h"
#include "tranche/report/sample.h"

namespace tranche {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;

// A run of one input, two stages and two stores; `name` stands wherever a text can.
ReportData Example(const std::string& name = "orders") {
  ReportData data;
  data.job = data.job_file = data.run_id = data.message = name;
  data.outcome = "done";
  data.run_number = 3;
  data.started = 1'795'255'200'000'000;
  data.finished = data.started + 4'380'000;
  data.balanced = true;
  data.warnings = {name};
  data.inputs = {{name, name, name, 1000, true, 2, 1, 4096}};
  data.stages = {{.name = name,
                  .kind = name,
                  .from = {{ReportData::Flow::Kind::kInput, name, 1000, false}},
                  .steps = {name},
                  .sql = name,
                  .filtered = 8,
                  .rejected = 2,
                  .rows = 990},
                 {.name = "folded",
                  .kind = name,
                  .from = {{ReportData::Flow::Kind::kStage, name, 990, false}},
                  .steps = {},
                  .sql = name,
                  .folds = true,
                  .folded = 990,
                  .rows = 5}};
  for (const char* stage : {"", "folded"}) {
    ReportData::Store store{.name = name,
                            .connector = name,
                            .description = name,
                            .guarantee = name,
                            .stage = *stage ? stage : name,
                            .counts = {},
                            .batches = {},
                            .progress = {},
                            .sample = {}};
    int64_t rows = *stage ? 5 : 990;
    store.counts = {.sent = rows, .stored = rows};
    for (int i = 1; i <= 50; ++i) {
      store.batches.Add({20, 4000, 0.001 * i});
      store.progress.Add({0.1 * i, 20 * i, 4000 * i});
    }
    store.sample = {{{name, "VARCHAR"}, {"amount", "DOUBLE"}},
                    {{name, "1.5"}, {"b", "2"}, {std::nullopt, std::nullopt}}};
    data.stores.push_back(store);
  }
  data.AddReject({.origin = name,
                  .reason = name,
                  .column = name,
                  .file = name,
                  .line = 7,
                  .byte = 120,
                  .row = -1,
                  .content = name});
  data.parameters = {{name, name}};
  data.environment = {{name, name}};
  return data;
}

TEST(ReportJson, KeepsEverything) {
  ReportData data = Example();
  std::string json = ToJson(data);
  auto parsed = ParseSummary(json);
  ASSERT_TRUE(parsed) << parsed.error().ToString();
  EXPECT_EQ(ToJson(*parsed), json);
  EXPECT_EQ(parsed->stores[0].sample.rows[2][0], std::nullopt);
  EXPECT_EQ(RenderReport(*parsed), RenderReport(data));
}

TEST(ReportJson, ReadsWhatAnOlderVersionWrote) {
  auto parsed = ParseSummary(R"({"job": "sales", "stores": [{"name": "files"}]})");
  ASSERT_TRUE(parsed) << parsed.error().ToString();
  EXPECT_EQ(parsed->stores[0].name, "files");
  EXPECT_EQ(parsed->starts, 1);
}

TEST(ReportJson, RefusesWhatIsNoSummary) {
  for (std::string_view json : {"", "{", "[]", "7", R"({"stores": 5})", R"({"run_number": "x"})"}) {
    EXPECT_FALSE(ParseSummary(json)) << json;
  }
}

TEST(ReportJson, SurvivesInvalidUtf8) {
  ReportData data;
  data.job = "caf\xE9";
  EXPECT_TRUE(ParseSummary(ToJson(data)));
}

TEST(Thinned, KeepsAnEvenSpread) {
  Thinned<int> thinned;
  for (int i = 0; i < 100'000; ++i) thinned.Add(i);
  EXPECT_EQ(thinned.seen, 100'000);
  EXPECT_LE(std::ssize(thinned.items), Thinned<int>::kMost);
  EXPECT_GE(std::ssize(thinned.items), Thinned<int>::kMost / 2);
  for (size_t i = 0; i < thinned.items.size(); ++i)
    ASSERT_EQ(thinned.items[i], static_cast<int64_t>(i) * thinned.stride);
}

TEST(Rejects, EqualMistakesCountAsOne) {
  EXPECT_EQ(ReasonPattern("value -3 breaks check 'paid': amount >= 0"),
            "value … breaks check 'paid': amount >= 0");
  EXPECT_EQ(ReasonPattern(R"(Could not convert string "12a" to 'BIGINT')"),
            R"(Could not convert string "…" to 'BIGINT')");
  EXPECT_EQ(ReasonPattern("column col2 has 3.5 of 4 fields"), "column col2 has … of … fields");
  EXPECT_EQ(ReasonPattern("an open \"quote"), "an open \"quote");
}

TEST(Rejects, AreBounded) {
  ReportData data;
  for (int i = 0; i < 1000; ++i)
    data.AddReject(
        {.origin = "input a", .reason = "word" + std::string(1, 'a' + i % 26) + std::to_string(i)});
  EXPECT_EQ(data.rejects.size(), 20U);
  EXPECT_LE(data.reject_reasons.size(), 201U);
  int64_t rows = 0;
  for (const auto& reason : data.reject_reasons) rows += reason.rows;
  EXPECT_EQ(rows, 1000);
}

TEST(Escape, LeavesNothingThatHtmlReads) {
  EXPECT_EQ(html::Escape("a<b>&\"'\n"), "a&lt;b&gt;&amp;&quot;&#39;\n");
  EXPECT_EQ(html::Escape(std::string("\0\x1B", 2)), "\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(html::Escape("caf\xE9 \xED\xA0\x80"), "caf\xEF\xBF\xBD \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(html::Escape("naïve 日本 🙂"), "naïve 日本 🙂");
  EXPECT_EQ(html::Cut("日本語テキスト", 4), "日本語…");
  EXPECT_EQ(html::Cut("abcd", 4), "abcd");
}

// Every tag of the page is one of ours: a name and attributes in double quotes.
void ExpectOnlyOurTags(const std::string& page) {
  static const std::regex tag(R"re(</?[a-z0-9]+( [a-zA-Z0-9-]+(="[^"<>]*")?)*/?>|<!doctype html>)re");
  for (size_t at = page.find('<'); at != std::string::npos; at = page.find('<', at + 1)) {
    size_t end = page.find('>', at);
    ASSERT_NE(end, std::string::npos);
    std::string text = page.substr(at, end + 1 - at);
    EXPECT_TRUE(text.size() > 2000 || std::regex_match(text, tag)) << text;
  }
}

TEST(RenderReport, HostileTextStaysText) {
  for (std::string hostile : {"\"><script>alert(1)</script>", "</style><img src=x onerror=alert(1)>",
                              "' onmouseover='x", "{}{0}%s", "\xFF\xFE<", "a\0b"}) {
    std::string page = RenderReport(Example(hostile));
    EXPECT_THAT(page, Not(HasSubstr("<script")));
    EXPECT_THAT(page, Not(HasSubstr("<img")));
    ExpectOnlyOurTags(page);
  }
}

TEST(RenderReport, LoadsNothing) {
  std::string page = RenderReport(Example());
  for (const char* word : {"http:", "https:", "src=", "href=", "url(", "@import", "<script"}) {
    EXPECT_THAT(page, Not(HasSubstr(word)));
  }
}

TEST(RenderReport, SaysWhatHappened) {
  std::string page = RenderReport(Example());
  EXPECT_THAT(page, HasSubstr("done and balanced"));
  EXPECT_THAT(page, HasSubstr("Run 3 began on Saturday 21 November 2026, 10:00:00 UTC and took 4.38s."));
  EXPECT_THAT(page, HasSubstr("1,000 in = 990 sealed + 8 filtered + 2 rejected"));
  EXPECT_THAT(page, HasSubstr("990 in = 990 folded into 5 rows"));
  EXPECT_THAT(page, HasSubstr("orders:7, byte 120"));
  EXPECT_THAT(page, Not(HasSubstr("does not hold")));
}

TEST(RenderReport, ShowsWhatDoesNotBalance) {
  ReportData data = Example();
  data.balanced = false;
  data.stages[0].filtered = 7;
  EXPECT_FALSE(html::Holds(data.stages[0]));
  std::string page = RenderReport(data);
  EXPECT_THAT(page, HasSubstr("does not hold"));
  EXPECT_THAT(page, HasSubstr("done, not balanced"));
}

TEST(RenderReport, ShowsWhatIsUnfinished) {
  ReportData data = Example();
  data.outcome = "stopped";
  data.finished = 0;
  data.balanced = false;
  data.stores[0].counts = {.sent = 600, .stored = 600};
  std::string page = RenderReport(data);
  EXPECT_THAT(page, HasSubstr("990 of its stage = 600 stored + 390 not stored yet"));
  EXPECT_THAT(page, HasSubstr("unfinished"));
}

TEST(RenderReport, AnEmptyRunIsAPageToo) {
  ExpectOnlyOurTags(RenderReport(ReportData{}));
  ReportData data;
  data.inputs.resize(1);
  data.stages.resize(1);
  data.stores.resize(1);
  ExpectOnlyOurTags(RenderReport(data));
}

ReportData::Sample SampleOf(Columns columns, int rows, auto&& make) {
  ReportData::Sample sample{std::move(columns), {}};
  for (int i = 0; i < rows; ++i) sample.rows.push_back(make(i));
  return sample;
}

std::vector<std::string> Captions(const ReportData::Sample& sample) {
  std::vector<std::string> captions;
  for (const auto& picture : html::DrawSample(sample)) captions.push_back(picture.caption);
  return captions;
}

TEST(DrawSample, TimeBecomesALine) {
  auto sample = SampleOf(
      {{"station", "VARCHAR"}, {"hour", "TIMESTAMP"}, {"id", "BIGINT"}, {"wind", "DOUBLE"}}, 48, [](int i) {
        return TextRow{i % 2 ? "A" : "B", fmt::format("2026-11-{:02} {:02}:00:00", 1 + i / 24, i % 24),
                       std::to_string(i), std::to_string(i * 0.5)};
      });
  EXPECT_THAT(Captions(sample), ElementsAre("wind by hour, a line for each station"));
}

TEST(DrawSample, RowsOfOneMomentAreAveraged) {
  auto sample = SampleOf({{"day", "DATE"}, {"sales", "DECIMAL(12,2)"}}, 40, [](int i) {
    return TextRow{fmt::format("2026-11-{:02}", 1 + i / 4), std::to_string(i)};
  });
  EXPECT_THAT(Captions(sample), ElementsAre("mean sales by day"));
}

TEST(DrawSample, ARankingKeepsItsOrder) {
  auto sample = SampleOf({{"product", "VARCHAR"}, {"margin", "DOUBLE"}, {"sold", "BIGINT"}}, 20, [](int i) {
    return TextRow{"product " + std::to_string(i), std::to_string(i * 7 % 5), std::to_string(1000 - i)};
  });
  EXPECT_THAT(Captions(sample),
              ElementsAre("sold by product, the first 16", "margin by product, the first 16"));
}

TEST(DrawSample, WithoutNumbersThereIsNoPicture) {
  auto sample = SampleOf({{"name", "VARCHAR"}, {"id", "BIGINT"}}, 9,
                         [](int i) { return TextRow{"n" + std::to_string(i), std::to_string(i)}; });
  EXPECT_THAT(Captions(sample), IsEmpty());
}

TEST(DrawSample, OddValuesDoNoHarm) {
  auto sample = SampleOf({{"at", "TIMESTAMP"}, {"value", "DOUBLE"}}, 9,
                         [](int i) { return TextRow{i % 3 ? "never" : "infinity", i % 2 ? "nan" : "inf"}; });
  EXPECT_THAT(Captions(sample), IsEmpty());
}

TEST(Moments, AreRead) {
  EXPECT_EQ(html::ParseMoment("1970-01-02"), 86400);
  EXPECT_EQ(html::ParseMoment("1970-01-01 01:00:05.25"), 3605);
  EXPECT_EQ(html::ParseMoment("1970-01-01 01:00:00+01"), 0);
  EXPECT_TRUE(std::isnan(html::ParseMoment("1970-13-01")));
  EXPECT_TRUE(std::isnan(html::ParseMoment("19700101")));
}

TEST(Charts, TicksAreRound) {
  EXPECT_THAT(html::Ticks(0, 100, 5), ElementsAre(0, 20, 40, 60, 80, 100));
  EXPECT_THAT(html::Ticks(3, 3, 5), ElementsAre(3));
  EXPECT_THAT(html::TimeTicks(html::ParseMoment("2025-11-15"), html::ParseMoment("2026-03-15")),
              ElementsAre(Pair(testing::_, "Dec"), Pair(testing::_, "2026"), Pair(testing::_, "Feb"),
                          Pair(testing::_, "Mar")));
  EXPECT_THAT(html::TimeTicks(0, 7200),
              ElementsAre(Pair(0, "1 Jan"), Pair(1800, "00:30"), Pair(3600, "01:00"), Pair(5400, "01:30"),
                          Pair(7200, "02:00")));
}

TEST(Charts, PercentilesAreNearestRanks) {
  EXPECT_EQ(html::Percentile({}, 0.5), 0);
  EXPECT_EQ(html::Percentile({3, 1, 2}, 0.5), 2);
  EXPECT_EQ(html::Percentile({1, 2, 3, 4}, 0.99), 4);
}

}  // namespace
}  // namespace tranche
