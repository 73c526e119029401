#include "tranche/duckdb/prefetch.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <stop_token>
#include <thread>

#include <arrow/record_batch.h>

namespace tranche::duckdb {
namespace {

constexpr size_t kMostWaiting = 2;

class Prefetched : public Reader {
 public:
  explicit Prefetched(std::unique_ptr<Reader> reader)
      : reader_(std::move(reader)), thread_([this](const std::stop_token& stop) { ReadAhead(stop); }) {}

  std::shared_ptr<arrow::Schema> schema() const override { return reader_->schema(); }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !waiting_.empty(); });
    // The end, or an error, stays.
    if (!waiting_.front() || *waiting_.front() == nullptr) return waiting_.front();
    auto next = std::move(waiting_.front());
    waiting_.pop_front();
    changed_.notify_all();
    return next;
  }

 private:
  void ReadAhead(const std::stop_token& stop) {
    for (bool more = true; more;) {
      auto next = reader_->Next();
      more = next && *next != nullptr;
      std::unique_lock lock(mutex_);
      if (!changed_.wait(lock, stop, [&] { return waiting_.size() < kMostWaiting; })) return;
      waiting_.push_back(std::move(next));
      changed_.notify_all();
    }
  }

  std::unique_ptr<Reader> reader_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Result<std::shared_ptr<arrow::RecordBatch>>> waiting_;
  std::jthread thread_;  // last: it is joined before the rest goes
};

}  // namespace

std::unique_ptr<Reader> Prefetch(std::unique_ptr<Reader> reader) {
  return std::make_unique<Prefetched>(std::move(reader));
}

}  // namespace tranche::duckdb
