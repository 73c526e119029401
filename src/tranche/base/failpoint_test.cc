#include "tranche/base/failpoint.h"

#include <csignal>
#include <cstdlib>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tranche {
namespace {

// Arms in a child process only: the death tests fork, so this process stays inert.
[[noreturn]] void HitPoint(const char* spec, std::string_view name, int times) {
  setenv("TRANCHE_FAILPOINT", spec, 1);
  if (!ArmFailpoints()) std::exit(99);
  for (int i = 1; i <= times; ++i) {
    if (!Failpoint(name)) std::exit(i);
  }
  std::exit(0);
}

TEST(FailpointDeathTest, KillsAtTheNamedHit) {
  EXPECT_EXIT(HitPoint("segment.synced:kill@3", "segment.synced", 3), testing::KilledBySignal(SIGKILL), "");
  EXPECT_EXIT(HitPoint("segment.synced:kill", "segment.synced", 1), testing::KilledBySignal(SIGKILL), "");
  EXPECT_EXIT(HitPoint("segment.synced:kill@3", "segment.synced", 2), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(HitPoint("segment.synced:kill@1", "segment.renamed", 2), testing::ExitedWithCode(0), "");
}

TEST(FailpointDeathTest, ReturnsAnErrorOnce) {
  EXPECT_EXIT(HitPoint("part.written:error@2", "part.written", 5), testing::ExitedWithCode(2), "");
}

TEST(FailpointDeathTest, UnknownNameInTheCodeAborts) {
  EXPECT_EXIT(HitPoint("part.written:kill@9", "no.such", 1), testing::KilledBySignal(SIGABRT), "no.such");
}

TEST(Failpoint, InertWithoutTheVariable) {
  unsetenv("TRANCHE_FAILPOINT");
  EXPECT_TRUE(ArmFailpoints());
  for (std::string_view name : FailpointNames()) EXPECT_TRUE(Failpoint(name));
}

TEST(Failpoint, NamesAreDistinct) {
  auto names = FailpointNames();
  EXPECT_EQ(std::set<std::string_view>(names.begin(), names.end()).size(), names.size());
}

TEST(Failpoint, MistakesAreRefused) {
  for (const char* spec : {"segment.synced", "no.such:kill", "segment.synced:explode",
                           "segment.synced:kill@0", "segment.synced:kill@", "segment.synced:kill@1x"}) {
    setenv("TRANCHE_FAILPOINT", spec, 1);
    Status armed = ArmFailpoints();
    ASSERT_FALSE(armed) << spec;
    EXPECT_EQ(armed.error().code, Code::kJob);
    EXPECT_THAT(armed.error().message, testing::HasSubstr(spec));
  }
  unsetenv("TRANCHE_FAILPOINT");
}

}  // namespace
}  // namespace tranche
