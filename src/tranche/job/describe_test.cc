#include "tranche/job/describe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tranche/job/job_testing.h"

namespace tranche {
namespace {

using ::testing::HasSubstr;

TEST(Describe, AComponentInAllItsRoles) {
  std::string text = DescribeComponent(TestRegistry(), "csv");
  EXPECT_THAT(text, HasSubstr("# csv (input)\n\nReads comma-separated files.\n\nA paragraph.\n"));
  EXPECT_THAT(text, HasSubstr("| `path` | path | required | Where. |\n"));
  EXPECT_THAT(text, HasSubstr("| `delimiter` | character | `comma` | What separates the fields. |\n"));
  EXPECT_THAT(text, HasSubstr("| `types` | map of column to type |  | Types of columns. |\n"));
  EXPECT_THAT(text, HasSubstr("```yaml\ncsv: {path: data.csv}\n```\n"));
  EXPECT_THAT(text, HasSubstr("# csv (store)"));
  EXPECT_THAT(text, HasSubstr("Modes: replace, append (default `replace`).\n"));
  EXPECT_THAT(text, HasSubstr("Guarantee: exactly once, by renaming.\n"));
  EXPECT_EQ(DescribeComponent(TestRegistry(), "nope"), "");
}

TEST(Describe, AStepWhoseValueIsNoObject) {
  EXPECT_THAT(DescribeComponent(TestRegistry(), "derive"),
              HasSubstr("Value: map of column to expression.\n"));
  EXPECT_THAT(DescribeComponent(TestRegistry(), "sql"), HasSubstr("| `path` | path | required | A file. |"));
}

TEST(Describe, Lists) {
  std::string all = DescribeAll(TestRegistry());
  EXPECT_THAT(all, HasSubstr("Inputs\n  csv    Reads comma-separated files.\n  lines  Reads lines.\n"));
  auto files = Reference(TestRegistry());
  EXPECT_THAT(files.at("README.md"), HasSubstr("- [csv](store-csv.md): Writes comma-separated files.\n"));
  EXPECT_THAT(files.at("input-lines.md"), HasSubstr("# lines (input)"));
  EXPECT_EQ(files.size(), 1u + 2 + 9 + 3);
}

TEST(Schema, HasEveryComponentAndKey) {
  auto schema = nlohmann::json::parse(JsonSchema(TestRegistry()));
  auto& top = schema["properties"];
  for (const char* key : {"job", "include", "parameters", "collect", "from", "prepare", "group", "process",
                          "store", "branches", "rejects", "run"}) {
    EXPECT_TRUE(top.contains(key)) << key;
  }
  auto& csv = top["collect"]["additionalProperties"]["properties"]["csv"];
  EXPECT_EQ(csv["required"], nlohmann::json::array({"path"}));
  EXPECT_EQ(csv["properties"]["delimiter"]["default"], "comma");
  EXPECT_EQ(csv["additionalProperties"], false);
  EXPECT_TRUE(schema["$defs"]["stores"]["additionalProperties"]["properties"].contains("parquet"));
  auto& steps = schema["$defs"]["steps"]["items"]["anyOf"];
  EXPECT_TRUE(steps[0]["properties"].contains("aggregate"));
  EXPECT_EQ(steps[1]["required"][0], "include");
}

}  // namespace
}  // namespace tranche
