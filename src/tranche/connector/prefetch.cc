#include "tranche/connector/prefetch.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <stop_token>
#include <thread>

#include <arrow/record_batch.h>

namespace tranche {
namespace {

constexpr size_t kMostWaiting = 2;

class Prefetched : public Reader {
 public:
  explicit Prefetched(std::vector<std::unique_ptr<Reader>> readers)
      : readers_(std::move(readers)), reading_(readers_.size()) {
    for (const auto& reader : readers_) {
      threads_.emplace_back([this, &reader](const std::stop_token& stop) { ReadAhead(*reader, stop); });
    }
  }

  std::shared_ptr<arrow::Schema> schema() const override { return readers_.front()->schema(); }

  bool shared() const override { return readers_.size() > 1; }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !waiting_.empty() || failed_ || reading_ == 0; });
    if (!waiting_.empty()) {
      auto next = std::move(waiting_.front());
      waiting_.pop_front();
      changed_.notify_all();
      return next;
    }
    if (failed_) return *failed_;
    return nullptr;
  }

 private:
  void ReadAhead(Reader& reader, const std::stop_token& stop) {
    const size_t most = std::max(kMostWaiting, readers_.size());
    while (true) {
      auto next = reader.Next();
      std::unique_lock lock(mutex_);
      if (!next || *next == nullptr) {
        if (!next && !failed_) failed_ = std::move(next).error();
        --reading_;
        changed_.notify_all();
        return;
      }
      if (!changed_.wait(lock, stop, [&] { return failed_ || waiting_.size() < most; }) || failed_) return;
      waiting_.push_back(*std::move(next));
      changed_.notify_all();
    }
  }

  const std::vector<std::unique_ptr<Reader>> readers_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<std::shared_ptr<arrow::RecordBatch>> waiting_;
  std::optional<Error> failed_;
  size_t reading_;                     // readers that have not ended
  std::vector<std::jthread> threads_;  // last: they are joined before the rest goes
};

}  // namespace

std::unique_ptr<Reader> Prefetch(std::vector<std::unique_ptr<Reader>> readers) {
  return std::make_unique<Prefetched>(std::move(readers));
}

}  // namespace tranche
