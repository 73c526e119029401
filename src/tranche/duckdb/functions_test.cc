#include "tranche/duckdb/functions.h"

#include <gtest/gtest.h>

#include "tranche/duckdb/engine_fixture.h"

namespace tranche {
namespace {

class Functions : public ::testing::Test {
 protected:
  // The one value that `sql` yields, or the message.
  std::string Ask(const std::string& sql) {
    auto rows = engine_->Select({SqlText("SELECT " + sql)});
    if (!rows) return rows.error().message;
    return rows->at(0).at(0).value_or("NULL");
  }
  std::string Strict(const std::string& value, const std::string& type) {
    return Ask(StrictNumber(value, type, "no"));
  }
  std::string OrNull(const std::string& value, const std::string& type) {
    return Ask(NumberOrNull(QuoteText(value), type));
  }

  std::unique_ptr<Engine> engine_ = *MakeDuckDb({});
};

TEST_F(Functions, ADoubleThatIsNotTheNumberIsRefused) {
  EXPECT_EQ(Strict("3.0::DOUBLE", "BIGINT"), "3");
  EXPECT_EQ(Strict("-0.0::DOUBLE", "UTINYINT"), "0");
  EXPECT_EQ(Strict("NULL::DOUBLE", "BIGINT"), "NULL");
  EXPECT_EQ(Strict("127::DOUBLE", "TINYINT"), "127");
  for (const char* value : {"3.5", "'nan'", "'inf'", "9007199254740992", "1e300"}) {
    EXPECT_EQ(Strict(fmt::format("{}::DOUBLE", value), "BIGINT"), "no") << value;
  }
  EXPECT_EQ(Strict("9007199254740991::DOUBLE", "BIGINT"), "9007199254740991");
  EXPECT_EQ(Strict("128::DOUBLE", "TINYINT"), "no");
  EXPECT_EQ(Strict("-1::DOUBLE", "UINTEGER"), "no");
  EXPECT_EQ(Strict("2.5::DOUBLE", "DOUBLE"), "2.5");
  EXPECT_EQ(Strict("'nan'::DOUBLE", "DOUBLE"), "nan");
  EXPECT_EQ(Strict("'inf'::DOUBLE", "DOUBLE"), "no");
}

TEST_F(Functions, TextIsReadExactly) {
  EXPECT_EQ(OrNull("9223372036854775807", "BIGINT"), "9223372036854775807");
  EXPECT_EQ(OrNull("9223372036854775808", "BIGINT"), "NULL");
  EXPECT_EQ(OrNull("18446744073709551615", "UBIGINT"), "18446744073709551615");
  EXPECT_EQ(OrNull("-9223372036854775808", "BIGINT"), "-9223372036854775808");
  EXPECT_EQ(OrNull("  +12 ", "INTEGER"), "12");
  EXPECT_EQ(OrNull("007", "INTEGER"), "7");
  EXPECT_EQ(OrNull("1e3", "INTEGER"), "1000");
  EXPECT_EQ(OrNull("3.0", "INTEGER"), "3");
  EXPECT_EQ(OrNull("1_000", "INTEGER"), "1000");  // as DuckDB reads it into a DOUBLE
  for (const char* text : {"", " ", "+", "-", "+-1", "1 2", "3.5", "0x10", "_1", "1_", "1__0", "nan", "inf",
                           "12a", "1e999", "٣"}) {
    EXPECT_EQ(OrNull(text, "INTEGER"), "NULL") << text;
  }
  EXPECT_EQ(Strict("'9223372036854775807'", "BIGINT"), "9223372036854775807");
  EXPECT_EQ(Strict("'x'", "BIGINT"), "no");
}

TEST_F(Functions, DecimalsThatWouldBeRoundedAreNotExact) {
  for (const char* text : {"1.5", "1", "-1.25", "+.25", "1.2500", "1e3", "125e-2", "1.5e-1", "0.000",
                           "1200e-4", "x", "", "1.e0"}) {
    EXPECT_EQ(Ask(IsExact(QuoteText(text), "2")), "true") << text;
  }
  for (const char* text :
       {"1.005", "-0.001", "1e-3", "1.25e-1", "1_0.00_1", "99.999999999999999999999999999999999999999999"}) {
    EXPECT_EQ(Ask(IsExact(QuoteText(text), "2")), "false") << text;
  }
  EXPECT_EQ(Ask(IsExact("NULL", "2")), "NULL");
}

TEST_F(Functions, NullsStayInTheirRows) {
  EXPECT_EQ(Ask(fmt::format(
                "string_agg(coalesce({}::VARCHAR, '-'), '' ORDER BY i) FROM (SELECT i, CASE WHEN i % 3 > 0 "
                "THEN (i % 10)::VARCHAR END AS t FROM range(6) AS r(i))",
                NumberOrNull("t", "INTEGER"))),
            "-12-45");
  EXPECT_EQ(Ask(fmt::format(
                "sum({}) FROM (SELECT CASE WHEN i % 2 = 0 THEN i::DOUBLE END AS d FROM range(10000) AS r(i))",
                StrictNumber("d", "BIGINT", "no"))),
            "24995000");
}

}  // namespace
}  // namespace tranche
