#include "tranche/run/stop.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

namespace tranche {
namespace {

constexpr Duration kGrace = std::chrono::seconds(5);

sigset_t OurSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

[[noreturn]] void DieBy(int number) {
  ::signal(number, SIG_DFL);
  const sigset_t set = OurSignals();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  ::kill(::getpid(), number);
  _exit(128 + number);  // PID 1: the kernel has ignored it
}

}  // namespace

void StopSignal::Install() {
  const sigset_t set = OurSignals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  thread_ = std::thread([this] { Wait(); });
}

void StopSignal::SetTimeout(Duration timeout) { deadline_ = SystemClock().SteadyNanos() + timeout.count(); }

StopSignal::~StopSignal() {
  leaving_ = true;
  if (!thread_.joinable()) return;
  pthread_kill(thread_.native_handle(), SIGTERM);  // to the thread alone: it does not wait any longer
  thread_.join();
}

void StopSignal::Wait() {
  const sigset_t set = OurSignals();
  int64_t give_up = 0;
  while (!leaving_) {
    const timespec pause{.tv_sec = 0, .tv_nsec = 100'000'000};
    const int number = sigtimedwait(&set, nullptr, &pause);
    if (leaving_) return;
    const int64_t now = SystemClock().SteadyNanos();
    if (number > 0) {
      if (signal_ != 0) DieBy(number);  // asked twice
      Request(number);
      give_up = now + kGrace.count();
    }
    if (deadline_ != 0 && now > deadline_ && !requested_) Request(0);
    if (give_up != 0 && now > give_up) DieBy(signal_);
    if (requested_) {
      // Again and again: a query that begins just now would not hear the first call.
      std::lock_guard lock(mutex_);
      for (Engine* engine : engines_) engine->Interrupt();
    }
  }
}

void StopSignal::Request(int signal) {
  signal_ = signal;
  requested_ = true;
}

Status StopSignal::Check() const {
  if (!requested()) return {};
  if (signal_ == 0) {
    return Fail(Code::kOutside, "stopped: the run took longer than `timeout`").Hint("run it again to resume");
  }
  return Fail(Code::kOutside, "stopped by {}", signal_ == SIGINT ? "SIGINT" : "SIGTERM")
      .Hint("run it again to resume");
}

void StopSignal::RaiseAgain() {
  if (signal_ != 0) DieBy(signal_);
}

StopSignal::Watch::Watch(StopSignal& stop, Engine& engine) : stop_(stop), engine_(&engine) {
  std::lock_guard lock(stop_.mutex_);
  stop_.engines_.insert(engine_);
}

StopSignal::Watch::~Watch() {
  std::lock_guard lock(stop_.mutex_);
  stop_.engines_.erase(engine_);
}

}  // namespace tranche
