#include "tranche/batch/segment.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include <arrow/compute/cast.h>
#include <arrow/io/buffered.h>
#include <arrow/io/file.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/compression.h>
#include <arrow/util/key_value_metadata.h>

#include "tranche/base/failpoint.h"
#include "tranche/base/file.h"
#include "tranche/base/hash.h"
#include "tranche/batch/arrow_error.h"
#include "tranche/batch/segment_format.h"

namespace tranche {
namespace {

// The file as it is meant to be: hashes what is written on its way out, so that a disk that stores something
// else is found out.
class HashedFile : public arrow::io::OutputStream {
 public:
  explicit HashedFile(std::shared_ptr<arrow::io::FileOutputStream> file) : file_(std::move(file)) {}

  arrow::Status Write(const void* data, int64_t size) override {
    hasher_.Update({static_cast<const char*>(data), static_cast<size_t>(size)});
    return file_->Write(data, size);
  }
  arrow::Status Close() override { return file_->Close(); }
  bool closed() const override { return file_->closed(); }
  arrow::Result<int64_t> Tell() const override { return file_->Tell(); }

  bool Sync() const { return fsync(file_->file_descriptor()) == 0; }
  std::string checksum() const { return hasher_.Hex(); }

 private:
  std::shared_ptr<arrow::io::FileOutputStream> file_;
  Hasher hasher_;
};

class Writer : public SegmentWriter {
 public:
  Writer(std::string folder, int number, int64_t first_row, std::shared_ptr<arrow::Schema> schema)
      : folder_(std::move(folder)),
        path_(SegmentPath(folder_, number)),
        aside_(path_ + ".tmp"),
        info_{.number = number, .span = {first_row, first_row}, .bytes = 0, .checksum = ""},
        schema_(std::move(schema)),
        footer_(arrow::KeyValueMetadata::Make({}, {})) {}

  ~Writer() override {
    if (!opened_ || sealed_) return;
    writer_.reset();
    unlink(aside_.c_str());
  }

  Status Open() {
    TRANCHE_TRY(MakeFolders(folder_));
    TRANCHE_TRY(RemoveFile(aside_));  // of a start that was killed
    int fd = open(aside_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0) return FailErrno("create", aside_, errno);
    opened_ = true;
    TRANCHE_ARROW_ASSIGN(auto file, "create", aside_, arrow::io::FileOutputStream::Open(fd));
    file_ = std::make_shared<HashedFile>(std::move(file));
    // Arrow writes paddings of a few bytes one by one.
    TRANCHE_ARROW_ASSIGN(
        stream_, "create", aside_,
        arrow::io::BufferedOutputStream::Create(1 << 18, arrow::default_memory_pool(), file_));
    auto options = arrow::ipc::IpcWriteOptions::Defaults();
    options.use_threads = false;
    TRANCHE_ARROW_ASSIGN(options.codec, "create", aside_,
                         arrow::util::Codec::Create(arrow::Compression::LZ4_FRAME));
    TRANCHE_ARROW_ASSIGN(writer_, "create", aside_,
                         arrow::ipc::MakeFileWriter(stream_, schema_, options, footer_));
    return {};
  }

  Status Write(const arrow::RecordBatch& rows) override {
    if (rows.num_rows() == 0) return {};
    TRANCHE_ASSIGN(auto plain, PlainRows(rows, schema_));
    TRANCHE_ARROW_TRY("write", aside_, writer_->WriteRecordBatch(*plain));
    info_.span.to += rows.num_rows();
    blocks_.push_back(rows.num_rows());
    return {};
  }

  int64_t bytes_written() const override {
    auto position = stream_->Tell();
    return position.ok() ? *position : 0;
  }

  Result<SegmentInfo> Seal() override {
    footer_->Append(std::string(kBlocksKey), FormatBlocks(blocks_));  // the writer reads it in Close
    TRANCHE_ARROW_TRY("write", aside_, writer_->Close());
    TRANCHE_ARROW_TRY("write", aside_, stream_->Flush());
    info_.bytes = bytes_written();
    info_.checksum = file_->checksum();
    TRANCHE_TRY(Failpoint("segment.written"));
    if (!file_->Sync()) return FailErrno("sync", aside_, errno);
    TRANCHE_ARROW_TRY("close", aside_, stream_->Close());
    TRANCHE_TRY(Failpoint("segment.synced"));
    TRANCHE_TRY(Rename(aside_, path_));
    sealed_ = true;
    TRANCHE_TRY(Failpoint("segment.renamed"));
    return info_;
  }

 private:
  std::string folder_, path_, aside_;
  SegmentInfo info_;
  std::shared_ptr<arrow::Schema> schema_;
  std::shared_ptr<arrow::KeyValueMetadata> footer_;
  std::shared_ptr<HashedFile> file_;
  std::shared_ptr<arrow::io::BufferedOutputStream> stream_;
  std::shared_ptr<arrow::ipc::RecordBatchWriter> writer_;
  std::vector<int64_t> blocks_;  // rows of each record batch
  bool opened_ = false, sealed_ = false;
};

}  // namespace

Result<std::shared_ptr<arrow::RecordBatch>> PlainRows(const arrow::RecordBatch& rows,
                                                      const std::shared_ptr<arrow::Schema>& schema) {
  if (rows.num_columns() != schema->num_fields()) {
    return Fail(Code::kInternal, "{} columns for a spool that has {}", rows.num_columns(),
                schema->num_fields());
  }
  std::vector<std::shared_ptr<arrow::Array>> columns = rows.columns();
  for (int i = 0; i < rows.num_columns(); ++i) {
    const auto& field = *schema->field(i);
    const auto& type = columns[i]->type();
    if (type->Equals(*field.type())) continue;
    if (!PlainType(type)->Equals(*field.type())) {
      return Fail(Code::kInternal, "column '{}' of a spool is {}, not {}", field.name(), type->ToString(),
                  field.type()->ToString());
    }
    TRANCHE_ARROW_ASSIGN(columns[i], "decode", field.name(), arrow::compute::Cast(*columns[i], field.type()));
  }
  return arrow::RecordBatch::Make(schema, rows.num_rows(), std::move(columns));
}

std::string SegmentPath(const std::string& folder, int number) {
  return fmt::format("{}/{:06}.arrow", folder, number);
}

Result<std::unique_ptr<SegmentWriter>> SegmentWriter::Make(std::string folder, int number, int64_t first_row,
                                                           std::shared_ptr<arrow::Schema> schema) {
  auto writer = std::make_unique<Writer>(std::move(folder), number, first_row, PlainSchema(*schema));
  TRANCHE_TRY(writer->Open());
  return writer;
}

}  // namespace tranche
