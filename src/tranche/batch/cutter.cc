#include "tranche/batch/cutter.h"

#include <algorithm>

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/type_traits.h>
#include <arrow/util/bit_util.h>
#include <arrow/util/byte_size.h>

#include "tranche/batch/arrow_error.h"

namespace tranche {
namespace {

std::vector<int> VisibleIndexes(const arrow::Schema& schema) {
  std::vector<int> indexes;
  for (int i = 0; i < schema.num_fields(); ++i) {
    if (!schema.field(i)->name().starts_with(kHiddenPrefix)) indexes.push_back(i);
  }
  return indexes;
}

// Of texts and fixed widths, nearly all there is, without Arrow's general way, which is ten times as slow.
int64_t ColumnBytes(const arrow::ArrayData& column, int64_t from, int64_t count) {
  const int64_t first = column.offset + from;
  const int64_t bits = arrow::bit_util::CoveringBytes(first, count);
  const int64_t nulls = column.buffers[0] ? bits : 0;
  auto texts = [&]<typename Offset>(Offset) {
    const auto* offsets = column.GetValues<Offset>(1, first);
    return nulls + count * static_cast<int64_t>(sizeof(Offset)) + (offsets[count] - offsets[0]);
  };
  const arrow::Type::type type = column.type->id();
  if (arrow::is_binary_like(type)) return texts(int32_t{});
  if (arrow::is_large_binary_like(type)) return texts(int64_t{});
  if (type == arrow::Type::BOOL) return nulls + bits;
  if (arrow::is_primitive(type) || arrow::is_decimal(type)) return nulls + count * column.type->byte_width();
  auto bytes = arrow::util::ReferencedBufferSize(*column.Slice(from, count));
  // Arrow cannot tell for a few types (views); then all rows count the same.
  return bytes.ok() ? *bytes : arrow::util::TotalBufferSize(column) * count / column.length;
}

// The most rows from `from` on, at most `most`, that hold no more than `bytes`: doubles, then halves.
// RowBytes costs the same for any number of rows, so a batch costs O(log rows).
int64_t RowsWithin(const arrow::RecordBatch& rows, int64_t from, int64_t most, int64_t bytes) {
  auto fits = [&](int64_t count) { return RowBytes(rows, from, count) <= bytes; };
  if (fits(most)) return most;
  int64_t good = 0, bad = 1;
  while (bad < most && fits(bad)) {
    good = bad;
    bad *= 2;
  }
  bad = std::min(bad, most);
  while (bad - good > 1) {
    int64_t middle = good + (bad - good) / 2;
    (fits(middle) ? good : bad) = middle;
  }
  return good;
}

using Group = std::optional<int64_t>;  // NULL is a group too

Group GroupAt(const arrow::Int64Array& groups, int64_t row) {
  return groups.IsNull(row) ? Group() : Group(groups.Value(row));
}

// The first row behind `from` that belongs to another group.
int64_t EndOfGroup(const arrow::Int64Array& groups, int64_t from) {
  Group group = GroupAt(groups, from);
  int64_t row = from + 1;
  while (row < groups.length() && GroupAt(groups, row) == group) ++row;
  return row;
}

}  // namespace

std::shared_ptr<arrow::Schema> VisibleSchema(const arrow::Schema& schema) {
  arrow::FieldVector fields;
  for (int index : VisibleIndexes(schema)) fields.push_back(schema.field(index));
  return arrow::schema(std::move(fields), schema.metadata());
}

std::shared_ptr<arrow::RecordBatch> VisibleColumns(const arrow::RecordBatch& rows) {
  std::vector<std::shared_ptr<arrow::Array>> columns;
  for (int index : VisibleIndexes(*rows.schema())) columns.push_back(rows.column(index));
  return arrow::RecordBatch::Make(VisibleSchema(*rows.schema()), rows.num_rows(), std::move(columns));
}

int64_t RowBytes(const arrow::RecordBatch& rows, int64_t from, int64_t count) {
  if (rows.num_rows() == 0 || count == 0) return 0;
  int64_t sum = 0;
  for (const auto& column : rows.column_data()) sum += ColumnBytes(*column, from, count);
  return sum;
}

Result<std::shared_ptr<arrow::Array>> NumbersFrom(int64_t first, int64_t count) {
  arrow::Int64Builder numbers;
  TRANCHE_ARROW_TRY("number", "rows", numbers.Reserve(count));
  for (int64_t i = 0; i < count; ++i) numbers.UnsafeAppend(first + i);
  TRANCHE_ARROW_ASSIGN(auto column, "number", "rows", numbers.Finish());
  return column;
}

Result<Batch> Joined(Batch batch) {
  if (batch.pieces.size() < 2) return batch;
  TRANCHE_ARROW_ASSIGN(auto rows, "put together", "a batch", arrow::ConcatenateRecordBatches(batch.pieces));
  batch.pieces = {std::move(rows)};
  return batch;
}

struct Cutter::State {
  Spool spool;
  std::vector<Span> gaps;
  BatchPolicy policy;
  size_t gap = 0;                                  // the one that is being cut
  int64_t at = 0;                                  // the next row of the stage
  std::unique_ptr<Spool::Reader> reader = {};      // of the gap, if it has begun
  std::shared_ptr<arrow::RecordBatch> piece = {};  // rows of a segment, hidden columns taken out
  std::shared_ptr<arrow::Int64Array> groups = {};  // of the piece, if the stage has any
  int64_t used = 0;                                // rows of the piece that are cut already
  int64_t border = 0;  // row of the piece before which the group of row `used` ends, once it is looked for

  // Makes `piece` hold a row that is not cut yet. False at the end of the gap.
  Result<bool> Fill() {
    if (piece && used < piece->num_rows()) return true;
    TRANCHE_ASSIGN(auto rows, reader->Next());
    piece = nullptr;
    used = 0;
    if (!rows) return false;
    groups = nullptr;
    border = rows->num_rows();
    if (auto column = rows->GetColumnByName(std::string(kGroupColumn))) {
      groups = std::dynamic_pointer_cast<arrow::Int64Array>(column);
      if (!groups) return Fail(Code::kInternal, "{} is {}", kGroupColumn, column->type()->ToString());
      border = 0;
    }
    piece = VisibleColumns(*rows);
    return true;
  }

  int64_t MostRows() const { return groups && policy.automatic ? INT64_MAX : policy.rows; }

  // Goes to the next gap that has rows. False if there is none.
  Result<bool> BeginGap() {
    while (gap < gaps.size() && gaps[gap].rows() == 0) ++gap;
    if (gap == gaps.size()) return false;
    at = gaps[gap].from;
    TRANCHE_ASSIGN(reader, spool.Read(gaps[gap]));
    return true;
  }

  // No rows: a spool whose end was not known has ended.
  Result<Batch> Cut() {
    Batch batch{.span = {at, at}, .pieces = {}, .bytes = 0};
    Group group;
    while (batch.span.rows() < MostRows()) {
      TRANCHE_ASSIGN(bool more, Fill());
      if (!more) break;
      if (groups && batch.pieces.empty()) group = GroupAt(*groups, used);
      if (groups && GroupAt(*groups, used) != group) break;
      if (groups && used >= border) border = EndOfGroup(*groups, used);
      int64_t count = std::min(border - used, MostRows() - batch.span.rows());
      count = RowsWithin(*piece, used, count, policy.bytes - batch.bytes);
      if (count == 0 && batch.pieces.empty()) count = 1;  // larger than a batch may be, alone
      if (count == 0) break;
      batch.pieces.push_back(piece->Slice(used, count));
      batch.bytes += RowBytes(*piece, used, count);
      batch.span.to += count;
      used += count;
      if (used < piece->num_rows()) break;  // a limit or a border stopped it
    }
    if (batch.pieces.empty() && gaps[gap].to == Spool::kEnd) return batch;
    if (batch.pieces.empty()) {
      return Fail(Code::kInternal, "the spool {} ends at row {}, before row {}", spool.folder(), at,
                  gaps[gap].to);
    }
    at = batch.span.to;
    return batch;
  }
};

Cutter::Cutter(const Spool& spool, std::vector<Span> gaps, BatchPolicy policy)
    : state_(new State{.spool = spool, .gaps = std::move(gaps), .policy = policy}) {}

Cutter::~Cutter() = default;

void Cutter::SetRows(int64_t rows) { state_->policy.rows = rows; }

Result<std::optional<Batch>> Cutter::Next() {
  if (!state_->reader) {
    TRANCHE_ASSIGN(bool more, state_->BeginGap());
    if (!more) return std::nullopt;
  }
  TRANCHE_ASSIGN(Batch batch, state_->Cut());
  if (batch.span.rows() == 0) return std::nullopt;
  if (batch.span.to == state_->gaps[state_->gap].to) {
    state_->reader.reset();
    ++state_->gap;
  }
  return batch;
}

}  // namespace tranche
