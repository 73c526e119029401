#include "tranche/batch/padded.h"

#include <arrow/array/data.h>
#include <arrow/buffer.h>
#include <arrow/record_batch.h>

#include "tranche/batch/arrow_error.h"

namespace tranche {
namespace {

arrow::Result<std::shared_ptr<arrow::ArrayData>> PaddedArray(const arrow::ArrayData& array) {
  auto padded = std::make_shared<arrow::ArrayData>(array);
  if (auto& buffers = padded->buffers; !buffers.empty() && buffers[0] != nullptr) {
    std::shared_ptr<arrow::Buffer>& nulls = buffers[0];
    if (array.null_count == 0) {
      nulls = nullptr;
    } else {
      ARROW_ASSIGN_OR_RAISE(nulls, nulls->CopySlice(0, nulls->size()));
    }
  }
  for (auto& child : padded->child_data) {
    ARROW_ASSIGN_OR_RAISE(child, PaddedArray(*child));
  }
  return padded;
}

}  // namespace

Result<std::shared_ptr<arrow::RecordBatch>> Padded(const arrow::RecordBatch& rows) {
  arrow::ArrayDataVector columns;
  for (const auto& column : rows.column_data()) {
    TRANCHE_ARROW_ASSIGN(columns.emplace_back(), "hold", "rows", PaddedArray(*column));
  }
  return arrow::RecordBatch::Make(rows.schema(), rows.num_rows(), std::move(columns));
}

}  // namespace tranche
