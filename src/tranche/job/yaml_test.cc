#include "tranche/job/yaml.h"

#include <chrono>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tranche {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> Errors(const std::string& text) {
  std::vector<std::string> messages;
  for (const Error& error : ParseYaml(text, "j.yaml").errors) messages.push_back(error.ToString());
  return messages;
}

std::string OnlyError(const std::string& text) {
  auto errors = Errors(text);
  return errors.size() == 1 ? errors[0]
                            : fmt::format("{} errors: {}", errors.size(), fmt::join(errors, " | "));
}

Node Root(const std::string& text) {
  Yaml yaml = ParseYaml(text, "j.yaml");
  EXPECT_TRUE(yaml.errors.empty()) << yaml.errors[0].ToString();
  return yaml.root;
}

std::string Where(const Node& node, std::string_view piece) {
  size_t offset = node.text.find(piece);
  EXPECT_NE(offset, std::string::npos) << node.text;
  Place place = node.At(offset);
  return fmt::format("{}:{}", place.line, place.column);
}

TEST(Yaml, ScalarsAreVerbatim) {
  Node root = Root(
      "on: no\n"
      "time: 1:30\n"
      "octal: 0123\n"
      "date: 2026-11-20\n"
      "units: [200ms..30s, 0.1%, 500/s, 1000 wcu/s, 256x256, 0 2 * * *]\n"
      "empty: \"\"\n");
  EXPECT_EQ(root.Find("on")->text, "no");
  EXPECT_EQ(root.Find("time")->text, "1:30");
  EXPECT_EQ(root.Find("octal")->text, "0123");
  EXPECT_EQ(root.Find("date")->text, "2026-11-20");
  ASSERT_EQ(root.Find("units")->items.size(), 6u);
  EXPECT_EQ(root.Find("units")->items[5].text, "0 2 * * *");
  EXPECT_EQ(root.Find("empty")->text, "");
}

TEST(Yaml, AliasesCopy) {
  Node root = Root("a: &x [1, 2]\nb: *x\nc: &t 'it''s'\nd: *t\n");
  EXPECT_EQ(root.Find("b")->items.size(), 2u);
  EXPECT_EQ(root.Find("d")->text, "it's");
}

TEST(Yaml, PlacesWithinEveryKindOfScalar) {
  Node root = Root(
      "plain: a > oops\n"
      "single: 'it''s oops'\n"
      "double: \"tab\\t \\u00e4 \\\" oops\"\n"
      "literal: |\n"
      "  first\n"
      "    oops here\n"
      "folded: >-\n"
      "  first\n"
      "  second oops\n"
      "\n"
      "  third\n"
      "long: 'one\n"
      "   two oops'\n"
      "flow: {a: b > 1,\n"
      "  c: umlaut ü oops}\n"
      "anchor: &x 'a oops'\n"
      "stretched: one\n"
      "  two oops\n");
  EXPECT_EQ(Where(*root.Find("plain"), "oops"), "1:12");
  EXPECT_EQ(Where(*root.Find("single"), "oops"), "2:16");
  EXPECT_EQ(Where(*root.Find("double"), "oops"), "3:26");
  EXPECT_EQ(Where(*root.Find("literal"), "oops"), "6:5");
  EXPECT_EQ(Where(*root.Find("literal"), "first"), "5:3");
  EXPECT_EQ(Where(*root.Find("folded"), "oops"), "9:10");
  EXPECT_EQ(Where(*root.Find("folded"), "third"), "11:3");
  EXPECT_EQ(Where(*root.Find("long"), "oops"), "13:8");
  EXPECT_EQ(Where(*root.Find("flow")->Find("c"), "oops"), "15:15");
  EXPECT_EQ(Where(*root.Find("anchor"), "oops"), "16:15");
  EXPECT_EQ(Where(*root.Find("stretched"), "oops"), "18:7");
  EXPECT_EQ(root.Find("plain")->style, Node::Style::kPlain);
  EXPECT_EQ(root.Find("single")->style, Node::Style::kQuoted);
  EXPECT_EQ(root.Find("literal")->style, Node::Style::kBlock);
}

TEST(Yaml, WindowsLineEndsAndAByteOrderMark) {
  Node root = Root(
      "\xEF\xBB\xBF"
      "a: 1\r\nb: |\r\n  x\r\n  oops\r\n");
  EXPECT_EQ(root.Find("b")->text, "x\noops\n");
  EXPECT_EQ(Where(*root.Find("b"), "oops"), "4:3");
}

struct YamlCase {
  const char* text;
  const char* message;
};

class YamlTable : public ::testing::TestWithParam<YamlCase> {};

TEST_P(YamlTable, IsRefusedInOurWords) { EXPECT_EQ(OnlyError(GetParam().text), GetParam().message); }

INSTANTIATE_TEST_SUITE_P(
    Rows, YamlTable,
    ::testing::Values(
        // commas that split
        YamlCase{
            "a: {r: round(a, 2)}\n",
            "j.yaml:1:8: a comma inside { } splits the value of 'r'; put the value in quotes, or give each "
            "key its own line"},
        YamlCase{
            "a: [sum(a, b)]\n",
            "j.yaml:1:5: a comma inside [ ] splits 'sum(a'; put the item in quotes, or give each item its "
            "own line"},
        YamlCase{
            "a: [hour: f('h', at)]\n",
            "j.yaml:1:11: a comma inside [ ] splits 'f('h''; put the item in quotes, or give each item its "
            "own line"},
        // what must be quoted
        YamlCase{"a: {url: ${X}}\n",
                 "j.yaml:1:10: ${…} inside { } or [ ] is not text in YAML; put it in quotes: \"${X}\""},
        YamlCase{"a: *.csv\n",
                 "j.yaml:1:4: a value cannot begin with '*' in YAML; put it in quotes: \"*.csv\""},
        YamlCase{"a: */5 # c\n",
                 "j.yaml:1:4: a value cannot begin with '*' in YAML; put it in quotes: \"*/5\""},
        YamlCase{"a: @daily\n",
                 "j.yaml:1:4: a value cannot begin with '@' in YAML; put it in quotes: \"@daily\""},
        YamlCase{"a: %d\n", "j.yaml:1:4: a value cannot begin with '%' in YAML; put it in quotes: \"%d\""},
        YamlCase{"a: [*]\n", "j.yaml:1:5: a value cannot begin with '*' in YAML; put it in quotes: \"*\""},
        YamlCase{"a: -\n", "j.yaml:1:4: a value cannot begin with '-' in YAML; put it in quotes: \"-\""},
        YamlCase{"a: `x`\n", "j.yaml:1:4: a value cannot begin with '`' in YAML; put it in quotes: \"`x`\""},
        YamlCase{"a: ,\n", "j.yaml:1:4: a value cannot begin with ',' in YAML; put it in quotes: \",\""},
        YamlCase{"a: ]\n", "j.yaml:1:4: a value cannot begin with ']' in YAML; put it in quotes: \"]\""},
        YamlCase{"a: \"\nb: 1\n", "j.yaml:1:4: a quote is not closed; close it where the text ends"},
        YamlCase{"a: #\nb: 1\n",
                 "j.yaml:1:1: 'a' has no value: '#' begins a comment; put the value in quotes: \"#\""},
        // expressions
        YamlCase{
            "a: c = 'x: y'\n",
            "j.yaml:1:10: a ': ' inside a value; put the whole value in quotes, or below the key after '|'"},
        YamlCase{"a: \"Order ID\" > 0\n",
                 "j.yaml:1:4: text goes on behind a closing quote; put the whole value in the other "
                 "kind of quotes, or below the key after '|'"},
        YamlCase{"a: 'x' = a\n",
                 "j.yaml:1:4: text goes on behind a closing quote; put the whole value in the other kind of "
                 "quotes, or below the key after '|'"},
        YamlCase{"- a: 'x' = a\n",
                 "j.yaml:1:6: text goes on behind a closing quote; put the whole value in the other kind of "
                 "quotes, or below the key after '|'"},
        YamlCase{"a: > 0\n", "j.yaml:1:4: a value cannot begin with '>' in YAML; put it in quotes: \"> 0\""},
        YamlCase{
            "a: !done\n",
            "j.yaml:1:4: a value cannot begin with '!' (a YAML tag); put it in quotes if the text is meant"},
        YamlCase{
            "a: !!str x\n",
            "j.yaml:1:4: a value cannot begin with '!' (a YAML tag); put it in quotes if the text is meant"},
        YamlCase{
            "a: \"\\d\"\n",
            "j.yaml:1:5: in double quotes a backslash begins an escape, and this is none: \\d; use single "
            "quotes: there a backslash is a backslash"},
        // keys
        YamlCase{"a: 1\na: 2\n", "j.yaml:2:1: 'a' stands here twice; the first is in line 1"},
        YamlCase{"x: &x {a: 1}\nb: {<<: *x}\n",
                 "j.yaml:2:5: '<<' does not merge in YAML 1.2; use 'include', or write the keys out"},
        YamlCase{"? {a: b}\n: c\n",
                 "j.yaml:1:3: a key must be a text; put it in quotes if it begins with a bracket"},
        // nulls
        YamlCase{"a:\nb: 1\n",
                 "j.yaml:1:1: 'a' has no value; write one, or leave it out; \"\" is an empty text"},
        YamlCase{"a: ~\n", "j.yaml:1:1: 'a' is null; leave it out; \"\" is an empty text, \"null\" the word"},
        YamlCase{"a: null\n",
                 "j.yaml:1:1: 'a' is null; leave it out; \"\" is an empty text, \"null\" the word"},
        YamlCase{"a: [x, null]\n",
                 "j.yaml:1:8: this item is null; leave it out; \"\" is an empty text, \"null\" the word"},
        YamlCase{"a: 1\nb\n", "j.yaml:2:1: 'b' has no ':' and no value; write b: and a value"},
        YamlCase{"a: {path}\n",
                 "j.yaml:1:5: 'path' has no value; a text that begins with '{' stands in quotes"},
        // files
        YamlCase{"a: 1\n---\nb: 1\n",
                 "j.yaml:2:1: a second document begins here; one file has one job: take the '---' out"},
        YamlCase{"", "j.yaml:1:1: the file is empty"},
        YamlCase{"a: 1\n# \xFF\n", "j.yaml:2:3: not UTF-8; save the file as UTF-8"},
        YamlCase{
            "a: \x01\n",
            "j.yaml:1:4: a control character (0x01); take it out, or write it as an escape in double quotes"},
        YamlCase{"a: \"x\\0\"\n", "j.yaml:1:4: a text cannot hold the character 0"},
        YamlCase{"a:\n\tb: 1\n", "j.yaml:2:1: a tab in the indentation; indent with spaces"},
        YamlCase{"a:\n  b: 1\n\tc: 1\n", "j.yaml:3:1: a tab in the indentation; indent with spaces"},
        YamlCase{"a:\n  b: 1\n c: 2\n",
                 "j.yaml:3:2: this line does not fit the lines above it; keys of one map begin in the "
                 "same column; what belongs below a key is indented more"},
        YamlCase{"a: {b: 1\nc: 2\n",
                 "j.yaml:2:2: a '{' is not closed before this; close it, or put the value in quotes if the "
                 "bracket is part of it"},
        YamlCase{"a: &a [*a]\n",
                 "j.yaml:1:8: an alias stands inside the value that it names; write the value out"}));

TEST(Yaml, TabsInsideABlockAreText) {
  EXPECT_EQ(Root("sql: |\n  select\n  \t1\n").Find("sql")->text, "select\n\t1\n");
}

TEST(Yaml, SaysSeveralMistakesAtOnce) {
  EXPECT_THAT(Errors("a: null\nb: 1\nb: 2\nc: !x y\n"),
              ElementsAre(HasSubstr(":1:1: 'a' is null"), HasSubstr(":3:1: 'b' stands"),
                          HasSubstr(":4:4: a value cannot")));
}

std::string Repeat(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TEST(YamlBomb, AliasesThatBlowUp) {
  std::string laughs = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c < 'k'; ++c) {
    std::string alias = std::string("*") + static_cast<char>(c - 1);
    laughs += fmt::format("{}: &{} [{}]\n", c, c, fmt::join(std::vector<std::string>(10, alias), ","));
  }
  EXPECT_THAT(OnlyError(laughs), HasSubstr("too large: more than 100000 values"));
}

TEST(YamlBomb, LongTextsCopied) {
  EXPECT_THAT(OnlyError("a: &a " + std::string(1 << 20, 'x') + "\nb: [" + Repeat("*a, ", 50'000) + "x]\n"),
              HasSubstr("or 16777216 bytes"));
}

TEST(YamlBomb, NestedAnchors) {
  std::string text;
  for (int i = 0; i < 60; ++i) text += fmt::format("&n{} [", i);
  EXPECT_THAT(OnlyError("a: " + text + Repeat("x, ", 50'000) + Repeat("]", 60)), HasSubstr("too large"));
}

TEST(YamlBomb, Depth) {
  EXPECT_EQ(Errors(Repeat("[", 64) + Repeat("]", 64)).size(), 0u);
  EXPECT_THAT(OnlyError(Repeat("[", 65) + Repeat("]", 65)),
              HasSubstr("j.yaml:1:65: nested deeper than 64 levels"));
  EXPECT_THAT(OnlyError(Repeat("- ", 100'000)), HasSubstr("nested"));
  EXPECT_THAT(OnlyError("a: " + Repeat("{a: ", 1000)), HasSubstr("nested"));
}

TEST(YamlBomb, Size) {
  EXPECT_THAT(OnlyError(std::string((4 << 20) + 1, ' ')), HasSubstr("larger than 4194304 bytes"));
  EXPECT_THAT(OnlyError("a: [" + Repeat("ü,", 200'000) + "x]\n"),
              HasSubstr("too large: more than 100000 values"));
}

}  // namespace
}  // namespace tranche
