// BatchTable: rows at hand, as a table of the engine. Set puts other rows into it; a query then sees those.
//
//   TRANCHE_ASSIGN(auto table, BatchTable::Make(engine, schema));
//   table->Set(batch.pieces);
//   engine.Select({fmt::format("SELECT count(*) FROM {}", table->from())});
//
// One thread at a time, and no query may be under way when Set is called. The engine must outlive it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/type_fwd.h>

#include "tranche/base/result.h"
#include "tranche/batch/batch.h"
#include "tranche/batch/span.h"
#include "tranche/connector/engine.h"

namespace tranche {

class BatchTable {
 public:
  static Result<std::unique_ptr<BatchTable>> Make(Engine& engine, std::shared_ptr<arrow::Schema> schema);
  ~BatchTable();
  BatchTable(const BatchTable&) = delete;

  void Set(std::vector<std::shared_ptr<arrow::RecordBatch>> rows);
  // Only these rows of `batch`: ascending, disjoint spans of its row indices.
  void Set(const arrow::RecordBatch& batch, const std::vector<Span>& rows);

  const std::string& from() const { return from_; }    // stands in FROM
  const Columns& columns() const { return columns_; }  // as the engine types them

  // The answer of a query over the rows at hand, as one batch; it has at least a row.
  Result<std::shared_ptr<arrow::RecordBatch>> Select(const std::string& sql);

  // Rows of `batch` as JSON objects, each cut at 64 KiB: the content of rejects.
  Result<std::vector<std::string>> AsJson(const arrow::RecordBatch& batch, const std::vector<Span>& rows);

 private:
  explicit BatchTable(Engine& engine) : engine_(engine) {}

  using Rows = std::vector<std::shared_ptr<arrow::RecordBatch>>;
  Engine& engine_;
  std::shared_ptr<Rows> rows_ = std::make_shared<Rows>();  // shared with the readers of queries
  std::string registered_;
  std::string from_;
  Columns columns_;
};

// The rows with one more column, their positions from 0 on; and the schema of that.
inline constexpr std::string_view kPositionColumn = "__tranche_position";
std::shared_ptr<arrow::Schema> WithPosition(const arrow::Schema& schema);
Result<std::shared_ptr<arrow::RecordBatch>> WithPosition(const arrow::RecordBatch& rows);

// The rejects of a batch: (index in the batch, reason, column) in ascending order, with the rows' contents.
struct RefusedCell {
  int64_t row = 0;
  std::string reason;
  std::string column;
};
Result<std::vector<Reject>> MakeRejects(BatchTable& table, const Batch& batch, const std::string& store,
                                        std::vector<RefusedCell> refused);

// Indices as spans.
std::vector<Span> ToSpans(const std::vector<RefusedCell>& rows);
// [0, rows) without `refused` (ascending).
std::vector<Span> Without(int64_t rows, const std::vector<RefusedCell>& refused);

}  // namespace tranche
