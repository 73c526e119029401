#include <algorithm>
#include <condition_variable>
#include <mutex>

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
    TRANCHE_ARROW_ASSIGN(auto rows, "read", path_, reader_->ReadRecordBatch(index));
    int64_t first = borders_[index];
    if (rows->num_rows() != *border - first) return Damaged(path_, "block {} has another size", index);
    return rows->Slice(from - first, std::min(to, *border) - from);
  }

 private:
  std::string path_;
  std::shared_ptr<arrow::ipc::RecordBatchFileReader> reader_;
  std::vector<int64_t> borders_;  // numbers of the rows that begin a block, and the end
};

class SpoolReader : public Spool::Reader {
 public:
  SpoolReader(const Spool& spool, Span span) : spool_(spool), at_(span.from), to_(span.to) {}

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    if (at_ >= to_) return nullptr;
    if (!open_ || at_ >= segment_end_) {
      TRANCHE_ASSIGN(auto segment, spool_.Await(at_));
      if (!segment) return nullptr;
      if (segment->dropped) {
        return Fail(Code::kOutside, "rows {} to {} are missing in a store that had them, and spooled no more",
                    segment->span.from, segment->span.to)
            .Hint("bring the store back to where it was; or --again: give the run up (what it stored stays)");
      }
      std::string path = SegmentPath(spool_.folder(), segment->number);
      TRANCHE_ASSIGN(open_, OpenSegment::Open(std::move(path), *segment, *spool_.schema()));
      segment_end_ = segment->span.to;
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
  std::vector<SegmentInfo> segments = {};

  int64_t rows() const { return segments.empty() ? 0 : segments.back().span.to; }
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
  growth_->segments = std::move(segments);
  growth_->state = Growth::State::kSealed;
}

void Spool::Append(SegmentInfo segment) {
  const std::scoped_lock lock(growth_->mutex);
  growth_->segments.push_back(std::move(segment));
  growth_->changed.notify_all();
}

void Spool::Seal() { growth_->Set(Growth::State::kSealed); }
void Spool::Drop(int64_t row) {
  const std::scoped_lock lock(growth_->mutex);
  for (SegmentInfo& segment : growth_->segments) {
    if (segment.number == 0 || segment.dropped || segment.span.to > row) continue;
    segment.dropped = true;
    (void)RemoveFile(SegmentPath(folder_, segment.number));  // what stays goes with the run's folder
  }
}
void Spool::GiveUp() { growth_->Set(Growth::State::kGivenUp); }

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
  return growth_->segments;
}

Result<std::optional<SegmentInfo>> Spool::Await(int64_t row) const {
  std::unique_lock lock(growth_->mutex);
  growth_->changed.wait(lock,
                        [&] { return growth_->state != Growth::State::kGrows || growth_->rows() > row; });
  if (growth_->state == Growth::State::kGivenUp)
    return Fail(Code::kInternal, "the spool {} was given up", folder_);
  auto segment = std::ranges::upper_bound(growth_->segments, row, {},
                                          [](const SegmentInfo& info) { return info.span.to; });
  return segment == growth_->segments.end() ? std::nullopt : std::optional(*segment);
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
    if (!segment.dropped) TRANCHE_TRY(VerifySegment(path, segment));
  }
  return {};
}

Result<std::unique_ptr<Spool::Reader>> Spool::Read(Span span) const {
  if (span.from < 0 || span.to < span.from || (span.to > rows() && span.to != kEnd)) {
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
