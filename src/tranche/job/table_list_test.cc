#include "tranche/job/table_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tranche {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Node List(const std::vector<std::string>& texts) {
  Node list;
  list.kind = Node::Kind::kList;
  for (const std::string& text : texts) list.items.push_back(Node::Scalar(text, {"job.yaml", 1, 1}));
  return list;
}

std::vector<std::string> Expanded(const std::vector<std::string>& texts, SchemaTables there) {
  const Node list = List(texts);
  auto made = TableList::Make(list, list, /*splits=*/false);
  EXPECT_TRUE(made) << made.error().message;
  auto names = made->Expand(std::move(there));
  return names ? *names : std::vector<std::string>{names.error().message};
}

TEST(TableListTest, PatternsMatchCharacters) {
  const std::vector<std::string> there = {"b", "a", "", "ä", "ab", "aab", "a*", "a?", "a\\", "aXbXb", "😀"};
  auto match = [&](const std::string& pattern) { return Expanded({pattern}, {.tables = there}); };
  EXPECT_THAT(match("?"), ElementsAre("a", "b", "ä", "😀"));
  EXPECT_THAT(match("a*b"), ElementsAre("aXbXb", "aab", "ab"));
  EXPECT_THAT(match("**a*?b"), ElementsAre("aXbXb", "aab"));
  EXPECT_THAT(match("a\\*"), ElementsAre("a*"));
  EXPECT_THAT(match("?\\?"), ElementsAre("a?"));
  EXPECT_THAT(match("a\\?*"), ElementsAre("a?"));
  EXPECT_THAT(match("*\\"), ElementsAre("a\\"));
  EXPECT_THAT(match("*X*X*"), ElementsAre("aXbXb"));
  EXPECT_EQ(match("*").size(), there.size());
}

TEST(TableListTest, ManyStarsTakeNoTime) {
  std::string pattern, name(5000, 'a');
  for (int i = 0; i < 1000; ++i) pattern += "a*";
  EXPECT_THAT(Expanded({pattern + "b"}, {.tables = {name}})[0], HasSubstr("matches"));
}

TEST(TableListTest, OnceInTheOrderOfTheList) {
  const SchemaTables there{.tables = {"Orders", "orders", "a_2", "a_10", "tranche_run", "A__tranche_12"},
                           .others = {"seen"}};
  EXPECT_THAT(Expanded({"orders", "seen", "a_2", "*"}, there),
              ElementsAre("orders", "seen", "a_2", "Orders", "a_10"));
  EXPECT_THAT(Expanded({"tranche_run"}, {.tables = there.tables, .others = {}})[0], HasSubstr("no table"));
}

TEST(TableListTest, CaseIsTheDatabasesMatter) {
  const SchemaTables exact{.tables = {"Orders"}};
  const SchemaTables any{.tables = {"Orders", "Über"}, .any_case = true};
  EXPECT_THAT(Expanded({"orders"}, exact)[0], HasSubstr("did you mean 'Orders'?"));
  EXPECT_THAT(Expanded({"orders", "ORD*"}, any), ElementsAre("Orders"));
}

TEST(TableListTest, SchemasAreSplitOff) {
  auto make = [](const std::vector<std::string>& texts) {
    const Node list = List(texts);
    return TableList::Make(list, list, /*splits=*/true);
  };
  auto list = make({"crm.a*", "crm.b"});
  ASSERT_TRUE(list);
  EXPECT_EQ(list->schema, "crm");
  EXPECT_EQ(list->entries[0].text, "a*");
  EXPECT_TRUE(list->Matches("AB"));
  EXPECT_TRUE(list->Matches("b"));
  EXPECT_FALSE(list->Matches("bb"));
  EXPECT_FALSE(list->Matches("a__tranche_12"));
  for (const char* wrong : {".a", "a.", "a.b.c*", ""}) EXPECT_FALSE(make({wrong})) << wrong;
  EXPECT_FALSE(make({"a.b", "c.b"}));
}

}  // namespace
}  // namespace tranche
