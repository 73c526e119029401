// Spool segments: sealed files of rows.
//
// format: an Arrow IPC file (https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format) with
// lz4-framed buffers; its name is <number>.arrow with six digits; its XXH3-128 over the whole file, its size
// and its row count stand in state.db (docs/format/spool.md). Dictionary-encoded columns (ENUMs) are written
// as their plain values.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <arrow/type_fwd.h>

#include "tranche/base/clock.h"
#include "tranche/base/result.h"
#include "tranche/batch/batch.h"

namespace tranche {

struct SegmentInfo {
  int number = 0;        // from 0
  Span span;             // its rows' numbers in the stage
  int64_t bytes = 0;     // size of the file
  std::string checksum;  // HashFile
  std::string digest;    // RowDigest of its rows, where somebody compares it
  std::string behind;    // of a stage that goes on behind a row: what Source::Behind said of its last one
  bool file = true;      // else its rows come by reading the input again, and `digest` knows them
};

std::string SegmentPath(const std::string& folder, int number);

// Writes one segment aside; Seal makes it durable under its name. Not sealed = removed by the destructor.
class SegmentWriter {
 public:
  static Result<std::unique_ptr<SegmentWriter>> Make(std::string folder, int number, int64_t first_row,
                                                     std::shared_ptr<arrow::Schema> schema);
  virtual ~SegmentWriter() = default;
  // Columns are taken by position; their types must be those of the schema.
  virtual Status Write(const arrow::RecordBatch& rows) = 0;
  virtual int64_t bytes_written() const = 0;
  virtual Result<SegmentInfo> Seal() = 0;  // fsync, rename, fsync of the folder
};

// The schema in which segments of `schema` are written and read: without dictionaries, at any depth.
std::shared_ptr<arrow::Schema> PlainSchema(const arrow::Schema& schema);
// Rows as they are in a segment. `schema`: the plain one.
Result<std::shared_ptr<arrow::RecordBatch>> PlainRows(const arrow::RecordBatch& rows,
                                                      const std::shared_ptr<arrow::Schema>& schema);

// A stage's segments in order, read by row number. It grows until it is sealed or given up: whoever reads
// beyond what is there waits for more. A copy is the same spool. Thread-safe (readers are independent).
class Spool {
 public:
  // One that grows.
  Spool(std::string folder, const std::shared_ptr<arrow::Schema>& schema);
  // A sealed one. `schema` may be the one that the segments were made with, or its PlainSchema.
  Spool(std::string folder, const std::shared_ptr<arrow::Schema>& schema, std::vector<SegmentInfo> segments);

  // Its rows follow those that are there. `rows`, of `bytes` in memory: of one that has no file.
  void Append(SegmentInfo segment, RecordBatches rows = {}, int64_t bytes = 0);
  void Seal();    // no more will come
  void GiveUp();  // the same, and those that read it get an error
  // Lets go of the segments that end at `row` or before, files and rows in memory; the first one stays, for
  // people to see. And whether there are files among them.
  void Drop(int64_t row);
  bool HasFilesToDrop(int64_t row) const;

  // Waits until no more than `most` bytes are held in memory, or somebody waits for rows that are to come.
  enum class Room { kThere, kWanted, kNone };
  Room AwaitRoom(int64_t most, Duration timeout) const;
  int64_t held() const;  // bytes in memory
  // Waits until all that can be dropped is. false: not yet.
  bool AwaitDropped(Duration timeout) const;

  // Checks that the segments tile the rows, and that each file is there with its size and checksum; damage is
  // an error that names the file.
  Status Verify() const;

  // Rows of `span` piece by piece in order (pieces as they were written, cut at the span's ends).
  class Reader {
   public:
    virtual ~Reader() = default;
    // null at the end
    virtual Result<std::shared_ptr<arrow::RecordBatch>> Next() = 0;
  };
  static constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();  // as `to`: to where it is sealed
  Result<std::unique_ptr<Reader>> Read(Span span) const;

  // The segment that holds `row`, once it is there; nothing if the spool is sealed and ends before. `rows`:
  // where they are in memory.
  struct Held {
    SegmentInfo info;
    std::shared_ptr<const RecordBatches> rows;
  };
  Result<std::optional<Held>> Await(int64_t row) const;

  int64_t rows() const;  // so far
  int64_t end() const;   // rows() once it is sealed, kEnd before
  std::vector<SegmentInfo> segments() const;
  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }  // plain
  const std::string& folder() const { return folder_; }

 private:
  struct Growth;
  std::string folder_;
  std::shared_ptr<arrow::Schema> schema_;
  std::shared_ptr<Growth> growth_;
};

// The schema of a segment's file, for a stage that is not sealed yet.
Result<std::shared_ptr<arrow::Schema>> SchemaOfSegment(const std::string& path);

// Schema to and from bytes, for state.db: an Arrow IPC schema message.
Result<std::string> SerializeSchema(const arrow::Schema& schema);
Result<std::shared_ptr<arrow::Schema>> ParseSchema(std::string_view bytes);

}  // namespace tranche
