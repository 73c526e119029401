// TextColumn: texts, one after the other, as an Arrow array. (Each Append to an arrow::StringBuilder asks for
// room three times; here rows are many and their texts short.)
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/result.h>
#include <arrow/util/bitmap_builders.h>

namespace tranche {

// At most 2 GiB until Take.
class TextColumn {
 public:
  void AddNull() {
    valid_.push_back(0);
    ends_.push_back(static_cast<int32_t>(bytes_.size()));
    ++nulls_;
  }
  void Add(std::string_view text) {
    valid_.push_back(1);
    bytes_ += text;
    ends_.push_back(static_cast<int32_t>(bytes_.size()));
  }
  // All of them; it is empty then.
  arrow::Result<std::shared_ptr<arrow::Array>> Take() {
    std::shared_ptr<arrow::Buffer> bits;
    if (nulls_ > 0) {
      ARROW_ASSIGN_OR_RAISE(bits, arrow::internal::BytesToBits(valid_));
    }
    const auto rows = std::ssize(valid_);
    valid_.clear();
    return std::make_shared<arrow::StringArray>(rows, arrow::Buffer::FromVector(std::exchange(ends_, {0})),
                                                arrow::Buffer::FromString(std::exchange(bytes_, {})),
                                                std::move(bits), std::exchange(nulls_, 0));
  }

 private:
  std::vector<uint8_t> valid_;
  std::vector<int32_t> ends_{0};
  std::string bytes_;
  int64_t nulls_ = 0;
};

}  // namespace tranche
