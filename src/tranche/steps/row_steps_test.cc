// Steps that look at one row: select, drop, derive, filter, rename, cast, fill by a constant, check of a row.
#include "tranche/steps/steps_fixture.h"

namespace tranche {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class RowSteps : public StepsTest {
 protected:
  // Two rows, of which the first was refused before: a is not a number there.
  static std::string Marked() {
    return "SELECT * FROM (VALUES ('x', 'first', '{\"reason\": \"old\"}'), ('2', 'second', NULL)) AS t(a, b, "
           "__tranche_reject)";
  }
};

TEST_F(RowSteps, SelectKeepsTheOrderAndTheSpelling) {
  EXPECT_EQ(Run(SelectStep(), R"y(["B", "a"])y", "(1, 'x', true)", "a, b, c"), "b a|x 1");
  EXPECT_EQ(Run(SelectStep(), R"y("c")y", "(1, 'x', true)", "a, b, c"), "c|true");
  EXPECT_EQ(Run(SelectStep(), R"y(["a", "A"])y", "(1)", "a"),
            "error: job.yaml:1:8: column 'a' is named twice");
  EXPECT_EQ(Run(SelectStep(), R"y(["dep_tim"])y", "(1, 2)", "dep_time, b"),
            "error: job.yaml:1:3: no column 'dep_tim'; did you mean 'dep_time'?; there are dep_time, b");
  EXPECT_THAT(Run(SelectStep(), "[]", "(1)", "a"), HasSubstr("at least one column"));
}

TEST_F(RowSteps, OddNamesAreQuoted) {
  const std::string rows = "(1, 2, 3, 4)";
  const std::string columns = R"y("Order ID", "a""b", "select", "größe (cm)")y";
  EXPECT_EQ(Run(SelectStep(), R"y(["größe (cm)", "select", "a\"b"])y", rows, columns),
            "größe (cm) select a\"b|4 3 2");
  EXPECT_EQ(Run(DropStep(), R"y(["Order ID", "select"])y", rows, columns), "a\"b größe (cm)|2 4");
  EXPECT_EQ(Run(DeriveStep(), R"y({"from": "\"Order ID\" + \"select\"", "a\"b": "\"a\"\"b\" * 10"})y", rows,
                columns),
            "Order ID a\"b select größe (cm) from|1 20 3 4 4");
  EXPECT_EQ(Run(CastStep(), R"y({"a\"b": "varchar", "Order ID": "double"})y", rows, columns),
            "Order ID a\"b select größe (cm)|1.0 2 3 4");
  EXPECT_EQ(Run(FillStep(), R"y({"select": "7", "größe (cm)": "mean"})y", "(1, 2, NULL, 4)", columns),
            "Order ID a\"b select größe (cm)|1 2 7 4.0");
  EXPECT_EQ(Run(AggregateStep(), R"z({"x\"z": "sum(\"a\"\"b\")"})z", rows, columns, {"Order ID", "select"}),
            "Order ID select x\"z|1 3 2");
  EXPECT_EQ(Run(SortStep(), R"y(["\"Order ID\" desc"])y", "(1, 2, 3, 4), (2, 0, 0, 0)", columns),
            "Order ID a\"b select größe (cm)|2 0 0 0|1 2 3 4");
  EXPECT_EQ(Run(DedupeStep(), R"y(["a\"b"])y", rows, columns), "Order ID a\"b select größe (cm)|1 2 3 4");
}

TEST_F(RowSteps, DropRefusesToLeaveNothing) {
  EXPECT_EQ(Run(DropStep(), R"y(["b"])y", "(1, 'x')", "a, b"), "a|1");
  EXPECT_THAT(Run(DropStep(), R"y(["a", "b"])y", "(1, 'x')", "a, b"), HasSubstr("'drop' leaves no column"));
  EXPECT_THAT(Run(DropStep(), R"y(["x"])y", "(1)", "a"), StartsWith("error: job.yaml:1:3: no column 'x'"));
}

TEST_F(RowSteps, DeriveSeesTheColumnsBeforeIt) {
  EXPECT_EQ(Run(DeriveStep(), R"y({"c": "a + b", "A": "a * 10"})y", "(1, 2)", "a, b"), "a b c|10 2 3");
  EXPECT_EQ(Run(DeriveStep(), R"y({"b": "input.a", "a": "input.b"})y", "(1, 2)", "a, b"), "a b|2 1");
  EXPECT_THAT(Run(DeriveStep(), R"y({"b": "a + 1", "c": "b * 2"})y", "(1)", "a"),
              StartsWith("error: job.yaml:1:22:"));
  EXPECT_THAT(Run(DeriveStep(), R"y({"x": "1", "X": "2"})y", "(1)", "a"),
              HasSubstr("'x' and 'X' are one column"));
  EXPECT_THAT(Run(DeriveStep(), R"y({"__tranche_x": "1"})y", "(1)", "a"), HasSubstr("Tranche's own"));
  EXPECT_EQ(Run(DeriveStep(), R"y({"c": "a -- not b"})y", "(1, 2)", "a, b"), "a b c|1 2 1");
}

TEST_F(RowSteps, DeriveRefusesToFold) {
  EXPECT_THAT(Run(DeriveStep(), R"y({"a": "sum(a)"})y", "(1), (2)", "a"), HasSubstr("GROUP BY"));
  EXPECT_EQ(Run(DeriveStep(), R"y({"a": "sum(a) over ()"})y", "(1), (2)", "a"), "a|3|3");
  EXPECT_TRUE(Must(DeriveStep(), R"y({"b": "sum(a) OVER ()"})y", Over(Values("(1)", "a"))).blocking);
  EXPECT_FALSE(Must(DeriveStep(), R"y({"b": "overtime + 1"})y", Over(Values("(1)", "overtime"))).blocking);
}

TEST_F(RowSteps, ExpressionsCannotLeaveTheirBrackets) {
  for (const char* hostile :
       {"1) from (select 2) as x --", "1, 2", "1; drop table t", "a) as b, (a", "read_text('x')", ""}) {
    EXPECT_THAT(Run(DeriveStep(), nlohmann::json({{"b", hostile}}).dump(), "(1)", "a"), StartsWith("error: "))
        << hostile;
    EXPECT_THAT(Run(FilterStep(), nlohmann::json(hostile).dump(), "(1)", "a"), StartsWith("error: "))
        << hostile;
    EXPECT_THAT(Run(SortStep(), nlohmann::json(hostile).dump(), "(1)", "a"), StartsWith("error: "))
        << hostile;
    EXPECT_THAT(Run(CheckStep(), nlohmann::json({{"b", hostile}}).dump(), "(1)", "a"), StartsWith("error: "))
        << hostile;
    EXPECT_THAT(Run(AggregateStep(), nlohmann::json({{"b", hostile}}).dump(), "(1)", "a"),
                StartsWith("error: "))
        << hostile;
  }
}

TEST_F(RowSteps, FilterDropsFalseAndNull) {
  EXPECT_EQ(Run(FilterStep(), R"y("a > 1")y", "(1), (2), (NULL), (3)", "a"), "a|2|3");
  EXPECT_EQ(Run(FilterStep(), R"y("a > $least")y", "(1)", "a").substr(0, 6), "error:");
  parameters_["least"] = {.type = "BIGINT", .text = "2"};
  EXPECT_EQ(Run(FilterStep(), R"y("a > $least")y", "(1), (2), (3)", "a"), "a|3");
  EXPECT_EQ(Run(FilterStep(), R"y("row_number() over (partition by a order by b desc) = 1")y",
                "(1, 1), (1, 2), (2, 3)", "a, b"),
            "a b|1 2|2 3");
  EXPECT_THAT(Run(FilterStep(), R"y("amout > 1")y", "(1)", "amount"), StartsWith("error: job.yaml:1:2:"));
  EXPECT_THAT(Run(FilterStep(), R"y("sum(a) > 1")y", "(1)", "a"), HasSubstr("GROUP BY"));
}

TEST_F(RowSteps, RenameByMapAndToSnakeCase) {
  EXPECT_EQ(Run(RenameStep(), R"y({"a": "b", "B": "a"})y", "(1, 2)", "a, b"), "b a|1 2");
  EXPECT_EQ(Run(RenameStep(), R"y({"a": "A"})y", "(1, 2)", "a, b"), "A b|1 2");
  EXPECT_THAT(Run(RenameStep(), R"y({"a": "B"})y", "(1, 2)", "a, b"),
              HasSubstr("two columns would be called 'b'"));
  EXPECT_THAT(Run(RenameStep(), R"y({"b": "A"})y", "(1, 2)", "a, b"),
              HasSubstr("two columns would be called 'A'"));
  EXPECT_THAT(Run(RenameStep(), R"y({"x": "y"})y", "(1, 2)", "a, b"), HasSubstr("no column 'x'"));
  EXPECT_THAT(Run(RenameStep(), R"y({"a": ""})y", "(1, 2)", "a, b"), HasSubstr("needs a name"));
  EXPECT_EQ(
      Run(RenameStep(), R"y("snake_case")y", "(1, 2, 3, 4, 5, 6, 7)",
          R"y("Order ID", "unitPrice", "HTTPServer", " Größe (cm)", already_snake, "x2Y", "ÜberSicht")y"),
      "order_id unit_price http_server größe_cm already_snake x2_y Über_sicht|1 2 3 4 5 6 7");
  EXPECT_THAT(Run(RenameStep(), R"y("snake_case")y", "(1, 2)", R"y("Order ID", "order-id")y"),
              HasSubstr("two columns would be called 'order_id'; the second is 'order-id'"));
  EXPECT_THAT(Run(RenameStep(), R"y("snake_case")y", "(1)", R"y("%")y"), HasSubstr("no letter or digit"));
}

TEST_F(RowSteps, CastMarksWhatDoesNotFit) {
  const Relation input =
      Over(Values("('1', 'x'), ('12x', 'y'), (NULL, 'z'), ('99999999999999999999', 'w')", "n, s"));
  EXPECT_EQ(Run(CastStep(), R"y({"N": "bigint"})y", input), "n s|1 x|NULL y|NULL z|NULL w");
  EXPECT_EQ(Types(CastStep(), R"y({"n": "bigint"})y", input), "BIGINT VARCHAR");
  EXPECT_EQ(Marks(CastStep(), R"y({"n": "bigint"})y", input),
            "reason column|\"12x\" is not a BIGINT @ n|\"99999999999999999999\" is not a BIGINT @ n");
  const Outcome outcome = Must(CastStep(), R"y({"n": "bigint"})y", input);
  auto marks = engine_->Select({SqlText("SELECT __tranche_reject FROM " + outcome.next.from.text() +
                                        " WHERE __tranche_reject IS NOT NULL LIMIT 1")});
  EXPECT_EQ(
      marks->front().front(),
      R"y({"origin":"cast (prepare 1)","reason":"\"12x\" is not a BIGINT","column":"n","row":{"n":"12x","s":"y"}})y");
}

TEST_F(RowSteps, CastByFormat) {
  const Relation input = Over(Values("('31.12.2020'), ('31.02.2020'), (NULL)", "d"));
  EXPECT_EQ(Run(CastStep(), R"y({"d": {"date": "%d.%m.%Y"}})y", input), "d|2020-12-31|NULL|NULL");
  EXPECT_EQ(Types(CastStep(), R"y({"d": {"timestamp": "%d.%m.%Y"}})y", input), "TIMESTAMP");
  EXPECT_EQ(Marks(CastStep(), R"y({"d": {"date": "%d.%m.%Y"}})y", input),
            "reason column|\"31.02.2020\" is not a DATE like %d.%m.%Y @ d");
  EXPECT_EQ(Run(CastStep(), R"y({"d": {"timestamptz": "%d.%m.%Y %z"}})y", "('31.12.2020 +0100')", "d"),
            "d|2020-12-30 23:00:00+00");
  EXPECT_EQ(Run(CastStep(), R"y({"d": {"time": "%H.%M"}})y", "('10.30')", "d"), "d|10:30:00");
  EXPECT_THAT(Run(CastStep(), R"y({"d": {"date": "%Q"}})y", input), StartsWith("error: job.yaml:1:"));
  EXPECT_THAT(Run(CastStep(), R"y({"d": {"bigint": "%d"}})y", input),
              HasSubstr("a format is for dates and times, not for BIGINT"));
  EXPECT_THAT(Run(CastStep(), R"y({"d": {"date": "%d"}})y", "(1)", "d"),
              HasSubstr("a format reads text, and 'd' is INTEGER already"));
}

TEST_F(RowSteps, CastRefusesWrongTypes) {
  EXPECT_THAT(Run(CastStep(), R"y({"a": "bigont"})y", "(1)", "a"), StartsWith("error: job.yaml:1:"));
  EXPECT_THAT(Run(CastStep(), R"y({"a": "int); select (1"})y", "(1)", "a"), StartsWith("error: job.yaml:1:"));
  EXPECT_THAT(Run(CastStep(), R"y({"x": "bigint"})y", "(1)", "a"), HasSubstr("no column 'x'"));
}

TEST_F(RowSteps, FirstMarkStays) {
  const Relation input = Over(Marked());
  EXPECT_EQ(Marks(CastStep(), R"y({"a": "bigint"})y", input), "reason column|old NULL");
  EXPECT_EQ(Marks(CheckStep(), R"y({"never": "false"})y", input),
            "reason column|old NULL|breaks check 'never': false NULL");
  const Relation twice = Over(Values("('x', 'y')", "a, b"));
  EXPECT_EQ(Marks(CastStep(), R"y({"b": "bigint", "a": "bigint"})y", twice),
            "reason column|\"y\" is not a BIGINT @ b");
}

TEST_F(RowSteps, MarkedRowsPassUntouched) {
  const Relation input = Over(Marked());
  EXPECT_EQ(Run(FilterStep(), R"y("a::int > 5")y", input), "a b|x first");
  EXPECT_EQ(Run(DeriveStep(), R"y({"c": "a::int + 1"})y", input), "a b c|x first NULL|2 second 3");
  EXPECT_EQ(Run(SelectStep(), R"y(["b"])y", input), "b|first|second");
  EXPECT_EQ(Run(RenameStep(), R"y({"a": "z"})y", input), "z b|x first|2 second");
  EXPECT_EQ(Run(CheckStep(), R"y({"small": "a::int < 9"})y", input), "a b|x first|2 second");
  EXPECT_EQ(Guards(CheckStep(), R"y({"small": {"that": "a::int > 9", "otherwise": "warn"}})y", input),
            "? check 'small' failed for 1 row: a::int > 9|");
  EXPECT_EQ(Guards(CheckStep(), R"y({"one": "count(*) > 1"})y", input),
            "! check 'one' failed: count(*) > 1|");
}

TEST_F(RowSteps, MarksHoldAnyValueAsValidJson) {
  const Relation input = Over(
      "SELECT 'NaN'::double AS nan, 1.5::double AS fraction, 1.50::decimal(5,2) AS money, ['inf'::float] AS "
      "list, "
      "'\\xAA'::blob AS bytes, '{\"a\": 1}'::json AS json, timestamp '2020-01-01' AS at, 5::hugeint AS huge, "
      "NULL AS nothing, "
      "'q\"' AS \"q\"\"\"");
  const Outcome outcome = Must(CheckStep(), R"y({"never": "false"})y", input);
  auto marks = engine_->Select({SqlText("SELECT __tranche_reject FROM " + outcome.next.from.text())});
  ASSERT_TRUE(marks) << marks.error().ToString();
  EXPECT_EQ(nlohmann::json::parse(*marks->front().front())["row"], nlohmann::json::parse(R"y({
    "nan": "nan", "fraction": 1.5, "money": "1.50", "list": "[inf]", "bytes": "\\xAA", "json": "{\"a\": 1}",
    "at": "2020-01-01 00:00:00", "huge": "5", "nothing": null, "q\"": "q\""})y"));
}

TEST_F(RowSteps, FillByConstant) {
  EXPECT_EQ(Run(FillStep(), R"y({"a": "7", "b": "unknown", "c": ""})y", "(1, 'x', 'y'), (NULL, NULL, NULL)",
                "a, b, c"),
            "a b c|1 x y|7 unknown ");
  EXPECT_EQ(Run(FillStep(), R"y({"b": {"value": "mean"}})y", "(1, NULL)", "a, b"),
            "error: job.yaml:1:18: 'mean' is not a INTEGER, which is the type of 'b'; fill with a value of "
            "that type, or "
            "`cast` the column before");
  EXPECT_EQ(Run(FillStep(), R"y({"b": {"value": "mean"}})y", "(1, NULL::varchar)", "a, b"), "a b|1 mean");
  const Relation input =
      Over("SELECT NULL::BIGINT AS n, NULL::DECIMAL(5,2) AS m, NULL::DATE AS d, NULL::BOOLEAN AS b");
  EXPECT_EQ(Run(FillStep(), R"y({"n": "7", "m": "1.25", "d": "2020-01-31", "b": "true"})y", input),
            "n m d b|7 1.25 2020-01-31 true");
  EXPECT_EQ(Types(FillStep(), R"y({"n": "7", "m": "1.25"})y", input), "BIGINT DECIMAL(5,2) DATE BOOLEAN");
  for (const char* wrong : {R"y({"n": "1.5"})y", R"y({"m": "1.255"})y", R"y({"d": "2020-02-31"})y",
                            R"y({"b": "maybe"})y", R"y({"n": "x'y"})y"}) {
    EXPECT_THAT(Run(FillStep(), wrong, input), HasSubstr("is not a ")) << wrong;
  }
  EXPECT_THAT(Run(FillStep(), R"y({"x": "1"})y", input), HasSubstr("no column 'x'"));
  EXPECT_FALSE(Must(FillStep(), R"y({"n": "7"})y", input).blocking);
}

TEST_F(RowSteps, CheckMarksRowsThatBreakARule) {
  const Relation input = Over(Values("(1, 'kg'), (-1, 'kg'), (NULL, 'kg'), (-2, 'oz')", "amount, unit"));
  const std::string rules = R"y({"paid": "amount\n  >= 0", "known": {"that": "unit in ('kg', 'l')",
                    "otherwise" : "reject"
}
})y";
  EXPECT_EQ(Run(CheckStep(), rules, input), "amount unit|1 kg|-1 kg|NULL kg|-2 oz");
  EXPECT_EQ(Marks(CheckStep(), rules, input),
            "reason column|breaks check 'paid': amount >= 0 NULL|breaks check 'paid': amount >= 0 NULL");
  EXPECT_EQ(Marks(CheckStep(), R"y({"known": "unit = 'kg'"})y", input),
            "reason column|breaks check 'known': unit = 'kg' NULL");
  EXPECT_EQ(Guards(CheckStep(), rules, input), "");
}

TEST_F(RowSteps, CheckWarnsAndFails) {
  const Relation input = Over(Values("(1), (-1), (NULL), (-2)", "amount"));
  const std::string rules =
      R"y({"paid": {"that": "amount >= 0", "otherwise": "warn"}, "small": {"that": "amount < 1", "otherwise": "fail"}})y";
  EXPECT_EQ(Guards(CheckStep(), rules, input),
            "? check 'paid' failed for 2 rows: amount >= 0|! check 'small' failed for 1 row: amount < 1|");
  EXPECT_EQ(Run(CheckStep(), rules, input), "amount|1|-1|NULL|-2");
  EXPECT_TRUE(Must(CheckStep(), rules, input).output.hidden.empty());
}

TEST_F(RowSteps, CheckOfAllRows) {
  const Relation input = Over(Values("(1), (-1), (NULL)", "amount"));
  EXPECT_EQ(Guards(CheckStep(), R"y({"enough": "count(*) > 100"})y", input),
            "! check 'enough' failed: count(*) > 100|");
  EXPECT_EQ(Guards(CheckStep(), R"y({"some": {"that": "count(*) > 100", "otherwise": "warn"}})y", input),
            "? check 'some' failed: count(*) > 100|");
  EXPECT_EQ(Guards(CheckStep(), R"y({"fine": "count(*) = 3 and sum(amount) = 0"})y", input), "");
  const Relation none = Over("SELECT 1 AS amount WHERE false");
  EXPECT_EQ(Guards(CheckStep(), R"y({"enough": "count(*) > 0"})y", none),
            "! check 'enough' failed: count(*) > 0|");
  EXPECT_EQ(Guards(CheckStep(), R"y({"null": "sum(amount) > 0"})y", none), "");
  EXPECT_THAT(Run(CheckStep(), R"y({"enough": {"that": "count(*) > 100", "otherwise": "reject"}})y", input),
              StartsWith("error: job.yaml:1:3: check 'enough' speaks of all rows and cannot reject one"));
  EXPECT_THAT(Run(CheckStep(), R"y({"mixed": "amount > avg(amount)"})y", input),
              HasSubstr("avg(amount) over ()"));
  EXPECT_EQ(Marks(CheckStep(), R"y({"mixed": "amount >= avg(amount) over ()"})y", input),
            "reason column|breaks check 'mixed': amount >= avg(amount) over () NULL");
}

TEST_F(RowSteps, GroupColumnsStay) {
  const std::string rows = "(1, 'x')";
  EXPECT_EQ(Run(SelectStep(), R"y(["b"])y", rows, "a, b", {"a"}),
            "error: job.yaml:1:1: cannot leave out 'a': the rows are grouped by it; add it to the columns of "
            "`select`");
  EXPECT_EQ(Run(SelectStep(), R"y(["b", "a"])y", rows, "a, b", {"a"}), "b a|x 1");
  for (auto& [spec, json] :
       std::vector<std::pair<StepSpec, std::string>>{{DropStep(), R"y(["A"])y"},
                                                     {DeriveStep(), R"y({"A": "1"})y"},
                                                     {RenameStep(), R"y({"a": "c"})y"},
                                                     {CastStep(), R"y({"a": "varchar"})y"},
                                                     {FillStep(), R"y({"a": "1"})y"},
                                                     {AggregateStep(), R"y({"A": "count(*)"})y"}}) {
    EXPECT_THAT(Run(spec, json, rows, "a, b", {"a"}), HasSubstr("the rows are grouped by it")) << spec.name;
  }
  EXPECT_EQ(Run(RenameStep(), R"y("snake_case")y", rows, "a, \"B c\"", {"a"}), "a b_c|1 x");
  EXPECT_EQ(Run(FilterStep(), R"y("b = 'x'")y", rows, "a, b", {"a"}), "a b|1 x");
}

TEST_F(RowSteps, FoldedRowsKeepTheirCount) {
  const Relation input = Over(Values("(1, 5)", "a, __tranche_rows"));
  for (auto& [spec, json] :
       std::vector<std::pair<StepSpec, std::string>>{{FilterStep(), R"y("a = 1")y"},
                                                     {DeriveStep(), R"y({"b": "1"})y"},
                                                     {CastStep(), R"y({"a": "varchar"})y"},
                                                     {FillStep(), R"y({"a": "mean"})y"},
                                                     {SortStep(), R"y("a")y"},
                                                     {LimitStep(), "1"},
                                                     {CheckStep(), R"y({"c": "a = 1"})y"}}) {
    const Outcome outcome = Must(spec, json, input);
    EXPECT_TRUE(outcome.next.Hides(kRowsColumn)) << spec.name;
  }
}

TEST_F(RowSteps, WindowsLeaveTheOrder) {
  const Relation input = Over("SELECT i, i % 3 AS g FROM range(5000) AS t(i)");
  const std::string as_it_was = Show(input);
  EXPECT_EQ(Run(FilterStep(), R"y("count(*) over (partition by g) > 1")y", input), as_it_was);
  EXPECT_EQ(Run(DeriveStep(), R"y({"i": "i + 0 * sum(i) over (partition by g)"})y", input), as_it_was);
  EXPECT_EQ(Run(CheckStep(), R"y({"some": "count(*) over (partition by g) > 1"})y", input), as_it_was);
  EXPECT_EQ(Run(FillStep(), R"y({"i": {"method": "mode", "by": "g"}})y", input), as_it_was);
}

TEST(Specs, SayWhatTheyAre) {
  for (const StepSpec& spec : {AggregateStep(), CastStep(), CheckStep(), DedupeStep(), DeriveStep(),
                               DropStep(), FillStep(), FilterStep(), JoinStep(), LimitStep(), RenameStep(),
                               SampleStep(), SelectStep(), SortStep(), SqlStep()}) {
    EXPECT_THAT(spec.summary, testing::EndsWith(".")) << spec.name;
    EXPECT_FALSE(spec.doc.empty()) << spec.name;
    EXPECT_THAT(spec.example, StartsWith(spec.name + ":"));
    for (const Field& field : spec.shape.fields) EXPECT_FALSE(field.doc.empty()) << spec.name << field.name;
  }
}

}  // namespace
}  // namespace tranche
