#include "tranche/sinks/sqlite_rows.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/bit_util.h>

namespace tranche {
namespace {

constexpr int64_t kMostBytes = 1'000'000'000;  // SQLITE_MAX_LENGTH, as Debian builds it

struct BoundAs {
  std::string declared;
  std::string expression = {};  // over the column; empty = as it is
};

// By SQLite's rules for a declared type (https://www.sqlite.org/datatype3.html, 3.1).
bool HoldsNumbers(std::string declared) {
  std::ranges::transform(declared, declared.begin(), [](unsigned char c) { return std::toupper(c); });
  auto has = [&](std::string_view word) { return declared.find(word) != std::string::npos; };
  if (has("INT")) return true;
  return !declared.empty() && !has("CHAR") && !has("CLOB") && !has("TEXT") && !has("BLOB");
}

BoundAs ToBound(const Column& column, const Column* existing) {
  std::string name = QuoteName(column.name);
  auto cast = [&](std::string_view type) { return fmt::format("CAST({} AS {})", name, type); };
  std::string_view type = column.type;
  for (std::string_view small :
       {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "BOOLEAN"}) {
    if (type == small) return {"INTEGER"};
  }
  if (type == "FLOAT" || type == "DOUBLE") return {"REAL"};
  if (type == "VARCHAR") return {"TEXT"};
  if (type == "BLOB") return {"BLOB"};
  std::string narrow = fmt::format("TRY_CAST({} AS BIGINT)", name);
  if (type == "HUGEINT") return {"INTEGER", narrow};
  if (type == "UBIGINT" || type == "UHUGEINT") {
    return existing && HoldsNumbers(existing->type) ? BoundAs{"INTEGER", narrow}
                                                    : BoundAs{"TEXT", cast("VARCHAR")};
  }
  if (type.starts_with("DECIMAL(")) {
    int precision = 0, scale = 0;
    const char* end = type.data() + type.size();
    auto parsed = std::from_chars(type.data() + 8, end, precision);
    if (parsed.ptr != end) std::from_chars(parsed.ptr + 1, end, scale);
    if (scale == 0) return {"INTEGER", narrow};
    if (precision <= 15) return {std::string(type), cast("DOUBLE")};
    return {"TEXT", cast("VARCHAR")};
  }
  if (type == "TIMESTAMP WITH TIME ZONE") {
    return {"TEXT", fmt::format("CAST({} AT TIME ZONE 'UTC' AS VARCHAR) || '+00:00'", name)};
  }
  bool nested = type.ends_with(']') || type.starts_with("STRUCT(") || type.starts_with("MAP(") ||
                type.starts_with("UNION(");
  return {"TEXT", nested ? fmt::format("CAST(to_json({}) AS VARCHAR)", name) : cast("VARCHAR")};
}

bool Bindable(arrow::Type::type type) {
  using arrow::Type;
  static constexpr Type::type kTypes[] = {Type::BOOL,   Type::INT8,        Type::INT16,  Type::INT32,
                                          Type::INT64,  Type::UINT8,       Type::UINT16, Type::UINT32,
                                          Type::FLOAT,  Type::DOUBLE,      Type::STRING, Type::LARGE_STRING,
                                          Type::BINARY, Type::LARGE_BINARY};
  return std::ranges::find(kTypes, type) != std::end(kTypes);
}

}  // namespace

struct SqliteRows::Cells {
  arrow::Type::type type;
  const uint8_t* valid = nullptr;  // null: all are
  int64_t offset = 0;
  const void* values = nullptr;  // from the first row on; of a BOOL, from the buffer's start
  const char* bytes = nullptr;
  bool huge = false;  // some text may be too long

  template <typename T>
  T At(int64_t row) const {
    return static_cast<const T*>(values)[row];
  }
  template <typename Offset>
  std::string_view TextAt(int64_t row) const {
    const auto* ends = static_cast<const Offset*>(values) + row;
    return {bytes + ends[0], static_cast<size_t>(ends[1] - ends[0])};
  }
  bool IsNull(int64_t row) const { return valid != nullptr && !arrow::bit_util::GetBit(valid, offset + row); }

  bool IsNan(int64_t row) const {
    return type == arrow::Type::DOUBLE ? std::isnan(At<double>(row)) : std::isnan(At<float>(row));
  }
  size_t Size(int64_t row) const {
    bool large = type == arrow::Type::LARGE_STRING || type == arrow::Type::LARGE_BINARY;
    return large ? TextAt<int64_t>(row).size() : TextAt<int32_t>(row).size();
  }

  void Bind(sqlite::Statement& statement, int index, int64_t row) const {
    using arrow::Type;
    if (IsNull(row)) return statement.BindNull(index);
    switch (type) {
      case Type::BOOL:
        return statement.BindInt(index,
                                 arrow::bit_util::GetBit(static_cast<const uint8_t*>(values), offset + row));
      case Type::INT8:
        return statement.BindInt(index, At<int8_t>(row));
      case Type::INT16:
        return statement.BindInt(index, At<int16_t>(row));
      case Type::INT32:
        return statement.BindInt(index, At<int32_t>(row));
      case Type::INT64:
        return statement.BindInt(index, At<int64_t>(row));
      case Type::UINT8:
        return statement.BindInt(index, At<uint8_t>(row));
      case Type::UINT16:
        return statement.BindInt(index, At<uint16_t>(row));
      case Type::UINT32:
        return statement.BindInt(index, At<uint32_t>(row));
      case Type::FLOAT:
        return statement.BindDouble(index, At<float>(row));
      case Type::DOUBLE:
        return statement.BindDouble(index, At<double>(row));
      case Type::STRING:
        return statement.BindText(index, TextAt<int32_t>(row));
      case Type::LARGE_STRING:
        return statement.BindText(index, TextAt<int64_t>(row));
      case Type::BINARY:
        return statement.BindBlob(index, TextAt<int32_t>(row));
      default:
        return statement.BindBlob(index, TextAt<int64_t>(row));
    }
  }
};

SqliteRows::SqliteRows() = default;
SqliteRows::~SqliteRows() = default;

Result<std::unique_ptr<SqliteRows>> SqliteRows::Make(Engine& engine, std::shared_ptr<arrow::Schema> schema,
                                                     const Columns& table, const TableOptions& options) {
  std::unique_ptr<SqliteRows> rows(new SqliteRows);
  rows->engine_ = &engine;
  rows->options_ = options;
  TRANCHE_ASSIGN(rows->table_, BatchTable::Make(engine, schema));
  std::string select;
  bool converts = options.mode == Mode::kChanges;
  for (int i = 0; i < schema->num_fields(); ++i) {
    const Column& column = rows->table_->columns().at(i);
    if (!options.Writes(column.name)) continue;
    BoundAs target = ToBound(column, FindColumn(table, column.name));
    rows->columns_.push_back({column.name, target.declared});
    rows->sources_.push_back(i);
    std::string name = QuoteName(column.name);
    if (target.expression.empty() && !Bindable(schema->field(i)->type()->id())) target.expression = name;
    converts |= !target.expression.empty();
    select += fmt::format("{}{} AS {}", select.empty() ? "" : ", ",
                          target.expression.empty() ? name : target.expression, name);
  }
  if (options.mode == Mode::kChanges) {
    select += fmt::format(
        ", CAST({0} AS INTEGER) AS \"__tranche_change\", CASE WHEN ({0}) IS NULL THEN {1} END "
        "AS \"__tranche_problem\"",
        options.ChangeSql(), options.NoChangeSql());
  }
  if (converts) rows->select_ = fmt::format("SELECT {} FROM {}", select, rows->table_->from());
  return rows;
}

void SqliteRows::Bind(sqlite::Statement& statement, int first, std::span<const int> columns,
                      int64_t row) const {
  for (const int column : columns) cells_[column].Bind(statement, first++, row);
}

Change SqliteRows::ChangeOf(int64_t row) const {
  return static_cast<Change>(cells_[columns_.size()].At<int32_t>(row));
}

// Makes of a batch what can be bound.
Status SqliteRows::Convert(const Batch& batch) {
  if (select_.empty()) {
    auto written = batch.rows()->SelectColumns(sources_);
    if (!written.ok())
      return Fail(Code::kInternal, "cannot take a batch apart: {}", written.status().message());
    rows_ = *std::move(written);
    return {};
  }
  table_->Set(batch.pieces);
  TRANCHE_ASSIGN(rows_, table_->Select(select_));
  return {};
}

Status SqliteRows::ReadCells() {
  cells_.clear();
  for (int i = 0; i < rows_->num_columns(); ++i) {
    const arrow::ArrayData& data = *rows_->column_data(i);
    Cells& cells = cells_.emplace_back(data.type->id());
    if (!Bindable(cells.type)) return Fail(Code::kInternal, "SQLite cannot take a {}", data.type->ToString());
    cells.offset = data.offset;
    if (data.GetNullCount() > 0) cells.valid = data.buffers[0]->data();
    const uint8_t* values = data.buffers[1] ? data.buffers[1]->data() : nullptr;
    bool text = data.buffers.size() > 2;
    int width = cells.type == arrow::Type::BOOL ? 0
                : text ? (cells.type == arrow::Type::STRING || cells.type == arrow::Type::BINARY ? 4 : 8)
                       : data.type->byte_width();
    cells.values = values == nullptr ? nullptr : values + data.offset * width;
    if (text && data.buffers[2]) cells.bytes = reinterpret_cast<const char*>(data.buffers[2]->data());
    cells.huge = text && data.buffers[2] && data.buffers[2]->size() > kMostBytes;
  }
  return {};
}

void SqliteRows::FindUnfit(const Batch& batch, size_t column, Refused& refused) const {
  const Cells& cells = cells_[column];
  const std::string& name = columns_[column].name;
  const arrow::Array& before = *batch.rows()->column(sources_[column]);
  const bool is_key = options_.InKey(name);
  const bool real = cells.type == arrow::Type::FLOAT || cells.type == arrow::Type::DOUBLE;
  const bool narrowed = rows_->column(static_cast<int>(column))->null_count() > before.null_count();
  if (!is_key && !real && !cells.huge && !narrowed) return;
  auto refuse = [&](int64_t row, std::string reason) {
    refused.try_emplace(row, row, std::move(reason), name);
  };
  const bool may_delete = options_.mode == Mode::kChanges && options_.deletes();
  for (int64_t row = 0; row < rows_->num_rows(); ++row) {
    // Of a row that is deleted only the key counts.
    if (may_delete && !is_key && !refused.contains(row) && ChangeOf(row) == Change::kDelete) continue;
    if (cells.IsNull(row)) {
      if (narrowed && !before.IsNull(row))
        refuse(row, "the number does not fit into the 64 bits of a SQLite integer");
      if (is_key) refuse(row, "a column of the key is NULL");
    } else if (real && cells.IsNan(row)) {
      refuse(row, "SQLite has no NaN and would store NULL");
    } else if (cells.huge && cells.Size(row) > kMostBytes) {
      refuse(row, "the value is longer than the 1,000,000,000 bytes that SQLite takes");
    }
  }
}

Result<std::vector<RefusedCell>> SqliteRows::Load(const Batch& batch) {
  TRANCHE_TRY(Convert(batch));
  if (rows_->num_rows() != batch.span.rows())
    return Fail(Code::kInternal, "a batch lost rows on the way to SQLite");
  TRANCHE_TRY(ReadCells());
  Refused refused;
  if (options_.mode == Mode::kChanges) {
    const Cells& problems = cells_.back();
    for (int64_t row = 0; row < rows_->num_rows(); ++row) {
      if (problems.IsNull(row)) continue;
      refused.try_emplace(row, row, std::string(problems.TextAt<int32_t>(row)), options_.changes.column);
    }
  }
  for (size_t column = 0; column < columns_.size(); ++column) FindUnfit(batch, column, refused);
  std::vector<RefusedCell> list;
  for (auto& [row, cell] : refused) list.push_back(std::move(cell));
  return list;
}

}  // namespace tranche
