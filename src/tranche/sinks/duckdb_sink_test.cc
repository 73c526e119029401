#include <thread>

#include "tranche/sinks/sink_fixture.h"
#include "tranche/sinks/sinks.h"
#include "tranche/sql/duckdb_file.h"

namespace tranche {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Outcome = WriteReport::Outcome;

class DuckDbSinkTest : public SinkTest {
 protected:
  DuckDbSinkTest() {
    EXPECT_TRUE(engine_->Execute("USE " + AttachDuckDb(*engine_, Path("a.duckdb"), true).value()));
  }
  std::unique_ptr<Sink> DuckDb(const std::string& mode = "append", const std::vector<std::string>& key = {}) {
    std::vector<Yaml> fields = {{"path", Path("a.duckdb")}, {"table", "t"}, {"mode", mode}};
    if (!key.empty()) fields.push_back({"key", key});
    sessions_.push_back(engine_->Fork().value());  // a process would have another one
    context_.engine = sessions_.back().get();
    return Make(DuckDbSink(), fields).value();
  }
  void Run(const std::string& sql) {
    auto done = engine_->Execute(sql);
    ASSERT_TRUE(done) << done.error().ToString();
  }
  std::vector<std::string> Refusals(Sink& sink, const Batch& batch, Counts* counts = nullptr) {
    auto opened = OpenFor(sink, batch);
    EXPECT_TRUE(opened) << opened.error().ToString();
    if (!opened) return {};
    auto report = sink.Write(batch, context_);
    EXPECT_TRUE(report) << report.error().ToString();
    if (!report) return {};
    EXPECT_EQ(report->outcome, Outcome::kCommitted);
    EXPECT_TRUE(report->counts.balanced());
    if (counts) *counts = report->counts;
    std::vector<std::string> reasons;
    for (const Reject& reject : report->rejects)
      reasons.push_back(fmt::format("{}: {}", reject.row, reject.reason));
    return reasons;
  }
  std::string Refusal(Sink& sink, const Batch& batch) {
    auto opened = OpenFor(sink, batch);
    return opened ? "" : opened.error().ToString();
  }
  std::vector<std::unique_ptr<Engine>> sessions_;
};

TEST_F(DuckDbSinkTest, StoresAndResumes) {
  Batch first = Rows("SELECT range AS id, 'x' || range AS name FROM range(100)");
  Batch second = Rows("SELECT range AS id, 'y' AS name FROM range(50)", 100);
  {
    auto sink = DuckDb();
    ASSERT_TRUE(OpenFor(*sink, first));
    EXPECT_EQ(sink->Write(first, context_)->counts, Stored(100));
  }
  auto sink = DuckDb();
  auto opened = OpenFor(*sink, first);
  ASSERT_TRUE(opened) << opened.error().ToString();
  EXPECT_THAT(opened->committed.spans(), ElementsAre(Span{0, 100}));
  EXPECT_EQ(opened->counts, Stored(100));
  EXPECT_EQ(sink->Write(first, context_)->outcome, Outcome::kAlreadyCommitted);
  ASSERT_TRUE(sink->Write(second, context_));
  context_.rows = 150;
  EXPECT_TRUE(sink->Sum(context_)->tiles);
  EXPECT_EQ(sink->Sum(context_)->counts, Stored(150));
  Status finished = sink->Finish(context_);
  ASSERT_TRUE(finished) << finished.error().ToString();
  ASSERT_TRUE(sink->Finish(context_));
  EXPECT_EQ(Ask("SELECT count(*), sum(id) FROM t"), "150|6175\n");
  EXPECT_EQ(Ask("SELECT state, stored, epoch FROM tranche_run"), "finished|150|2\n");
  EXPECT_EQ(Ask("SELECT count(*) FROM tranche_batch"), "0\n");
  EXPECT_TRUE(OpenFor(*DuckDb(), first)->published);
}

TEST_F(DuckDbSinkTest, AnOlderSinkIsFenced) {
  Batch batch = Rows("SELECT 1 AS a");
  auto old = DuckDb();
  SinkContext old_context = context_;
  ASSERT_TRUE(OpenFor(*old, batch));
  auto next = DuckDb();
  ASSERT_TRUE(OpenFor(*next, batch));
  EXPECT_EQ(old->Write(batch, old_context)->outcome, Outcome::kFenced);
  EXPECT_EQ(next->Write(batch, context_)->outcome, Outcome::kCommitted);
  EXPECT_EQ(Ask("SELECT * FROM t"), "1\n");
}

TEST_F(DuckDbSinkTest, BadRowsAreNamed) {
  Run("CREATE TABLE t (id INTEGER PRIMARY KEY, v VARCHAR NOT NULL CHECK (v <> 'bad'), n DECIMAL(6, 2))");
  Batch batch = Rows(
      "SELECT * FROM (VALUES ('1', 'a', 1.5::DOUBLE), ('2', NULL, 1), ('3', 'bad', 1), ('1', 'b', 1), ('x', "
      "'c', 1), ('6', 'd', 0.125), ('7', 'e', 1e9), ('8', 'f', NULL)) t(id, v, n)",
      10);
  auto sink = DuckDb();
  Counts counts;
  EXPECT_THAT(Refusals(*sink, batch, &counts),
              ElementsAre("11: NULL in a column that is NOT NULL", HasSubstr("12: CHECK constraint failed"),
                          HasSubstr("duplicate key \"1\""), "14: value x does not fit INTEGER",
                          "15: value 0.125 does not fit DECIMAL(6,2)", HasSubstr("16: value 1")));
  EXPECT_EQ(counts, (Counts{8, 2, 0, 0, 6}));
  EXPECT_EQ(Ask("SELECT id, v, n FROM t ORDER BY id"), "1|a|1.50\n8|f|NULL\n");
  EXPECT_EQ(Ask("SELECT content FROM tranche_reject WHERE row_number = 11"),
            "{\"id\":\"2\",\"v\":null,\"n\":1.0}\n");
  int listed = 0;
  ASSERT_TRUE(sink->ListRejects(context_, [&](Reject) -> Status {
    ++listed;
    return {};
  }));
  EXPECT_EQ(listed, 6);
}

TEST_F(DuckDbSinkTest, OneBadRowAmongMany) {
  Run("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (5000)");
  Batch batch = Rows("SELECT range AS id FROM range(10000)");
  auto sink = DuckDb();
  EXPECT_THAT(Refusals(*sink, batch), ElementsAre(HasSubstr("5000: ")));
  EXPECT_EQ(Ask("SELECT count(*) FROM t"), "10000\n");
}

TEST_F(DuckDbSinkTest, TooManyRejectsStoreNothing) {
  Run("CREATE TABLE t (id INTEGER PRIMARY KEY)");
  most_rejects_ = 0;
  Batch batch = Rows("SELECT unnest([1, 1]) AS id");
  auto sink = DuckDb();
  ASSERT_TRUE(OpenFor(*sink, batch));
  EXPECT_EQ(sink->Write(batch, context_).error().code, Code::kData);
  EXPECT_EQ(Ask("SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM tranche_batch)"), "0|0\n");
}

TEST_F(DuckDbSinkTest, UpsertLastOfAKeyWins) {
  Batch batch = Rows("SELECT range % 7 AS id, range AS v, [range] AS l FROM range(1000)");
  auto sink = DuckDb("upsert", {"id"});
  Counts counts;
  EXPECT_THAT(Refusals(*sink, batch, &counts), ElementsAre());
  EXPECT_EQ(counts, (Counts{1000, 7, 993, 0, 0}));
  EXPECT_EQ(Ask("SELECT min(v), max(v), max(l) FROM t"), "993|999|[999]\n");
  auto report = sink->Write(
      Rows("SELECT unnest([3, NULL])::BIGINT AS id, -1::BIGINT AS v, [0::BIGINT] AS l", 1000), context_);
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(report->counts, (Counts{2, 1, 0, 0, 1}));
  EXPECT_EQ(Ask("SELECT v FROM t WHERE id = 3"), "-1\n");
}

TEST_F(DuckDbSinkTest, UpsertCountsKeysAsTheTableDoes) {
  Run("CREATE TABLE t (id INTEGER PRIMARY KEY, v VARCHAR)");
  Batch batch = Rows("SELECT * FROM (VALUES ('1', 'x'), ('01', 'y'), ('2', 'z')) v(id, v)");
  auto sink = DuckDb("upsert", {"id"});
  Counts counts;
  EXPECT_THAT(Refusals(*sink, batch, &counts), ElementsAre());
  EXPECT_EQ(counts, (Counts{3, 2, 1, 0, 0}));
  EXPECT_EQ(Ask("SELECT * FROM t ORDER BY id"), "1|y\n2|z\n");
}

TEST_F(DuckDbSinkTest, UpsertOfKeysAlone) {
  Batch batch = Rows("SELECT unnest([1, 2, 1]) AS id");
  auto sink = DuckDb("upsert", {"id"});
  Counts counts;
  Refusals(*sink, batch, &counts);
  EXPECT_EQ(counts, (Counts{3, 2, 1, 0, 0}));
}

TEST_F(DuckDbSinkTest, RefusedBeforeAnythingIsWritten) {
  Batch batch = Rows("SELECT 1 AS id, 'x' AS naem");
  Run("CREATE TABLE t (id INTEGER, name VARCHAR)");
  EXPECT_THAT(Refusal(*DuckDb(), batch), HasSubstr("no column 'naem'; did you mean 'name'?"));
  EXPECT_EQ(Ask("SELECT count(*) FROM duckdb_tables()"), "1\n");
  batch = Rows("SELECT 1 AS id");
  EXPECT_THAT(Refusal(*DuckDb("upsert", {"id"}), batch), HasSubstr("CREATE UNIQUE INDEX"));
  Run("DROP TABLE t; CREATE VIEW t AS SELECT 1 AS id");
  EXPECT_THAT(Refusal(*DuckDb(), batch), HasSubstr("is a view"));
}

TEST_F(DuckDbSinkTest, FilesThatAreNoDatabase) {
  WriteText(Path("b.duckdb"), std::string(5000, 'x'));
  auto sink = Make(DuckDbSink(), {{"path", Path("b.duckdb")}, {"table", "t"}}).value();
  EXPECT_THAT(Refusal(*sink, Rows("SELECT 1 AS a")), HasSubstr("b.duckdb"));
}

TEST_F(DuckDbSinkTest, ReplaceSwapsAtTheEnd) {
  ASSERT_TRUE(Store(*DuckDb("replace"), Rows("SELECT 1 AS a")));
  EXPECT_EQ(Ask("SELECT * FROM t"), "1\n");
  Run("CREATE VIEW w AS SELECT count(*) AS n FROM t");
  context_.run_id = "fedcba9876543210";
  context_.run_number = 2;
  journal_ = {};
  Batch two = Rows("SELECT 2 AS b, unnest(['x', 'y']) AS c");
  auto sink = DuckDb("replace");
  ASSERT_TRUE(OpenFor(*sink, two));
  ASSERT_TRUE(sink->Write(two, context_));
  EXPECT_EQ(Ask("SELECT * FROM t"), "1\n");
  context_.rows = 2;
  Status finished = sink->Finish(context_);
  ASSERT_TRUE(finished) << finished.error().ToString();
  EXPECT_EQ(Ask("SELECT b, c FROM t ORDER BY c"), "2|x\n2|y\n");
  EXPECT_EQ(Ask("SELECT * FROM w"), "2\n");
  EXPECT_EQ(Ask("SELECT count(*) FROM duckdb_tables() WHERE table_name LIKE '%\\_\\_tranche%' ESCAPE '\\'"),
            "0\n");
}

TEST_F(DuckDbSinkTest, ReplaceKeepsADefinition) {
  Run("CREATE TABLE t (id INTEGER PRIMARY KEY, v VARCHAR CHECK (v <> 'bad'), \"a(b\" INTEGER DEFAULT 7);"
      "INSERT INTO t VALUES (1, 'old', 1)");
  Batch batch = Rows("SELECT * FROM (VALUES (1, 'new'), (2, 'bad'), (3, 'c')) v(id, v)");
  auto sink = DuckDb("replace");
  EXPECT_THAT(Refusals(*sink, batch), ElementsAre(HasSubstr("1: CHECK")));
  context_.rows = 3;
  Status finished = sink->Finish(context_);
  ASSERT_TRUE(finished) << finished.error().ToString();
  EXPECT_EQ(Ask("SELECT id, v FROM t ORDER BY id"), "1|new\n3|c\n");
  EXPECT_EQ(Ask("SELECT has_primary_key FROM duckdb_tables() WHERE table_name = 't'"), "true\n");
}

TEST_F(DuckDbSinkTest, TwoStoresOfOneFileAtOnce) {
  std::vector<Batch> batches;
  for (int i = 0; i < 10; ++i) batches.push_back(Rows("SELECT range AS id FROM range(100)", i * 100));
  std::vector<std::thread> threads;
  std::vector<std::string> errors(4);
  std::vector<MemoryJournal> journals(4);
  std::vector<std::unique_ptr<Sink>> sinks;
  for (int i = 0; i < 4; ++i) {
    sessions_.push_back(engine_->Fork().value());
    sinks.push_back(
        Make(DuckDbSink(), {{"path", Path("a.duckdb")}, {"table", "t" + std::to_string(i)}}).value());
  }
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      SinkContext context = context_;
      context.store = "store " + std::to_string(i);
      context.engine = sessions_[i].get();
      context.journal = &journals[i];
      context.rows = 1000;
      auto opened = sinks[i]->Open(batches[0].rows()->schema(), context);
      if (!opened) errors[i] = opened.error().ToString();
      for (size_t b = 0; errors[i].empty() && b < batches.size(); ++b) {
        auto report = sinks[i]->Write(batches[b], context);
        if (!report) errors[i] = report.error().ToString();
        if (report && report->outcome == Outcome::kRolledBack) --b;
      }
      Status finished = sinks[i]->Finish(context);
      if (!finished && errors[i].empty()) errors[i] = finished.error().ToString();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(errors, ElementsAre("", "", "", ""));
  EXPECT_EQ(Ask("SELECT sum(stored), count(*) FROM tranche_run WHERE state = 'finished'"), "4000|4\n");
  EXPECT_EQ(Ask("SELECT (SELECT count(*) FROM t0) + (SELECT count(*) FROM t3)"), "2000\n");
}

TEST_F(DuckDbSinkTest, Types) {
  std::string select =
      "SELECT true AS b, 18446744073709551615::UBIGINT AS u8, 'nan'::DOUBLE AS d, 12.30::DECIMAL(12,2) AS m, "
      "5::HUGEINT AS h, DATE '2026-11-20' AS da, TIMESTAMP_NS '2026-11-20 01:02:03.123456789' AS ns, "
      "TIMESTAMPTZ '2026-11-20 01:02:03+02' AS tz, TIME '01:02:03' AS ti, INTERVAL 90 MINUTE AS iv, "
      "'\\x00\\xFF'::BLOB AS bl, [1, NULL] AS li, {'a': 'x\"'} AS st, MAP {'k': 1} AS ma, "
      "'6f9619ff-8b86-d011-b42d-00c04fc964ff'::UUID AS uu, 'r'::ENUM ('r', 'g') AS en, NULL AS nu, '' AS em, "
      "'a\"b' AS \"we\"\"ird; --\"";
  auto sink = DuckDb();
  EXPECT_THAT(Refusals(*sink, Rows(select)), ElementsAre());
  EXPECT_EQ(Ask("SELECT * FROM t"), Ask(select));
}

TEST_F(DuckDbSinkTest, ChecksBeforeTheRun) {
  Batch batch = Rows("SELECT 1 AS id, 'x' AS name, NULL AS nothing, [1] AS list");
  auto check = [&](Sink& sink) {
    Status checked = sink.Check(batch.rows()->schema(), *session_, std::nullopt);
    EXPECT_TRUE(checked || checked.error().code == Code::kJob);
    return checked ? "" : checked.error().ToString();
  };
  auto attached = [&] { return Ask("SELECT count(*) FROM duckdb_databases() WHERE path IS NOT NULL"); };
  EXPECT_THAT(check(*DuckDb("upsert", {"idd"})), HasSubstr("no column 'idd'"));
  Run("CREATE TABLE t (id INTEGER, name VARCHAR, nothing VARCHAR, list INTEGER[])");
  EXPECT_EQ(check(*DuckDb()), "");
  EXPECT_EQ(attached(), "1\n");
  // As it is in a run: nobody has the file yet.
  Run("USE memory");
  Run("DETACH " + AttachDuckDb(*engine_, Path("a.duckdb"), true).value());
  const std::string before = Content(Path("a.duckdb"));
  EXPECT_EQ(check(*DuckDb()), "");
  EXPECT_EQ(check(*DuckDb("replace")), "");
  EXPECT_THAT(check(*DuckDb("upsert", {"id"})), HasSubstr("no unique index"));
  EXPECT_EQ(Content(Path("a.duckdb")), before);
  EXPECT_EQ(attached(), "0\n");
  auto sink = DuckDb();  // it is of use afterwards
  EXPECT_EQ(check(*sink), "");
  EXPECT_TRUE(Store(*sink, batch));
  EXPECT_EQ(attached(), "1\n");
  Run("USE " + AttachDuckDb(*engine_, Path("a.duckdb"), true).value());
  Run("DROP TABLE t; CREATE TABLE t (id INTEGER, must VARCHAR NOT NULL)");
  EXPECT_THAT(check(*DuckDb()), HasSubstr("table 't' has no column 'name'"));
  Run("DROP TABLE t; DROP TABLE tranche_batch; CREATE TABLE tranche_batch (a INTEGER)");
  EXPECT_THAT(check(*DuckDb()), HasSubstr("is not the ledger"));
}

TEST_F(DuckDbSinkTest, StoresIntoAFileThatASourceHasRead) {
  Run("USE memory");
  const std::string alias = AttachDuckDb(*engine_, Path("a.duckdb"), true).value();
  for (int round = 0; round < 20; ++round) {
    Run("DETACH " + alias);
    ASSERT_TRUE(AttachDuckDb(*engine_, Path("a.duckdb"), /*writable=*/false));
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        auto session = engine_->Fork().value();
        auto attached = AttachDuckDb(*session, Path("a.duckdb"), /*writable=*/true);
        EXPECT_TRUE(attached) << attached.error().ToString();
        auto used = session->Execute("USE " + alias);
        EXPECT_TRUE(used) << used.error().ToString();
        auto made = session->Execute(fmt::format("CREATE OR REPLACE TABLE t{} (a INTEGER)", i));
        EXPECT_TRUE(made) << made.error().ToString();
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
}

TEST_F(DuckDbSinkTest, AFileThatIsNoneIsFoundBeforeTheRun) {
  Batch batch = Rows("SELECT 1 AS id");
  auto sink = Make(DuckDbSink(), {{"path", Path("b.duckdb")}, {"table", "t"}}).value();
  EXPECT_TRUE(sink->Check(batch.rows()->schema(), *engine_, std::nullopt));
  EXPECT_FALSE(std::filesystem::exists(Path("b.duckdb")));
  WriteText(Path("b.duckdb"), "some text that is no database");
  EXPECT_THAT(sink->Check(batch.rows()->schema(), *engine_, std::nullopt).error().ToString(),
              HasSubstr("b.duckdb is not a DuckDB file"));
}

}  // namespace
}  // namespace tranche
