#include "tranche/sources/text_column.h"

#include <utility>

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/util/bitmap_builders.h>

namespace tranche {

arrow::Status TextColumn::Take(std::shared_ptr<arrow::Array>* array) {
  std::shared_ptr<arrow::Buffer> bits;
  if (nulls_ > 0) {
    ARROW_ASSIGN_OR_RAISE(bits, arrow::internal::BytesToBits(valid_));
  }
  const auto rows = std::ssize(valid_);
  valid_.clear();
  *array = std::make_shared<arrow::StringArray>(rows, arrow::Buffer::FromVector(std::exchange(ends_, {0})),
                                                arrow::Buffer::FromString(std::exchange(bytes_, {})),
                                                std::move(bits), std::exchange(nulls_, 0));
  return {};
}

}  // namespace tranche
