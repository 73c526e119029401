#include "tranche/duckdb/duckdb_engine.h"

#include <filesystem>
#include <fstream>
#include <thread>

#include <arrow/api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tranche/connector/larger_pieces.h"
#include "tranche/duckdb/engine_fixture.h"

namespace tranche {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::UnorderedElementsAre;

class DuckDbEngineTest : public EngineFixture {};

Expression Written(const std::string& text) { return {text, Node::Scalar(text, {"job.yaml", 3, 5})}; }

TEST_F(DuckDbEngineTest, KnowsItsMoodyFunctions) {
  const auto rows =
      engine_->Select({SqlText("SELECT DISTINCT lower(function_name) FROM duckdb_functions() "
                               "WHERE stability <> 'CONSISTENT' AND function_name <> 'error'")});
  ASSERT_TRUE(rows) << rows.error().ToString();
  EXPECT_GT(rows->size(), 20);
  for (const TextRow& row : *rows) EXPECT_TRUE(engine_->MoodyWords().contains(*row.at(0))) << *row.at(0);
}

TEST_F(DuckDbEngineTest, BindsTypedParameters) {
  Parameters parameters{{"day", {"DATE", "2020-02-29"}},
                        {"price", {"DECIMAL(20,2)", "-1.5"}},
                        {"small", {"DECIMAL(4,1)", "-99.5"}},
                        {"huge", {"DECIMAL(38,3)", "-12345678901234567890123.456"}},
                        {"name", {"VARCHAR", "it's"}},
                        {"count", {"BIGINT", "-9000000000"}},
                        {"rate", {"DOUBLE", "0.25"}},
                        {"on", {"BOOLEAN", "true"}},
                        {"at", {"TIMESTAMP", "2020-01-01 01:02:03.5"}},
                        {"none", {"DATE", std::nullopt}},
                        {"unused", {"DATE", "not a date"}}};
  Query query{
      "SELECT $day AS a, $price AS b, $small AS c, $huge AS d, $name AS e, $count AS f, $rate AS g, $on AS "
      "h, "
      "$at AS i, $none::DATE AS j, $day + 1 AS k",
      &parameters};
  EXPECT_THAT(Types(query),
              ElementsAre("a DATE", "b DECIMAL(20,2)", "c DECIMAL(4,1)", "d DECIMAL(38,3)", "e VARCHAR",
                          "f BIGINT", "g DOUBLE", "h BOOLEAN", "i TIMESTAMP", "j DATE", "k DATE"));
  EXPECT_EQ(Rows(query),
            "2020-02-29|-1.50|-99.5|-12345678901234567890123.456|it's|-9000000000|0.25|true|2020-01-01 "
            "01:02:03.5|NULL|"
            "2020-03-01\n");
}

TEST_F(DuckDbEngineTest, BindsAndSelectsEveryFormOfQuery) {
  for (const char* sql :
       {"WITH t AS (SELECT 1 AS a) SELECT * FROM t", "(SELECT 1 AS a)", "SELECT 1 AS a UNION SELECT 1",
        "FROM (SELECT 1 AS a)", "SELECT * FROM (VALUES (1)) t(a) -- the end",
        "SELECT 1 AS a ORDER BY a LIMIT 1", "((SELECT 1 AS a))"}) {
    EXPECT_THAT(Types({sql}), ElementsAre("a INTEGER")) << sql;
    EXPECT_EQ(Rows({sql}), "1\n") << sql;
    EXPECT_EQ(Drain({sql}), 1) << sql;
  }
  EXPECT_THAT(Types({"SELECT 1 AS a, 2 AS a"}), ElementsAre("a INTEGER", "a INTEGER"));
  EXPECT_EQ(Rows({"SELECT 1 AS a, 2 AS a"}), "1|2\n");
  EXPECT_EQ(Rows({"SELECT range FROM range(5000) ORDER BY range DESC LIMIT 2"}), "4999\n4998\n");
}

TEST_F(DuckDbEngineTest, RefusesParametersThatItCannotBind) {
  Parameters parameters{{"day", {"DATE", "soon"}}, {"odd", {"INT); DROP TABLE x", "1"}}};
  EXPECT_THAT(ErrorOf({"SELECT $day", &parameters}), HasSubstr("\"soon\""));
  EXPECT_THAT(ErrorOf({"SELECT $odd", &parameters}), HasSubstr("no name of a type"));
  EXPECT_THAT(ErrorOf({"SELECT $nope", &parameters}), HasSubstr("unknown parameter 'nope'"));
  EXPECT_THAT(ErrorOf({"SELECT $nope"}), HasSubstr("unknown parameter 'nope'"));
}

TEST_F(DuckDbEngineTest, StreamsArrowOfPlainTypes) {
  auto reader = engine_->Run(
      {"SELECT 17::HUGEINT AS a, 'x'::ENUM('x', 'y') AS b, uuid() AS c, TIMESTAMPTZ '2020-01-01' AS d, "
       "[1] AS e, {'n': 1} AS f, MAP {'k': 1} AS g, INTERVAL 1 DAY AS h, TIME '01:02' AS i, "
       "'z'::BLOB AS j, '[1]'::JSON AS k, 1::UBIGINT AS l, 1.5 AS m, 'text' AS n"});
  ASSERT_TRUE(reader) << reader.error().ToString();
  EXPECT_EQ((*reader)->schema()->ToString(),
            "a: decimal128(38, 0)\nb: dictionary<values=string, indices=uint8, ordered=0>\nc: string\n"
            "d: timestamp[us, tz=UTC]\ne: list<l: int32>\nf: struct<n: int32>\ng: map<string, int32>\n"
            "h: month_day_nano_interval\ni: time64[us]\nj: binary\nk: string\nl: uint64\nm: decimal128(2, "
            "1)\nn: string");
  auto batch = (*reader)->Next();
  ASSERT_TRUE(batch && *batch);
  EXPECT_TRUE((*batch)->ValidateFull().ok());
  auto end = (*reader)->Next();
  ASSERT_TRUE(end);
  EXPECT_EQ(*end, nullptr);
  end = (*reader)->Next();  // and it stays the end
  ASSERT_TRUE(end);
  EXPECT_EQ(*end, nullptr);
}

// By Arrow they would come as other values.
TEST_F(DuckDbEngineTest, StreamsAsTextWhatArrowWouldChange) {
  auto reader = engine_->Run(
      {"SELECT 7 AS n, 340282366920938463463374607431768211455::UHUGEINT AS \"a \"\"b\", "
       "'01:02:03+02'::TIMETZ AS c, '0101'::BIT AS d, '123456789012345678901234567890123456789012'::BIGNUM "
       "AS e"});
  ASSERT_TRUE(reader) << reader.error().ToString();
  auto batch = (*reader)->Next();
  ASSERT_TRUE(batch && *batch);
  std::string values;
  for (int i = 1; i < (*batch)->num_columns(); ++i) {
    values += fmt::format("{}={}\n", (*batch)->column_name(i),
                          (*batch)->column(i)->GetScalar(0).ValueOrDie()->ToString());
  }
  EXPECT_EQ(values,
            "a \"b=340282366920938463463374607431768211455\nc=01:02:03+02\nd=0101\n"
            "e=123456789012345678901234567890123456789012\n");
  EXPECT_EQ((*batch)->column(0)->type_id(), arrow::Type::INT32);
}

TEST_F(DuckDbEngineTest, GivesRowsInOrderInPiecesOfAnySize) {
  auto chunks = engine_->Run({"SELECT range AS i, 'text ' || range AS t FROM range(200000)"});
  ASSERT_TRUE(chunks) << chunks.error().ToString();
  const auto reader = InLargerPieces(*std::move(chunks));
  int64_t next = 0;
  int batches = 0;
  while (true) {
    auto batch = reader->Next();
    ASSERT_TRUE(batch) << batch.error().ToString();
    if (*batch == nullptr) break;
    ++batches;
    auto& numbers = static_cast<const arrow::Int64Array&>(*(*batch)->column(0));
    auto& texts = static_cast<const arrow::StringArray&>(*(*batch)->column(1));
    for (int64_t i = 0; i < numbers.length(); ++i, ++next) {
      ASSERT_EQ(numbers.Value(i), next);
      ASSERT_EQ(texts.GetView(i), fmt::format("text {}", next));
    }
  }
  EXPECT_EQ(next, 200000);
  EXPECT_EQ(batches, 7);  // 32 Ki rows each
}

TEST_F(DuckDbEngineTest, AnEmptyAnswerHasASchemaAndNoBatch) {
  auto reader = engine_->Run({"SELECT 1 AS a WHERE false"});
  ASSERT_TRUE(reader);
  EXPECT_EQ((*reader)->schema()->ToString(), "a: int32");
  auto batch = (*reader)->Next();
  ASSERT_TRUE(batch);
  EXPECT_EQ(*batch, nullptr);
}

TEST_F(DuckDbEngineTest, PointsIntoTheUsersText) {
  SqlText sql("SELECT 'ü', ");
  sql << Written("upper(nmae)") << " FROM (SELECT 'x' AS name)";
  for (const Error& error :
       {engine_->Run({sql}).error(), engine_->Bind({sql}).error(), engine_->Select({sql}).error()}) {
    EXPECT_EQ(error.code, Code::kJob);
    EXPECT_EQ(error.ToString(),
              "job.yaml:3:11: Referenced column \"nmae\" not found in FROM clause; did you mean 'name'?");
  }
  SqlText unfinished("SELECT 'ü', ");
  unfinished << Written("'ü' + * 1");
  EXPECT_EQ(engine_->Bind({unfinished}).error().ToString(), "job.yaml:3:13: syntax error at \"1\"");
  SqlText wrong("SELECT ");
  wrong << Written("CAST('x' AS INTEGER)");
  auto error = engine_->CopyAside({wrong}, {folder_ + "/x.csv", "csv", {}, {}, ""}).error();
  EXPECT_EQ(error.code, Code::kData);
  EXPECT_EQ(error.place.ToString(), "job.yaml:3:5");
  EXPECT_EQ(error.message, "Could not convert string 'x' to INTEGER");
}

TEST_F(DuckDbEngineTest, TellsWhoseFaultItIs) {
  EXPECT_EQ(CodeOf("SELEC 1"), Code::kJob);
  EXPECT_EQ(CodeOf("SELECT nothing"), Code::kJob);
  EXPECT_EQ(CodeOf("SELECT * FROM nothing"), Code::kJob);
  EXPECT_EQ(CodeOf("SELECT nothing(1)"), Code::kJob);
  EXPECT_EQ(CodeOf("SELECT DATE '2020-01-01' + 'x'::BLOB"), Code::kJob);
  EXPECT_EQ(CodeOf("SELECT x::INTEGER FROM (VALUES ('1'), ('y')) t(x)"), Code::kData);
  EXPECT_EQ(CodeOf("SELECT x + x FROM (VALUES (100::TINYINT)) t(x)"), Code::kData);
  EXPECT_EQ(CodeOf("SELECT error('mine')"), Code::kData);
  EXPECT_EQ(CodeOf("SELECT * FROM read_csv('/nowhere/x.csv')"), Code::kOutside);
  Error memory = engine_
                     ->Execute(
                         "SET memory_limit = '10MB'; SET temp_directory = ''; "
                         "SELECT list(range) FROM range(10000000)",
                         {})
                     .error();
  EXPECT_EQ(memory.code, Code::kOutside);
  EXPECT_THAT(memory.hint, HasSubstr("raise `memory:`"));
}

TEST_F(DuckDbEngineTest, AFailureInMidStreamIsAnErrorOfTheReader) {
  auto reader =
      engine_->Run({"SELECT CASE WHEN range = 15000000 THEN 'x' ELSE '1' END::INTEGER FROM range(20000000)"});
  ASSERT_TRUE(reader) << reader.error().ToString();
  Result<std::shared_ptr<arrow::RecordBatch>> batch = (*reader)->Next();
  for (int i = 0; batch && *batch && i < 20'000; ++i) batch = (*reader)->Next();
  ASSERT_FALSE(batch);
  EXPECT_EQ(batch.error().code, Code::kData);
  EXPECT_EQ(batch.error().message, "Could not convert string 'x' to INTEGER");
  EXPECT_THAT(batch.error().hint, HasSubstr("`cast:`"));
  reader->reset();
  EXPECT_EQ(Rows({"SELECT 1"}), "1\n");
}

TEST_F(DuckDbEngineTest, SaysWhereACsvFileIsBad) {
  WriteFile("bad.csv", "a,b\n1,x\nzz,y\n");
  Error error = engine_
                    ->Select({"SELECT * FROM read_csv('" + folder_ +
                              "/bad.csv', columns = {'a': 'INTEGER', 'b': 'VARCHAR'})"})
                    .error();
  EXPECT_EQ(
      error.ToString(),
      folder_ +
          "/bad.csv:3: error when converting column \"a\". Could not convert string \"zz\" to 'INTEGER'");
  EXPECT_EQ(error.code, Code::kData);
  WriteFile("short.csv", "a,b\n1,x\n2\n");
  error = engine_
              ->Select({"SELECT * FROM read_csv('" + folder_ +
                        "/short.csv', auto_detect = false, header = true, columns = {'a': 'INTEGER', 'b': "
                        "'VARCHAR'})"})
              .error();
  EXPECT_THAT(error.ToString(), HasSubstr("short.csv:3: "));
}

TEST_F(DuckDbEngineTest, SecretsAreNotShown) {
  Parameters parameters{{"key", {"VARCHAR", "hunter2", true}}};
  EXPECT_EQ(ErrorOf({"SELECT $key::INTEGER", &parameters}).find("hunter2"), std::string::npos);
  auto error = engine_->Execute("SELECT $1::INTEGER", {{"VARCHAR", "hunter2", true}}).error();
  EXPECT_THAT(error.ToString(), Not(HasSubstr("hunter2")));
  auto copied =
      engine_->CopyAside({"SELECT $key::INTEGER", &parameters}, {folder_ + "/s.csv", "csv", {}, {}, ""});
  EXPECT_THAT(copied.error().ToString(), Not(HasSubstr("hunter2")));
}

TEST_F(DuckDbEngineTest, CopiesAsideWithParametersAndOptions) {
  Parameters parameters{{"least", {"BIGINT", "7"}}};
  std::string path = folder_ + "/it's.csv";
  auto rows = engine_->CopyAside(
      {"SELECT range AS a, 'x' AS b FROM range(10) WHERE range >= $least -- the end", &parameters},
      {path, "csv", {{"delimiter", "';'"}, {"header", "true"}}, {}, ""});
  ASSERT_TRUE(rows) << rows.error().ToString();
  EXPECT_EQ(*rows, 3);
  EXPECT_EQ(ReadWhole(path), "a;b\n7;x\n8;x\n9;x\n");
  EXPECT_EQ(engine_->CopyAside({"SELECT 1"}, {"/nowhere/x.csv", "csv", {}, {}, ""}).error().code,
            Code::kOutside);
}

TEST_F(DuckDbEngineTest, CopiesAsideIntoPartitions) {
  auto rows = engine_->CopyAside(
      {"SELECT range % 2 AS \"my day\", range AS i FROM range(10)"},
      {folder_ + "/parts", "parquet", {{"compression", "'zstd'"}}, {"my day"}, "part_{i}"});
  ASSERT_TRUE(rows) << rows.error().ToString();
  EXPECT_EQ(*rows, 10);
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_ + "/parts")) {
    if (entry.is_regular_file()) files.push_back(std::filesystem::relative(entry.path(), folder_).string());
  }
  EXPECT_THAT(files,
              UnorderedElementsAre("parts/my%20day=0/part_0.parquet", "parts/my%20day=1/part_0.parquet"));
}

TEST_F(DuckDbEngineTest, CountsTheRowsOfEachScan) {
  WriteFile("a.csv", "a,b\n1,x\n2,y\n3,z\n");
  WriteFile("b.csv", "a,c\n1,p\n2,q\n");
  std::string a = "read_csv('" + folder_ + "/a.csv')";
  std::string b = "read_csv('" + folder_ + "/b.csv')";
  Drain({"SELECT * FROM " + a + " WHERE b = 'nothing'"});
  ASSERT_EQ(engine_->LastScans().size(), 1);
  EXPECT_EQ(engine_->LastScans()[0].function, "READ_CSV");
  EXPECT_EQ(engine_->LastScans()[0].rows, 3);
  Drain({"SELECT count(*) FROM " + a + " JOIN " + b + " USING (a)"});
  std::map<bool, int64_t> rows;
  for (const ScanCount& scan : engine_->LastScans()) rows[scan.detail.contains("/a.csv")] += scan.rows;
  EXPECT_EQ(rows, (std::map<bool, int64_t>{{true, 3}, {false, 2}}));
  ASSERT_TRUE(
      engine_->CopyAside({"SELECT * FROM " + a + " WHERE a = 2"}, {folder_ + "/o.csv", "csv", {}, {}, ""}));
  ASSERT_EQ(engine_->LastScans().size(), 1);
  EXPECT_EQ(engine_->LastScans()[0].rows, 3);
}

TEST_F(DuckDbEngineTest, ExecutesStatementsAndCountsRows) {
  EXPECT_EQ(Execute("CREATE TABLE t (a INTEGER, b TIMESTAMP); CREATE TABLE u (a INTEGER)"), 0);
  EXPECT_EQ(engine_
                ->Execute("INSERT INTO t VALUES ($1, $2), (2, NULL)",
                          {{"BIGINT", "1"}, {"TIMESTAMP", "2020-01-01"}})
                .value(),
            2);
  EXPECT_EQ(Execute("BEGIN; DELETE FROM t; ROLLBACK"), 0);
  EXPECT_EQ(Execute("UPDATE t SET a = a + 1 WHERE a > 1"), 1);
  EXPECT_EQ(Rows({"FROM t ORDER BY a"}), "1|2020-01-01 00:00:00\n3|NULL\n");
  EXPECT_EQ(engine_->Execute("INSERT INTO t VALUES ($1)", {}).error().code, Code::kJob);
}

TEST_F(DuckDbEngineTest, ForksShareTablesButNotTransactionsAndCatalogs) {
  auto fork = engine_->Fork().value();
  Execute("ATTACH '" + folder_ + "/store.duckdb' AS store");
  Execute("USE store; CREATE TABLE t AS SELECT 1 AS a");
  EXPECT_EQ(fork->Select({"SELECT current_catalog()"}).value()[0][0], "memory");
  EXPECT_EQ(fork->Select({"SELECT a FROM store.main.t"}).value()[0][0], "1");
  Execute("BEGIN; INSERT INTO t VALUES (2)");
  EXPECT_EQ(fork->Select({"SELECT count(*) FROM store.main.t"}).value()[0][0], "1");
  Execute("COMMIT");
  EXPECT_EQ(fork->Select({"SELECT count(*) FROM store.main.t"}).value()[0][0], "2");
  Execute("USE memory");
  ASSERT_TRUE(fork->Execute("DETACH store"));
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/store.duckdb"));
}

TEST_F(DuckDbEngineTest, SessionsWorkInParallel) {
  std::vector<std::jthread> threads;
  std::atomic<int64_t> sum = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, fork = std::shared_ptr<Engine>(engine_->Fork().value())] {
      for (int turn = 0; turn < 20; ++turn) {
        sum += std::stoll(fork->Select({"SELECT sum(range) FROM range(1000)"}).value()[0][0].value());
      }
    });
  }
  threads.clear();
  EXPECT_EQ(sum, 8 * 20 * 499500);
}

TEST_F(DuckDbEngineTest, AQueryCanBeInterrupted) {
  std::atomic<bool> done = false;
  std::jthread interrupter([&] {  // again and again: an interrupt before the query runs is not kept
    while (!done) {
      engine_->Interrupt();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  });
  Error error =
      engine_->Select({"SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range + b.range = 7"})
          .error();
  done = true;
  EXPECT_EQ(error.message, "interrupted");
  EXPECT_EQ(error.code, Code::kOutside);
}

TEST_F(DuckDbEngineTest, RejectTablesOutliveTheScan) {
  WriteFile("bad.csv", "a,b\n1,x\nzz,y\n3,z,4\n5\n6,w\n");
  std::string scan = "read_csv('" + folder_ +
                     "/bad.csv', header = true, columns = {'a': 'INTEGER', 'b': 'VARCHAR'}, "
                     "store_rejects = true, rejects_table = 'r1', rejects_scan = 's1')";
  EXPECT_EQ(Drain({"SELECT * FROM " + scan}), 2);
  EXPECT_EQ(
      Rows({"SELECT line, line_byte_position, column_name, error_type, csv_line FROM r1 ORDER BY line"}),
      "3|9|a|CAST|zz,y\n4|14|NULL|TOO MANY COLUMNS|3,z,4\n5|20|b|MISSING COLUMNS|5\n");
  EXPECT_EQ(Rows({"SELECT count(*) FROM s1"}), "1\n");
  Execute("DROP TABLE r1; DROP TABLE s1");  // else the next scan adds to them
  EXPECT_EQ(
      engine_->CopyAside({"SELECT * FROM " + scan}, {folder_ + "/o.csv", "csv", {}, {}, ""}).value_or(-1), 2);
  EXPECT_EQ(Rows({"SELECT count(*) FROM r1"}), "3\n");
  auto fork = engine_->Fork().value();
  EXPECT_EQ(fork->Select({"SELECT * FROM r1"}).error().code, Code::kJob);  // they belong to the session
}

TEST_F(DuckDbEngineTest, SpillsIntoItsFolderWhenItMust) {
  EXPECT_EQ(Rows({"SELECT 1"}), "1\n");
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/spill"));
  Execute("SET memory_limit = '100MB'");
  auto reader = engine_->Run({"SELECT range, repeat('x', 100) FROM range(1000000) ORDER BY hash(range)"});
  ASSERT_TRUE(reader) << reader.error().ToString();
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/spill"));
}

TEST_F(DuckDbEngineTest,
       ACommitAfterAnErrorStoresNothing) {  // DuckDB says nothing: whoever commits must know
  Execute("CREATE TABLE t (i INTEGER); BEGIN; INSERT INTO t VALUES (1)");
  EXPECT_EQ(engine_->Execute("INSERT INTO t VALUES ('x')", {}).error().code, Code::kData);
  EXPECT_EQ(engine_->Execute("INSERT INTO t VALUES (2)", {}).error().code, Code::kOutside);
  Execute("COMMIT");
  EXPECT_EQ(Rows({"SELECT count(*) FROM t"}), "0\n");
}

}  // namespace
}  // namespace tranche
