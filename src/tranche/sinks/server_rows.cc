#include "tranche/sinks/server_rows.h"

#include <algorithm>

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "tranche/batch/arrow_error.h"
#include "tranche/sinks/misfit.h"

namespace tranche {
namespace {

constexpr std::string_view kUnfitColumn = "__tranche_unfit";  // the number of a column and a reason, or NULL

bool IsTime(std::string_view type) { return type == "DATE" || type.starts_with("TIME"); }

struct Conversion {
  std::string expression;
  std::string unfit;  // a condition, or empty
};

// To the type that the fit names.
Conversion CastOf(const Column& column, const sql::Fit& fit) {
  const std::string name = QuoteName(column.name);
  if (fit.cast == "JSON") return {fmt::format("CAST(to_json({}) AS VARCHAR)", name), ""};
  if (fit.cast.empty() && fit.wire != "uuid") return {name, ""};
  if (fit.cast == "VARCHAR") return {fmt::format("CAST({} AS VARCHAR)", name), ""};
  if (fit.wire == "uuid" && fit.cast.empty()) return {fmt::format("CAST({} AS VARCHAR)", name), ""};
  const std::string tried = fmt::format("TRY_CAST({} AS {})", name, fit.cast);
  std::string unfit = Misfit(column, fit.cast);
  if (IsTime(fit.cast) && IsTime(column.type)) {
    unfit = fmt::format("TRY_CAST({} AS {}) IS DISTINCT FROM {}", tried, column.type, name);
  } else if (IsExact(fit.cast) && column.type == "VARCHAR") {
    unfit += fmt::format(" OR TRY_CAST({} AS DOUBLE) IS DISTINCT FROM CAST({} AS DOUBLE)", name, tried);
  }
  return {fit.wire == "uuid" ? fmt::format("CAST({} AS VARCHAR)", tried) : tried, unfit};
}

// `condition` with `value` in the place of each {value}; braces may also stand in the names of an enum.
std::string WithValue(std::string_view condition, std::string_view value) {
  constexpr std::string_view kValue = "{value}";
  std::string text;
  size_t done = 0;
  for (size_t at = condition.find(kValue); at != condition.npos; at = condition.find(kValue, done)) {
    text.append(condition, done, at - done).append(value);
    done = at + kValue.size();
  }
  return text.append(condition, done);
}

// With what the server would store otherwise than it is, and as text where it takes that.
Conversion ConversionOf(const Column& column, const sql::Fit& fit) {
  Conversion conversion = CastOf(column, fit);
  if (!fit.changed.empty()) {
    conversion.unfit += fmt::format("{}({} IS NOT NULL AND ({}))", conversion.unfit.empty() ? "" : " OR ",
                                    conversion.expression, WithValue(fit.changed, conversion.expression));
  }
  if (fit.spelled) conversion.expression = fmt::format("CAST({} AS VARCHAR)", conversion.expression);
  return conversion;
}

}  // namespace

Result<std::unique_ptr<ServerRows>> ServerRows::Make(Engine& engine, std::shared_ptr<arrow::Schema> schema,
                                                     const sql::Server& server, const sql::TableInfo& table,
                                                     const TableOptions& options) {
  std::unique_ptr<ServerRows> rows(new ServerRows);
  TRANCHE_ASSIGN(rows->table_, BatchTable::Make(engine, schema));
  rows->info_ = table;
  rows->mode_ = options.mode;
  const bool changes = options.mode == Mode::kChanges;
  const std::string change = options.ChangeSql();
  const std::string deletes = fmt::format("{} = {}", change, static_cast<int>(Change::kDelete));
  bool converts = changes;
  std::string select;
  std::string unfit;
  for (int i = 0; i < schema->num_fields(); ++i) {
    const tranche::Column& column = rows->table_->columns().at(static_cast<size_t>(i));
    if (!options.Writes(column.name)) continue;
    const sql::TableColumn* target = rows->info_.Find(column.name);
    if (target == nullptr) return Fail(Code::kInternal, "no column for '{}'", column.name);
    const sql::Fit fit = server.FitFor(column.type, *target);
    Conversion conversion = ConversionOf(column, fit);
    if (options.changes.Has(Change::kDelete) && !options.InKey(column.name)) {
      conversion.expression =
          fmt::format("CASE WHEN {} THEN NULL ELSE {} END", deletes, conversion.expression);
      if (!conversion.unfit.empty())
        conversion.unfit = fmt::format("({} AND NOT {})", conversion.unfit, deletes);
    }
    converts = converts || conversion.expression != QuoteName(column.name);
    select +=
        fmt::format("{}{} AS {}", select.empty() ? "" : ", ", conversion.expression, QuoteName(column.name));
    if (!conversion.unfit.empty()) {
      unfit += fmt::format(" WHEN {} THEN concat({}, ' ', {})", conversion.unfit, rows->columns_.size(),
                           MisfitReason(column, target->type));
    }
    rows->columns_.push_back({target, fit, i, options.InKey(column.name)});
  }
  if (changes) {
    rows->change_column_ = options.changes.column;
    select += fmt::format(", CAST({} AS BIGINT) AS {}", change, QuoteName(kChangeColumn));
    unfit += fmt::format(" WHEN ({}) IS NULL THEN concat({}, ' ', {})", change, rows->columns_.size(),
                         options.NoChangeSql());
  }
  if (converts || !unfit.empty()) {
    rows->select_ = fmt::format("SELECT {}, {} AS {} FROM {}", select,
                                unfit.empty() ? "NULL::VARCHAR" : fmt::format("CASE{} END", unfit),
                                QuoteName(kUnfitColumn), rows->table_->from());
  }
  return rows;
}

bool ServerRows::as_text() const {
  return std::ranges::any_of(columns_, [](const Column& column) { return column.fit.as_text; });
}

bool ServerRows::Deletes(const arrow::RecordBatch& rows, int64_t row) const {
  if (mode_ != Mode::kChanges) return false;
  const auto& changes =
      static_cast<const arrow::Int64Array&>(*rows.column(static_cast<int>(columns_.size())));
  return !changes.IsNull(row) && changes.Value(row) == static_cast<int64_t>(Change::kDelete);
}

// A NULL that can't be stored needs no word of the server's.
void ServerRows::FindNulls(Loaded& loaded) const {
  for (size_t i = 0; i < columns_.size(); ++i) {
    const Column& column = columns_[i];
    if (!column.key && !column.column->not_null) continue;
    const arrow::Array& values = *loaded.rows->column(static_cast<int>(i));
    for (int64_t row = 0; values.null_count() > 0 && row < values.length(); ++row) {
      if (!values.IsNull(row) || (!column.key && Deletes(*loaded.rows, row))) continue;
      loaded.refused.push_back(
          {row, column.key ? "a column of the key is NULL" : "NULL in a column that is NOT NULL",
           column.column->name});
    }
  }
}

Result<ServerRows::Loaded> ServerRows::Load(const Batch& batch) {
  Loaded loaded;
  std::shared_ptr<arrow::RecordBatch>& rows = loaded.rows;
  std::vector<RefusedCell>& refused = loaded.refused;
  if (select_.empty()) {
    std::vector<int> indices;
    for (const Column& column : columns_) indices.push_back(column.index);
    TRANCHE_ARROW_ASSIGN(rows, "take", "columns of a batch", batch.rows()->SelectColumns(indices));
  } else {
    table_->Set(batch.pieces);
    TRANCHE_ASSIGN(rows, table_->Select(select_));
    const auto& unfit = static_cast<const arrow::StringArray&>(*rows->column(rows->num_columns() - 1));
    for (int64_t row = 0; unfit.null_count() < unfit.length() && row < unfit.length(); ++row) {
      if (unfit.IsNull(row)) continue;
      const std::string text = unfit.GetString(row);
      const size_t space = text.find(' ');
      const size_t column = std::stoul(text);
      refused.push_back({row, text.substr(space + 1),
                         column < columns_.size() ? columns_[column].column->name : change_column_});
    }
    TRANCHE_ARROW_ASSIGN(rows, "take", "columns of a batch", rows->RemoveColumn(rows->num_columns() - 1));
  }
  if (rows->num_rows() != batch.span.rows())
    return Fail(Code::kInternal, "a batch lost rows on the way to the server");
  const size_t unfit = refused.size();
  FindNulls(loaded);
  if (refused.size() > unfit) {
    std::ranges::stable_sort(refused, {}, &RefusedCell::row);
    const auto twice = std::ranges::unique(refused, {}, &RefusedCell::row);
    refused.erase(twice.begin(), twice.end());
  }
  return loaded;
}

}  // namespace tranche
