#include "tranche/duckdb/screen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tranche::duckdb {
namespace {

using testing::ElementsAre;

class ScreenTest : public testing::Test {
 protected:
  static Expression Written(const std::string& text) {
    return {text, Node::Scalar(text, {"job.yaml", 3, 5})};
  }

  std::string ErrorOfExpression(const std::string& text) {
    Status status = ScreenExpression(*session_, Written(text));
    return status ? "" : status.error().ToString();
  }
  std::string ErrorOfSelect(const std::string& text) {
    auto tables = ScreenSelect(*session_, Written(text));
    return tables ? "" : tables.error().ToString();
  }
  std::vector<std::string> Tables(const std::string& text) {
    auto tables = ScreenSelect(*session_, Written(text));
    EXPECT_TRUE(tables) << tables.error().ToString();
    return tables ? *tables : std::vector<std::string>{"(failed)"};
  }

  std::shared_ptr<Session> session_ = Session::Open(Instance::Open({}).value()).value();
};

TEST_F(ScreenTest, OneExpressionPasses) {
  for (const char* text : {"a + 1", "(a, b)", "count(*)", "count(distinct a) > $limit",
                           "sum(a) over (partition by b order by c)", "'x' -- a comment",
                           "case when a then 1 end", "list_transform(l, lambda x: x + 1)",
                           "date '2020-01-01'", "\"Order ID\"", "(((a)))", "interval 1 day"}) {
    EXPECT_EQ(ErrorOfExpression(text), "") << text;
  }
}

TEST_F(ScreenTest, AnythingButOneExpressionIsRefused) {
  EXPECT_EQ(ErrorOfExpression("a +"), "job.yaml:3:8: syntax error: the SQL ends too early");
  EXPECT_EQ(ErrorOfExpression("ü + )"), "job.yaml:3:9: syntax error at \")\"");
  for (const char* text : {"",
                           "  ",
                           "a, b",
                           "a,",
                           "a as b",
                           "a b",
                           "a from t",
                           "1) + (2",
                           "1) --",
                           "a; select 1",
                           "a;",
                           "*",
                           "t.*",
                           "columns('a') + 1",
                           "select 1",
                           "a order by b",
                           "b: 1",
                           "? + 1",
                           "$1",
                           "'a",
                           "/* a",
                           "1 union select 2",
                           "a where true",
                           "(a"}) {
    EXPECT_NE(ErrorOfExpression(text), "") << text;
  }
}

TEST_F(ScreenTest, WhatReachesBeyondTheRowsIsRefused) {
  EXPECT_EQ(ErrorOfExpression("a in (select b from other)"),
            "job.yaml:3:5: an expression cannot read from 'other'; use `join`, or `sql` for a whole SELECT");
  EXPECT_EQ(ErrorOfExpression("1 + current_setting('x')"),
            "job.yaml:3:9: the function 'current_setting' cannot be used in a job");
  for (const char* text :
       {"getvariable('x')", "(select 1 from 'x.csv')", "sum(GetEnv('x')) over ()",
        "(select max(content) from read_text('/etc/passwd'))", "a in (from \"READ_CSV\"('x'))",
        "json_serialize_plan('select 1')", "system.main.current_setting('x')"}) {
    EXPECT_NE(ErrorOfExpression(text), "") << text;
  }
}

TEST_F(ScreenTest, OneSelectPasses) {
  EXPECT_THAT(Tables("select * from a join B using (x), a as c where x in (select y from d)"),
              ElementsAre("a", "B", "d"));
  EXPECT_THAT(Tables("with a as (select * from b), c as (from a) select * from c, A"), ElementsAre("b"));
  EXPECT_THAT(Tables("with a as (select * from a) select * from a"), ElementsAre("a"));
  EXPECT_THAT(Tables("with recursive a as (select 1 i union all select i + 1 from a) select * from a"),
              ElementsAre());
  EXPECT_THAT(Tables("select (with n as (select 1) select * from n) from n"), ElementsAre("n"));
  EXPECT_THAT(Tables("from a union all (values (1)) order by 1 -- the end"), ElementsAre("a"));
  EXPECT_THAT(Tables("select 1;"), ElementsAre());
  EXPECT_THAT(Tables("select * from range(3), unnest([1]), generate_series(1, 2)"), ElementsAre());
  EXPECT_THAT(Tables("with \"x.csv\" as (select 1) from \"x.csv\""), ElementsAre());
}

TEST_F(ScreenTest, AnythingButOneSelectIsRefused) {
  EXPECT_EQ(ErrorOfSelect("selec 1"), "job.yaml:3:5: syntax error at \"selec\"");
  EXPECT_EQ(ErrorOfSelect("drop table a"), "job.yaml:3:5: only a SELECT can stand here");
  EXPECT_EQ(
      ErrorOfSelect("select * from a, read_csv('x')"),
      "job.yaml:3:22: the function 'read_csv' cannot be read from; name files and tables under `collect:`");
  EXPECT_EQ(ErrorOfSelect("select * from 'x.csv'"),
            "job.yaml:3:19: 'x.csv' is not an input; name files under `collect:`");
  for (const char* text : {"",
                           "select 1; select 2",
                           "insert into a values (1)",
                           "show tables",
                           "describe a",
                           "summarize a",
                           "select * from main.a",
                           "select * from x.y.z",
                           "select * from query('select 1')",
                           "select * from query_table('a')",
                           "select * from duckdb_settings()",
                           "select * from glob('*')",
                           "select * from a) union (select 1",
                           "copy a to 'x'",
                           "attach 'x'",
                           "set threads = 1",
                           "pragma version",
                           "explain select 1",
                           "select * from 's3://b/k'",
                           "with b as (from parquet_scan('x')) select 1",
                           "select 1 limit (select count(*) from read_blob('x'))",
                           "select * from a order by (select getvariable('x'))",
                           "select * from t at (version => (from read_text('x')))"}) {
    EXPECT_NE(ErrorOfSelect(text), "") << text;
  }
}

TEST_F(ScreenTest, DeepNestingIsAnErrorAndNoCrash) {
  std::string deep(20000, '(');
  EXPECT_NE(ErrorOfExpression(deep + "1" + std::string(20000, ')')), "");
  std::string sum = "1";
  for (int i = 0; i < 20000; ++i) sum += "+1";
  EXPECT_NE(ErrorOfExpression(sum), "");
}

}  // namespace
}  // namespace tranche::duckdb
