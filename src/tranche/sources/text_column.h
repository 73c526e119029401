// TextColumn: texts, one after the other, as an Arrow array. (Each Append to an arrow::StringBuilder asks for
// room three times; here rows are many and their texts short.)
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/type_fwd.h>

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
  arrow::Status Take(std::shared_ptr<arrow::Array>* array);

 private:
  std::vector<uint8_t> valid_;
  std::vector<int32_t> ends_{0};
  std::string bytes_;
  int64_t nulls_ = 0;
};

}  // namespace tranche
