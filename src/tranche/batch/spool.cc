#include <algorithm>

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
    if (!open_ || at_ >= segment_end_) TRANCHE_TRY(OpenAt(at_));
    TRANCHE_ASSIGN(auto rows, open_->Read(at_, to_));
    at_ += rows->num_rows();
    return rows;
  }

 private:
  Status OpenAt(int64_t row) {
    auto segment = std::ranges::upper_bound(spool_.segments(), row, {},
                                            [](const SegmentInfo& info) { return info.span.to; });
    TRANCHE_ASSIGN(
        open_, OpenSegment::Open(SegmentPath(spool_.folder(), segment->number), *segment, *spool_.schema()));
    segment_end_ = segment->span.to;
    return {};
  }

  // A copy, so that a reader outlives the spool that made it.
  Spool spool_;
  int64_t at_, to_;
  std::optional<OpenSegment> open_;
  int64_t segment_end_ = 0;
};

}  // namespace

Spool::Spool(std::string folder, const std::shared_ptr<arrow::Schema>& schema,
             std::vector<SegmentInfo> segments)
    : folder_(std::move(folder)), schema_(PlainSchema(*schema)), segments_(std::move(segments)) {}

Status Spool::Verify() const {
  int number = 0;
  int64_t row = 0;
  for (const SegmentInfo& segment : segments_) {
    std::string path = SegmentPath(folder_, segment.number);
    if (segment.number != number++ || segment.span.from != row || segment.span.to < row) {
      return Damaged(path, "it does not follow the segment before it");
    }
    row = segment.span.to;
    TRANCHE_TRY(VerifySegment(path, segment));
  }
  return {};
}

Result<std::unique_ptr<Spool::Reader>> Spool::Read(Span span) const {
  if (span.from < 0 || span.to < span.from || span.to > rows()) {
    return Fail(Code::kInternal, "rows {} to {} of {}, which has {}", span.from, span.to, folder_, rows());
  }
  return std::make_unique<SpoolReader>(*this, span);
}

}  // namespace tranche
