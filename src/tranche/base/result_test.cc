#include "tranche/base/result.h"

#include <cerrno>

#include <gtest/gtest.h>

namespace tranche {
namespace {

Result<int> Half(int number) {
  if (number % 2 != 0) return Fail(Code::kData, "odd number: {}", number);
  return number / 2;
}
Result<int> Quarter(int number) {
  TRANCHE_ASSIGN(int half, Half(number));
  TRANCHE_TRY(Half(half));
  return Half(half);
}

TEST(Result, CarriesTheFirstError) {
  EXPECT_EQ(Quarter(8).value(), 2);
  EXPECT_EQ(Quarter(6).error().message, "odd number: 3");
  EXPECT_EQ(Quarter(5).error().code, Code::kData);
}

TEST(Error, SaysPlaceMessageAndHint) {
  Error error = Fail(Code::kJob, "unknown field '{}'", "windw");
  EXPECT_EQ(error.ToString(), "unknown field 'windw'");
  Error placed = std::move(error).In("group").At({"a.yaml", 14, 9}).At({"b.yaml", 1, 1}).Hint("look");
  EXPECT_EQ(placed.ToString(), "a.yaml:14:9: group: unknown field 'windw'; look");
  EXPECT_EQ((Place{"a.yaml", 3, 0}).ToString(), "a.yaml:3");
  EXPECT_EQ((Place{"a.yaml"}).ToString(), "a.yaml");
  EXPECT_EQ(Place{}.ToString(), "");
}

TEST(Error, OfTheSystemNamesTheFile) {
  EXPECT_EQ(FailErrno("open", "/x", ENOENT).message, "cannot open /x: No such file or directory");
}

TEST(ExitCode, IsFixed) {
  EXPECT_EQ(ExitCode(Code::kOutside), 1);
  EXPECT_EQ(ExitCode(Code::kJob), 2);
  EXPECT_EQ(ExitCode(Code::kData), 3);
  EXPECT_EQ(ExitCode(Code::kBusy), 4);
  EXPECT_EQ(ExitCode(Code::kInternal), 70);
}

}  // namespace
}  // namespace tranche
