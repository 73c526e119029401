#include "tranche/sql/mariadb_read.h"

#include <charconv>

#include <arrow/api.h>

#include "tranche/batch/arrow_error.h"

namespace tranche::sql {
namespace {

constexpr unsigned kBinary = 63;  // the character set of bytes

class TextAnswer : public ServerAnswer {
 public:
  TextAnswer(MariaDbConnection& connection, std::shared_ptr<arrow::Schema> schema)
      : connection_(connection), schema_(std::move(schema)) {}

  Status Open() {
    TRANCHE_ARROW_ASSIGN(builder_, "hold", "rows",
                         arrow::RecordBatchBuilder::Make(schema_, arrow::default_memory_pool(), kBatchRows));
    return {};
  }

  Result<std::shared_ptr<arrow::RecordBatch>> Next(std::vector<Misread>& misread) override {
    if (ended_) return nullptr;
    int64_t rows = 0, bytes = 0;
    for (; rows < kBatchRows && bytes < kBatchBytes; ++rows) {
      MYSQL_ROW row = nullptr;
      const unsigned long* lengths = nullptr;
      TRANCHE_ASSIGN(const bool more, connection_.Next(&row, &lengths));
      if (!more) {
        ended_ = true;
        break;
      }
      for (int i = 0; i < schema_->num_fields(); ++i) {
        if (row[i] == nullptr) {
          TRANCHE_ARROW_TRY("hold", "a row", builder_->GetField(i)->AppendNull());
          continue;
        }
        bytes += static_cast<int64_t>(lengths[i]);
        if (!Append(i, {row[i], lengths[i]})) misread.push_back({rows, static_cast<size_t>(i)});
      }
    }
    if (rows == 0) return nullptr;
    TRANCHE_ARROW_ASSIGN(auto batch, "hold", "rows", builder_->Flush());
    return batch;
  }

 private:
  template <typename Builder, typename Number = typename Builder::value_type>
  bool AppendNumber(int column, std::string_view text) {
    Number number{};
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
    auto* builder = builder_->GetFieldAs<Builder>(column);
    if (parsed.ec == std::errc() && parsed.ptr == text.data() + text.size())
      return builder->Append(number).ok();
    (void)builder->AppendNull();
    return false;
  }

  bool Append(int column, std::string_view text) {
    switch (schema_->field(column)->type()->id()) {
      case arrow::Type::INT8:
        return AppendNumber<arrow::Int8Builder>(column, text);
      case arrow::Type::UINT8:
        return AppendNumber<arrow::UInt8Builder>(column, text);
      case arrow::Type::INT16:
        return AppendNumber<arrow::Int16Builder>(column, text);
      case arrow::Type::UINT16:
        return AppendNumber<arrow::UInt16Builder>(column, text);
      case arrow::Type::INT32:
        return AppendNumber<arrow::Int32Builder>(column, text);
      case arrow::Type::UINT32:
        return AppendNumber<arrow::UInt32Builder>(column, text);
      case arrow::Type::INT64:
        return AppendNumber<arrow::Int64Builder>(column, text);
      case arrow::Type::UINT64:
        return AppendNumber<arrow::UInt64Builder>(column, text);
      case arrow::Type::FLOAT:
        return AppendNumber<arrow::FloatBuilder>(column, text);
      case arrow::Type::DOUBLE:
        return AppendNumber<arrow::DoubleBuilder>(column, text);
      case arrow::Type::BINARY:
        return builder_->GetFieldAs<arrow::BinaryBuilder>(column)->Append(text).ok();
      default:
        return builder_->GetFieldAs<arrow::StringBuilder>(column)->Append(text).ok();
    }
  }

  MariaDbConnection& connection_;
  std::shared_ptr<arrow::Schema> schema_;
  std::unique_ptr<arrow::RecordBatchBuilder> builder_;
  bool ended_ = false;
};

std::string WholeType(std::string_view type, unsigned flags) {
  return ((flags & UNSIGNED_FLAG) != 0 ? "U" : "") + std::string(type);
}

// https://mariadb.com/kb/en/mariadb_field/; sets type and native.
void SetType(AnswerColumn& column, const MYSQL_FIELD& field) {
  column.native = true;
  switch (field.type) {
    case MYSQL_TYPE_TINY:
      column.type = WholeType("TINYINT", field.flags);
      return;
    case MYSQL_TYPE_SHORT:
    case MYSQL_TYPE_YEAR:
      column.type = WholeType("SMALLINT", field.flags);
      return;
    case MYSQL_TYPE_INT24:
    case MYSQL_TYPE_LONG:
      column.type = WholeType("INTEGER", field.flags);
      return;
    case MYSQL_TYPE_LONGLONG:
      column.type = WholeType("BIGINT", field.flags);
      return;
    case MYSQL_TYPE_FLOAT:
      column.type = "FLOAT";
      return;
    case MYSQL_TYPE_DOUBLE:
      column.type = "DOUBLE";
      return;
    default:
      break;
  }
  const bool text = field.type == MYSQL_TYPE_STRING || field.type == MYSQL_TYPE_VAR_STRING ||
                    field.type == MYSQL_TYPE_BLOB || field.type == MYSQL_TYPE_LONG_BLOB ||
                    field.type == MYSQL_TYPE_MEDIUM_BLOB || field.type == MYSQL_TYPE_TINY_BLOB ||
                    field.type == MYSQL_TYPE_VARCHAR;
  const bool bytes = field.charsetnr == kBinary &&
                     (text || field.type == MYSQL_TYPE_BIT || field.type == MYSQL_TYPE_GEOMETRY);
  column.native = bytes;
  column.type = bytes ? "BLOB" : "VARCHAR";
  if (field.type == MYSQL_TYPE_NEWDECIMAL || field.type == MYSQL_TYPE_DECIMAL) {
    // length: digits, a point where there are decimals, and a sign.
    const unsigned signs = (field.decimals > 0 ? 1 : 0) + ((field.flags & UNSIGNED_FLAG) != 0 ? 0 : 1);
    const auto digits = static_cast<int>(field.length - signs);
    if (digits <= kMostDigits) column.type = fmt::format("DECIMAL({},{})", digits, field.decimals);
  } else if (field.type == MYSQL_TYPE_DATE || field.type == MYSQL_TYPE_NEWDATE) {
    column.type = "DATE";
  } else if (field.type == MYSQL_TYPE_DATETIME || field.type == MYSQL_TYPE_TIMESTAMP) {
    column.type = "TIMESTAMP";
  }
}

}  // namespace

std::vector<AnswerColumn> MariaDbColumns(const std::vector<MYSQL_FIELD>& fields,
                                         const std::vector<std::string>& names) {
  std::vector<AnswerColumn> columns;
  for (size_t i = 0; i < fields.size(); ++i) {
    AnswerColumn& column = columns.emplace_back(AnswerColumn{.name = names[i]});
    column.text = fmt::format("CAST({} AS CHAR)", QuoteName(column.name));
    SetType(column, fields[i]);
    column.value = QuoteName(column.name);
  }
  return columns;
}

Result<std::unique_ptr<ServerAnswer>> ReadMariaDb(MariaDbConnection& connection,
                                                  const std::vector<AnswerColumn>& columns, bool with_row) {
  arrow::FieldVector fields;
  for (const AnswerColumn& column : columns) fields.push_back(arrow::field("", ArrowTypeOf(column)));
  if (with_row) fields.push_back(arrow::field("", arrow::utf8()));
  auto answer = std::make_unique<TextAnswer>(connection, arrow::schema(std::move(fields)));
  TRANCHE_TRY(answer->Open());
  return answer;
}

}  // namespace tranche::sql
