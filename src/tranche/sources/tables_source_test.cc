// Parquet, Arrow, SQLite and DuckDB: what has a schema of its own.
#include <arrow/api.h>
#include <arrow/io/file.h>
#include <arrow/ipc/writer.h>
#include <gmock/gmock.h>

#include "tranche/base/sqlite.h"
#include "tranche/sources/source_fixture.h"
#include "tranche/sql/duckdb_file.h"

namespace tranche {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string ReadWhole(const std::string& path) {
  return (std::ostringstream() << std::ifstream(path, std::ios::binary).rdbuf()).str();
}

class ParquetSourceTest : public SourceFixture {
 protected:
  void Copy(const std::string& sql, const std::string& name) {
    auto copied = engine_->CopyAside({SqlText(sql)}, {.path = Path(name), .format = "parquet"});
    ASSERT_TRUE(copied) << copied.error().ToString();
  }
  Outcome ReadParquet(const std::string& path) { return Read(ParquetSource(), {{"path", Path(path)}}); }
};

TEST_F(ParquetSourceTest, ReadsFilesAsOne) {
  Copy("SELECT 1::INTEGER AS a, 'x' AS b", "1.parquet");
  Copy("SELECT 'y' AS b, 9007199254740993::BIGINT AS A", "2.parquet");
  Outcome outcome = ReadParquet("*.parquet");
  EXPECT_EQ(outcome.columns, "a BIGINT, b VARCHAR");
  EXPECT_EQ(outcome.rows, "1|x\n9007199254740993|y\n");
  EXPECT_EQ(outcome.read, 2);
  EXPECT_TRUE(outcome.exact);
}

TEST_F(ParquetSourceTest, RefusesFilesThatDiffer) {
  Copy("SELECT 1 AS a, 'x' AS b", "1.parquet");
  Copy("SELECT 2.5 AS a, 'x' AS b", "2.parquet");
  EXPECT_THAT(ReadParquet("*.parquet").rows,
              HasSubstr("column 'a' is INTEGER in 1.parquet and DECIMAL(2,1) in 2.parquet"));
  Copy("SELECT 1 AS a", "2.parquet");
  EXPECT_THAT(ReadParquet("*.parquet").rows, HasSubstr("column 'b' is missing in 2.parquet"));
  Copy("SELECT 1 AS a, 'x' AS b, 5 AS c", "2.parquet");
  EXPECT_THAT(ReadParquet("*.parquet").rows, HasSubstr("column 'c' of 2.parquet is missing in 1.parquet"));
}

TEST_F(ParquetSourceTest, RefusesDamagedFiles) {
  Copy("SELECT i AS a, 'text ' || i AS b FROM range(1000) t(i)", "1.parquet");
  const std::string whole = ReadWhole(Path("1.parquet"));
  Write("2.parquet", whole.substr(0, whole.size() - 20));
  Outcome outcome = ReadParquet("2.parquet");
  EXPECT_THAT(outcome.rows, HasSubstr("not a Parquet file that can be read: "));
  EXPECT_THAT(outcome.rows, HasSubstr("2.parquet"));
  EXPECT_EQ(outcome.code, Code::kData);
  Write("2.parquet", "");
  EXPECT_THAT(ReadParquet("2.parquet").rows, HasSubstr("2.parquet"));
}

class ArrowSourceTest : public SourceFixture {
 protected:
  void WriteArrow(const std::string& name, bool stream, const std::shared_ptr<arrow::Schema>& schema,
                  int64_t value) {
    auto file = arrow::io::FileOutputStream::Open(Path(name)).ValueOrDie();
    auto writer = stream ? arrow::ipc::MakeStreamWriter(file, schema).ValueOrDie()
                         : arrow::ipc::MakeFileWriter(file, schema).ValueOrDie();
    arrow::ArrayVector arrays;
    for (const auto& field : schema->fields()) {
      auto scalar = arrow::MakeScalar(field->type(), value);
      arrays.push_back(scalar.ok() ? arrow::MakeArrayFromScalar(**scalar, 2).ValueOrDie()
                                   : arrow::MakeArrayFromScalar(arrow::StringScalar("x"), 2).ValueOrDie());
    }
    ASSERT_TRUE(writer->WriteRecordBatch(*arrow::RecordBatch::Make(schema, 2, arrays)).ok());
    ASSERT_TRUE(writer->Close().ok());
    ASSERT_TRUE(file->Close().ok());
  }
  Outcome ReadArrow(const std::string& path) { return Read(ArrowSource(), {{"path", Path(path)}}); }
};

TEST_F(ArrowSourceTest, ReadsFilesAndStreamsInAnyOrderOfColumns) {
  auto a = arrow::field("a", arrow::int64());
  auto b = arrow::field("b", arrow::uint64());
  WriteArrow("1.arrow", false, arrow::schema({a, b}), 1);
  WriteArrow("2.arrow", true, arrow::schema({b, a}), 9007199254740993);
  Outcome outcome = ReadArrow("*.arrow");
  EXPECT_EQ(outcome.columns, "a BIGINT, b UBIGINT");
  EXPECT_EQ(outcome.rows, "1|1\n1|1\n9007199254740993|9007199254740993\n9007199254740993|9007199254740993\n");
  EXPECT_EQ(outcome.read, 4);
  EXPECT_TRUE(outcome.exact);
}

TEST_F(ArrowSourceTest, RefusesFilesThatDifferOrAreDamaged) {
  auto a = arrow::field("a", arrow::int64());
  WriteArrow("1.arrow", false, arrow::schema({a}), 1);
  WriteArrow("2.arrow", false, arrow::schema({arrow::field("a", arrow::int32())}), 1);
  EXPECT_THAT(ReadArrow("*.arrow").rows, HasSubstr("column 'a' is int64 in 1.arrow and int32 in 2.arrow"));
  WriteArrow("2.arrow", false, arrow::schema({arrow::field("b", arrow::int64())}), 1);
  EXPECT_THAT(ReadArrow("*.arrow").rows, HasSubstr("missing"));
  const std::string whole = ReadWhole(Path("1.arrow"));
  Write("3.arrow", whole.substr(0, whole.size() / 2));
  EXPECT_THAT(ReadArrow("3.arrow").rows, HasSubstr("3.arrow is not an Arrow file that can be read"));
  Write("3.arrow", "hello world, this is text");
  EXPECT_THAT(ReadArrow("3.arrow").rows, HasSubstr("3.arrow is not an Arrow file that can be read"));
}

class SqliteSourceTest : public SourceFixture {
 protected:
  void Make(const std::string& sql) {
    auto database = sqlite::Database::Open(Path("a.db"), sqlite::Access::kCreate);
    Status done = (*database)->Execute(sql);
    ASSERT_TRUE(done) << done.error().ToString();
  }
  Outcome ReadSqlite(nlohmann::ordered_json options) {
    options["path"] = Path("a.db");
    return Read(SqliteSource(), options);
  }
};

TEST_F(SqliteSourceTest, ReadsTypesAsDeclared) {
  Make(
      "CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR(20), r REAL, ok BOOLEAN, day DATE, at TIMESTAMP, "
      "m "
      "DECIMAL(12,2), b BLOB, any);"
      "INSERT INTO t VALUES (9007199254740993, 'x', 1, 1, '2026-11-03', '2026-11-03 10:00:00', 1.25, "
      "x'00FF', 5),"
      "(2, NULL, 2.5, 0, NULL, NULL, '7', NULL, NULL)");
  Outcome outcome = ReadSqlite({{"table", "t"}});
  EXPECT_EQ(outcome.columns,
            "id BIGINT, name VARCHAR, r DOUBLE, ok BOOLEAN, day DATE, at TIMESTAMP, m DECIMAL(12,2), b BLOB, "
            "any BIGINT");
  EXPECT_EQ(outcome.rows,
            "2|NULL|2.5|false|NULL|NULL|7.00|NULL|NULL\n"
            "9007199254740993|x|1.0|true|2026-11-03|2026-11-03 10:00:00|1.25|\\x00\\xFF|5\n");
  EXPECT_EQ(outcome.recovered, 0);
  EXPECT_EQ(outcome.read, 2);
  EXPECT_TRUE(outcome.exact);
}

TEST_F(SqliteSourceTest, RefusesValuesOfAnotherKind) {
  Make(
      "CREATE TABLE t (a INTEGER, d DATE); INSERT INTO t VALUES (1, '2026-11-03'), ('abc', NULL), (2, "
      "'soon'), (3, NULL), "
      "(2.5, NULL), (x'01', NULL)");
  Outcome outcome = ReadSqlite({{"table", "t"}});
  EXPECT_EQ(outcome.rows, "1|2026-11-03\n3|NULL\n");
  EXPECT_THAT(outcome.rejects, ElementsAre("a.db:2 @- a: \"abc\" is not of type BIGINT [abc|]",
                                           "a.db:3 @- d: \"soon\" is not of type DATE [2|soon]",
                                           "a.db:5 @- a: \"2.5\" is not of type BIGINT [2.5|]",
                                           "a.db:6 @- a: a BLOB is not of type BIGINT [(blob)|]"));
  EXPECT_EQ(outcome.recovered, 1);
  EXPECT_EQ(outcome.read, 6);
}

TEST_F(SqliteSourceTest, ReadsQueries) {
  Make("CREATE TABLE t (a INTEGER, s TEXT); INSERT INTO t VALUES (1, 'x'), (2, 'y')");
  Outcome outcome = ReadSqlite({{"query", "SELECT sum(a) AS total, max(s) AS last, 1.5 AS r FROM t"}});
  EXPECT_EQ(outcome.columns, "total BIGINT, last VARCHAR, r DOUBLE");
  EXPECT_EQ(outcome.rows, "3|y|1.5\n");
}

TEST_F(SqliteSourceTest, Mistakes) {
  Make("CREATE TABLE t (a INTEGER)");
  Outcome outcome = ReadSqlite({{"table", "u"}});
  EXPECT_THAT(outcome.rows, HasSubstr("no such table: u"));
  EXPECT_EQ(outcome.code, Code::kJob);
  EXPECT_THAT(ReadSqlite(nlohmann::ordered_json::object()).rows,
              HasSubstr("needs either `table` or `query`"));
  EXPECT_EQ(ReadSqlite({{"table", "t"}}).rows, "");
  Write("a.db", std::string(5000, 'x'));
  EXPECT_THAT(ReadSqlite({{"table", "t"}}).rows, HasSubstr("is not a SQLite file"));
}

class DuckDbSourceTest : public SourceFixture {
 protected:
  void Make(const std::string& sql) {
    auto alias = AttachDuckDb(*engine_, Path("a.duckdb"), /*writable=*/true);
    ASSERT_TRUE(alias) << alias.error().ToString();
    for (const std::string& statement :
         {"USE " + QuoteName(*alias), sql, std::string("USE memory"), "DETACH " + QuoteName(*alias)}) {
      auto done = engine_->Execute(statement);
      ASSERT_TRUE(done) << done.error().ToString();
    }
  }
  Outcome ReadDuckDb(nlohmann::ordered_json options) {
    options["path"] = Path("a.duckdb");
    return Read(DuckDbSource(), options);
  }
};

TEST_F(DuckDbSourceTest, ReadsTablesViewsAndQueries) {
  Make("CREATE TABLE t AS SELECT i AS a, 'x' || i AS b FROM range(3) r(i)");
  Make("CREATE VIEW v AS SELECT a + 1 AS c FROM t");
  Outcome outcome = ReadDuckDb({{"table", "t"}});
  EXPECT_EQ(outcome.columns, "a BIGINT, b VARCHAR");
  EXPECT_EQ(outcome.rows, "0|x0\n1|x1\n2|x2\n");
  EXPECT_EQ(outcome.read, 3);
  EXPECT_TRUE(outcome.exact);
  EXPECT_EQ(ReadDuckDb({{"table", "main.v"}}).rows, "1\n2\n3\n");
  outcome = ReadDuckDb({{"query", "SELECT t.a, c FROM t JOIN v ON v.c = t.a"}});
  EXPECT_EQ(outcome.rows, "1|1\n2|2\n");
  EXPECT_EQ(outcome.read, 2);
  EXPECT_TRUE(outcome.exact);
}

TEST_F(DuckDbSourceTest, Mistakes) {
  Make("CREATE TABLE orders AS SELECT 1 AS a");
  EXPECT_THAT(ReadDuckDb({{"table", "order"}}).rows, HasSubstr("order"));
  Write("a.duckdb", std::string(20000, 'x'));
  // Attached it still is; another file is not.
  EXPECT_THAT(
      Read(DuckDbSource(), {{"path", Write("b.duckdb", std::string(20000, 'x'))}, {"table", "t"}}).rows,
      HasSubstr("b.duckdb is not a DuckDB file"));
  EXPECT_THAT(Read(DuckDbSource(), {{"path", Path("c.duckdb")}, {"table", "t"}}).rows,
              HasSubstr("no file matches"));
}

TEST_F(DuckDbSourceTest, AFileIsAttachedAnewWhereItIsWritten) {
  Make("CREATE TABLE t AS SELECT 1 AS a");
  EXPECT_EQ(ReadDuckDb({{"table", "t"}}).rows, "1\n");
  auto alias = AttachDuckDb(*engine_, Path("a.duckdb"), /*writable=*/true);
  ASSERT_TRUE(alias) << alias.error().ToString();
  EXPECT_TRUE(engine_->Execute("INSERT INTO " + QuoteName(*alias) + ".t VALUES (2)"));
}

}  // namespace
}  // namespace tranche
