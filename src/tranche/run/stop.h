// StopSignal: somebody wants the run to end early: SIGINT, SIGTERM, or the job's time-out.
//
// Install() makes one thread wait for the signals. On the first it asks: stop_requested() is true from then
// on, and the engines that are watched are interrupted, so that the batch in hand is finished or left. If the
// process is still there five seconds later the signal takes its course; what is stored stays right (that is
// what the protocol is for).
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "tranche/base/clock.h"
#include "tranche/base/result.h"
#include "tranche/connector/engine.h"

namespace tranche {

class StopSignal {
 public:
  StopSignal() = default;
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;

  // Before any other thread is started: the signals are blocked in all threads that come after.
  void Install();
  void SetTimeout(Duration timeout);

  bool by_signal() const { return signal_ != 0; }
  bool requested() const { return requested_.load(std::memory_order_relaxed); }
  // An Error of Code::kOutside that says who asked, if somebody did.
  Status Check() const;
  // Ends the process by the signal that came, if one came: the shell sees 130 or 143. As PID 1, which no
  // signal kills, it exits with that number.
  void RaiseAgain();

  // Interrupts `engine` when a stop is requested, as long as the Watch lives.
  class Watch {
   public:
    Watch(StopSignal& stop, Engine& engine);
    ~Watch();
    Watch(const Watch&) = delete;

   private:
    StopSignal& stop_;
    Engine* engine_;
  };

 private:
  void Wait();
  void Request(int signal);

  std::atomic<bool> requested_ = false;
  std::atomic<int> signal_ = 0;
  std::atomic<int64_t> deadline_ = 0;  // steady nanoseconds; 0 = none
  std::atomic<bool> leaving_ = false;
  std::mutex mutex_;
  std::set<Engine*> engines_;
  std::thread thread_;
};

}  // namespace tranche
