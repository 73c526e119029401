#include "tranche/batch/row_digest.h"

#include <arrow/api.h>
#include <arrow/util/bit_run_reader.h>

#include "tranche/base/hash.h"
#include "tranche/batch/arrow_error.h"

namespace tranche {
namespace {

template <typename T>
std::string_view Bytes(const T* values, int64_t count) {
  return {reinterpret_cast<const char*>(values), static_cast<size_t>(count) * sizeof(T)};
}

}  // namespace

// Each kind of bytes has a hash of its own, so that it does not matter where a batch ends.
class RowDigest::Column {
 public:
  explicit Column(const arrow::DataType& type) {
    for (const auto& field : type.fields()) children_.emplace_back(*field->type());
  }

  Status Add(const arrow::Array& array) {
    if (array.null_count() == 0) {
      TRANCHE_TRY(AddValues(array));
    } else {
      for (int64_t row = 0; row < array.length(); ++row) {
        const int64_t at = length_ + row;
        if (array.IsNull(row)) nulls_.Update(Bytes(&at, 1));
      }
      const arrow::Status done = arrow::internal::VisitSetBitRuns(
          array.null_bitmap_data(), array.offset(), array.length(), [&](int64_t from, int64_t count) {
            const Status added = AddValues(*array.Slice(from, count));
            return added ? arrow::Status::OK() : arrow::Status::NotImplemented(added.error().message);
          });
      if (!done.ok()) return Fail(Code::kInternal, "{}", done.message());
    }
    length_ += array.length();
    return {};
  }

  std::string Hex() const {
    std::string hex = fmt::format("{}{}{}{}", length_, nulls_.Hex(), sizes_.Hex(), values_.Hex());
    for (const Column& child : children_) hex += child.Hex();
    return hex;
  }

 private:
  // None of them is NULL.
  Status AddValues(const arrow::Array& array) {
    switch (array.type_id()) {
      case arrow::Type::NA:
        return {};
      case arrow::Type::BOOL:
        for (int64_t row = 0; row < array.length(); ++row) {
          const bool value = static_cast<const arrow::BooleanArray&>(array).Value(row);
          values_.Update(Bytes(&value, 1));
        }
        return {};
      case arrow::Type::STRING:
      case arrow::Type::BINARY:
        return AddTexts(static_cast<const arrow::BinaryArray&>(array));
      case arrow::Type::LARGE_STRING:
      case arrow::Type::LARGE_BINARY:
        return AddTexts(static_cast<const arrow::LargeBinaryArray&>(array));
      case arrow::Type::LIST:
      case arrow::Type::MAP:
        return AddLists(static_cast<const arrow::ListArray&>(array));
      case arrow::Type::LARGE_LIST:
        return AddLists(static_cast<const arrow::LargeListArray&>(array));
      case arrow::Type::FIXED_SIZE_LIST: {
        const auto& lists = static_cast<const arrow::FixedSizeListArray&>(array);
        return children_[0].Add(
            *lists.values()->Slice(lists.value_offset(0), lists.length() * lists.value_length(0)));
      }
      case arrow::Type::STRUCT:
        for (size_t i = 0; i < children_.size(); ++i) {
          TRANCHE_TRY(
              children_[i].Add(*static_cast<const arrow::StructArray&>(array).field(static_cast<int>(i))));
        }
        return {};
      default:
        break;
    }
    if (const int width = array.type()->byte_width(); width > 0) {
      const uint8_t* values = array.data()->buffers[1]->data() + array.offset() * width;
      values_.Update(Bytes(values, array.length() * width));
      return {};
    }
    for (int64_t row = 0; row < array.length(); ++row) {  // a union
      TRANCHE_ARROW_ASSIGN(const auto value, "read", "a value", array.GetScalar(row));
      values_.Update(value->ToString());
    }
    return {};
  }

  template <typename Texts>
  Status AddTexts(const Texts& texts) {
    AddSizes(texts);
    const auto from = texts.value_offset(0);
    values_.Update({reinterpret_cast<const char*>(texts.raw_data()) + from,
                    static_cast<size_t>(texts.value_offset(texts.length()) - from)});
    return {};
  }

  template <typename Lists>
  Status AddLists(const Lists& lists) {
    AddSizes(lists);
    const auto from = lists.value_offset(0);
    return children_[0].Add(*lists.values()->Slice(from, lists.value_offset(lists.length()) - from));
  }

  template <typename Array>
  void AddSizes(const Array& array) {
    constexpr int64_t kMany = 1024;
    int64_t sizes[kMany];
    for (int64_t row = 0; row < array.length(); row += kMany) {
      const int64_t count = std::min(kMany, array.length() - row);
      for (int64_t i = 0; i < count; ++i) sizes[i] = array.value_length(row + i);
      sizes_.Update(Bytes(sizes, count));
    }
  }

  Hasher nulls_, sizes_, values_;
  int64_t length_ = 0;
  std::vector<Column> children_;
};

RowDigest::RowDigest(const arrow::Schema& schema) {
  for (const auto& field : schema.fields()) columns_.emplace_back(*field->type());
}
RowDigest::RowDigest(RowDigest&&) noexcept = default;
RowDigest& RowDigest::operator=(RowDigest&&) noexcept = default;
RowDigest::~RowDigest() = default;

Status RowDigest::Add(const arrow::RecordBatch& rows) {
  if (rows.num_columns() != std::ssize(columns_)) {
    return Fail(Code::kInternal, "{} columns for a digest of {}", rows.num_columns(), columns_.size());
  }
  for (size_t i = 0; i < columns_.size(); ++i)
    TRANCHE_TRY(columns_[i].Add(*rows.column(static_cast<int>(i))));
  rows_ += rows.num_rows();
  return {};
}

std::string RowDigest::Hex() const {
  std::string all;
  for (const Column& column : columns_) all += column.Hex();
  return HashHex(all);
}

}  // namespace tranche
