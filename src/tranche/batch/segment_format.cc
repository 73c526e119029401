#include "tranche/batch/segment_format.h"

#include <charconv>

#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/dictionary.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/type.h>
#include <fmt/ranges.h>

#include "tranche/batch/arrow_error.h"
#include "tranche/batch/segment.h"

namespace tranche {
namespace {

std::shared_ptr<arrow::Field> PlainField(const std::shared_ptr<arrow::Field>& field) {
  return field->WithType(PlainType(field->type()));
}

}  // namespace

std::string FormatBlocks(const std::vector<int64_t>& rows) { return fmt::format("{}", fmt::join(rows, ",")); }

std::optional<std::vector<int64_t>> ParseBlocks(std::string_view text) {
  std::vector<int64_t> rows;
  while (!text.empty()) {
    int64_t count = 0;
    const char* limit = text.data() + text.size();
    auto [end, error] = std::from_chars(text.data(), limit, count);
    if (error != std::errc() || count < 1 || (end != limit && *end != ',')) return std::nullopt;
    rows.push_back(count);
    text.remove_prefix(std::min<size_t>(end - text.data() + 1, text.size()));
  }
  return rows;
}

std::shared_ptr<arrow::DataType> PlainType(const std::shared_ptr<arrow::DataType>& type) {
  switch (type->id()) {
    case arrow::Type::DICTIONARY:
      return PlainType(static_cast<const arrow::DictionaryType&>(*type).value_type());
    case arrow::Type::LIST:
      return arrow::list(PlainField(type->field(0)));
    case arrow::Type::LARGE_LIST:
      return arrow::large_list(PlainField(type->field(0)));
    case arrow::Type::FIXED_SIZE_LIST:
      return arrow::fixed_size_list(PlainField(type->field(0)),
                                    static_cast<const arrow::FixedSizeListType&>(*type).list_size());
    case arrow::Type::MAP: {
      const auto& map = static_cast<const arrow::MapType&>(*type);
      return std::make_shared<arrow::MapType>(PlainField(map.key_field()), PlainField(map.item_field()),
                                              map.keys_sorted());
    }
    case arrow::Type::STRUCT: {
      arrow::FieldVector fields;
      for (const auto& field : type->fields()) fields.push_back(PlainField(field));
      return arrow::struct_(std::move(fields));
    }
    default:
      return type;
  }
}

std::shared_ptr<arrow::Schema> PlainSchema(const arrow::Schema& schema) {
  arrow::FieldVector fields;
  for (const auto& field : schema.fields()) fields.push_back(PlainField(field));
  return arrow::schema(std::move(fields), schema.metadata());
}

Result<std::string> SerializeSchema(const arrow::Schema& schema) {
  TRANCHE_ARROW_ASSIGN(auto buffer, "serialize", "the schema", arrow::ipc::SerializeSchema(schema));
  return buffer->ToString();
}

Result<std::shared_ptr<arrow::Schema>> ParseSchema(std::string_view bytes) {
  arrow::io::BufferReader reader(arrow::Buffer::FromString(std::string(bytes)));
  arrow::ipc::DictionaryMemo memo;
  TRANCHE_ARROW_ASSIGN(auto schema, "parse", "the schema", arrow::ipc::ReadSchema(&reader, &memo));
  return schema;
}

}  // namespace tranche
