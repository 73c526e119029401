#include "tranche/sql/adbc_caller.h"

#include <future>

#include <gtest/gtest.h>

namespace tranche::sql {
namespace {

constexpr Duration kLong = std::chrono::minutes(10);
constexpr Duration kShort = std::chrono::milliseconds(10);

TEST(AdbcCaller, ReturnsWhatTheDriverSays) {
  AdbcCaller caller;
  for (const AdbcStatusCode status : {ADBC_STATUS_OK, ADBC_STATUS_IO, ADBC_STATUS_OK}) {
    EXPECT_EQ(caller.Do(kLong, [status] { return status; }, [] { FAIL(); }), status);
  }
  EXPECT_FALSE(caller.late());
}

TEST(AdbcCaller, CancelsWhatIsLate) {
  AdbcCaller caller;
  auto cancelled = std::make_shared<std::promise<void>>();
  const auto status = caller.Do(
      kShort,
      [cancelled]() -> AdbcStatusCode {
        cancelled->get_future().wait();
        return ADBC_STATUS_CANCELLED;
      },
      [cancelled] { cancelled->set_value(); });
  EXPECT_EQ(status, ADBC_STATUS_CANCELLED);
  EXPECT_TRUE(caller.late());
  EXPECT_EQ(caller.Do(kLong, [] { return ADBC_STATUS_OK; }, [] {}), ADBC_STATUS_OK);
}

TEST(AdbcCaller, LeavesBehindWhatDoesNotStop) {
  std::promise<void> answered, gone;
  const auto answer = answered.get_future().share();
  auto released = gone.get_future();
  {
    AdbcCaller caller;
    auto witness = std::shared_ptr<int>(new int(), [&gone](int* own) {
      delete own;
      gone.set_value();
    });
    const auto status = caller.Do(
        kShort,
        [answer, witness = std::move(witness)]() -> AdbcStatusCode {
          answer.wait();
          return ADBC_STATUS_OK;
        },
        [] {});
    EXPECT_EQ(status, std::nullopt);
    EXPECT_EQ(caller.Do(
                  kLong,
                  []() -> AdbcStatusCode {
                    ADD_FAILURE() << "the driver is still at it";
                    return ADBC_STATUS_OK;
                  },
                  [] {}),
              std::nullopt);
  }
  EXPECT_EQ(released.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  answered.set_value();
  released.wait();  // what the call held goes with it
}

}  // namespace
}  // namespace tranche::sql
