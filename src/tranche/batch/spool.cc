#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <set>
#include <span>
#include <utility>

#include <arrow/io/file.h>
#include <arrow/ipc/reader.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>

#include "tranche/base/file.h"
#include "tranche/base/hash.h"
#include "tranche/batch/arrow_error.h"
#include "tranche/batch/segment.h"
#include "tranche/batch/segment_format.h"

namespace tranche {
namespace {

template <typename... Args>
Error Damaged(const std::string& path, fmt::format_string<Args...> format, Args&&... args) {
  return Fail(Code::kOutside, "spool segment {} is damaged: {}", path,
              fmt::format(format, std::forward<Args>(args)...))
      .Hint("put the file back, or begin anew with --again");
}

Status VerifySegment(const std::string& path, const SegmentInfo& segment) {
  TRANCHE_ASSIGN(FileIdentity identity, Identify(path));
  if (identity.size != segment.bytes) {
    return Damaged(path, "it has {} bytes instead of {}", identity.size, segment.bytes);
  }
  TRANCHE_ASSIGN(std::string checksum, HashFile(path));
  if (checksum != segment.checksum) {
    return Damaged(path, "its checksum is {} instead of {}", checksum, segment.checksum);
  }
  return {};
}

// One segment, open for reading. Reads into memory rather than mapping the file: a file that is cut meanwhile
// is an error then, and no signal.
class OpenSegment {
 public:
  static OpenSegment Hold(std::shared_ptr<const RecordBatches> rows, int64_t first_row) {
    OpenSegment open;
    open.held_ = std::move(rows);
    open.borders_.push_back(first_row);
    for (const auto& piece : *open.held_) open.borders_.push_back(open.borders_.back() + piece->num_rows());
    return open;
  }

  static Result<OpenSegment> Open(std::string path, const SegmentInfo& segment, const arrow::Schema& schema) {
    OpenSegment open;
    open.path_ = std::move(path);
    TRANCHE_ARROW_ASSIGN(auto file, "open", open.path_, arrow::io::ReadableFile::Open(open.path_));
    auto options = arrow::ipc::IpcReadOptions::Defaults();
    options.use_threads = false;
    TRANCHE_ARROW_ASSIGN(open.reader_, "read", open.path_,
                         arrow::ipc::RecordBatchFileReader::Open(std::move(file), options));
    if (!open.reader_->schema()->Equals(schema, false)) {
      return Damaged(open.path_, "its columns are [{}] instead of [{}]", open.reader_->schema()->ToString(),
                     schema.ToString());
    }
    auto metadata = open.reader_->metadata();
    auto text = metadata ? metadata->Get(kBlocksKey) : arrow::Status::KeyError("no metadata");
    auto blocks = text.ok() ? ParseBlocks(*text) : std::nullopt;
    if (!blocks || static_cast<int>(blocks->size()) != open.reader_->num_record_batches()) {
      return Damaged(open.path_, "its footer does not list its blocks");
    }
    open.borders_.push_back(segment.span.from);
    for (int64_t rows : *blocks) open.borders_.push_back(open.borders_.back() + rows);
    if (open.borders_.back() != segment.span.to) {
      return Damaged(open.path_, "it has {} rows instead of {}", open.borders_.back() - segment.span.from,
                     segment.span.rows());
    }
    return open;
  }

  // The rows of the block that holds row `from`, from there on and before `to`.
  Result<std::shared_ptr<arrow::RecordBatch>> Read(int64_t from, int64_t to) const {
    auto border = std::ranges::upper_bound(borders_, from);
    auto index = static_cast<int>(border - borders_.begin()) - 1;
    const int64_t first = borders_[index];
    if (held_) return (*held_)[index]->Slice(from - first, std::min(to, *border) - from);
    TRANCHE_ARROW_ASSIGN(auto rows, "read", path_, reader_->ReadRecordBatch(index));
    if (rows->num_rows() != *border - first) return Damaged(path_, "block {} has another size", index);
    return rows->Slice(from - first, std::min(to, *border) - from);
  }

 private:
  std::string path_;
  std::shared_ptr<arrow::ipc::RecordBatchFileReader> reader_;
  std::shared_ptr<const RecordBatches> held_;  // instead of a file
  std::vector<int64_t> borders_;               // numbers of the rows that begin a block, and the end
};

class SpoolReader : public Spool::Reader {
 public:
  SpoolReader(const Spool& spool, Span span) : spool_(spool), at_(span.from), to_(span.to) {}

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    if (at_ >= to_) return nullptr;
    if (!open_ || at_ >= segment_end_) {
      TRANCHE_ASSIGN(auto segment, spool_.Await(at_));
      if (!segment) return nullptr;
      const SegmentInfo& info = segment->info;
      if (segment->rows) {
        open_ = OpenSegment::Hold(std::move(segment->rows), info.span.from);
      } else if (info.file) {
        std::string path = SegmentPath(spool_.folder(), info.number);
        TRANCHE_ASSIGN(open_, OpenSegment::Open(std::move(path), info, *spool_.schema()));
      } else {
        return Fail(Code::kOutside, "rows {} to {} are missing in a store that had them, and spooled no more",
                    info.span.from, info.span.to)
            .Hint("bring the store back to where it was; or --again: give the run up (what it stored stays)");
      }
      segment_end_ = info.span.to;
    }
    TRANCHE_ASSIGN(auto rows, open_->Read(at_, to_));
    at_ += rows->num_rows();
    return rows;
  }

 private:
  Spool spool_;
  int64_t at_, to_;
  std::optional<OpenSegment> open_;
  int64_t segment_end_ = 0;
};

}  // namespace

struct Spool::Growth {
  enum class State { kGrows, kSealed, kGivenUp };
  std::mutex mutex;
  std::condition_variable changed;
  State state = State::kGrows;
  struct Entry : Held {
    int64_t bytes = 0;  // of the rows in memory
  };
  std::vector<Entry> segments = {};
  int64_t held = 0;                // bytes in memory
  std::multiset<int64_t> awaited;  // rows; they may have come, and who waits not have woken up

  int64_t rows() const { return segments.empty() ? 0 : segments.back().info.span.to; }
  bool wanted() const { return !awaited.empty() && *awaited.rbegin() >= rows(); }
  auto EndsBehind(int64_t row) {
    return std::ranges::upper_bound(segments, row, {}, [](const Entry& entry) { return entry.info.span.to; });
  }
  // Those that end at `row` or before and are not gone with all before them; never the first of all.
  std::span<Entry> ToDrop(int64_t row) {
    const auto end = EndsBehind(row);
    auto begin = end;
    while (begin - segments.begin() > 1 && (std::prev(begin)->info.file || std::prev(begin)->rows)) --begin;
    return {begin, end};
  }
  void Set(State to) {
    const std::scoped_lock lock(mutex);
    state = to;
    changed.notify_all();
  }
};

Spool::Spool(std::string folder, const std::shared_ptr<arrow::Schema>& schema)
    : folder_(std::move(folder)), schema_(PlainSchema(*schema)), growth_(std::make_shared<Growth>()) {}

Spool::Spool(std::string folder, const std::shared_ptr<arrow::Schema>& schema,
             std::vector<SegmentInfo> segments)
    : Spool(std::move(folder), schema) {
  for (SegmentInfo& segment : segments) Append(std::move(segment));
  growth_->state = Growth::State::kSealed;
}

void Spool::Append(SegmentInfo segment, RecordBatches rows, int64_t bytes) {
  const std::scoped_lock lock(growth_->mutex);
  auto held = rows.empty() ? nullptr : std::make_shared<const RecordBatches>(std::move(rows));
  growth_->segments.push_back({{std::move(segment), std::move(held)}, bytes});
  growth_->held += bytes;
  growth_->changed.notify_all();
}

void Spool::Seal() { growth_->Set(Growth::State::kSealed); }
void Spool::GiveUp() { growth_->Set(Growth::State::kGivenUp); }

void Spool::Drop(int64_t row) {
  const std::scoped_lock lock(growth_->mutex);
  for (Growth::Entry& segment : growth_->ToDrop(row)) {
    // A file that can't be removed goes with the run's folder.
    if (std::exchange(segment.info.file, false)) (void)RemoveFile(SegmentPath(folder_, segment.info.number));
    segment.rows = nullptr;
    growth_->held -= std::exchange(segment.bytes, 0);
  }
  growth_->changed.notify_all();
}

bool Spool::HasFilesToDrop(int64_t row) const {
  const std::scoped_lock lock(growth_->mutex);
  return std::ranges::any_of(growth_->ToDrop(row), [](const auto& segment) { return segment.info.file; });
}

Spool::Room Spool::AwaitRoom(int64_t most, Duration timeout) const {
  std::unique_lock lock(growth_->mutex);
  growth_->changed.wait_for(lock, timeout, [&] { return growth_->held <= most || growth_->wanted(); });
  return growth_->held <= most ? Room::kThere : growth_->wanted() ? Room::kWanted : Room::kNone;
}

bool Spool::AwaitDropped(Duration timeout) const {
  std::unique_lock lock(growth_->mutex);
  return growth_->changed.wait_for(lock, timeout, [&] { return growth_->ToDrop(growth_->rows()).empty(); });
}

int64_t Spool::held() const {
  const std::scoped_lock lock(growth_->mutex);
  return growth_->held;
}

int64_t Spool::rows() const {
  const std::scoped_lock lock(growth_->mutex);
  return growth_->rows();
}

int64_t Spool::end() const {
  const std::scoped_lock lock(growth_->mutex);
  return growth_->state == Growth::State::kSealed ? growth_->rows() : kEnd;
}

std::vector<SegmentInfo> Spool::segments() const {
  const std::scoped_lock lock(growth_->mutex);
  std::vector<SegmentInfo> infos;
  for (const auto& segment : growth_->segments) infos.push_back(segment.info);
  return infos;
}

Result<std::optional<Spool::Held>> Spool::Await(int64_t row) const {
  std::unique_lock lock(growth_->mutex);
  const auto there = [&] { return growth_->state != Growth::State::kGrows || growth_->rows() > row; };
  if (!there()) {
    const auto awaited = growth_->awaited.insert(row);
    growth_->changed.notify_all();
    growth_->changed.wait(lock, there);
    growth_->awaited.erase(awaited);
  }
  if (growth_->state == Growth::State::kGivenUp)
    return Fail(Code::kInternal, "the spool {} was given up", folder_);
  const auto segment = growth_->EndsBehind(row);
  return segment == growth_->segments.end() ? std::nullopt : std::optional<Held>(*segment);
}

Status Spool::Verify() const {
  int number = 0;
  int64_t row = 0;
  for (const SegmentInfo& segment : segments()) {
    std::string path = SegmentPath(folder_, segment.number);
    if (segment.number != number++ || segment.span.from != row || segment.span.to < row) {
      return Damaged(path, "it does not follow the segment before it");
    }
    row = segment.span.to;
    if (segment.file) TRANCHE_TRY(VerifySegment(path, segment));
  }
  return {};
}

Result<std::unique_ptr<Spool::Reader>> Spool::Read(Span span) const {
  if (span.from < 0 || span.to < span.from || (span.to > end() && span.to != kEnd)) {
    return Fail(Code::kInternal, "rows {} to {} of {}, which has {}", span.from, span.to, folder_, rows());
  }
  return std::make_unique<SpoolReader>(*this, span);
}

Result<std::shared_ptr<arrow::Schema>> SchemaOfSegment(const std::string& path) {
  TRANCHE_ARROW_ASSIGN(auto file, "open", path, arrow::io::ReadableFile::Open(path));
  TRANCHE_ARROW_ASSIGN(auto reader, "read", path, arrow::ipc::RecordBatchFileReader::Open(std::move(file)));
  return reader->schema();
}

}  // namespace tranche
