// FileSink: the protocol of files, the same for every format.
//
// A folder: each batch becomes a part in the hidden sibling `.<name>.tranche-<run>/`, fsynced and then
// journalled; Finish gives the sibling the folder's name in one step (rename, or an exchange with the folder
// that was there). Readers see the old files or the new ones, never a mixture. In mode append the parts are
// renamed into the folder one by one. A single file is written as one unit, aside, and renamed. Standard
// output gets all rows at the end of the run, and may get them again after a crash.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tranche/connector/options.h"
#include "tranche/connector/shape.h"
#include "tranche/connector/sink.h"
#include "tranche/connector/spec.h"
#include "tranche/sinks/file_format.h"
#include "tranche/sinks/publish.h"

namespace tranche {

struct FileOptions {
  Target target;
  bool standard_output = false;
  std::vector<std::string> partition;
  Place place;

  // Of a shape with FileFields(…, partitions).
  static Result<FileOptions> Parse(const Options& options, bool partitions);
};

// path, mode and, where `partitions`, partition.
std::vector<Field> FileFields(std::string_view example_path, bool partitions);
// What the specs of all file stores have in common.
SinkSpec FileSpec(std::string name);

class FileSink : public Sink {
 public:
  FileSink(FileOptions options, std::unique_ptr<FileFormat> format)
      : options_(std::move(options)), format_(std::move(format)) {}

  Status Check(std::shared_ptr<arrow::Schema> schema, Engine& engine,
               std::optional<Duration> timeout) override;
  Result<Opened> Open(std::shared_ptr<arrow::Schema> schema, SinkContext& context) override;
  Result<WriteReport> Write(const Batch& batch, SinkContext& context) override;
  Result<Totals> Sum(SinkContext& context) override;
  Status Finish(SinkContext& context) override;
  bool takes_pieces() const override { return true; }
  bool whole() const override { return !options_.target.folder; }
  bool aside() const override { return !options_.standard_output; }
  Result<Counts> WriteDirect(const Query& query, SinkContext& context) override;
  Result<std::optional<Standing>> Look(SinkContext& context) override;
  Result<std::optional<StoredBatch>> BatchOf(SinkContext& context, int64_t row) override;
  std::string Describe() const override;
  std::string guarantee() const override { return options_.standard_output ? "at least once" : ""; }
  std::string target() const override { return options_.standard_output ? "stdout" : options_.target.path; }

 private:
  using Entries = std::vector<Journal::Entry>;
  Status CheckColumns(const arrow::Schema& schema);
  Status ForgetOtherStage(SinkContext& context);
  // Entries whose parts are intact; the others are gaps again, and files that no entry names are deleted.
  Result<Entries> KeepIntact(SinkContext& context);
  // Deletes parts in the hidden folder that `parts` does not name.
  Status RemoveStray(const std::vector<FilePart>& parts);
  Result<std::vector<FilePart>> WriteParts(const Batch& batch, SinkContext& context, int attempt);
  Result<std::vector<FilePart>> WritePartitions(const Query& query, Engine& engine, const std::string& base,
                                                int64_t& rows);
  Result<std::vector<FilePart>> CollectPartitions(const std::string& scratch, const std::string& base);
  Status WriteEmpty(SinkContext& context);
  Status WriteToStandardOutput(const Query& query, int64_t& rows, SinkContext& context);
  Result<std::vector<FilePart>> JournalledParts(SinkContext& context) const;

  FileOptions options_;
  std::unique_ptr<FileFormat> format_;
  std::unique_ptr<Publisher> publisher_;  // null for standard output
  std::shared_ptr<arrow::Schema> schema_;
  std::mutex mutex_;
  std::map<int64_t, Counts> written_;  // by the batch's first row
};

}  // namespace tranche
