#include <gmock/gmock.h>

#include "tranche/sources/source_fixture.h"

namespace tranche {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class JsonSourceTest : public SourceFixture {
 protected:
  Outcome ReadJson(const std::string& content,
                   nlohmann::ordered_json options = nlohmann::ordered_json::object()) {
    if (!options.contains("path")) options["path"] = Write("a.json", content);
    return Read(JsonSource(), options);
  }
};

TEST_F(JsonSourceTest, GuessesTypes) {
  Outcome outcome = ReadJson(
      R"({"i": 1, "big": 9007199254740993, "u": 18446744073709551615, "d": 1, "b": true, "s": "12", "day": "2026-11-03",
 "at": "2026-11-03T10:00:00", "o": {"x": 1, "y": ["a"]}, "l": [1, 2], "n": null, "mix": 1}
{"i": 2, "big": 1, "u": 1, "d": 2.5, "b": null, "s": "x", "day": null, "o": {"x": 2}, "l": [], "mix": "x"}
)",
      {{"format", "values"}});
  EXPECT_EQ(outcome.columns,
            "i BIGINT, big BIGINT, u UBIGINT, d DOUBLE, b BOOLEAN, s VARCHAR, day DATE, at TIMESTAMP, o "
            "STRUCT(x BIGINT, y "
            "VARCHAR[]), l BIGINT[], n VARCHAR, mix VARCHAR");
  EXPECT_EQ(outcome.rows,
            "1|9007199254740993|18446744073709551615|1.0|true|12|2026-11-03|2026-11-03 10:00:00|{'x': 1, "
            "'y': [a]}|[1, "
            "2]|NULL|1\n"
            "2|1|1|2.5|NULL|x|NULL|NULL|{'x': 2, 'y': NULL}|[]|NULL|x\n");
  EXPECT_EQ(outcome.recovered, 0);
  EXPECT_EQ(outcome.read, 2);
  EXPECT_TRUE(outcome.exact);
}

TEST_F(JsonSourceTest, FindsTheFormat) {
  EXPECT_EQ(ReadJson("[{\"a\": 1}, {\"a\": 2}]").rows, "1\n2\n");
  EXPECT_EQ(ReadJson("{\"a\": 1}\n{\"a\": 2}").rows, "1\n2\n");
  EXPECT_EQ(ReadJson("{\n  \"a\": 1\n}\n{\n  \"a\": 2\n}\n").rows, "1\n2\n");
  EXPECT_EQ(ReadJson("\xEF\xBB\xBF{\"a\": 1}\n").rows, "1\n");
}

TEST_F(JsonSourceTest, RefusesBadLinesWithTheirPlace) {
  Outcome outcome = ReadJson(
      "{\"a\": 1, \"o\": {\"x\": 1}}\n\n{\"a\": \"foo\"}\n{\"a\": 2,\n[1]\n{\"a\": 1.5}\n{\"a\": 3, \"a\": "
      "4}\n"
      "{\"a\": 5, \"o\": {\"x\": \"y\"}}\n{\"a\": 6, \"o\": null}\n",
      {{"types", {{"a", "bigint"}, {"o", "struct(x bigint)"}}}});
  EXPECT_EQ(outcome.rows, "1|{'x': 1}\n6|NULL\n");
  EXPECT_THAT(
      outcome.rejects,
      ElementsAre("a.json:3 @25 a: \"foo\" is not of type BIGINT [{\"a\": \"foo\"}]",
                  "a.json:4 @38 -: is malformed JSON [{\"a\": 2,]", "a.json:5 @47 -: is not an object [[1]]",
                  "a.json:6 @51 a: \"1.5\" is not of type BIGINT [{\"a\": 1.5}]",
                  "a.json:7 @62 -: has a key twice [{\"a\": 3, \"a\": 4}]",
                  HasSubstr("a.json:8 @79 o: \"{\"x\":\"y\"}\" is not of type STRUCT(x BIGINT)")));
  EXPECT_EQ(outcome.recovered, 1);
  EXPECT_EQ(outcome.read, 8);
}

TEST_F(JsonSourceTest, RefusesBadItemsOfAnArray) {
  Outcome outcome = ReadJson("[{\"a\": 1}, {\"a\": \"x\"}, {\"a\": 3}]", {{"types", {{"a", "bigint"}}}});
  EXPECT_EQ(outcome.rows, "1\n3\n");
  EXPECT_THAT(outcome.rejects, ElementsAre("a.json:- @- a: \"x\" is not of type BIGINT [{\"a\": \"x\"}]"));
  outcome = ReadJson("[{\"a\": 1}, {\"a\": 2}, {\"a\": ");
  EXPECT_THAT(outcome.rows, HasSubstr("Malformed JSON in file \"a.json\""));
  EXPECT_EQ(outcome.code, Code::kData);
}

TEST_F(JsonSourceTest, PicksFieldsAndRows) {
  const std::string text =
      R"({"items": [{"id": 1, "user": {"login": "x", "a/b": 1.5}}, {"id": 2, "user": {"login": "y"}}], "page": 1}
{"items": [{"id": 3}], "page": 2}
)";
  Outcome outcome = ReadJson(
      text, {{"rows", "/items"}, {"fields", {{"id", "/id"}, {"login", "/user/login"}, {"r", "/user/a~1b"}}}});
  EXPECT_EQ(outcome.columns, "id BIGINT, login VARCHAR, r DOUBLE");
  EXPECT_EQ(outcome.rows, "1|x|1.5\n2|y|NULL\n3|NULL|NULL\n");
  outcome = ReadJson(text, {{"rows", "/items"}});
  EXPECT_EQ(outcome.columns, "id BIGINT, user STRUCT(login VARCHAR, \"a/b\" DOUBLE)");
  outcome = ReadJson(text + "{\"items\": 5}\n", {{"rows", "/items"}, {"fields", {{"id", "/id"}}}});
  EXPECT_EQ(outcome.rows, "1\n2\n3\n");
  EXPECT_THAT(outcome.rejects,
              ElementsAre(HasSubstr("a.json:3 @139 -: has no array at /items [{\"items\": 5}]")));
}

TEST_F(JsonSourceTest, ReadsFormatsOfDates) {
  Outcome outcome = ReadJson("{\"d\": \"03.11.2026\"}\n{\"d\": \"2026-11-03\"}\n",
                             {{"types", {{"d", {{"date", "%d.%m.%Y"}}}}}});
  EXPECT_EQ(outcome.rows, "2026-11-03\n");
  EXPECT_THAT(outcome.rejects,
              ElementsAre(HasSubstr("a.json:2 @20 d: \"2026-11-03\" is not of type DATE as %d.%m.%Y")));
}

TEST_F(JsonSourceTest, ReadsManyFiles) {
  Write("x/1.ndjson", "{\"a\": 1}\n");
  Write("x/2.ndjson", "{\"b\": \"q\", \"a\": 2}\n");
  EXPECT_EQ(ReadJson("", {{"path", Path("x/*.ndjson")}}).rows, "1|NULL\n2|q\n");
}

TEST_F(JsonSourceTest, Mistakes) {
  EXPECT_THAT(ReadJson("{\"a\": 1, \"A\": 2}\n").rows, HasSubstr("keys 'a' and 'A' differ only by case"));
  EXPECT_THAT(ReadJson("").rows, HasSubstr("a.json holds no objects"));
  EXPECT_THAT(ReadJson("{\"a\": 1}", {{"fields", {{"a", "a"}}}}).rows, HasSubstr("'a' is no JSON pointer"));
}

// Lines that are flat are read in another way than those that are not.
TEST_F(JsonSourceTest, FlatLinesAreReadAsTheOthersAre) {
  const std::string clean =
      "{\"d\":1,\"t\":\"a\",\"n\":2}\n\t{ \"t\"\t:\"\" , \"d\" : -0 }\t\n{\"n\": 0.10, \"d\": 0.10}\r\n"
      "{\"t\": 12, \"d\": null, \"n\": null}\n{\"t\": -7}\n{\"t\": -0}\n{\"t\": true, \"n\": "
      "9999999.99}\n{\"t\": "
      "\"\xC3\xA9 {}\"}\n"
      "{\"d\": 123456789012345, \"t\": 1234567890123456789}\n{\"d\": 0.1234567890123456789}\n";
  const nlohmann::ordered_json types = {{"types", {{"d", "double"}, {"t", "text"}, {"n", "decimal(9,2)"}}},
                                        {"format", "lines"}};
  const Outcome fast = ReadJson(clean, types);
  EXPECT_EQ(fast.recovered, 0) << fast.rows;
  for (const char* bad : {R"({"d": 01})",
                          R"({"d": 1.})",
                          R"({"d": -})",
                          R"({"d": .5})",
                          R"({"d": +5})",
                          R"({"d": 1 2})",
                          R"({"t": "1" "2"})",
                          R"({"d": 1}})",
                          R"({"d": 1} x)",
                          R"({"d" 1})",
                          R"({"d": 1 "t": "a"})",
                          R"({"t": truee})",
                          R"({"t": "a)",
                          R"({"t": "a\"})",
                          "{\"t\": \"\x01\"}",
                          R"({"d": 1, "d": 2})",
                          R"({"d": "x"})",

                          R"({"n": 1e9})",
                          R"({"n": 10000000})",
                          R"({,})",
                          R"({"d": 1,,})",
                          R"({d: 1})",
                          R"({'d': 1})",
                          R"({"d": 1)",
                          "{"}) {
    const Outcome careful = ReadJson(clean + bad + "\n", types);
    EXPECT_EQ(careful.recovered, 1) << bad;
    EXPECT_EQ(careful.rows, fast.rows) << bad;
    EXPECT_EQ(careful.rejects.size(), 1u) << bad;
  }
}

// The engine reads the clean file, our own reader the one with a bad line.
TEST_F(JsonSourceTest, ABadLineChangesNothingOfTheOthers) {
  const std::string clean =
      R"({"t": 1e2, "d": 1e2, "o": {"x": [1, 2.50, "\u00e9\n\"", null, true]}, "day": "2026-11-03", "n": 12.50}
{"t": 1.50, "d": 0.1, "o": {"x": []}, "day": null, "n": 3}
{"t": 100.0, "d": -0.0, "o": null, "extra": {"deep": [[[]]]}, "day": "0001-01-01", "n": -0.01}
{"n": 9999999.99, "t": 1.5e-7, "d": 5e-324}
{"t": 0.000001, "o": {"x": ["a\/b", "\ud83d\ude00"]}, "day": "2026-01-01"}
{"t": 1e25, "d": 1.7976931348623157e308}
{"t": 123456789012345678, "d": 12345678901234567890}
{"t": true}
{"t": false}
{"t": ""}
{"t": "\u0001\t tab"}
{"t": {"a" : 1.0, "b" : [ 1e2 , "\u00e9" ] }}
{"t": [1,  2]}
{"t": [1e15, 1e16, 1e17, 1e20, 1e21, 1e22, 1e-4, 1e-5, 1e-6, 1e-7, 1.25e-10, 123456789.5e20, -0.0, 5e-324]}
{"t": 1e15}
{"t": 1e16}
{"t": 1e-4}
{"t": 1e-5}
{"t": 123456789012345.5}
{"t": -0.0}
{"t": 5e-324}
{"t": 1.7976931348623157e308}
{"t": 1,}
{"t": NaN, "d": NaN}
{"t": -Infinity}
{"t": 123456789012345678901234567890}
{"d": 123456789012345678901234567890, "t": [123456789012345678901234567890, 1, ]}
{"t": "\u0000x"}
{}
)";
  const nlohmann::ordered_json types = {{"types",
                                         {{"t", "text"},
                                          {"d", "double"},
                                          {"o", "struct(x varchar[])"},
                                          {"day", "date"},
                                          {"n", "decimal(9,2)"}}},
                                        {"format", "lines"}};
  const Outcome fast = ReadJson(clean, types);
  const Outcome careful = ReadJson(clean + "{bad\n", types);
  EXPECT_EQ(fast.recovered, 0) << fast.rows;
  EXPECT_EQ(careful.recovered, 1);
  EXPECT_EQ(careful.rows, fast.rows);
  EXPECT_THAT(careful.rejects, ElementsAre("a.json:30 @1013 -: is malformed JSON [{bad]"));
}

}  // namespace
}  // namespace tranche
