#include "tranche/sources/merged.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <stop_token>
#include <thread>

#include <arrow/record_batch.h>

namespace tranche {
namespace {

using Rows = std::shared_ptr<arrow::RecordBatch>;

class Merged : public Reader {
 public:
  Merged(std::shared_ptr<arrow::Schema> schema, std::vector<ReaderFactory> parts)
      : schema_(std::move(schema)), parts_(std::move(parts)), open_(parts_.size()) {
    for (const ReaderFactory& part : parts_) {
      threads_.emplace_back([this, &part](const std::stop_token& stop) { Read(part, stop); });
    }
  }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  Result<Rows> Next() override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return failed_ || !waiting_.empty() || open_ == 0; });
    if (failed_) return *failed_;
    if (waiting_.empty()) return nullptr;
    Rows next = std::move(waiting_.front());
    waiting_.pop_front();
    changed_.notify_all();
    return next;
  }

 private:
  void Read(const ReaderFactory& part, const std::stop_token& stop) {
    Status status = [&]() -> Status {
      TRANCHE_ASSIGN(auto reader, part());
      while (true) {
        TRANCHE_ASSIGN(Rows next, reader->Next());
        if (next == nullptr) return {};
        std::unique_lock lock(mutex_);
        // One of each part waits, while the next one is read.
        changed_.wait(lock, stop, [&] { return failed_ || waiting_.size() < parts_.size(); });
        if (failed_ || stop.stop_requested()) return {};
        waiting_.push_back(std::move(next));
        changed_.notify_all();
      }
    }();
    const std::scoped_lock lock(mutex_);
    if (!status && !failed_) failed_ = std::move(status).error();
    --open_;
    changed_.notify_all();
  }

  std::shared_ptr<arrow::Schema> schema_;
  const std::vector<ReaderFactory> parts_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Rows> waiting_;
  std::optional<Error> failed_;
  size_t open_;
  std::vector<std::jthread> threads_;  // last: they are joined before the rest goes
};

}  // namespace

std::unique_ptr<Reader> Merge(std::shared_ptr<arrow::Schema> schema, std::vector<ReaderFactory> parts) {
  return std::make_unique<Merged>(std::move(schema), std::move(parts));
}

}  // namespace tranche
