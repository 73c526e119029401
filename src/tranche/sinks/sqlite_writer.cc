#include "tranche/sinks/sqlite_writer.h"

#include <algorithm>

#include "tranche/connector/sql_text.h"

namespace tranche {
namespace {

// Result codes of SQLite (https://www.sqlite.org/rescode.html): the low byte is the kind.
constexpr int kError = 1, kTooBig = 18, kConstraint = 19, kMismatch = 20;

std::string Marks(int columns, int rows) {
  std::string row = "(";
  for (int i = 0; i < columns; ++i) row += i == 0 ? "?" : ", ?";
  row += ")";
  std::string all;
  for (int i = 0; i < rows; ++i) all += (i == 0 ? "" : ", ") + row;
  return all;
}

void Add(std::string& list, std::string_view separator, const std::string& item) {
  if (!list.empty()) list += separator;
  list += item;
}

Result<std::unique_ptr<sqlite::Statement>> Prepared(sqlite::Database& database, std::string_view sql) {
  TRANCHE_ASSIGN(sqlite::Statement statement, database.Prepare(sql));
  return std::make_unique<sqlite::Statement>(std::move(statement));
}

bool MayMiss(Change change) { return change == Change::kUpdate || change == Change::kDelete; }

}  // namespace

Result<std::unique_ptr<SqliteWriter>> SqliteWriter::Make(sqlite::Database& database, const SqliteTable& table,
                                                         const Columns& columns,
                                                         const TableOptions& options) {
  std::unique_ptr<SqliteWriter> writer(new SqliteWriter(database));
  writer->table_ = table.name();
  writer->has_rowid_ = table.has_rowid();
  writer->has_triggers_ = table.has_triggers();
  writer->MakeActions(columns, options);
  TRANCHE_TRY(writer->CheckIndex(options));
  TRANCHE_TRY(writer->MakeStatements(table, options));
  if (!options.key.empty() && options.mode != Mode::kDelete) writer->Track();
  return writer;
}

void SqliteWriter::MakeActions(const Columns& columns, const TableOptions& options) {
  std::string names, excluded, sets, same;
  std::vector<int> all, others;
  for (int i = 0; i < static_cast<int>(columns.size()); ++i) {
    const std::string name = QuoteName(columns[i].name);
    const bool is_key = options.InKey(columns[i].name);
    all.push_back(i);
    (is_key ? key_columns_ : others).push_back(i);
    Add(names, ", ", name);
    if (is_key) Add(keys_list_, ", ", name);
    if (is_key) Add(same, " AND ", name + " = ?");
    if (!is_key) Add(excluded, ", ", fmt::format("{0} = excluded.{0}", name));
    if (!is_key) Add(sets, ", ", name + " = ?");
  }
  // A row that is all key changes the like of it to itself: doing nothing would not say that it was met.
  if (others.empty() && !options.key.empty()) {
    excluded = sets = fmt::format("{0} = {0}", QuoteName(options.key.front()));
  }
  std::vector<int> others_then_key = others;
  others_then_key.insert(others_then_key.end(), key_columns_.begin(), key_columns_.end());

  // OR ABORT: a table's own ON CONFLICT IGNORE, REPLACE or ROLLBACK would drop or replace rows in silence.
  const std::string table = QuoteName(table_);
  const auto add = [&](Change change, std::string sql, std::vector<int> bound) {
    const bool is_all = options.mode != Mode::kChanges && options.ChangeOfAll() == change;
    if (is_all || options.changes.Has(change))
      actions_[change] = {std::move(sql), std::move(bound), nullptr, nullptr};
  };
  const int width = static_cast<int>(all.size());
  const std::string insert = fmt::format("INSERT OR ABORT INTO {} ({}) VALUES ", table, names);
  const std::string upsert = fmt::format(" ON CONFLICT ({}) DO UPDATE SET {}", keys_list_, excluded);
  add(Change::kInsert, insert + Marks(width, 1), all);
  add(Change::kUpsert, insert + Marks(width, 1) + upsert, all);
  add(Change::kUpdate, fmt::format("UPDATE OR ABORT {} SET {} WHERE {}", table, sets, same), others_then_key);
  add(Change::kDelete, fmt::format("DELETE FROM {} WHERE {}", table, same), key_columns_);
  look_sql_ = fmt::format("SELECT 1 FROM {} WHERE {}", table, same);
  if (options.mode != Mode::kChanges && options.inserts()) {
    many_sql_ = insert + Marks(width, kRowsAtOnce) + (options.mode == Mode::kUpsert ? upsert : "");
  }
}

Status SqliteWriter::MakeStatements(const SqliteTable& table, const TableOptions& options) {
  for (auto& [change, action] : actions_) {
    TRANCHE_ASSIGN(action.one, Prepared(database_, action.sql));
    TRANCHE_ASSIGN(action.returning,
                   Prepared(database_, fmt::format("{} RETURNING {}{}{}", action.sql, table.RowIdName(),
                                                   keys_list_.empty() ? "" : ", ", keys_list_)));
  }
  constexpr size_t kMostParameters = 32766;
  const size_t columns = actions_.begin()->second.columns.size();
  if (!many_sql_.empty() && !has_triggers_ && columns * kRowsAtOnce <= kMostParameters) {
    TRANCHE_ASSIGN(many_, Prepared(database_, many_sql_));
  }
  if (has_triggers_ && !options.key.empty()) {
    TRANCHE_ASSIGN(look_, Prepared(database_, look_sql_));
  }
  TRANCHE_ASSIGN(save_, Prepared(database_, "SAVEPOINT tranche_row"));
  TRANCHE_ASSIGN(undo_, Prepared(database_, "ROLLBACK TO tranche_row"));
  TRANCHE_ASSIGN(release_, Prepared(database_, "RELEASE tranche_row"));
  return {};
}

// Where rows may be added, a key must be there once; where they are only looked for, not by reading the whole
// table for each of them.
Status SqliteWriter::CheckIndex(const TableOptions& options) {
  if (options.key.empty()) return {};
  if (!options.needs_unique_key()) {
    TRANCHE_ASSIGN(auto plan, database_.Query("EXPLAIN QUERY PLAN " + look_sql_));
    for (const sqlite::Row& step : plan) {
      const auto* detail = std::get_if<std::string>(&step.at(3));
      if (detail != nullptr && detail->starts_with("SCAN")) return options.NoIndex();
    }
    return {};
  }
  auto there = database_.Prepare(fmt::format("INSERT INTO {} ({}) VALUES {} ON CONFLICT ({}) DO NOTHING",
                                             QuoteName(table_), keys_list_,
                                             Marks(static_cast<int>(key_columns_.size()), 1), keys_list_));
  if (there) return {};
  if (there.error().message.find("ON CONFLICT") != std::string::npos) return options.NoIndex();
  return std::move(there).error();
}

void SqliteWriter::Track() {
  returns_ = has_triggers_ || !has_rowid_ || actions_.size() > 1;
  if (!returns_) hook_ = std::make_unique<sqlite::WrittenRowIds>(database_, table_);
}

bool SqliteWriter::RowError() const {
  int kind = database_.error_code() & 0xff;
  return kind == kConstraint || kind == kMismatch || kind == kTooBig || kind == kError;
}

// "NOT NULL constraint failed: t.a" names its column, if it is one.
RefusedCell SqliteWriter::Refusal(int64_t row) const {
  RefusedCell refusal{row, database_.error_message(), ""};
  std::string start = fmt::format("constraint failed: {}.", table_);
  size_t at = refusal.reason.find(start);
  if (at != std::string::npos && refusal.reason.find(',') == std::string::npos) {
    refusal.column = refusal.reason.substr(at + start.size());
  }
  return refusal;
}

Result<bool> SqliteWriter::Write(const SqliteRows& rows, int64_t count, Refused& refused, Counts& counts) {
  keys_.clear();
  written_.clear();
  std::vector<int64_t> good;
  good.reserve(count);
  for (int64_t row = 0; row < count; ++row) {
    if (refused.empty() || !refused.contains(row)) good.push_back(row);
  }
  std::span<const int64_t> left(good);
  while (!left.empty()) {
    auto these = left.first(std::min<size_t>(kRowsAtOnce, left.size()));
    left = left.subspan(these.size());
    TRANCHE_ASSIGN(bool done, WriteMany(rows, these, counts));
    // What has failed together is tried row by row.
    for (size_t i = 0; !done && i < these.size(); ++i) {
      TRANCHE_ASSIGN(bool alive, WriteOne(rows, these[i], refused, counts));
      if (!alive) return false;
    }
  }
  CountKeys(counts);
  return true;
}

// false: one of them is refused, and nothing has been done.
Result<bool> SqliteWriter::WriteMany(const SqliteRows& rows, std::span<const int64_t> these, Counts& counts) {
  if (!many_ || returns_ || these.size() < kRowsAtOnce) return false;
  if (hook_) hook_->ids().clear();
  const std::vector<int>& columns = actions_.begin()->second.columns;
  int first = 1;
  for (const int64_t row : these) {
    rows.Bind(*many_, first, columns, row);
    first += static_cast<int>(columns.size());
  }
  Result<bool> done = many_->Step();
  bool row_error = !done && RowError();
  many_->Reset();
  if (row_error) return false;
  if (!done) return std::move(done).error();
  counts.stored += database_.changes();
  for (size_t i = 0; hook_ && i < hook_->ids().size(); ++i) written_.emplace_back(hook_->ids()[i], these[i]);
  return true;
}

// false: the transaction is gone.
Result<bool> SqliteWriter::WriteOne(const SqliteRows& rows, int64_t row, Refused& refused, Counts& counts) {
  auto run = [](sqlite::Statement& statement) -> Status {
    auto done = statement.Step();
    statement.Reset();
    if (!done) return std::move(done).error();
    return {};
  };
  const Change change = actions_.size() == 1 ? actions_.begin()->first : rows.ChangeOf(row);
  const Action& action = actions_.at(change);
  if (has_triggers_) TRANCHE_TRY(run(*save_));
  if (hook_) hook_->ids().clear();
  sqlite::Statement& statement = returns_ ? *action.returning : *action.one;
  rows.Bind(statement, 1, action.columns, row);
  Result<bool> stored = returns_ ? StepReturning(statement, row, counts) : statement.Step();
  if (stored && !returns_) stored = database_.changes() > 0;
  bool row_error = !stored && RowError();
  if (row_error) refused.insert_or_assign(row, Refusal(row));
  statement.Reset();
  if (!stored && !row_error) return std::move(stored).error();
  if (!database_.in_transaction()) return false;
  if (stored && !*stored) {
    TRANCHE_ASSIGN(bool misses, Misses(change, rows, row));
    if (misses) ++counts.unmatched;
    if (!misses) refused.try_emplace(row, row, "dropped by a trigger of the table", "");
  }
  if (stored && *stored && !returns_) ++counts.stored;
  if (stored && hook_ && !hook_->ids().empty()) written_.emplace_back(hook_->ids().back(), row);
  if (has_triggers_ && row_error) TRANCHE_TRY(run(*undo_));
  if (has_triggers_) TRANCHE_TRY(run(*release_));
  return true;
}

// Whether a row that did nothing found nothing.
Result<bool> SqliteWriter::Misses(Change change, const SqliteRows& rows, int64_t row) {
  if (!MayMiss(change) || !look_) return MayMiss(change);
  rows.Bind(*look_, 1, key_columns_, row);
  auto found = look_->Step();
  look_->Reset();
  if (!found) return std::move(found).error();
  return !*found;
}

Result<bool> SqliteWriter::StepReturning(sqlite::Statement& statement, int64_t row, Counts& counts) {
  TRANCHE_ASSIGN(bool stored, statement.Step());
  if (!stored) return false;
  if (has_rowid_) written_.emplace_back(statement.Int(0), row);
  std::string key;  // as it is stored: what SQLite holds for equal is equal here
  for (int i = 1; i <= static_cast<int>(key_columns_.size()); ++i) {
    std::string_view part = statement.BlobAt(i);
    key += fmt::format("{}:{}:", static_cast<int>(statement.ColumnType(i)), part.size());
    key += part;
  }
  ++(!key.empty() && !keys_.insert(std::move(key)).second ? counts.superseded : counts.stored);
  while (stored) {
    TRANCHE_ASSIGN(stored, statement.Step());
  }
  return true;
}

// Rows that wrote to a row of the table which an earlier one of the batch had written to.
void SqliteWriter::CountKeys(Counts& counts) {
  if (!hook_ || key_columns_.empty()) return;
  std::vector<int64_t> ids;
  ids.reserve(written_.size());
  for (auto [id, row] : written_) ids.push_back(id);
  std::ranges::sort(ids);
  auto doubled = std::ranges::unique(ids);
  counts.superseded += static_cast<int64_t>(doubled.size());
  counts.stored -= static_cast<int64_t>(doubled.size());
}

Result<bool> SqliteWriter::FindOrphans(Refused& refused) {
  if (!has_rowid_) {
    return Fail(
        Code::kData,
        "rows of table '{}' refer to others that are not there, and a table WITHOUT ROWID cannot say which",
        table_);
  }
  if (!hook_ && !returns_) {
    Track();
    return false;
  }
  std::map<int64_t, int64_t> rows;  // the last writer of each
  for (auto [id, row] : written_) rows[id] = row;
  TRANCHE_ASSIGN(auto orphans,
                 database_.Query(fmt::format("PRAGMA foreign_key_check({})", QuoteName(table_))));
  size_t before = refused.size();
  for (const sqlite::Row& orphan : orphans) {
    const auto* rowid = std::get_if<int64_t>(&orphan.at(1));
    const auto* parent = std::get_if<std::string>(&orphan.at(2));
    auto found = rowid ? rows.find(*rowid) : rows.end();
    if (found == rows.end()) continue;
    refused.try_emplace(
        found->second, found->second,
        fmt::format("FOREIGN KEY constraint failed: no such row in {}", parent ? *parent : "its parent"), "");
  }
  if (refused.size() == before) {
    return Fail(Code::kData,
                "table '{}': a deferred foreign key fails at COMMIT, by no row of the batch's own", table_)
        .Hint(
            "a trigger may have made rows that refer to nothing, or rows that were deleted are referred to");
  }
  return true;
}

}  // namespace tranche
