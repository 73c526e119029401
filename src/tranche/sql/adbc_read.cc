#include "tranche/sql/adbc_read.h"

#include <optional>

#include <arrow/api.h>
#include <arrow/compute/api.h>
#include <arrow/extension_type.h>
#include <arrow/util/key_value_metadata.h>

#include "tranche/batch/arrow_error.h"

namespace tranche::sql {
namespace {

using arrow::Type;
using arrow::compute::CastOptions;
using ArrayPtr = std::shared_ptr<arrow::Array>;
using TypePtr = std::shared_ptr<arrow::DataType>;

// "arrow.uuid", where a column is more than its Arrow type says.
std::string ExtensionOf(const arrow::Field& field) {
  if (field.type()->id() == Type::EXTENSION) {
    return static_cast<const arrow::ExtensionType&>(*field.type()).extension_name();
  }
  const auto& metadata = field.metadata();
  const int at = metadata != nullptr ? metadata->FindKey("ARROW:extension:name") : -1;
  return at < 0 ? "" : metadata->value(at);
}

TypePtr StorageOf(const TypePtr& type) {
  if (type->id() == Type::EXTENSION) return static_cast<const arrow::ExtensionType&>(*type).storage_type();
  if (type->id() == Type::DICTIONARY) return static_cast<const arrow::DictionaryType&>(*type).value_type();
  return type;
}

bool IsBytes(const arrow::DataType& type) {
  return arrow::is_binary(type.id()) || type.id() == Type::BINARY_VIEW ||
         type.id() == Type::FIXED_SIZE_BINARY;
}

// The engine's type for values that come as Arrow has them; nothing: they come as text.
std::optional<std::string> NativeType(const arrow::DataType& type) {
  switch (type.id()) {
    case Type::BOOL:
      return "BOOLEAN";
    case Type::INT8:
      return "TINYINT";
    case Type::INT16:
      return "SMALLINT";
    case Type::INT32:
      return "INTEGER";
    case Type::INT64:
      return "BIGINT";
    case Type::UINT8:
      return "UTINYINT";
    case Type::UINT16:
      return "USMALLINT";
    case Type::UINT32:
      return "UINTEGER";
    case Type::UINT64:
      return "UBIGINT";
    case Type::HALF_FLOAT:
    case Type::FLOAT:
      return "FLOAT";
    case Type::DOUBLE:
      return "DOUBLE";
    case Type::STRING:
    case Type::LARGE_STRING:
    case Type::STRING_VIEW:
      return "VARCHAR";
    case Type::BINARY:
    case Type::LARGE_BINARY:
    case Type::BINARY_VIEW:
    case Type::FIXED_SIZE_BINARY:
      return "BLOB";
    case Type::DATE32:
    case Type::DATE64:
      return "DATE";
    case Type::TIME32:
    case Type::TIME64:
      return "TIME";
    case Type::TIMESTAMP: {
      const auto& timestamp = static_cast<const arrow::TimestampType&>(type);
      if (!timestamp.timezone().empty()) return "TIMESTAMP WITH TIME ZONE";
      return timestamp.unit() == arrow::TimeUnit::NANO ? "TIMESTAMP_NS" : "TIMESTAMP";
    }
    case Type::INTERVAL_MONTH_DAY_NANO:
      return "INTERVAL";
    case Type::DECIMAL32:
    case Type::DECIMAL64:
    case Type::DECIMAL128:
    case Type::DECIMAL256: {
      const auto& decimal = static_cast<const arrow::DecimalType&>(type);
      const bool fits = decimal.precision() <= kMostDigits && decimal.scale() >= 0 &&
                        decimal.scale() <= decimal.precision();
      if (!fits) return std::nullopt;
      return fmt::format("DECIMAL({},{})", decimal.precision(), decimal.scale());
    }
    case Type::LIST:
    case Type::LARGE_LIST:
    case Type::FIXED_SIZE_LIST: {
      const auto element = NativeType(*static_cast<const arrow::BaseListType&>(type).value_type());
      return element ? std::optional(*element + "[]") : std::nullopt;
    }
    default:
      return std::nullopt;
  }
}

std::string Uuid(std::string_view bytes) {
  std::string text;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", static_cast<unsigned char>(bytes[i]));
  }
  return text;
}

arrow::Result<ArrayPtr> CastTo(const ArrayPtr& array, const TypePtr& type, bool strict) {
  return arrow::compute::Cast(*array, type, strict ? CastOptions::Safe() : CastOptions::Unsafe());
}

arrow::Result<ArrayPtr> Plain(ArrayPtr array) {
  if (array->type_id() == Type::EXTENSION)
    array = static_cast<const arrow::ExtensionArray&>(*array).storage();
  if (array->type_id() == Type::DICTIONARY) return CastTo(array, StorageOf(array->type()), true);
  return array;
}

arrow::Result<ArrayPtr> ToText(const ArrayPtr& array, bool uuid) {
  if (array->type_id() == Type::STRING) return array;
  if (!uuid) {
    if (auto text = CastTo(array, arrow::utf8(), true); text.ok()) return text;
  }
  arrow::StringBuilder builder;
  for (int64_t row = 0; row < array->length(); ++row) {
    if (array->IsNull(row)) {
      ARROW_RETURN_NOT_OK(builder.AppendNull());
    } else if (uuid) {
      ARROW_RETURN_NOT_OK(
          builder.Append(Uuid(static_cast<const arrow::FixedSizeBinaryArray&>(*array).GetView(row))));
    } else {
      ARROW_ASSIGN_OR_RAISE(const auto value, array->GetScalar(row));
      ARROW_RETURN_NOT_OK(builder.Append(value->ToString()));
    }
  }
  return builder.Finish();
}

// Values that `type` has no room for (a time finer than a microsecond) are NULL, and their rows are named.
arrow::Result<ArrayPtr> Fitted(const ArrayPtr& array, const TypePtr& type, std::vector<int64_t>& misfits) {
  if (array->type()->Equals(*type)) return array;
  if (auto whole = CastTo(array, type, true); whole.ok()) return whole;
  arrow::ArrayVector values;
  for (int64_t row = 0; row < array->length(); ++row) {
    auto value = CastTo(array->Slice(row, 1), type, true);
    if (!value.ok()) {
      if (!value.status().IsInvalid()) return value;
      misfits.push_back(row);
      ARROW_ASSIGN_OR_RAISE(value, arrow::MakeArrayOfNull(type, 1));
    }
    values.push_back(*std::move(value));
  }
  return arrow::Concatenate(values);
}

class AdbcAnswer : public ServerAnswer {
 public:
  AdbcAnswer(std::unique_ptr<AdbcRows> rows, std::vector<AnswerColumn> columns, bool with_row)
      : rows_(std::move(rows)), columns_(std::move(columns)), with_row_(with_row) {
    arrow::FieldVector fields;
    for (const AnswerColumn& column : columns_)
      fields.push_back(arrow::field(column.name, ArrowTypeOf(column)));
    if (with_row_) fields.push_back(arrow::field("", arrow::utf8()));
    schema_ = arrow::schema(std::move(fields));
  }

  Result<std::shared_ptr<arrow::RecordBatch>> Next(std::vector<Misread>& misread) override {
    TRANCHE_ASSIGN(const auto batch, rows_->Next());
    if (batch == nullptr) return nullptr;
    if (batch->num_columns() != static_cast<int>(columns_.size())) {
      return Fail(Code::kOutside, "an answer has {} columns, not {}", batch->num_columns(), columns_.size());
    }
    arrow::ArrayVector arrays, texts;
    for (size_t i = 0; i < columns_.size(); ++i) {
      const AnswerColumn& column = columns_[i];
      const arrow::Field& field = *batch->schema()->field(static_cast<int>(i));
      TRANCHE_ARROW_ASSIGN(const ArrayPtr array, "read", column.name,
                           Plain(batch->column(static_cast<int>(i))));
      const bool uuid = ExtensionOf(field) == "arrow.uuid";
      if (!column.native || with_row_) {
        TRANCHE_ARROW_ASSIGN(ArrayPtr text, "read", column.name, ToText(array, uuid));
        texts.push_back(std::move(text));
      }
      if (!column.native) {
        arrays.push_back(texts.back());
        continue;
      }
      std::vector<int64_t> rows;
      TRANCHE_ARROW_ASSIGN(ArrayPtr values, "read", column.name, Fitted(array, ArrowTypeOf(column), rows));
      arrays.push_back(std::move(values));
      for (const int64_t row : rows) misread.push_back({row, i});
    }
    std::ranges::stable_sort(misread, {}, &Misread::row);
    if (with_row_) {
      TRANCHE_ARROW_ASSIGN(ArrayPtr rows, "hold", "a row", WholeRows(texts, batch->num_rows()));
      arrays.push_back(std::move(rows));
    }
    return arrow::RecordBatch::Make(schema_, batch->num_rows(), std::move(arrays));
  }

 private:
  static arrow::Result<ArrayPtr> WholeRows(const arrow::ArrayVector& texts, int64_t rows) {
    arrow::StringBuilder builder;
    for (int64_t row = 0; row < rows; ++row) {
      std::string whole;
      for (size_t i = 0; i < texts.size(); ++i) {
        if (i > 0) whole += '|';
        if (texts[i]->IsValid(row)) whole += static_cast<const arrow::StringArray&>(*texts[i]).GetView(row);
      }
      ARROW_RETURN_NOT_OK(builder.Append(whole));
    }
    return builder.Finish();
  }

  std::unique_ptr<AdbcRows> rows_;
  std::vector<AnswerColumn> columns_;
  const bool with_row_;
  std::shared_ptr<arrow::Schema> schema_;
};

}  // namespace

Result<std::vector<AnswerColumn>> AdbcColumns(const arrow::Schema& schema) {
  std::vector<AnswerColumn> columns;
  for (const auto& field : schema.fields()) {
    AnswerColumn column{.name = field->name(), .type = "VARCHAR"};
    column.value = column.text = QuoteName(column.name);
    const std::string extension = ExtensionOf(*field);
    const TypePtr type = StorageOf(field->type());
    if (extension == "arrow.uuid") {
      column.type = "UUID";
    } else if (extension == "arrow.json") {
      column.type = "JSON";
    } else if ((extension == "arrow.opaque" && IsBytes(*type)) ||
               (arrow::is_nested(type->id()) && !NativeType(*type))) {
      return Fail(Code::kJob, "column '{}' is of a type that the driver does not decode ({})", column.name,
                  field->type()->ToString())
          .Hint("read by a `query` that casts it to text");
    } else if (const auto native = NativeType(*type)) {
      column.type = *native;
      column.native = true;
    }
    columns.push_back(std::move(column));
  }
  return columns;
}

std::unique_ptr<ServerAnswer> ReadAdbc(std::unique_ptr<AdbcRows> rows, std::vector<AnswerColumn> columns,
                                       bool with_row) {
  return std::make_unique<AdbcAnswer>(std::move(rows), std::move(columns), with_row);
}

Status EachText(AdbcRows& rows, const std::function<Status(const TextRow&)>& take) {
  while (true) {
    TRANCHE_ASSIGN(const auto batch, rows.Next());
    if (batch == nullptr) return {};
    arrow::ArrayVector texts;
    for (const ArrayPtr& column : batch->columns()) {
      TRANCHE_ARROW_ASSIGN(const ArrayPtr array, "read", "an answer", Plain(column));
      TRANCHE_ARROW_ASSIGN(ArrayPtr text, "read", "an answer", ToText(array, false));
      texts.push_back(std::move(text));
    }
    for (int64_t i = 0; i < batch->num_rows(); ++i) {
      TextRow row;
      for (size_t column = 0; column < texts.size(); ++column) {
        const auto& values = static_cast<const arrow::StringArray&>(*texts[column]);
        row.push_back(values.IsNull(i) ? std::nullopt : std::optional(values.GetString(i)));
        const bool boolean = batch->column(static_cast<int>(column))->type_id() == Type::BOOL;
        if (boolean && row.back()) row.back()->resize(1);
      }
      TRANCHE_TRY(take(row));
    }
  }
}

Result<std::vector<TextRow>> TextsOf(AdbcRows& rows) {
  std::vector<TextRow> texts;
  TRANCHE_TRY(EachText(rows, [&](const TextRow& row) -> Status {
    texts.push_back(row);
    return {};
  }));
  return texts;
}

}  // namespace tranche::sql
