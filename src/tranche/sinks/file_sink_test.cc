#include "tranche/sinks/file_sink.h"

#include <cstdlib>
#include <set>

#include "tranche/base/failpoint.h"
#include "tranche/sinks/sink_fixture.h"
#include "tranche/sinks/sinks.h"

namespace tranche {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

class FileSinkTest : public SinkTest {
 protected:
  SinkSpec Spec(const std::string& format) {
    for (SinkSpec spec : {CsvSink(), JsonSink(), ParquetSink(), ArrowSink()}) {
      if (spec.name == format) return spec;
    }
    return {};
  }
  std::unique_ptr<Sink> Folder(const std::string& format, const std::string& mode = "replace",
                               const std::vector<std::string>& partition = {}) {
    std::vector<Yaml> fields = {{"path", Path("out/")}, {"mode", mode}};
    if (!partition.empty()) fields.push_back({"partition", partition});
    return Make(Spec(format), fields).value();
  }
  // Two batches of 100 rows with ids from `first` on.
  std::vector<Batch> Batches(int first) {
    auto sql = [&](int from) {
      return fmt::format("SELECT {} + range AS id, 'a\"b' AS name, range % 3 AS part FROM range(100)", from);
    };
    return {Rows(sql(first)), Rows(sql(first + 100), 100)};
  }
  // Why a store cannot be opened; "" where it can.
  std::string Refusal(Sink& sink) {
    auto opened = OpenFor(sink, Batches(0)[0]);
    return opened ? "" : opened.error().ToString();
  }
  // As a process would: to the end or to the first error, and the sink is gone.
  Status Run(std::unique_ptr<Sink> sink, const std::vector<Batch>& batches) {
    context_.rows = batches.back().span.to;
    TRANCHE_ASSIGN(Opened opened, OpenFor(*sink, batches[0]));
    for (const Batch& batch : batches) {
      std::vector<Span> gaps = opened.committed.Gaps(context_.rows);
      bool gap = std::ranges::any_of(
          gaps, [&](Span span) { return span.from <= batch.span.from && batch.span.to <= span.to; });
      if (gap) TRANCHE_TRY(sink->Write(batch, context_));
    }
    TRANCHE_ASSIGN(Sink::Totals totals, sink->Sum(context_));
    EXPECT_TRUE(totals.tiles);
    EXPECT_EQ(totals.counts, Stored(200));
    EXPECT_EQ(totals.target_rows.value_or(200), 200);
    return sink->Finish(context_);
  }
  void NextRun(const std::string& id) {
    context_.run_id = id;
    journal_ = {};
  }
  // Arms one failure of the action after a failpoint.
  static void FailAt(std::string_view name, int hit = 1) {
    setenv("TRANCHE_FAILPOINT", fmt::format("{}:error@{}", name, hit).c_str(), 1);
    ASSERT_TRUE(ArmFailpoints());
    unsetenv("TRANCHE_FAILPOINT");
  }
  std::string Sum(const std::string& reader = "read_parquet") {
    return Ask(
        fmt::format("SELECT count(*), min(id), count(DISTINCT id) FROM {}('{}/part*')", reader, Path("out")));
  }
  // Names in the test's folder, but for the engine's own.
  std::set<std::string> Names(const std::string& folder = "") {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(Path(folder))) names.insert(entry.path().filename());
    names.erase("spill");
    return names;
  }
};

TEST_F(FileSinkTest, EveryFormatInAFolder) {
  for (std::string format : {"csv", "json", "parquet", "arrow"}) {
    NextRun("run-" + format);
    auto sink = Folder(format);
    Status done = Run(std::move(sink), Batches(0));
    ASSERT_TRUE(done) << done.error().ToString();
    EXPECT_EQ(Names(), std::set<std::string>{"out"});
    if (format == "arrow") continue;
    std::string reader = format == "parquet" ? "read_parquet" : format == "csv" ? "read_csv" : "read_json";
    EXPECT_EQ(
        Ask(fmt::format("SELECT count(*), sum(id), min(name) FROM {}('{}/part*')", reader, Path("out"))),
        "200|19900|a\"b\n");
  }
}

TEST_F(FileSinkTest, EveryFormatInOneFile) {
  struct Case {
    std::string format, name, read;
  };
  for (const Case& test :
       std::vector<Case>{{"csv", "a.csv", "read_csv('{}')"},
                         {"csv", "a.csv.gz", "read_csv('{}', compression = 'gzip')"},
                         {"csv", "a.csv.zst", "read_csv('{}', compression = 'zstd')"},
                         {"json", "a.json", "read_json('{}', format = 'array')"},
                         {"json", "a.ndjson.gz", "read_json('{}', format = 'newline_delimited')"},
                         {"parquet", "a.parquet", "read_parquet('{}')"}}) {
    NextRun("run of " + test.name);
    auto sink = Make(Spec(test.format), {{"path", Path(test.name)}}).value();
    EXPECT_TRUE(sink->whole());
    Batch batch = Batches(0)[0];
    ASSERT_TRUE(OpenFor(*sink, batch));
    auto counts = sink->WriteDirect({SqlText("SELECT range AS id, 'x' AS name FROM range(100)")}, context_);
    ASSERT_TRUE(counts) << counts.error().ToString();
    EXPECT_EQ(*counts, Stored(100));
    EXPECT_FALSE(fs::exists(Path(test.name)));
    context_.rows = 100;
    EXPECT_TRUE(sink->Sum(context_)->tiles);
    ASSERT_TRUE(sink->Finish(context_));
    ASSERT_TRUE(sink->Finish(context_));
    EXPECT_EQ(Ask("SELECT count(*), sum(id), min(name) FROM " +
                  fmt::format(fmt::runtime(test.read), Path(test.name))),
              "100|4950|x\n")
        << test.name;
  }
}

TEST_F(FileSinkTest, ArrowFilesCountTheirRows) {
  auto sink = Make(ArrowSink(), {{"path", Path("a.arrow")}}).value();
  ASSERT_TRUE(OpenFor(*sink, Batches(0)[0]));
  ASSERT_TRUE(sink->WriteDirect({SqlText("SELECT range AS id FROM range(100000)")}, context_));
  EXPECT_EQ(sink->Sum(context_)->target_rows, 100000);
  ASSERT_TRUE(sink->Finish(context_));
  EXPECT_EQ(sink->Sum(context_)->target_rows, 100000);
  EXPECT_TRUE(Content(Path("a.arrow")).starts_with("ARROW1"));
}

// Whatever the moment of the failure: readers see the old or the new rows, and a resume leaves the new ones
// and no trace.
TEST_F(FileSinkTest, FoldersSurviveAFailureAnywhere) {
  for (std::string_view name :
       {"store.opened", "batch.claimed", "part.written", "part.synced", "part.journalled", "publish.before",
        "publish.intent", "publish.renamed", "publish.synced", "publish.recorded"}) {
    for (std::string mode : {"replace", "append"}) {
      for (int hit = 1; hit <= 2; ++hit) {
        SCOPED_TRACE(fmt::format("{} {}@{}", mode, name, hit));
        fs::remove_all(Path("out"));
        NextRun("old");
        ASSERT_TRUE(Run(Folder("parquet", mode), Batches(1000)));
        NextRun("new");
        FailAt(name, hit);
        Status first = Run(Folder("parquet", mode), Batches(5000));
        std::string seen = Sum();
        if (mode == "replace") {
          EXPECT_TRUE(seen == "200|1000|200\n" || seen == "200|5000|200\n") << seen;
        }
        FailAt("spool.begun");  // what was not met is disarmed
        Status second = Run(Folder("parquet", mode), Batches(5000));
        ASSERT_TRUE(second) << second.error().ToString();
        EXPECT_EQ(Sum(), mode == "replace" ? "200|5000|200\n" : "400|1000|400\n");
        EXPECT_EQ(Names(), std::set<std::string>{"out"});
        EXPECT_EQ(Names("out").size(), mode == "replace" ? 3u : 5u);
        (void)first.has_value();
      }
    }
  }
}

TEST_F(FileSinkTest, FilesSurviveAFailureAnywhere) {
  auto run = [&](int rows) -> Status {
    auto sink = Make(ParquetSink(), {{"path", Path("a.parquet")}}).value();
    TRANCHE_ASSIGN(Opened opened, OpenFor(*sink, Batches(0)[0]));
    if (opened.committed.rows() == 0) {
      TRANCHE_TRY(
          sink->WriteDirect({SqlText(fmt::format("SELECT range AS id FROM range({})", rows))}, context_));
    }
    context_.rows = rows;
    return sink->Finish(context_);
  };
  for (std::string_view name : {"direct.written", "direct.journalled", "publish.before", "publish.intent",
                                "publish.renamed", "publish.synced", "publish.recorded"}) {
    SCOPED_TRACE(name);
    fs::remove(Path("a.parquet"));
    NextRun("old");
    ASSERT_TRUE(run(10));
    NextRun("new");
    FailAt(name);
    EXPECT_FALSE(run(20));
    std::string seen = Ask("SELECT count(*) FROM '" + Path("a.parquet") + "'");
    EXPECT_TRUE(seen == "10\n" || seen == "20\n") << seen;
    Status second = run(20);
    ASSERT_TRUE(second) << second.error().ToString();
    EXPECT_EQ(Ask("SELECT count(*) FROM '" + Path("a.parquet") + "'"), "20\n");
    EXPECT_EQ(Names(), (std::set<std::string>{"a.parquet", ".a.parquet.tranche.json"}));
  }
}

TEST_F(FileSinkTest, ResumeKeepsWhatIsIntact) {
  std::vector<Batch> batches = Batches(0);
  std::string aside = Path(".out.tranche-" + context_.run_id);
  {
    auto sink = Folder("csv");
    ASSERT_TRUE(OpenFor(*sink, batches[0]));
    for (const Batch& batch : batches) ASSERT_TRUE(sink->Write(batch, context_));
  }
  WriteText(aside + "/part-01234567-000000000200.csv", "half a pa");  // never journalled
  WriteText(aside + "/part-01234567-000000000100.csv", "torn");       // journalled, and changed
  auto sink = Folder("csv");
  auto opened = OpenFor(*sink, batches[0]);
  EXPECT_THAT(opened->committed.spans(), ElementsAre(Span{0, 100}));
  EXPECT_EQ(sink->Write(batches[0], context_)->outcome, WriteReport::Outcome::kAlreadyCommitted);
  ASSERT_TRUE(sink->Write(batches[1], context_));
  context_.rows = 200;
  ASSERT_TRUE(sink->Finish(context_));
  EXPECT_EQ(Sum("read_csv"), "200|0|200\n");
}

TEST_F(FileSinkTest, OtherRowsAreWrittenAnew) {
  std::vector<Batch> batches = Batches(0);
  {
    auto sink = Folder("csv");
    ASSERT_TRUE(OpenFor(*sink, batches[0]));
    ASSERT_TRUE(sink->Write(batches[0], context_));
  }
  context_.stage_id = "made again";
  auto opened = OpenFor(*Folder("csv"), batches[0]);
  EXPECT_EQ(opened->committed.rows(), 0);
}

TEST_F(FileSinkTest, WhatIsNotOursStays) {
  fs::create_directory(Path("out"));
  WriteText(Path("out/mine.txt"), "x");
  auto refused = OpenFor(*Folder("csv"), Batches(0)[0]);
  EXPECT_THAT(refused.error().ToString(), HasSubstr("out/mine.txt was not written by Tranche"));
  EXPECT_EQ(refused.error().code, Code::kJob);
  EXPECT_EQ(Names(), std::set<std::string>{"out"});
  fs::remove(Path("out/mine.txt"));
  fs::create_symlink("/etc/passwd", Path("out/link.csv"));
  EXPECT_THAT(Refusal(*Folder("csv")), HasSubstr("link.csv"));
  ASSERT_TRUE(Run(Folder("csv", "append"), Batches(0)));  // adds, and removes nothing
  EXPECT_TRUE(fs::is_symlink(Path("out/link.csv")));

  NextRun("second");
  WriteText(Path("a.csv"), "mine");
  auto file = Make(CsvSink(), {{"path", Path("a.csv")}}).value();
  EXPECT_THAT(Refusal(*file), HasSubstr("a.csv was not written by Tranche"));
  EXPECT_EQ(Content(Path("a.csv")), "mine");
}

TEST_F(FileSinkTest, AFileThatWasChangedSinceStays) {
  ASSERT_TRUE(Run(Folder("csv"), Batches(0)));
  std::string part = Path("out/part-01234567-000000000000.csv");
  WriteText(part, Content(part) + "edited");
  NextRun("second");
  EXPECT_THAT(Refusal(*Folder("csv")), HasSubstr("changed since"));
}

TEST_F(FileSinkTest, AFileThatAppearsDuringTheExchangeIsPutBack) {
  ASSERT_TRUE(Run(Folder("csv"), Batches(0)));
  NextRun("second");
  FailAt("publish.renamed");
  ASSERT_FALSE(Run(Folder("csv"), Batches(1000)));
  WriteText(Path(".out.tranche-second/late.txt"), "late");  // as if it had come just before the exchange
  ASSERT_TRUE(Run(Folder("csv"), Batches(1000)));
  EXPECT_EQ(Content(Path("out/late.txt")), "late");
  EXPECT_EQ(Names(), std::set<std::string>{"out"});
}

TEST_F(FileSinkTest, ALinkInsideTheFolderIsNeverFollowed) {
  fs::create_directories(Path("out"));
  fs::create_directories(Path("elsewhere"));
  fs::create_directory_symlink(Path("elsewhere"), Path("out/part=0"));
  Status status = Run(Folder("csv", "append", {"part"}), Batches(0));
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().ToString(), HasSubstr("out/part=0 is not a folder"));
  EXPECT_TRUE(fs::is_empty(Path("elsewhere")));
}

TEST_F(FileSinkTest, PartitionsRoundTrip) {
  Batch batch = Rows(
      "SELECT range AS id, unnest(['plain', '../../x', '/etc', '', NULL, 'ü ß', 'a=b', '..', 'a%2Fb', "
      "'q\"''\n', '.', '*?[', "
      "'__HIVE_DEFAULT_PARTITION__x', 'a\\b']) AS p, range % 2 AS q FROM range(1)");
  auto sink = Folder("parquet", "replace", {"P", "q"});
  ASSERT_TRUE(OpenFor(*sink, batch));
  auto report = sink->Write(batch, context_);
  ASSERT_TRUE(report) << report.error().ToString();
  context_.rows = batch.span.to;
  EXPECT_EQ(sink->Sum(context_)->target_rows, batch.span.to);
  ASSERT_TRUE(sink->Finish(context_));
  EXPECT_EQ(Names(), std::set<std::string>{"out"});
  for (const auto& entry : fs::recursive_directory_iterator(Path("out"))) {
    if (!entry.is_regular_file() || entry.path().filename() == "_tranche.json") continue;
    fs::path inside = entry.path().lexically_relative(Path("out"));
    EXPECT_EQ(std::distance(inside.begin(), inside.end()), 3) << inside;
    EXPECT_TRUE(inside.begin()->string().starts_with("p=")) << inside;
  }
  std::string back =
      Ask(fmt::format("SELECT p FROM read_parquet('{}/*/*/*.parquet', hive_partitioning = true, "
                      "hive_types = {{'p': 'VARCHAR'}}) ORDER BY p",
                      Path("out")));
  EXPECT_EQ(back, Ask("SELECT unnest(['plain', '../../x', '/etc', '', NULL, 'ü ß', 'a=b', '..', 'a%2Fb', "
                      "'q\"''\n', '.', '*?[', "
                      "'__HIVE_DEFAULT_PARTITION__x', 'a\\b']) AS p ORDER BY p"));
}

TEST_F(FileSinkTest, PartitionsOfCsv) {
  Status done = Run(Folder("csv", "replace", {"part"}), Batches(0));
  ASSERT_TRUE(done) << done.error().ToString();
  EXPECT_EQ(
      Ask(fmt::format(
          "SELECT count(*), count(DISTINCT id), sum(part) FROM read_csv('{}/*/*.csv', hive_partitioning "
          "= true)",
          Path("out"))),
      "200|200|198\n");
}

TEST_F(FileSinkTest, NoRowsStillHaveColumns) {
  Batch none = Rows("SELECT 1 AS id, 'x' AS name WHERE false");
  context_.rows = 0;
  auto folder = Folder("parquet");
  ASSERT_TRUE(OpenFor(*folder, none));
  ASSERT_TRUE(folder->Finish(context_));
  EXPECT_EQ(Ask(fmt::format("SELECT count(*), count(id) FROM '{}/*.parquet'", Path("out"))), "0|0\n");
  NextRun("file");
  auto file = Make(CsvSink(), {{"path", Path("a.csv")}}).value();
  ASSERT_TRUE(OpenFor(*file, none));
  ASSERT_TRUE(file->Finish(context_));
  EXPECT_EQ(Content(Path("a.csv")), "id,name\n");
}

TEST_F(FileSinkTest, CsvKeepsNullAndEmptyApart) {
  auto sink = Make(CsvSink(), {{"path", Path("a.csv")}, {"delimiter", "semicolon"}}).value();
  ASSERT_TRUE(OpenFor(*sink, Batches(0)[0]));
  ASSERT_TRUE(
      sink->WriteDirect({SqlText("SELECT NULL AS a, '' AS b, 'x;\"y\"' AS c, 'l1\nl2' AS d")}, context_));
  ASSERT_TRUE(sink->Finish(context_));
  EXPECT_EQ(Content(Path("a.csv")), "a;b;c;d\n;\"\";\"x;\"\"y\"\"\";\"l1\nl2\"\n");
}

TEST_F(FileSinkTest, ParquetKeepsWideIntegers) {
  auto sink = Make(ParquetSink(), {{"path", Path("a.parquet")}}).value();
  ASSERT_TRUE(OpenFor(*sink, Batches(0)[0]));
  auto counts = sink->WriteDirect({SqlText("SELECT sum(9007199254740993) AS s")}, context_);
  ASSERT_TRUE(counts) << counts.error().ToString();
  ASSERT_TRUE(sink->Finish(context_));
  EXPECT_EQ(Ask("SELECT s FROM '" + Path("a.parquet") + "'"), "9007199254740993\n");
}

TEST_F(FileSinkTest, JsonIsJson) {
  auto sink = Make(JsonSink(), {{"path", Path("a.ndjson")}}).value();
  ASSERT_TRUE(OpenFor(*sink, Batches(0)[0]));
  ASSERT_TRUE(sink->WriteDirect({SqlText("SELECT 'nan'::DOUBLE AS a, '-inf'::FLOAT AS b, 0.1::DOUBLE AS c, "
                                         "NULL::DOUBLE AS d, 1.50::DECIMAL(4,2) AS e, "
                                         "DATE '2026-11-20' AS f, {'g': [1]} AS g")},
                                context_));
  ASSERT_TRUE(sink->Finish(context_));
  EXPECT_EQ(Content(Path("a.ndjson")),
            "{\"a\":\"nan\",\"b\":\"-inf\",\"c\":0.1,\"d\":null,\"e\":1.5,\"f\":\"2026-11-20\",\"g\":{\"g\":["
            "1]}}\n");
}

TEST_F(FileSinkTest, WhatARunThatWasGivenUpWroteAsideGoes) {
  ASSERT_TRUE(OpenFor(*Folder("csv"), Batches(0)[0]));
  NextRun("second");
  context_.again = true;
  ASSERT_TRUE(Run(Folder("csv"), Batches(0)));
  EXPECT_EQ(Names(), std::set<std::string>{"out"});
}

TEST_F(FileSinkTest, StandardOutputGetsAllOrNothing) {
  auto sink = Make(CsvSink(), {{"path", "stdout"}}).value();
  ASSERT_TRUE(OpenFor(*sink, Batches(0)[0]));
  testing::internal::CaptureStdout();
  EXPECT_FALSE(sink->WriteDirect(
      {SqlText("SELECT CASE WHEN range = 99999 THEN error('x') END AS a FROM range(100000)")}, context_));
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  testing::internal::CaptureStdout();
  ASSERT_TRUE(sink->WriteDirect({SqlText("SELECT 1 AS a, 'x' AS b")}, context_));
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "a,b\n1,x\n");
  context_.rows = 1;
  EXPECT_TRUE(sink->Sum(context_)->tiles);
  ASSERT_TRUE(sink->Finish(context_));
}

TEST_F(FileSinkTest, RefusedBeforeAnythingIsWritten) {
  auto open = [&](const std::vector<Yaml>& fields) { return Refusal(*Make(CsvSink(), fields).value()); };
  auto check = [&](const std::vector<Yaml>& fields) {
    Status checked =
        Make(CsvSink(), fields).value()->Check(Batches(0)[0].rows()->schema(), *engine_, std::nullopt);
    return checked ? "" : checked.error().ToString();
  };
  fs::create_directory(Path("folder"));
  EXPECT_THAT(open({{"path", Path("folder")}}), HasSubstr("is a folder"));
  WriteText(Path("file"), "");
  EXPECT_THAT(open({{"path", Path("file/")}}), HasSubstr("is not a folder"));
  EXPECT_THAT(open({{"path", "/dev/null"}}), HasSubstr("not a regular file"));
  EXPECT_THAT(open({{"path", Path("o/")}, {"partition", "nmae"}}), HasSubstr("did you mean 'name'?"));
  EXPECT_THAT(open({{"path", Path("o/")}, {"partition", std::vector<std::string>{"id", "name", "part"}}}),
              HasSubstr("all columns"));
  EXPECT_THAT(open({{"path", "/dev/null/out.csv"}}), HasSubstr("/dev/null"));
  EXPECT_EQ(Names(), (std::set<std::string>{"file", "folder"}));
  EXPECT_THAT(check({{"path", Path("folder")}}), HasSubstr("is a folder"));
  EXPECT_THAT(check({{"path", Path("file/")}}), HasSubstr("is not a folder"));
  EXPECT_THAT(check({{"path", Path("file")}}), HasSubstr("was not written by Tranche"));
  EXPECT_THAT(check({{"path", Path("o/")}, {"partition", "nmae"}}), HasSubstr("did you mean 'name'?"));
  EXPECT_EQ(check({{"path", Path("new/deep/out.csv")}}), "");
  EXPECT_EQ(check({{"path", Path("o/")}, {"mode", "append"}}), "");
  EXPECT_EQ(Names(), (std::set<std::string>{"file", "folder"}));
  EXPECT_FALSE(Make(CsvSink(), {{"path", Path("a.csv")}, {"mode", "append"}}));
  EXPECT_FALSE(Make(CsvSink(), {{"path", Path("a.csv.gz")}, {"compression", "zstd"}}));
  EXPECT_FALSE(Make(ParquetSink(), {{"path", "stdout"}}));
}

TEST_F(FileSinkTest, AFailedSyncIsTriedUnderAnotherNameAndThenGivenUp) {
  std::vector<Batch> batches = Batches(0);
  auto sink = Folder("csv");
  ASSERT_TRUE(OpenFor(*sink, batches[0]));
  FailAt("part.written");
  ASSERT_TRUE(sink->Write(batches[0], context_));
  EXPECT_THAT(journal_.entries.at(0).detail, HasSubstr("part-01234567-000000000000-2.csv"));
  ASSERT_TRUE(sink->Write(batches[1], context_));
  context_.rows = 200;
  ASSERT_TRUE(sink->Finish(context_));
  EXPECT_EQ(Names("out"), (std::set<std::string>{"_tranche.json", "part-01234567-000000000000-2.csv",
                                                 "part-01234567-000000000100.csv"}));
}

}  // namespace
}  // namespace tranche
