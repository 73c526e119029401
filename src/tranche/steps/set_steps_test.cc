// Steps that look at many rows: sort, limit, sample, dedupe, fill by a method, aggregate, join, sql.
#include <cstdio>
#include <fstream>

#include "tranche/steps/steps_fixture.h"

namespace tranche {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class SetSteps : public StepsTest {};

TEST_F(SetSteps, SortIsStableAndPutsNullsLast) {
  const std::string rows = "(2, 'a'), (1, 'b'), (NULL, 'c'), (2, 'd'), (1, 'e')";
  EXPECT_EQ(Run(SortStep(), R"y(["n"])y", rows, "n, s"), "n s|1 b|1 e|2 a|2 d|NULL c");
  EXPECT_EQ(Run(SortStep(), R"y("n DESC")y", rows, "n, s"), "n s|2 a|2 d|1 b|1 e|NULL c");
  EXPECT_EQ(Run(SortStep(), R"y(["n  desc nulls\nfirst", "s desc"])y", rows, "n, s"),
            "n s|NULL c|2 d|2 a|1 e|1 b");
  EXPECT_EQ(Run(SortStep(), R"y(["-n nulls last"])y", rows, "n, s"), "n s|2 a|2 d|1 b|1 e|NULL c");
  EXPECT_EQ(Run(SortStep(), R"y(["s"])y", "(2, 'a'), (1, 'b'), (2, 'a')", "n, s", {"n"}), "n s|1 b|2 a|2 a");
  EXPECT_THAT(Run(SortStep(), R"y(["2 desc"])y", rows, "n, s"),
              HasSubstr("names a column, not its position 2"));
  EXPECT_THAT(Run(SortStep(), R"y(["x desc"])y", rows, "n, s"), StartsWith("error: job.yaml:1:3:"));
  EXPECT_EQ(Run(SortStep(), R"y(["\"desc\" asc"])y", "(2), (1)", "\"desc\""), "desc|1|2");
}

TEST_F(SetSteps, LimitKeepsTheFirst) {
  EXPECT_EQ(Run(LimitStep(), "2", "(3), (1), (2)", "n"), "n|3|1");
  EXPECT_EQ(Run(LimitStep(), "0", "(3), (1), (2)", "n"), "n");
  EXPECT_EQ(Run(LimitStep(), "1", "('x', 3), ('y', 1), ('x', 2), (NULL, 5), (NULL, 6)", "g, n", {"g"}),
            "g n|x 3|y 1|NULL 5");
}

TEST_F(SetSteps, SampleIsDrawnByTheSeed) {
  const Relation input = Over("SELECT i, i % 2 AS g FROM range(10000) AS t(i)");
  const std::string first = Run(SampleStep(), "20", input);
  EXPECT_EQ(std::ranges::count(first, '|'), 20);
  EXPECT_EQ(Run(SampleStep(), "20", input), first);
  seed_ = 8;
  EXPECT_NE(Run(SampleStep(), "20", input), first);
  const auto share = std::ranges::count(Run(SampleStep(), "\"10%\"", input), '|');
  EXPECT_GT(share, 800);
  EXPECT_LT(share, 1200);
  EXPECT_EQ(std::ranges::count(Run(SampleStep(), "\"100%\"", input), '|'), 10000);
  Relation grouped = input;
  grouped.group = {"g"};
  const Outcome outcome = Must(SampleStep(), "3", grouped);
  Relation counts =
      Over(fmt::format("SELECT g, count(*) AS n FROM {} GROUP BY g ORDER BY g", outcome.next.from.text()));
  EXPECT_EQ(Show(counts), "g n|0 3|1 3");
  Relation ordered =
      Over(fmt::format("SELECT i, i > lag(i) OVER () AS up FROM {}", outcome.next.from.text()));
  EXPECT_THAT(Show(ordered), testing::Not(HasSubstr("false")));
  EXPECT_THAT(Run(SampleStep(), "\"101%\"", input), StartsWith("error: job.yaml:1:2: "));
}

TEST_F(SetSteps, DedupeKeepsOneOfEachKey) {
  const std::string rows =
      "(1, 'a', 5), (2, 'b', 1), (1, 'c', 9), (NULL, 'd', 1), (NULL, 'e', 2), (1, 'f', 9)";
  EXPECT_EQ(Run(DedupeStep(), R"y(["K"])y", rows, "k, s, t"), "k s t|1 a 5|2 b 1|NULL d 1");
  EXPECT_EQ(Run(DedupeStep(), R"y({"key": "k", "keep": "last"})y", rows, "k, s, t"),
            "k s t|2 b 1|NULL e 2|1 f 9");
  EXPECT_EQ(Run(DedupeStep(), R"y({"key": ["k"], "order": "t", "keep": "last"})y", rows, "k, s, t"),
            "k s t|2 b 1|NULL e 2|1 f 9");
  EXPECT_EQ(Run(DedupeStep(), R"y({"key": ["k"], "order": ["t desc"]})y", rows, "k, s, t"),
            "k s t|2 b 1|1 c 9|NULL e 2");
  EXPECT_EQ(Run(DedupeStep(), R"y(["s"])y", "('x', 1), ('x', 2), ('x', 1)", "s, g", {"g"}), "s g|x 1|x 2");
  EXPECT_THAT(Run(DedupeStep(), R"y(["x"])y", rows, "k, s, t"), HasSubstr("no column 'x'"));
  EXPECT_THAT(Run(DedupeStep(), R"y({"key": []})y", rows, "k, s, t"), HasSubstr("at least one column"));
}

TEST_F(SetSteps, FillByMeanMedianMode) {
  const std::string rows = "('x', 1), ('x', NULL), ('y', 4), ('x', 2), ('y', NULL), ('z', NULL)";
  EXPECT_EQ(Run(FillStep(), R"y({"n": "mean"})y", rows, "g, n"),
            "g n|x 1.0|x 2.3333333333333335|y 4.0|x 2.0|y 2.3333333333333335|z 2.3333333333333335");
  EXPECT_EQ(Run(FillStep(), R"y({"n": {"method": "mean", "by": "g"}})y", rows, "g, n"),
            "g n|x 1.0|x 1.5|y 4.0|x 2.0|y 4.0|z NULL");
  EXPECT_EQ(Run(FillStep(), R"y({"n": "mean"})y", rows, "g, n", {"g"}),
            "g n|x 1.0|x 1.5|y 4.0|x 2.0|y 4.0|z NULL");
  EXPECT_EQ(Run(FillStep(), R"y({"n": {"method": "median", "by": ["g"]}})y", rows, "g, n"),
            "g n|x 1|x 1|y 4|x 2|y 4|z NULL");
  EXPECT_EQ(Run(FillStep(), R"y({"n": "mode"})y", "(2), (3), (NULL), (3), (2), (1)", "n"), "n|2|3|2|3|2|1");
  EXPECT_EQ(Run(FillStep(), R"y({"s": "mode"})y", "('b'), ('a'), (NULL), ('b')", "s"), "s|b|a|b|b");
  EXPECT_EQ(Run(FillStep(), R"y({"n": "median"})y", "(1.0::double), (2), (NULL)", "n"), "n|1.0|2.0|1.5");
  const Relation money = Over("SELECT * FROM (VALUES (1.00::decimal(5,2)), (2.01), (NULL)) AS t(n)");
  EXPECT_EQ(Types(FillStep(), R"y({"n": "mean"})y", money), "DECIMAL(5,2)");
  EXPECT_EQ(Types(FillStep(), R"y({"n": "median"})y", money), "DECIMAL(5,2)");
  EXPECT_EQ(Types(FillStep(), R"y({"n": "mean"})y", Over("SELECT 1::BIGINT AS n")), "DOUBLE");
  EXPECT_THAT(Run(FillStep(), R"y({"s": "mean"})y", "('a')", "s"),
              StartsWith("error: job.yaml:1:8: `mean` needs numbers; 's' is VARCHAR"));
  EXPECT_TRUE(Must(FillStep(), R"y({"n": "mean"})y", money).blocking);
}

TEST_F(SetSteps, FillFromThePrevious) {
  EXPECT_EQ(Run(FillStep(), R"y({"n": "previous"})y", "(NULL), (1), (NULL), (NULL), (3)", "n"),
            "n|NULL|1|1|1|3");
  const std::string rows = "('x', 3, NULL), ('x', 1, 10), ('y', 2, NULL), ('x', 2, 20), ('y', 1, 7)";
  EXPECT_EQ(Run(FillStep(), R"y({"n": {"method": "previous", "by": ["g"], "order": "t"}})y", rows, "g, t, n"),
            "g t n|x 3 20|x 1 10|y 2 7|x 2 20|y 1 7");
  EXPECT_EQ(Run(FillStep(), R"y({"n": {"method": "previous", "order": "t desc"}})y", rows, "g, t, n", {"g"}),
            "g t n|x 3 NULL|x 1 10|y 2 NULL|x 2 20|y 1 7");
}

TEST_F(SetSteps, FillOnALine) {
  EXPECT_EQ(Run(FillStep(), R"y({"n": {"method": "linear", "order": "t"}})y",
                "(0, NULL), (1, 10), (4, 40), (2, NULL), (5, NULL), (NULL, NULL)", "t, n"),
            "t n|0 NULL|1 10.0|4 40.0|2 20.0|5 NULL|NULL NULL");
  EXPECT_EQ(Run(FillStep(), R"y({"n": {"method": "linear", "order": "d desc"}})y",
                "(date '2020-01-01', 1.0::decimal(4,1)), (date '2020-01-02', NULL), (date '2020-01-05', 3.0)",
                "d, n"),
            "d n|2020-01-01 1.0|2020-01-02 1.5|2020-01-05 3.0");
  EXPECT_EQ(Run(FillStep(), R"y({"n": {"method": "linear", "order": "t", "by": "g"}})y",
                "('x', 1, 1), ('y', 2, 100), ('x', 2, NULL), ('x', 3, 3), ('x', 3, NULL)", "g, t, n"),
            "g t n|x 1 1.0|y 2 100.0|x 2 2.0|x 3 3.0|x 3 NULL");
  EXPECT_THAT(Run(FillStep(), R"y({"n": "linear"})y", "(1)", "n"), HasSubstr("`linear` needs one `order`"));
  EXPECT_THAT(Run(FillStep(), R"y({"n": {"method": "linear", "order": "s"}})y", "(1, 'x')", "n, s"),
              HasSubstr("`linear` needs a number, date or time as order, not VARCHAR"));
}

TEST_F(SetSteps, FillRefusesWhatItWouldIgnore) {
  for (const char* wrong :
       {R"y({"n": {"by": "n"}})y", R"y({"n": {"value": "1", "method": "mean"}})y",
        R"y({"n": {"value": "1", "by": "n"}})y", R"y({"n": {"method": "mean", "order": "n"}})y"}) {
    EXPECT_THAT(Run(FillStep(), wrong, "(1)", "n"), StartsWith("error: job.yaml:1:")) << wrong;
  }
}

TEST_F(SetSteps, AggregateFoldsGroups) {
  const std::string rows = "('y', 1, 1.5), ('x', 2, 2.5), ('y', 3, NULL), (NULL, 4, 1.0)";
  EXPECT_EQ(Run(AggregateStep(), R"y({"total": "sum(n)", "rows": "count(*)", "m": "max(m)"})y", rows,
                "g, n, m", {"g"}),
            "g total rows m|x 2 1 2.5|y 4 2 1.5|NULL 4 1 1.0");
  const Outcome outcome = Must(AggregateStep(), R"y({"total": "sum(n)", "huge": "sum(n) + 1"})y",
                               Over(Values(rows, "g, n, m"), {"g"}));
  EXPECT_EQ(outcome.next.columns, (Columns{{"g", "VARCHAR"}, {"total", "BIGINT"}, {"huge", "BIGINT"}}));
  EXPECT_TRUE(outcome.output.ends_group);
  EXPECT_EQ(Show(Over("SELECT __tranche_rows AS n FROM " + outcome.next.from.text())), "n|1|2|1");
}

TEST_F(SetSteps, AggregateOfAllRows) {
  EXPECT_EQ(Run(AggregateStep(), R"y({"n": "count(*)", "s": "sum(a)"})y", "(1), (2)", "a"), "n s|2 3");
  const Outcome outcome =
      Must(AggregateStep(), R"y({"n": "count(*)", "s": "sum(a)"})y", Over("SELECT 1 AS a WHERE false"));
  EXPECT_EQ(Show(outcome.next), "n s|0 NULL");
  EXPECT_EQ(Show(Over("SELECT __tranche_rows AS n FROM " + outcome.next.from.text())), "n|0");
  EXPECT_EQ(Run(AggregateStep(), R"y({"n": "count(*)"})y", Over("SELECT 1 AS a WHERE false", {"a"})), "a n");
  const Outcome again = Must(AggregateStep(), R"y({"n": "sum(n)"})y", outcome.next);
  EXPECT_EQ(Show(Over("SELECT __tranche_rows AS n FROM " + again.next.from.text())), "n|0");
}

TEST_F(SetSteps, AggregateCountsFoldedRows) {
  const Outcome first = Must(AggregateStep(), R"y({"n": "count(*)"})y",
                             Over(Values("(1, 2), (1, 3), (2, 3)", "a, b"), {"a", "b"}));
  Relation next = first.next;
  next.group = {"a"};
  const Outcome second = Must(AggregateStep(), R"y({"b": "max(b)"})y", next);
  EXPECT_EQ(Show(second.next), "a b|1 3|2 3");
  EXPECT_EQ(Show(Over("SELECT __tranche_rows AS n FROM " + second.next.from.text())), "n|2|1");
}

TEST_F(SetSteps, AggregateByHiddenGroup) {
  const Relation input = Over(Values("(1, 0), (2, 0), (3, 1)", "a, __tranche_group"), {"__tranche_group"});
  EXPECT_EQ(Run(AggregateStep(), R"y({"n": "sum(a)"})y", input), "n|3|3");
}

TEST_F(SetSteps, AggregateRefuses) {
  EXPECT_THAT(Run(AggregateStep(), R"y({"n": "sum(a)", "b": "b"})y", "(1, 2)", "a, b"),
              StartsWith("error: job.yaml:1:"));
  EXPECT_THAT(Run(AggregateStep(), R"y({"n": "sum(a)", "m": "n + 1"})y", "(1, 2)", "a, b"),
              StartsWith("error: job.yaml:1:"));
  EXPECT_THAT(Run(AggregateStep(), R"y({"n": "sum(x)"})y", "(1)", "a"), StartsWith("error: job.yaml:1:12:"));
}

class Joins : public StepsTest {
 protected:
  void SetUp() override {
    StepsTest::SetUp();
    inputs_["airports"] = Over(
        Values("('JFK', 'Kennedy'), ('LGA', 'Guardia'), (NULL, 'nowhere'), (NULL, 'either')", "faa, name"));
    inputs_["weather"] =
        Over(Values("('JFK', 1, 5.0), ('JFK', 1, 6.0), ('LGA', 1, 7.0)", "origin, hour, wind"));
  }
  static std::string Flights() { return Values("(1, 'JFK'), (2, 'XXX'), (3, NULL), (4, 'LGA')", "id, dest"); }
  std::string Sorted(const std::string& json, const Relation& input) {
    auto outcome = Apply(JoinStep(), json, input);
    if (!outcome) return "error: " + outcome.error().ToString();
    return Show(outcome->next, " ORDER BY ALL");
  }
};

TEST_F(Joins, AllKinds) {
  const Relation input = Over(Flights());
  EXPECT_EQ(Sorted(R"y({"with": "airports", "using": {"dest": "faa"}})y", input),
            "id dest name|1 JFK Kennedy|4 LGA Guardia");
  EXPECT_EQ(Sorted(R"y({"with": "airports", "using": {"DEST": "FAA"}, "how": "left"})y", input),
            "id dest name|1 JFK Kennedy|2 XXX NULL|3 NULL NULL|4 LGA Guardia");
  EXPECT_EQ(Sorted(R"y({"with": "airports", "using": {"dest": "faa"}, "how": "semi"})y", input),
            "id dest|1 JFK|4 LGA");
  EXPECT_EQ(Sorted(R"y({"with": "airports", "using": {"dest": "faa"}, "how": "anti"})y", input),
            "id dest|2 XXX|3 NULL");
}

TEST_F(Joins, OneOrMany) {
  const Relation input = Over(Values("(1, 'JFK', 1), (2, 'LGA', 1)", "id, origin, hour"));
  const std::string one = R"y({"with": "weather", "using": ["origin", "hour"], "how": "left"})y";
  EXPECT_EQ(Guards(JoinStep(), one, input), "! key (origin=JFK, hour=1) matches 2 rows of weather|");
  const std::string many = R"y({"with": "weather", "using": ["origin", "hour"], "matches": "many"})y";
  EXPECT_EQ(Guards(JoinStep(), many, input), "");
  EXPECT_EQ(Sorted(many, input), "id origin hour wind|1 JFK 1 5.0|1 JFK 1 6.0|2 LGA 1 7.0");
  EXPECT_EQ(Guards(JoinStep(), R"y({"with": "weather", "using": ["origin", "hour"], "how": "semi"})y", input),
            "");
  EXPECT_EQ(Guards(JoinStep(), R"y({"with": "airports", "using": {"origin": "faa"}})y", input),
            "");  // NULL twice is no key
}

TEST_F(Joins, MarkedRowsPass) {
  const Relation input = Over(
      "SELECT * FROM (VALUES (1, 'JFK', NULL), (2, 'JFK', '{}'), (3, 'XXX', '{}'), (4, 'XXX', NULL)) AS "
      "t(id, dest, __tranche_reject)");
  EXPECT_EQ(Sorted(R"y({"with": "airports", "using": {"dest": "faa"}})y", input),
            "id dest name|1 JFK Kennedy|2 JFK NULL|3 XXX NULL");
  EXPECT_EQ(Sorted(R"y({"with": "airports", "using": {"dest": "faa"}, "how": "left"})y", input),
            "id dest name|1 JFK Kennedy|2 JFK NULL|3 XXX NULL|4 XXX NULL");
  EXPECT_EQ(Sorted(R"y({"with": "airports", "using": {"dest": "faa"}, "how": "semi"})y", input),
            "id dest|1 JFK|2 JFK|3 XXX");
  EXPECT_EQ(Sorted(R"y({"with": "airports", "using": {"dest": "faa"}, "how": "anti"})y", input),
            "id dest|2 JFK|3 XXX|4 XXX");
}

TEST_F(Joins, Refusals) {
  const Relation input = Over(Flights());
  EXPECT_THAT(Sorted(R"y({"with": "airport", "using": ["dest"]})y", input),
              StartsWith("error: job.yaml:1:11: no input 'airport' to join with; did you mean 'airports'?"));
  EXPECT_THAT(Sorted(R"y({"with": "airports", "using": ["dest"]})y", input),
              HasSubstr("in 'airports': no column 'dest'"));
  EXPECT_THAT(Sorted(R"y({"with": "airports", "using": {"dst": "faa"}})y", input),
              HasSubstr("no column 'dst'; did you mean 'dest'?"));
  EXPECT_THAT(Sorted(R"y({"with": "airports", "using": {"id": "faa"}})y", input),
              HasSubstr("cannot join on 'id' (INTEGER) and 'faa' of 'airports' (VARCHAR)"));
  EXPECT_THAT(Sorted(R"y({"with": "airports", "using": {"dest": "faa"}})y",
                     Over(Values("('JFK', 'me')", "dest, NAME"))),
              HasSubstr("both sides of the join with 'airports' have name"));
  EXPECT_THAT(
      Sorted(R"y({"with": "airports", "using": {"dest": "faa"}, "how": "semi", "matches": "one"})y", input),
      HasSubstr("a semi join adds no rows"));
}

TEST_F(Joins, SqlReadsOtherInputs) {
  EXPECT_EQ(Run(SqlStep(), R"y("select id, name from input join Airports on faa = dest order by id;  ")y",
                Over(Flights())),
            "id name|1 Kennedy|4 Guardia");
  EXPECT_EQ(Run(SqlStep(), R"y("with x as (select id from input) select max(id) as m from x -- the end")y",
                Over(Flights())),
            "m|4");
  const Outcome outcome = Must(SqlStep(), R"y("select id from input")y", Over(Flights()));
  EXPECT_THAT(outcome.output.select.text(), testing::Not(HasSubstr("Kennedy")));
  EXPECT_EQ(Run(SqlStep(), R"y("select * from input")y", Over(Values("(1, 2)", "a, __tranche_rows"))), "a|1");
}

TEST_F(Joins, SqlRefuses) {
  EXPECT_THAT(Run(SqlStep(), R"y("select * from input")y", Over(Flights(), {"dest"})),
              HasSubstr("one group after the other"));
  for (const char* hostile : {"select 1) as x; drop table t; select (1", "delete from input",
                              "select * from read_csv('x')", "select * from 'file.csv'", "select 1; select 2",
                              "select * from nowhere", "select nothing from input"}) {
    EXPECT_THAT(Run(SqlStep(), nlohmann::json(hostile).dump(), Over(Flights())),
                StartsWith("error: job.yaml:1:"))
        << hostile;
  }
}

// The same by plain SQL, over rows that were drawn by chance.
TEST_F(SetSteps, AgreesWithPlainSql) {
  const std::string rows =
      "SELECT i, (hash(i) % 10)::INTEGER AS g, CASE WHEN hash(i, 1) % 5 > 0 THEN (hash(i, 2) % 100)::INTEGER "
      "END AS n FROM range(5000) AS t(i)";
  const Relation input = Over(rows);
  Relation grouped = input;
  grouped.group = {"g"};
  auto plain = [&](const std::string& sql) {
    return Show(Over(fmt::format("WITH input AS ({}) {}", rows, sql)));
  };
  EXPECT_EQ(Run(FilterStep(), R"y("n > 50")y", input), plain("SELECT * FROM input WHERE n > 50 ORDER BY i"));
  EXPECT_EQ(Run(SortStep(), R"y(["g desc", "n nulls first", "i"])y", input),
            plain("SELECT * FROM input ORDER BY g DESC, n NULLS FIRST, i"));
  EXPECT_EQ(Run(DedupeStep(), R"y(["g", "n"])y", input),
            plain("SELECT min(i) AS i, g, n FROM input GROUP BY g, n ORDER BY 1"));
  EXPECT_EQ(Run(AggregateStep(), R"y({"s": "sum(n)", "c": "count(n)"})y", grouped),
            plain("SELECT g, sum(n)::BIGINT AS s, count(n) AS c FROM input GROUP BY g ORDER BY g"));
  EXPECT_EQ(
      Run(FillStep(), R"y({"n": "median"})y", grouped),
      plain("SELECT i, g, coalesce(n, m) AS n FROM input JOIN (SELECT g, quantile_disc(n, 0.5) AS m FROM "
            "input GROUP BY g) "
            "USING (g) ORDER BY i"));
  EXPECT_EQ(Run(LimitStep(), "7", grouped),
            plain("SELECT i, g, n FROM (SELECT *, (SELECT count(*) FROM input "
                  "AS o WHERE o.g = input.g AND o.i < input.i) AS before "
                  "FROM input) WHERE before < 7 ORDER BY i"));
}

}  // namespace
}  // namespace tranche
