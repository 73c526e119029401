#include "tranche/sql/connection.h"

#include <charconv>
#include <cstdlib>

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "tranche/connector/sql_state.h"

namespace tranche::sql {
namespace {

class SqliteConnection : public SqlConnection {
 public:
  explicit SqliteConnection(sqlite::Database& database) : database_(database) {}

  Result<int64_t> Execute(std::string_view sql, const std::vector<Value>& values) override {
    TRANCHE_TRY(database_.Execute(sql, Convert(values)));
    return database_.changes();
  }

  Result<std::vector<TextRow>> Query(std::string_view sql, const std::vector<Value>& values) override {
    const auto converted = Convert(values);
    TRANCHE_ASSIGN(auto statement, Bound(sql, converted));
    std::vector<TextRow> rows;
    while (true) {
      TRANCHE_ASSIGN(bool more, statement.Step());
      if (!more) return rows;
      TextRow& row = rows.emplace_back();
      for (int column = 0; column < statement.columns(); ++column) {
        bool null = statement.ColumnType(column) == sqlite::Statement::Type::kNull;
        row.push_back(null ? std::nullopt : std::optional<std::string>(statement.Text(column)));
      }
    }
  }

  Status Each(std::string_view sql, const std::vector<Value>& values,
              const std::function<Status(const Numbers&)>& take) override {
    const auto converted = Convert(values);
    TRANCHE_ASSIGN(auto statement, Bound(sql, converted));
    Numbers row(static_cast<size_t>(statement.columns()));
    while (true) {
      TRANCHE_ASSIGN(bool more, statement.Step());
      if (!more) return {};
      for (size_t column = 0; column < row.size(); ++column) {
        row[column] = statement.Int(static_cast<int>(column));
      }
      TRANCHE_TRY(take(row));
    }
  }

  Result<Columns> ColumnsOf(std::string_view table) override {
    TRANCHE_ASSIGN(auto rows,
                   Query("SELECT name, type FROM pragma_table_info($1)", {Text(std::string(table))}));
    Columns columns;
    for (TextRow& row : rows) columns.push_back({row[0].value_or(""), row[1].value_or("")});
    return columns;
  }
  const Dialect& dialect() const override { return kSqlite; }

 private:
  // `values` must outlive the statement's steps.
  Result<sqlite::Statement> Bound(std::string_view sql, const std::vector<sqlite::Value>& values) {
    TRANCHE_ASSIGN(auto statement, database_.Prepare(sql));
    int index = 0;
    for (const sqlite::Value& value : values) statement.Bind(++index, value);
    return statement;
  }

  static std::vector<sqlite::Value> Convert(const std::vector<Value>& values) {
    std::vector<sqlite::Value> converted;
    for (const Value& value : values) {
      if (!value.text) {
        converted.emplace_back(nullptr);
      } else if (value.type == "BIGINT") {
        converted.emplace_back(ToNumber(value.text));
      } else {
        converted.emplace_back(*value.text);
      }
    }
    return converted;
  }
  sqlite::Database& database_;
};

class EngineConnection : public SqlConnection {
 public:
  explicit EngineConnection(Engine& engine) : engine_(engine) {}

  Result<int64_t> Execute(std::string_view sql, const std::vector<Value>& values) override {
    std::vector<Value> texts;
    std::string inlined = Inline(sql, values, texts);
    return engine_.Execute(inlined, texts);
  }

  Result<std::vector<TextRow>> Query(std::string_view sql, const std::vector<Value>& values) override {
    std::vector<Value> texts;
    SqlText inlined(Inline(sql, values, texts));
    Parameters parameters;
    for (size_t i = 0; i < texts.size(); ++i) parameters[std::to_string(i + 1)] = texts[i];
    return engine_.Select({std::move(inlined), &parameters});
  }

  Status Each(std::string_view sql, const std::vector<Value>& values,
              const std::function<Status(const Numbers&)>& take) override {
    std::vector<Value> texts;
    SqlText inlined("SELECT COLUMNS(*)::BIGINT FROM (" + Inline(sql, values, texts) + ")");
    Parameters parameters;
    for (size_t i = 0; i < texts.size(); ++i) parameters[std::to_string(i + 1)] = texts[i];
    TRANCHE_ASSIGN(auto reader, engine_.Run({std::move(inlined), &parameters}));
    Numbers row(static_cast<size_t>(reader->schema()->num_fields()));
    while (true) {
      TRANCHE_ASSIGN(auto rows, reader->Next());
      if (rows == nullptr) return {};
      for (int64_t i = 0; i < rows->num_rows(); ++i) {
        for (size_t column = 0; column < row.size(); ++column) {
          const auto& numbers =
              static_cast<const arrow::Int64Array&>(*rows->column(static_cast<int>(column)));
          row[column] = numbers.IsNull(i) ? 0 : numbers.Value(i);
        }
        TRANCHE_TRY(take(row));
      }
    }
  }

  Result<Columns> ColumnsOf(std::string_view table) override {
    TRANCHE_ASSIGN(
        auto rows,
        Query("SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = "
              "current_database() AND schema_name = current_schema() AND lower(table_name) = lower($1) "
              "ORDER BY column_index",
              {Text(std::string(table))}));
    Columns columns;
    for (TextRow& row : rows) columns.push_back({row[0].value_or(""), row[1].value_or("")});
    return columns;
  }
  const Dialect& dialect() const override { return kDuckDb; }

 private:
  // Numbers are written into the text: to bind one, the engine would run a query of its own. What is left in
  // `texts` are the values of $1, $2… in the new text.
  static std::string Inline(std::string_view sql, const std::vector<Value>& values,
                            std::vector<Value>& texts) {
    if (values.empty()) return std::string(sql);  // a name in it may have a $
    std::vector<size_t> places(values.size(), 0);
    return ReplaceParameters(sql, [&](std::string_view number) -> std::optional<std::string> {
      const Value* value = FindParameter(values, number);
      if (value == nullptr) return std::nullopt;
      if (value->type == "BIGINT") return std::to_string(ToNumber(value->text));
      size_t& place = places[static_cast<size_t>(value - values.data())];
      if (place == 0) {
        texts.push_back(*value);
        place = texts.size();
      }
      return fmt::format("${}", place);
    });
  }

  Engine& engine_;
};

}  // namespace

std::unique_ptr<SqlConnection> Connect(sqlite::Database& database) {
  return std::make_unique<SqliteConnection>(database);
}

std::unique_ptr<SqlConnection> Connect(Engine& engine) { return std::make_unique<EngineConnection>(engine); }

Value Number(int64_t value) { return {"BIGINT", std::to_string(value)}; }
Value Text(std::string value) { return {"VARCHAR", std::move(value)}; }

const Value* FindParameter(const std::vector<Value>& values, std::string_view name) {
  size_t number = 0;
  const auto [end, problem] = std::from_chars(name.data(), name.data() + name.size(), number);
  const bool known =
      problem == std::errc() && end == name.data() + name.size() && number >= 1 && number <= values.size();
  return known ? &values[number - 1] : nullptr;
}

int64_t ToNumber(const std::optional<std::string>& text) {
  return text ? std::strtoll(text->c_str(), nullptr, 10) : 0;
}

}  // namespace tranche::sql
