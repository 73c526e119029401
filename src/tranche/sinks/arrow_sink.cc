#include <arrow/io/file.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/util/compression.h>

#include "tranche/batch/arrow_error.h"
#include "tranche/connector/larger_pieces.h"
#include "tranche/sinks/file_sink.h"
#include "tranche/sinks/sinks.h"

namespace tranche {
namespace {

class ArrowFormat : public FileFormat {
 public:
  explicit ArrowFormat(arrow::Compression::type compression) : compression_(compression) {}
  std::string name() const override { return "arrow"; }
  std::string ending() const override { return ".arrow"; }

  Result<int64_t> Write(Engine& engine, const Query& query, const std::string& path) const override {
    TRANCHE_ASSIGN(auto rows_of_query, engine.Run(query));
    const auto reader = InLargerPieces(std::move(rows_of_query));
    arrow::ipc::IpcWriteOptions options = arrow::ipc::IpcWriteOptions::Defaults();
    auto codec = arrow::util::Codec::Create(compression_);
    if (!codec.ok()) return ArrowError("write", path, codec.status());
    options.codec = *std::move(codec);
    auto file = arrow::io::FileOutputStream::Open(path);
    if (!file.ok()) return ArrowError("create", path, file.status());
    auto writer = arrow::ipc::MakeFileWriter(*file, reader->schema(), options);
    if (!writer.ok()) return ArrowError("write", path, writer.status());
    int64_t rows = 0;
    while (true) {
      TRANCHE_ASSIGN(auto batch, reader->Next());
      if (batch == nullptr) break;
      rows += batch->num_rows();
      if (auto status = (*writer)->WriteRecordBatch(*batch); !status.ok())
        return ArrowError("write", path, status);
    }
    auto status = (*writer)->Close();
    if (status.ok()) status = (*file)->Close();
    if (!status.ok()) return ArrowError("write", path, status);
    return rows;
  }

  Result<int64_t> CountRows(const std::string& path) const override {
    auto file = arrow::io::ReadableFile::Open(path);
    if (!file.ok()) return ArrowError("open", path, file.status());
    auto reader = arrow::ipc::RecordBatchFileReader::Open(*file);
    if (!reader.ok()) return ArrowError("read", path, reader.status());
    auto rows = (*reader)->CountRows();
    if (!rows.ok()) return ArrowError("read", path, rows.status());
    return *rows;
  }

 private:
  arrow::Compression::type compression_;
};

}  // namespace

SinkSpec ArrowSink() {
  SinkSpec spec = FileSpec("arrow");
  spec.summary = "Writes Arrow IPC files (Feather V2).";
  spec.doc =
      "One file, or with a `/` at the end of `path` a folder with a file for each batch. The types of the "
      "rows are kept "
      "as they are. The result appears under its name in one step when the run is done; what Tranche did not "
      "write is "
      "never replaced. The rows are counted again in the finished files before they are published.";
  std::vector<Field> fields = FileFields("out.arrow", /*partitions=*/false);
  fields.push_back(
      {"compression", Shape::Choice({"lz4", "zstd", "none"}), "How buffers are compressed.", "lz4"});
  spec.shape = Shape::Object(std::move(fields));
  spec.example = "arrow: {path: out/flights.arrow}";
  spec.make = [](const Options& options) -> Result<std::unique_ptr<Sink>> {
    TRANCHE_ASSIGN(FileOptions file, FileOptions::Parse(options, false));
    std::string compression = options.Text("compression");
    auto format = std::make_unique<ArrowFormat>(compression == "lz4"    ? arrow::Compression::LZ4_FRAME
                                                : compression == "zstd" ? arrow::Compression::ZSTD
                                                                        : arrow::Compression::UNCOMPRESSED);
    return std::make_unique<FileSink>(std::move(file), std::move(format));
  };
  return spec;
}

}  // namespace tranche
