// Cuts the gaps of a stage into batches by a store's policy: rows, bytes, and the borders of groups.
//
//   Cutter cutter(spool, gaps, policy);
//   while (true) {
//     TRANCHE_ASSIGN(std::optional<Batch> batch, cutter.Next());
//     if (!batch) break;
//     ...
//   }
//
// A gap may end at Spool::kEnd, while the spool still grows: then Next waits for rows. One thread at a time.
// At most one batch and one piece of a segment are in memory.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "tranche/base/result.h"
#include "tranche/batch/batch.h"
#include "tranche/batch/segment.h"

namespace tranche {

// Columns with these names are ours: they ride with the rows inside a stage and are taken out before a store.
inline constexpr std::string_view kHiddenPrefix = "__tranche_";
inline constexpr std::string_view kRejectColumn = "__tranche_reject";  // text: JSON of a mark, or NULL
inline constexpr std::string_view kRowsColumn = "__tranche_rows";  // bigint: input rows folded into this one
inline constexpr std::string_view kGroupColumn =
    "__tranche_group";  // bigint: changes where a new group begins
// bigint: where in the order of its input a row stands, from 1; of a stage that goes on behind a row
inline constexpr std::string_view kOrdinalColumn = "__tranche_ordinal";
// Of a run that keeps its rows for `trace`: where in its input a row stood.
inline constexpr std::string_view kFileColumn = "__tranche_file";  // text: its path
inline constexpr std::string_view kLineColumn = "__tranche_line";  // bigint: from 1, or NULL
inline bool IsPlace(std::string_view column) { return column == kFileColumn || column == kLineColumn; }

std::shared_ptr<arrow::Schema> VisibleSchema(const arrow::Schema& schema);
std::shared_ptr<arrow::RecordBatch> VisibleColumns(const arrow::RecordBatch& rows);

// Bytes of the Arrow values that rows [from, from + count) hold (offsets and validity included).
int64_t RowBytes(const arrow::RecordBatch& rows, int64_t from, int64_t count);

// first, first + 1, …: `count` numbers, a column of int64.
Result<std::shared_ptr<arrow::Array>> NumbersFrom(int64_t first, int64_t count);

// The same batch in one piece.
Result<Batch> Joined(Batch batch);

class Cutter {
 public:
  Cutter(const Spool& spool, std::vector<Span> gaps, BatchPolicy policy);
  ~Cutter();
  // The next batch in order of row numbers, or nothing at the end. Never crosses a gap's border or a group's.
  // A row that is larger than policy.bytes alone makes a batch of its own.
  Result<std::optional<Batch>> Next();
  // From now on. Where the stage has groups and the policy is automatic, each is a batch whatever its rows.
  void SetRows(int64_t rows);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tranche
