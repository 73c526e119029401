#include "tranche/sinks/duckdb_writer.h"

#include <arrow/record_batch.h>

#include "tranche/connector/sql_text.h"
#include "tranche/sinks/misfit.h"

namespace tranche {
namespace {

// The query for rows that can't be stored: conditions, each with a reason and a column.
class UnfitQuery {
 public:
  void Add(const std::string& condition, const std::string& reason, const std::string& column) {
    reasons_ += fmt::format(" WHEN {} THEN {}", condition, reason);
    columns_ += fmt::format(" WHEN {} THEN {}", condition, QuoteText(column));
    any_ += fmt::format("{}{}", any_.empty() ? "" : " OR ", condition);
  }
  std::string Over(const std::string& from) const {
    if (any_.empty()) return "";
    return fmt::format("SELECT {0}, CASE{1} END, CASE{2} END FROM {3} WHERE {4} ORDER BY {0}",
                       QuoteName(kPositionColumn), reasons_, columns_, from, any_);
  }

 private:
  std::string reasons_, columns_, any_;
};

std::string UnfitSql(const Columns& columns, const DuckDbTable& table, const TableOptions& options,
                     const std::string& from) {
  UnfitQuery unfit;
  std::string kept;  // of a row that is deleted only the key counts
  if (options.mode == Mode::kChanges) {
    const std::string change = options.ChangeSql();
    unfit.Add(change + " IS NULL", options.NoChangeSql(), options.changes.column);
    if (options.deletes()) {
      kept = fmt::format("{} <> {} AND ", change, static_cast<int>(sql::Change::kDelete));
    }
  }
  const Columns targets = table.columns();
  for (const Column& column : columns) {
    const std::string name = QuoteName(column.name), &type = FindColumn(targets, column.name)->type;
    const bool is_key = options.InKey(column.name);
    const std::string& when = is_key ? "" : kept;
    if (is_key) unfit.Add(name + " IS NULL", "'a column of the key is NULL'", column.name);
    if (!is_key && table.NeedsValue(column.name)) {
      unfit.Add(fmt::format("({}{} IS NULL)", when, name), "'NULL in a column that is NOT NULL'",
                column.name);
    }
    if (column.type == type || column.type == "\"NULL\"") continue;
    unfit.Add(fmt::format("({}{})", when, Misfit(column, type)), MisfitReason(column, type), column.name);
  }
  return unfit.Over(from);
}

}  // namespace

Result<std::unique_ptr<DuckDbWriter>> DuckDbWriter::Make(Engine& engine, sql::SqlConnection& connection,
                                                         BatchTable& rows, const Columns& columns,
                                                         const DuckDbTable& table,
                                                         const TableOptions& options) {
  std::unique_ptr<DuckDbWriter> writer(new DuckDbWriter(connection, rows));
  writer->MakeStatements(columns, table, options);
  TRANCHE_TRY(writer->CheckStatements(engine, options));
  return writer;
}

void DuckDbWriter::MakeStatements(const Columns& columns, const DuckDbTable& table,
                                  const TableOptions& options) {
  const Columns targets = table.columns();
  const std::string& from = rows_.from();
  const std::string position = "s." + QuoteName(kPositionColumn);
  std::vector<sql::Assignment> assignments;
  std::string names, values, keys, key_values, updates;
  const auto add = [](std::string& list, const std::string& item) {
    list += (list.empty() ? "" : ", ") + item;
  };
  for (const Column& column : columns) {
    const std::string name = QuoteName(column.name);
    const bool is_key = options.InKey(column.name);
    // Of a row that is deleted it doesn't matter what fits; all others do, by now.
    const std::string value = fmt::format("{}CAST(s.{} AS {})", options.deletes() && !is_key ? "TRY_" : "",
                                          name, FindColumn(targets, column.name)->type);
    assignments.push_back({column.name, value, is_key});
    add(names, name);
    add(values, value);
    if (is_key) add(keys, name);
    if (is_key) add(key_values, value);
    if (!is_key) add(updates, fmt::format("{0} = excluded.{0}", name));
  }
  unfit_ = UnfitSql(columns, table, options, from);
  insert_ =
      fmt::format("INSERT INTO {} ({}) SELECT {} FROM {} s", QuoteName(table.name()), names, values, from);
  if (options.key.empty()) return;
  // DuckDB would keep the first row of a key; the last one is the one that counts.
  insert_ +=
      fmt::format(" QUALIFY row_number() OVER (PARTITION BY {} ORDER BY {} DESC) = 1 ON CONFLICT ({}) DO {}",
                  key_values, position, keys, updates.empty() ? "NOTHING" : "UPDATE SET " + updates);
  count_keys_ = fmt::format("SELECT count(*) FROM (SELECT DISTINCT {} FROM {} s)", key_values, from);
  if (options.mode == Mode::kUpsert) return;
  changes_.emplace(sql::kDuckDb, table.name(), from, assignments, options.ChangeSql(), position,
                   options.needs_unique_key());
}

Status DuckDbWriter::CheckStatements(Engine& engine, const TableOptions& options) {
  rows_.Set({});
  const auto explain = [&](const std::string& sql) -> Status {
    auto explained = engine.Execute("EXPLAIN " + sql);
    // That it may not be written just now comes up only where all else is right.
    if (explained || explained.error().message.find("read-only mode") != std::string::npos) return {};
    if (!options.key.empty() && explained.error().message.find("conflict target") != std::string::npos) {
      return options.NoIndex();
    }
    return std::move(explained).error();
  };
  if (changes_) TRANCHE_TRY(explain(changes_->query()));
  return options.inserts() ? explain(insert_) : Status();
}

Result<DuckDbWriter::Refused> DuckDbWriter::FindUnfit(const arrow::RecordBatch& rows) {
  Refused refused;
  if (unfit_.empty()) return refused;
  rows_.Set(rows, {{0, rows.num_rows()}});
  TRANCHE_ASSIGN(auto unfit, connection_.Query(unfit_));
  for (const TextRow& row : unfit)
    refused.push_back({sql::ToNumber(row[0]), row[1].value_or(""), row[2].value_or("")});
  return refused;
}

Result<DuckDbWriter::Written> DuckDbWriter::Write(const arrow::RecordBatch& rows,
                                                  const std::vector<Span>& spans) {
  rows_.Set(rows, spans);
  if (!changes_) return Insert(spans);
  TRANCHE_ASSIGN(auto done, changes_->Do(connection_));
  Written written{done.counts};
  for (const int64_t row : done.refused) {
    written.refused.push_back({row, std::string(sql::kKeyIsThere), ""});
  }
  return written;
}

Result<DuckDbWriter::Written> DuckDbWriter::Insert(const std::vector<Span>& spans) {
  Counts counts;
  for (const Span span : spans) counts.sent += span.rows();
  TRANCHE_ASSIGN(counts.stored, connection_.Execute(insert_));
  if (count_keys_.empty()) return Written{counts};
  TRANCHE_ASSIGN(auto keys, connection_.Query(count_keys_));
  const int64_t distinct = sql::ToNumber(keys.at(0).at(0));
  if (insert_.ends_with("DO NOTHING"))
    counts.stored = distinct;  // rows that are all key: there before or now
  counts.superseded = counts.sent - distinct;
  return Written{counts};
}

}  // namespace tranche
