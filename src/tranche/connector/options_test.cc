#include "tranche/connector/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tranche/connector/spec.h"

namespace tranche {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

Node Map(std::vector<std::pair<std::string, Node>> entries) {
  Node node;
  node.kind = Node::Kind::kMap;
  for (auto& [name, value] : entries) node.entries.push_back({{name, {}}, std::move(value)});
  return node;
}

Node List(const std::vector<std::string>& texts) {
  Node node;
  node.kind = Node::Kind::kList;
  for (const std::string& text : texts) node.items.push_back(Node::Scalar(text));
  return node;
}

Shape Component() {
  return Shape::Object({
      {"path", Shape::Path(), "Where.", Field::kRequired},
      {"delimiter", Shape::Character(), "What separates.", "comma"},
      {"header", Shape::Boolean(), "Names first.", "true"},
      {"rows", Shape::Integer(), "How many.", "100000"},
      {"share", Shape::OneOf({Shape::Integer(), Shape::Share()}), "How much.", "2.5%"},
      {"size", Shape::Size(), "How big.", "1MiB"},
      {"ratio", Shape::Number(), "How.", "0.5"},
      {"nulls", Shape::ListOrOne(Shape::Text()), "Words for NULL.", "[NA, \"\"]"},
      {"columns", Shape::List(Shape::Column()), "Which."},
      {"types", Shape::Map(Shape::Column(), Shape::Type()), "Types."},
      {"where", Shape::Expression(), "Which rows."},
      {"inner", Shape::Object({{"depth", Shape::Integer(), "Deep.", "3"}}), "More."},
  });
}

TEST(Options, AbsentFieldsGiveTheDefaults) {
  Shape shape = Component();
  Node node = Map({{"path", Node::Scalar("/a")}});
  Options options(&shape, &node);
  EXPECT_EQ(options.Text("path"), "/a");
  EXPECT_EQ(options.Text("delimiter"), ",");
  EXPECT_TRUE(options.Boolean("header"));
  EXPECT_EQ(options.Integer("rows"), 100000);
  EXPECT_EQ(options.Share("share").percent, 2.5);
  EXPECT_EQ(options.Size("size"), 1 << 20);
  EXPECT_EQ(options.Number("ratio"), 0.5);
  EXPECT_THAT(options.Texts("nulls"), ElementsAre("NA", ""));
  EXPECT_THAT(options.Texts("columns"), IsEmpty());
  EXPECT_THAT(options.Types("types"), IsEmpty());
  EXPECT_EQ(options.Sql("where").text, "");
  EXPECT_EQ(options.Object("inner").Integer("depth"), 3);
  EXPECT_FALSE(options.Has("header"));
  EXPECT_EQ(options.Raw("header"), nullptr);
}

TEST(Options, ReadsWhatIsWritten) {
  Shape shape = Component();
  Node node =
      Map({{"delimiter", Node::Scalar("tab")},
           {"header", Node::Scalar("false")},
           {"nulls", Node::Scalar("-")},
           {"columns", List({"a", "B c"})},
           {"types",
            Map({{"at", Map({{"timestamp", Node::Scalar("%d.%m.%Y")}})}, {"n", Node::Scalar("bigint")}})},
           {"where", Node::Scalar("a > 1", {"x.yaml", 2, 5})},
           {"inner", Map({{"depth", Node::Scalar("7")}})}});
  Options options(&shape, &node);
  EXPECT_EQ(options.Text("delimiter"), "\t");
  EXPECT_FALSE(options.Boolean("header"));
  EXPECT_THAT(options.Texts("nulls"), ElementsAre("-"));
  EXPECT_THAT(options.Texts("columns"), ElementsAre("a", "B c"));
  auto types = options.Types("types");
  ASSERT_EQ(types.size(), 2u);
  EXPECT_EQ(types[0].second.type, "timestamp");
  EXPECT_EQ(types[0].second.format, "%d.%m.%Y");
  EXPECT_EQ(types[1].second.type, "bigint");
  EXPECT_THAT(options.TextMap("types"), ElementsAre(Pair("at", ""), Pair("n", "bigint")));
  EXPECT_EQ(options.Sql("where").source.At(4), (Place{"x.yaml", 2, 9}));
  EXPECT_EQ(options.PlaceOf("where"), (Place{"x.yaml", 2, 5}));
  EXPECT_EQ(options.Object("inner").Integer("depth"), 7);
}

TEST(OptionsDeathTest, AnUnknownFieldOrTypeIsOurBug) {
  Shape shape = Component();
  Node node = Map({});
  Options options(&shape, &node);
  EXPECT_DEATH(options.Text("pfad"), "is not in its shape");
  EXPECT_DEATH(options.Integer("path"), "type that it does not have");
}

TEST(Node, PlacesFollowTheTurnsAndCountCharacters) {
  Node node = Node::Scalar("äb cd ef", {"x.yaml", 3, 10});
  node.turns = {{0, 3, 11}, {4, 5, 7}};  // "äb " on line 3 behind a quote, "cd ef" on line 5
  EXPECT_EQ(node.At(0), (Place{"x.yaml", 3, 11}));
  EXPECT_EQ(node.At(2), (Place{"x.yaml", 3, 12}));
  EXPECT_EQ(node.At(4), (Place{"x.yaml", 5, 7}));
  EXPECT_EQ(node.At(100), (Place{"x.yaml", 5, 12}));
  EXPECT_FALSE(Node::Scalar("x").At(1).known());
}

TEST(Registry, FindsByName) {
  Registry registry;
  SourceSpec csv;
  csv.name = "csv";
  registry.Add(csv);
  ASSERT_NE(registry.FindSource("csv"), nullptr);
  EXPECT_EQ(registry.FindSource("tsv"), nullptr);
  EXPECT_EQ(registry.FindStep("csv"), nullptr);
}

}  // namespace
}  // namespace tranche
