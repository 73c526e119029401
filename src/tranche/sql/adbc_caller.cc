#include "tranche/sql/adbc_caller.h"

#include <condition_variable>
#include <mutex>
#include <utility>

namespace tranche::sql {
namespace {

constexpr Duration kGrace = std::chrono::seconds(2);  // to end after it was cancelled

}  // namespace

struct AdbcCaller::Shared {
  std::mutex mutex;
  std::condition_variable changed;
  std::function<AdbcStatusCode()> call;  // to be made
  std::optional<AdbcStatusCode> result;
  bool ended = false;
};

AdbcCaller::AdbcCaller()
    : shared_(std::make_shared<Shared>()), thread_([shared = shared_] { Serve(*shared); }) {}

AdbcCaller::~AdbcCaller() {
  {
    std::lock_guard lock(shared_->mutex);
    shared_->ended = true;
  }
  shared_->changed.notify_all();
  if (!left_) thread_.join();
}

void AdbcCaller::Serve(Shared& shared) {
  std::unique_lock lock(shared.mutex);
  while (true) {
    shared.changed.wait(lock, [&] { return shared.ended || shared.call; });
    if (!shared.call) return;
    auto call = std::exchange(shared.call, nullptr);
    lock.unlock();
    const AdbcStatusCode status = call();
    call = nullptr;  // where nobody waits any more, what it holds goes here
    lock.lock();
    shared.result = status;
    shared.changed.notify_all();
  }
}

std::optional<AdbcStatusCode> AdbcCaller::Do(Duration timeout, std::function<AdbcStatusCode()> call,
                                             std::function<void()> cancel) {
  if (left_) return std::nullopt;
  std::unique_lock lock(shared_->mutex);
  shared_->result.reset();
  shared_->call = std::move(call);
  shared_->changed.notify_all();
  const auto done = [&] { return shared_->result.has_value(); };
  if (!shared_->changed.wait_for(lock, timeout, done)) {
    late_ = true;
    lock.unlock();
    std::thread(std::move(cancel)).detach();  // it may ask the server, which does not answer
    lock.lock();
    left_ = !shared_->changed.wait_for(lock, kGrace, done);
    if (left_) thread_.detach();
  }
  return shared_->result;
}

}  // namespace tranche::sql
