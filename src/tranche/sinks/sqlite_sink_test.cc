#include <sys/stat.h>
#include <unistd.h>

#include "tranche/base/sqlite.h"
#include "tranche/sinks/sink_fixture.h"
#include "tranche/sinks/sinks.h"

namespace tranche {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Outcome = WriteReport::Outcome;

class SqliteSinkTest : public SinkTest {
 protected:
  std::unique_ptr<Sink> Sqlite(const std::string& mode = "append", const std::vector<std::string>& key = {}) {
    std::vector<Yaml> fields = {{"path", Path("a.db")}, {"table", "t"}, {"mode", mode}};
    if (!key.empty()) fields.push_back({"key", key});
    return Make(SqliteSink(), fields).value();
  }
  void Run(const std::string& sql) { ASSERT_TRUE(Db()->Execute(sql)) << sql; }
  std::unique_ptr<sqlite::Database> Db() {
    return sqlite::Database::Open(Path("a.db"), sqlite::Access::kCreate).value();
  }
  std::string Query(const std::string& sql) {
    auto db = Db();
    auto statement = db->Prepare(sql);
    if (!statement) return statement.error().ToString();
    std::string text;
    while (statement->Step().value()) {
      for (int i = 0; i < statement->columns(); ++i) {
        bool null = statement->ColumnType(i) == sqlite::Statement::Type::kNull;
        text += (i ? "|" : "") + (null ? "NULL" : std::string(statement->Text(i)));
      }
      text += "\n";
    }
    return text;
  }
  // One batch into the table: the reasons of its rejects.
  std::vector<std::string> Refusals(Sink& sink, const Batch& batch, Counts* counts = nullptr) {
    auto opened = OpenFor(sink, batch);
    EXPECT_TRUE(opened) << opened.error().ToString();
    if (!opened) return {};
    auto report = sink.Write(batch, context_);
    EXPECT_TRUE(report) << report.error().ToString();
    if (!report) return {};
    EXPECT_TRUE(report->counts.balanced());
    if (counts) *counts = report->counts;
    std::vector<std::string> reasons;
    for (const Reject& reject : report->rejects)
      reasons.push_back(fmt::format("{}: {}", reject.row, reject.reason));
    return reasons;
  }
};

TEST_F(SqliteSinkTest, StoresAndResumes) {
  Batch first = Rows("SELECT range AS id, 'x' || range AS name FROM range(100)");
  Batch second = Rows("SELECT range AS id, 'y' AS name FROM range(50)", 100);
  {
    auto sink = Sqlite();
    ASSERT_TRUE(OpenFor(*sink, first));
    EXPECT_EQ(sink->Write(first, context_)->counts, Stored(100));
  }
  auto sink = Sqlite();
  auto opened = OpenFor(*sink, first);
  ASSERT_TRUE(opened) << opened.error().ToString();
  EXPECT_THAT(opened->committed.spans(), ElementsAre(Span{0, 100}));
  EXPECT_EQ(opened->counts, Stored(100));
  auto again = sink->Write(first, context_);
  EXPECT_EQ(again->outcome, Outcome::kAlreadyCommitted);
  EXPECT_EQ(again->counts, Stored(100));
  ASSERT_TRUE(sink->Write(second, context_));
  context_.rows = 150;
  EXPECT_TRUE(sink->Sum(context_)->tiles);
  EXPECT_EQ(sink->Sum(context_)->counts, Stored(150));
  context_.rows = 151;
  EXPECT_FALSE(sink->Sum(context_)->tiles);
  EXPECT_FALSE(sink->Finish(context_));
  context_.rows = 150;
  ASSERT_TRUE(sink->Finish(context_));
  ASSERT_TRUE(sink->Finish(context_));
  EXPECT_EQ(Query("select count(*), sum(id) from t"), "150|6175\n");
  EXPECT_EQ(Query("select state, stored, epoch from tranche_run"), "finished|150|2\n");
  EXPECT_EQ(Query("select count(*) from tranche_batch"), "0\n");

  auto later = Sqlite();
  opened = OpenFor(*later, first);
  EXPECT_TRUE(opened->published);
  EXPECT_THAT(opened->committed.spans(), ElementsAre(Span{0, 150}));
  EXPECT_TRUE(later->Sum(context_)->tiles);
  ASSERT_TRUE(later->Finish(context_));
}

TEST_F(SqliteSinkTest, AnOlderProcessIsFenced) {
  Batch batch = Rows("SELECT 1 AS a");
  auto old = Sqlite(), next = Sqlite();
  ASSERT_TRUE(OpenFor(*old, batch));
  ASSERT_TRUE(OpenFor(*next, batch));
  EXPECT_EQ(old->Write(batch, context_)->outcome, Outcome::kFenced);
  EXPECT_EQ(next->Write(batch, context_)->outcome, Outcome::kCommitted);
  context_.rows = 1;
  EXPECT_EQ(old->Finish(context_).error().code, Code::kBusy);
  EXPECT_EQ(Query("select * from t"), "1\n");
}

TEST_F(SqliteSinkTest, TwoRunsOfAJob) {
  Batch batch = Rows("SELECT 1 AS a");
  ASSERT_TRUE(Store(*Sqlite(), batch));
  context_.run_id = "second";
  context_.run_number = 2;
  journal_ = {};
  ASSERT_TRUE(OpenFor(*Sqlite(), batch));  // …and is killed
  context_.ledger_id = "elsewhere";
  journal_ = {};
  auto refused = OpenFor(*Sqlite(), batch);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().ToString(), HasSubstr("--trust-target"));
  context_.ledger_id = "ledger";
  context_.run_id = "third";  // the state folder gave up the second
  context_.run_number = 3;
  ASSERT_TRUE(Store(*Sqlite(), batch));
  EXPECT_EQ(Query("select count(*) from t"), "2\n");
}

TEST_F(SqliteSinkTest, AnotherStageIsRefusedOnceBatchesAreThere) {
  Batch batch = Rows("SELECT 1 AS a");
  ASSERT_TRUE(OpenFor(*Sqlite(), batch));
  context_.stage_id = "made again";
  auto sink = Sqlite();
  ASSERT_TRUE(OpenFor(*sink, batch));
  ASSERT_TRUE(sink->Write(batch, context_));
  context_.stage_id = "and again";
  EXPECT_THAT(OpenFor(*Sqlite(), batch).error().ToString(), HasSubstr("--again"));
}

TEST_F(SqliteSinkTest, ATargetThatForgotIsRefused) {
  Batch batch = Rows("SELECT 1 AS a");
  auto sink = Sqlite();
  ASSERT_TRUE(OpenFor(*sink, batch));
  ASSERT_TRUE(sink->Write(batch, context_));
  ASSERT_TRUE(OpenFor(*Sqlite(), batch));
  Run("delete from t");
  EXPECT_THAT(OpenFor(*Sqlite(), batch).error().ToString(), HasSubstr("holds 0 rows"));
  Run("drop table t");
  EXPECT_THAT(OpenFor(*Sqlite(), batch).error().ToString(), HasSubstr("is gone"));
  Run("delete from tranche_batch");
  EXPECT_THAT(OpenFor(*Sqlite(), batch).error().ToString(), HasSubstr("1 were seen committed"));
  Run("delete from tranche_run");
  EXPECT_THAT(OpenFor(*Sqlite(), batch).error().ToString(), HasSubstr("no longer knows"));
}

TEST_F(SqliteSinkTest, BadRowsAreNamed) {
  Run("create table t (id integer primary key, v text not null check (v <> 'bad'), u text unique on conflict "
      "ignore)");
  Batch batch = Rows(
      "SELECT * FROM (VALUES (1, 'a', 'p'), (2, NULL, 'q'), (3, 'bad', 'r'), (1, 'b', 's'), (5, 'c', 'p')) "
      "t(id, v, u)",
      10);
  auto sink = Sqlite();
  Counts counts;
  EXPECT_THAT(Refusals(*sink, batch, &counts),
              ElementsAre("11: NOT NULL constraint failed: t.v", "12: CHECK constraint failed: v <> 'bad'",
                          "13: UNIQUE constraint failed: t.id", "14: UNIQUE constraint failed: t.u"));
  EXPECT_EQ(counts, (Counts{5, 1, 0, 0, 4}));
  EXPECT_EQ(Query("select \"row_number\", column_name, content from tranche_reject order by 1 limit 1"),
            "11|v|{\"id\":2,\"v\":null,\"u\":\"q\"}\n");
  std::vector<int64_t> listed;
  ASSERT_TRUE(sink->ListRejects(context_, [&](Reject reject) -> Status {
    listed.push_back(reject.row);
    return {};
  }));
  EXPECT_THAT(listed, ElementsAre(11, 12, 13, 14));
}

TEST_F(SqliteSinkTest, OneBadRowAmongMany) {
  Run("create table t (id integer primary key)");
  Batch batch = Rows("SELECT CASE WHEN range = 777 THEN 3 ELSE range END AS id FROM range(1000)");
  auto sink = Sqlite();
  EXPECT_THAT(Refusals(*sink, batch), ElementsAre("777: UNIQUE constraint failed: t.id"));
  EXPECT_EQ(Query("select count(*) from t"), "999\n");
}

TEST_F(SqliteSinkTest, TooManyRejectsStoreNothing) {
  Run("create table t (id integer primary key)");
  most_rejects_ = 0;
  Batch batch = Rows("SELECT unnest([1, 1]) AS id");
  auto sink = Sqlite();
  ASSERT_TRUE(OpenFor(*sink, batch));
  EXPECT_EQ(sink->Write(batch, context_).error().code, Code::kData);
  EXPECT_EQ(Query("select count(*) from t"), "0\n");
  EXPECT_EQ(Query("select count(*) from tranche_batch"), "0\n");
}

TEST_F(SqliteSinkTest, TriggersThatRefuse) {
  for (std::string action : {"abort, 'no'", "fail, 'no'", "rollback, 'no'", "ignore"}) {
    std::filesystem::remove(Path("a.db"));
    journal_ = {};
    Run("create table t (id integer); create table audit (id integer)");
    Run("create trigger tr before insert on t begin insert into audit values (new.id); "
        "select raise(" +
        action + ") where new.id % 10 = 3; end");
    Batch batch = Rows("SELECT range AS id FROM range(40)");
    auto sink = Sqlite();
    std::string reason = action == "ignore" ? "dropped by a trigger of the table" : "no";
    EXPECT_THAT(Refusals(*sink, batch),
                ElementsAre("3: " + reason, "13: " + reason, "23: " + reason, "33: " + reason))
        << action;
    EXPECT_EQ(Query("select count(*) from t"), "36\n") << action;
    // What a refused row left behind is gone with it; a row that a trigger dropped in silence was handled by
    // it.
    EXPECT_EQ(Query("select count(*) from audit"), action == "ignore" ? "40\n" : "36\n") << action;
    EXPECT_EQ(Query("select sent, stored, rejected from tranche_batch"), "40|36|4\n") << action;
  }
}

TEST_F(SqliteSinkTest, ConflictClauseOfTheTableThatRollsBack) {
  Run("create table t (id integer unique on conflict rollback)");
  Batch batch = Rows("SELECT unnest([1, 2, 1, 3]) AS id");
  auto sink = Sqlite();
  EXPECT_THAT(Refusals(*sink, batch), ElementsAre("2: UNIQUE constraint failed: t.id"));
  EXPECT_EQ(Query("select count(*), (select stored from tranche_batch) from t"), "3|3\n");
}

TEST_F(SqliteSinkTest, DeferredForeignKeys) {
  Run("create table p (id integer primary key); insert into p values (1), (2)");
  Run("create table t (id integer primary key, p integer references p (id) deferrable initially deferred, "
      "t integer references t (id) deferrable initially deferred)");
  // 4 refers to 5, which comes later; 6 has no parent, and 7 refers to 6, which is refused.
  Batch batch = Rows(
      "SELECT * FROM (VALUES (3, 1, NULL), (4, 2, 5), (5, 1, NULL), (6, 9, NULL), (7, 1, 6)) v(id, p, t)");
  auto sink = Sqlite();
  EXPECT_THAT(Refusals(*sink, batch), ElementsAre("3: FOREIGN KEY constraint failed: no such row in p",
                                                  "4: FOREIGN KEY constraint failed: no such row in t"));
  EXPECT_EQ(Query("select group_concat(id) from t"), "3,4,5\n");
}

TEST_F(SqliteSinkTest, UpsertLastOfAKeyWins) {
  Batch batch = Rows("SELECT range % 7 AS id, range AS v FROM range(1000)");
  auto sink = Sqlite("upsert", {"id"});
  Counts counts;
  EXPECT_THAT(Refusals(*sink, batch, &counts), ElementsAre());
  EXPECT_EQ(counts, (Counts{1000, 7, 993, 0, 0}));
  EXPECT_EQ(Query("select group_concat(v) from (select v from t order by v)"),
            "993,994,995,996,997,998,999\n");
  ASSERT_TRUE(sink->Write(Rows("SELECT 3 AS id, -1 AS v", 1000), context_));
  EXPECT_EQ(Query("select v from t where id = 3"), "-1\n");
}

TEST_F(SqliteSinkTest, UpsertCountsKeysAsTheTableDoes) {
  for (std::string end : {"", " without rowid"}) {
    std::filesystem::remove(Path("a.db"));
    journal_ = {};
    Run("create table t (k text collate nocase, n integer, v text, primary key (k, n))" + end);
    Batch batch = Rows(
        "SELECT * FROM (VALUES ('a', '1', 'x'), ('A', '01', 'y'), ('b', '1', 'z'), (NULL, '1', 'n')) v(k, n, "
        "v)");
    auto sink = Sqlite("upsert", {"k", "n"});
    Counts counts;
    EXPECT_THAT(Refusals(*sink, batch, &counts), ElementsAre("3: a column of the key is NULL"));
    EXPECT_EQ(counts, (Counts{4, 2, 1, 0, 1})) << end;
    EXPECT_EQ(Query("select * from t order by k"), "a|1|y\nb|1|z\n") << end;
  }
}

TEST_F(SqliteSinkTest, UpsertOfKeysAlone) {
  Batch batch = Rows("SELECT unnest([1, 2, 1]) AS id");
  auto sink = Sqlite("upsert", {"id"});
  Counts counts;
  Refusals(*sink, batch, &counts);
  EXPECT_EQ(counts, (Counts{3, 2, 1, 0, 0}));
}

TEST_F(SqliteSinkTest, RefusedBeforeAnythingIsWritten) {
  Batch batch = Rows("SELECT 1 AS id, 'x' AS naem");
  Run("create table t (id integer, name text)");
  EXPECT_THAT(OpenFor(*Sqlite(), batch).error().ToString(),
              HasSubstr("no column 'naem'; did you mean 'name'?"));
  EXPECT_EQ(Query("select count(*) from sqlite_master"), "1\n");
  batch = Rows("SELECT 1 AS id");
  EXPECT_THAT(OpenFor(*Sqlite("upsert", {"id"}), batch).error().ToString(),
              HasSubstr("CREATE UNIQUE INDEX \"t_id\" ON \"t\" (\"id\")"));
  EXPECT_THAT(OpenFor(*Sqlite("upsert", {"key"}), batch).error().ToString(), HasSubstr("no column 'key'"));
  Run("alter table t add column must integer not null default 0");
  EXPECT_TRUE(OpenFor(*Sqlite(), batch));
  Run("drop table t; create table t (id integer, must integer not null)");
  EXPECT_THAT(OpenFor(*Sqlite(), batch).error().ToString(), HasSubstr("'must'"));
  Run("drop table t; create view t as select 1 as id");
  EXPECT_THAT(OpenFor(*Sqlite(), batch).error().ToString(), HasSubstr("is a view"));
  Run("drop table tranche_batch; create table tranche_batch (mine integer)");
  EXPECT_EQ(OpenFor(*Sqlite(), batch).error().code, Code::kJob);
}

TEST_F(SqliteSinkTest, FilesThatAreNoDatabase) {
  Batch batch = Rows("SELECT 1 AS id");
  WriteText(Path("a.db"), std::string(5000, 'x'));
  EXPECT_THAT(OpenFor(*Sqlite(), batch).error().ToString(), HasSubstr("is not a SQLite file"));
  std::filesystem::remove(Path("a.db"));
  std::filesystem::create_directory(Path("a.db"));
  EXPECT_THAT(OpenFor(*Sqlite(), batch).error().ToString(), HasSubstr("a folder"));
}

TEST_F(SqliteSinkTest, ReplaceSwapsAtTheEnd) {
  Batch one = Rows("SELECT 1 AS a"), two = Rows("SELECT 2 AS b, 'x' AS c");
  ASSERT_TRUE(Store(*Sqlite("replace"), one));
  EXPECT_EQ(Query("select * from t"), "1\n");
  context_.run_id = "fedcba9876543210";
  context_.run_number = 2;
  journal_ = {};
  auto sink = Sqlite("replace");
  ASSERT_TRUE(OpenFor(*sink, two));
  ASSERT_TRUE(sink->Write(two, context_));
  EXPECT_EQ(Query("select * from t"), "1\n");
  context_.rows = 1;
  ASSERT_TRUE(sink->Finish(context_));
  EXPECT_EQ(Query("select b, c from t"), "2|x\n");
  EXPECT_EQ(Query("select name from sqlite_master where name like '%\\_\\_tranche%' escape '\\'"), "");
}

TEST_F(SqliteSinkTest, ReplaceKeepsADefinition) {
  Run("create table \"t\"(id integer primary key, v text check (v <> 'bad')); create view w as select v from "
      "t;"
      "create table child (t integer references t (id)); insert into t values (1, 'old'); insert into child "
      "values (1)");
  Batch batch = Rows("SELECT * FROM (VALUES (1, 'new'), (2, 'bad'), (3, 'c')) v(id, v)");
  auto sink = Sqlite("replace");
  EXPECT_THAT(Refusals(*sink, batch), ElementsAre("1: CHECK constraint failed: v <> 'bad'"));
  EXPECT_EQ(Query("select v from w"), "old\n");
  context_.rows = 3;
  Status finished = sink->Finish(context_);
  ASSERT_TRUE(finished) << finished.error().ToString();
  EXPECT_EQ(Query("select v from w"), "new\nc\n");
  EXPECT_EQ(Query("select count(*) from sqlite_master where name = 't' and sql like '%primary key%'"), "1\n");
}

TEST_F(SqliteSinkTest, ReplaceThatIsGivenUpLeavesNothing) {
  Batch batch = Rows("SELECT 1 AS a");
  ASSERT_TRUE(OpenFor(*Sqlite("replace"), batch));
  context_.run_id = "fedcba9876543210";
  context_.run_number = 2;
  ASSERT_TRUE(Store(*Sqlite("replace"), batch));
  EXPECT_EQ(Query("select count(*) from sqlite_master where name like 't%' and name not like 'tranche%'"),
            "1\n");
}

TEST_F(SqliteSinkTest, Types) {
  Batch batch = Rows(
      "SELECT true AS b, 1::TINYINT AS i1, (-9223372036854775808)::BIGINT AS i8, "
      "18446744073709551615::UBIGINT AS u8, "
      "0.1::DOUBLE AS d, 'inf'::FLOAT AS f, 12.30::DECIMAL(12,2) AS m, 1234567890123456.78::DECIMAL(20,2) AS "
      "mm, "
      "sum(5)::HUGEINT AS h, DATE '2026-11-20' AS da, TIMESTAMP '2026-11-20 01:02:03.5' AS ts, "
      "TIMESTAMPTZ '2026-11-20 01:02:03+02' AS tz, TIME '01:02:03' AS ti, INTERVAL 90 MINUTE AS iv, "
      "'\\x00\\xFF'::BLOB AS bl, [1, NULL] AS li, {'a': 'x\"'} AS st, MAP {'k': 1} AS ma, "
      "'6f9619ff-8b86-d011-b42d-00c04fc964ff'::UUID AS uu, 'r'::ENUM ('r', 'g') AS en, NULL AS nu, '' AS em, "
      "'{\"j\": 1}'::JSON AS js, 'a\"b'::VARCHAR AS \"we\"\"ird; --\"");
  auto sink = Sqlite();
  EXPECT_THAT(Refusals(*sink, batch), ElementsAre());
  EXPECT_EQ(
      Query("select b, i1, i8, u8, d, f, m, mm, h, da, ts, tz, ti, iv, hex(bl), li, st, ma, uu, en, nu, em, "
            "js, "
            "\"we\"\"ird; --\" from t"),
      "1|1|-9223372036854775808|18446744073709551615|0.1|Inf|12.3|1234567890123456.78|5|2026-11-20|2026-11-"
      "20 "
      "01:02:03.5|2026-11-19 23:02:03+00:00|01:02:03|01:30:00|00FF|[1,null]|{\"a\":\"x\\\"\"}|{\"k\":1}|"
      "6f9619ff-8b86-d011-b42d-00c04fc964ff|r|NULL||{\"j\": 1}|a\"b\n");
  EXPECT_EQ(Query("select typeof(b), typeof(u8), typeof(m), typeof(mm), typeof(h), typeof(em) from t"),
            "integer|text|real|text|integer|text\n");
}

TEST_F(SqliteSinkTest, WhatSqliteWouldChangeIsRefused) {
  Run("create table t (a real, n integer, u integer)");
  Batch batch = Rows(
      "SELECT * FROM (VALUES (1.5::DOUBLE, 1::HUGEINT, 1::UBIGINT), ('nan', 1, 1), (1, 1e30::HUGEINT, 1), "
      "(2, 3, 18446744073709551615)) v(a, n, u)");
  auto sink = Sqlite();
  EXPECT_THAT(Refusals(*sink, batch),
              ElementsAre(HasSubstr("1: SQLite has no NaN"), HasSubstr("2: the number does not fit"),
                          HasSubstr("3: the number does not fit")));
  EXPECT_EQ(Query("select count(*) from t"), "1\n");
}

TEST_F(SqliteSinkTest, NullsAndSlicesOfBatches) {
  Batch all = Rows(
      "SELECT CASE WHEN range % 3 = 0 THEN NULL ELSE range END AS i, CASE WHEN range % 2 = 0 THEN NULL ELSE "
      "'s' || "
      "range END AS s, range % 5 = 0 AS b FROM range(100)");
  Batch slice{{0, 40}, {all.rows()->Slice(37, 40)}, 100};
  auto sink = Sqlite();
  EXPECT_THAT(Refusals(*sink, slice), ElementsAre());
  EXPECT_EQ(Query("select sum(i), count(i), count(s), min(s), sum(b), (select s from t limit 1) from t"),
            Ask("SELECT sum(range), count(*), 20, 's37', 8, 's37' FROM range(37, 77) WHERE range % 3 > 0"));
}

TEST_F(SqliteSinkTest, StrictTables) {
  Run("create table t (id integer) strict");
  Batch batch = Rows("SELECT unnest(['1', 'x']) AS id");
  auto sink = Sqlite();
  EXPECT_THAT(Refusals(*sink, batch), ElementsAre("1: cannot store TEXT value in INTEGER column t.id"));
}

TEST_F(SqliteSinkTest, OptionsThatDoNotFit) {
  EXPECT_THAT(Make(SqliteSink(), {{"path", "a"}, {"table", "t"}, {"mode", "upsert"}}).error().ToString(),
              HasSubstr("'key'"));
  EXPECT_THAT(Make(SqliteSink(), {{"path", "a"}, {"table", "Tranche_Run"}}).error().ToString(),
              HasSubstr("ledger"));
}

// As nobody, because root may write everything.
TEST_F(SqliteSinkTest, AFileThatMayNotBeWrittenIsFoundBeforeTheRun) {
  Run("create table t (a integer)");
  Batch batch = Rows("SELECT 1 AS a");
  ASSERT_EQ(chmod(Path("a.db").c_str(), 0444), 0);
  constexpr uid_t kNobody = 65534;
  const bool root = geteuid() == 0;
  if (root) {
    ASSERT_EQ(seteuid(kNobody), 0);
  }
  Status checked = Sqlite()->Check(batch.rows()->schema(), *session_, std::nullopt);
  if (root) {
    ASSERT_EQ(seteuid(0), 0);
  }
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, Code::kJob);
  EXPECT_THAT(checked.error().ToString(), HasSubstr("cannot write " + Path("a.db") + ": Permission denied"));
}

TEST_F(SqliteSinkTest, ChecksBeforeTheRun) {
  Batch batch = Rows("SELECT 1 AS id, 'x' AS name");
  auto check = [&](Sink& sink) {
    Status checked = sink.Check(batch.rows()->schema(), *engine_, std::nullopt);
    EXPECT_TRUE(checked || checked.error().code == Code::kJob);
    return checked ? "" : checked.error().ToString();
  };
  EXPECT_EQ(check(*Sqlite()), "");
  EXPECT_FALSE(std::filesystem::exists(Path("a.db")));
  EXPECT_THAT(check(*Sqlite("upsert", {"idd"})), HasSubstr("no column 'idd'"));
  Run("CREATE TABLE t (id INTEGER, name TEXT)");
  const std::string before = Content(Path("a.db"));
  EXPECT_EQ(check(*Sqlite()), "");
  EXPECT_EQ(check(*Sqlite("replace")), "");
  EXPECT_THAT(check(*Sqlite("upsert", {"id"})), HasSubstr("no unique index"));
  EXPECT_EQ(Content(Path("a.db")), before);
  auto sink = Sqlite();  // it is of use afterwards
  EXPECT_EQ(check(*sink), "");
  EXPECT_TRUE(Store(*sink, batch));
  sink.reset();
  Run("DROP TABLE t; CREATE TABLE t (id INTEGER, name TEXT, must TEXT NOT NULL)");
  EXPECT_THAT(check(*Sqlite()), HasSubstr("'must' of table 't' must have a value"));
  EXPECT_THAT(check(*Sqlite("replace")), HasSubstr("'must' of table 't' must have a value"));
  Run("DROP TABLE t; DROP TABLE tranche_batch; CREATE TABLE tranche_batch (a)");
  EXPECT_THAT(check(*Sqlite()), HasSubstr("is not the ledger"));
  WriteText(Path("a.db"), "some text that is no database");
  EXPECT_THAT(check(*Sqlite()), HasSubstr("a.db is not a SQLite file"));
}

}  // namespace
}  // namespace tranche
