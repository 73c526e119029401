// The calls of a driver of ADBC, none longer than a timeout. For the files adbc*.cc alone.
//
// A driver may wait for its server for ever, within any call, and cancelling may not help it (that of Flight
// SQL, for one). So calls are made by a thread of the caller's, and one that does not end is left behind.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include <arrow-adbc/adbc.h>

#include "tranche/base/clock.h"

namespace tranche::sql {

class AdbcCaller {
 public:
  AdbcCaller();
  ~AdbcCaller();
  AdbcCaller(const AdbcCaller&) = delete;
  AdbcCaller& operator=(const AdbcCaller&) = delete;

  // What `call` returns. After the timeout `cancel` is called; if that does not end it soon, it goes on with
  // all that the two functions hold, and nothing is returned, now and by every later Do.
  std::optional<AdbcStatusCode> Do(Duration timeout, std::function<AdbcStatusCode()> call,
                                   std::function<void()> cancel);
  // Whether a call took longer: it, or the next one, may have failed as it was cancelled.
  bool late() const { return late_; }

 private:
  struct Shared;
  static void Serve(Shared& shared);

  std::shared_ptr<Shared> shared_;
  bool late_ = false;
  bool left_ = false;  // a call was left behind
  std::thread thread_;
};

}  // namespace tranche::sql
