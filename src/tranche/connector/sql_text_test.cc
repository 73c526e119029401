#include "tranche/connector/sql_text.h"

#include <gtest/gtest.h>

namespace tranche {
namespace {

Expression Written(const std::string& text, int line, int column) {
  return {text, Node::Scalar(text, {"job.yaml", line, column})};
}

std::string At(const SqlText& text, size_t offset) { return text.At(offset).value_or(Place{}).ToString(); }

TEST(SqlText, KnowsThePlaceOfEachOfTheUsersCharacters) {
  SqlText text("SELECT ");
  text << Written("a + 1", 3, 5) << ", " << Written("b", 4, 9) << " FROM t";
  EXPECT_EQ(text.text(), "SELECT a + 1, b FROM t");
  EXPECT_EQ(At(text, 0), "");                 // ours, and nothing of the user's before it
  EXPECT_EQ(At(text, 7), "job.yaml:3:5");     // a
  EXPECT_EQ(At(text, 11), "job.yaml:3:9");    // 1
  EXPECT_EQ(At(text, 14), "job.yaml:4:9");    // b
  EXPECT_EQ(At(text, 12), "job.yaml:3:10");   // ours: the end of what stands before
  EXPECT_EQ(At(text, 500), "job.yaml:4:10");  // behind all
}

TEST(SqlText, KeepsPlacesWhenItIsPutIntoAnother) {
  SqlText inner("x > ");
  inner << Written("limit", 7, 2);
  SqlText outer("SELECT * FROM t WHERE ");
  outer << inner << " AND " << inner;
  EXPECT_EQ(outer.text(), "SELECT * FROM t WHERE x > limit AND x > limit");
  EXPECT_EQ(At(outer, 26), "job.yaml:7:2");
  EXPECT_EQ(At(outer, 41), "job.yaml:7:3");
}

TEST(SqlText, CanBePutIntoItself) {
  SqlText text("a");
  text << Written("b", 1, 1);
  text << text;
  EXPECT_EQ(text.text(), "abab");
  EXPECT_EQ(At(text, 3), "job.yaml:1:1");
}

TEST(SqlText, QuotesNamesAndTexts) {
  EXPECT_EQ(QuoteName("a\"b"), "\"a\"\"b\"");
  EXPECT_EQ(QuoteText("it's \"x\""), "'it''s \"x\"'");
  EXPECT_EQ(QuoteText(""), "''");
}

}  // namespace
}  // namespace tranche
