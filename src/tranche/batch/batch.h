// The rows that are stored together, in one transaction or one file part.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <arrow/type_fwd.h>

#include "tranche/base/clock.h"
#include "tranche/batch/span.h"

namespace tranche {

using RecordBatches = std::vector<std::shared_ptr<arrow::RecordBatch>>;

// What a sink has made of a batch ahead: its own.
struct ReadyRows {
  virtual ~ReadyRows() = default;
};

struct Batch {
  Span span;
  RecordBatches pieces;                         // span.rows() rows in order, hidden columns taken out
  int64_t bytes = 0;                            // of the Arrow buffers that the rows refer to
  std::shared_ptr<const ReadyRows> ready = {};  // of sinks that make rows ready
  // Of one piece, as all sinks get it but those that take pieces.
  const std::shared_ptr<arrow::RecordBatch>& rows() const { return pieces.front(); }
};

// When a batch is cut. `linger` bounds how long rows wait for a batch to fill; a whole spool never waits.
struct BatchPolicy {
  int64_t rows = 10'000;
  bool automatic = false;  // `rows` is where it begins: batch_sizer.h
  int64_t bytes = 8 << 20;
  Duration linger = std::chrono::seconds(1);
  int parallel = 1;  // batches at a time; 0: as many as the engine has threads
};

// A row that was refused, with its reason and its place.
struct Reject {
  std::string origin;   // "input flights", "step check (prepare 2)", "store warehouse"
  std::string reason;   // "value -3 breaks check 'paid': amount >= 0"
  std::string column;   // may be empty
  std::string file;     // may be empty
  int64_t line = 0;     // in the file, from 1; 0 = unknown
  int64_t byte = -1;    // offset of the line in the file, from 0; -1 = unknown
  int64_t row = -1;     // number in the stage; -1 = it never got one
  std::string content;  // the row as JSON, or the raw line; cut at 64 KiB
};

}  // namespace tranche
