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

Result<std::unique_ptr<sqlite::Statement>> Prepare(sqlite::Database& database, std::string_view sql) {
  TRANCHE_ASSIGN(sqlite::Statement statement, database.Prepare(sql));
  return std::make_unique<sqlite::Statement>(std::move(statement));
}

}  // namespace

Result<std::unique_ptr<SqliteWriter>> SqliteWriter::Make(sqlite::Database& database, const SqliteTable& table,
                                                         const Columns& columns,
                                                         std::vector<std::string> key) {
  std::unique_ptr<SqliteWriter> writer(new SqliteWriter(database));
  writer->table_ = table.name();
  writer->columns_ = static_cast<int>(columns.size());
  writer->key_columns_ = static_cast<int>(key.size());
  writer->has_rowid_ = table.has_rowid();
  writer->has_triggers_ = table.has_triggers();

  std::string names, keys, updates;
  for (const Column& column : columns) {
    std::string name = QuoteName(column.name);
    names += (names.empty() ? "" : ", ") + name;
    if (std::ranges::any_of(key, [&](const std::string& part) { return FindColumn({column}, part); }))
      continue;
    updates += fmt::format("{}{} = excluded.{}", updates.empty() ? "" : ", ", name, name);
  }
  for (const std::string& part : key) keys += (keys.empty() ? "" : ", ") + QuoteName(part);
  // A row that is all key replaces the like of it; DO NOTHING would not say that it was met.
  if (updates.empty() && !key.empty()) updates = fmt::format("{0} = {0}", QuoteName(key.front()));
  // OR ABORT: a table's own ON CONFLICT IGNORE, REPLACE or ROLLBACK would drop or replace rows in silence.
  std::string insert = fmt::format("INSERT OR ABORT INTO {} ({}) VALUES ", QuoteName(table.name()), names);
  std::string upsert = key.empty() ? "" : fmt::format(" ON CONFLICT ({}) DO UPDATE SET {}", keys, updates);
  auto statement = [&](int rows) { return insert + Marks(writer->columns_, rows) + upsert; };
  TRANCHE_ASSIGN(writer->one_, Prepare(database, statement(1)));
  TRANCHE_ASSIGN(writer->returning_,
                 Prepare(database, fmt::format("{} RETURNING {}{}{}", statement(1), table.RowIdName(),
                                               keys.empty() ? "" : ", ", keys)));
  constexpr int kMostParameters = 32766;
  if (!writer->has_triggers_ && writer->columns_ * kRowsAtOnce <= kMostParameters) {
    TRANCHE_ASSIGN(writer->many_, Prepare(database, statement(kRowsAtOnce)));
  }
  TRANCHE_ASSIGN(writer->save_, Prepare(database, "SAVEPOINT tranche_row"));
  TRANCHE_ASSIGN(writer->undo_, Prepare(database, "ROLLBACK TO tranche_row"));
  TRANCHE_ASSIGN(writer->release_, Prepare(database, "RELEASE tranche_row"));
  if (!key.empty()) writer->Track();
  return writer;
}

void SqliteWriter::Track() {
  returns_ = has_triggers_ || !has_rowid_;
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

Result<bool> SqliteWriter::Insert(const SqliteRows& rows, int64_t count, Refused& refused, Counts& counts) {
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
    TRANCHE_ASSIGN(bool done, InsertMany(rows, these, counts));
    // What has failed together is tried row by row.
    for (size_t i = 0; !done && i < these.size(); ++i) {
      TRANCHE_ASSIGN(bool alive, InsertOne(rows, these[i], refused, counts));
      if (!alive) return false;
    }
  }
  CountKeys(counts);
  return true;
}

// false: one of them is refused, and nothing has been done.
Result<bool> SqliteWriter::InsertMany(const SqliteRows& rows, std::span<const int64_t> these,
                                      Counts& counts) {
  if (!many_ || returns_ || these.size() < kRowsAtOnce) return false;
  if (hook_) hook_->ids().clear();
  for (size_t i = 0; i < these.size(); ++i) rows.Bind(*many_, static_cast<int>(i) * columns_ + 1, these[i]);
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
Result<bool> SqliteWriter::InsertOne(const SqliteRows& rows, int64_t row, Refused& refused, Counts& counts) {
  auto run = [](sqlite::Statement& statement) -> Status {
    auto done = statement.Step();
    statement.Reset();
    if (!done) return std::move(done).error();
    return {};
  };
  if (has_triggers_) TRANCHE_TRY(run(*save_));
  if (hook_) hook_->ids().clear();
  sqlite::Statement& statement = returns_ ? *returning_ : *one_;
  rows.Bind(statement, 1, row);
  Result<bool> stored = returns_ ? StepReturning(row, counts) : statement.Step();
  if (stored && !returns_) stored = database_.changes() == 1;
  bool row_error = !stored && RowError();
  if (row_error) refused.insert_or_assign(row, Refusal(row));
  statement.Reset();
  if (!stored && !row_error) return std::move(stored).error();
  if (!database_.in_transaction()) return false;
  if (stored && !*stored) refused.try_emplace(row, row, "dropped by a trigger of the table", "");
  if (stored && *stored && !returns_) ++counts.stored;
  if (stored && hook_ && !hook_->ids().empty()) written_.emplace_back(hook_->ids().back(), row);
  if (has_triggers_ && row_error) TRANCHE_TRY(run(*undo_));
  if (has_triggers_) TRANCHE_TRY(run(*release_));
  return true;
}

Result<bool> SqliteWriter::StepReturning(int64_t row, Counts& counts) {
  TRANCHE_ASSIGN(bool stored, returning_->Step());
  if (!stored) return false;
  if (has_rowid_) written_.emplace_back(returning_->Int(0), row);
  std::string key;  // as it is stored: what SQLite holds for equal is equal here
  for (int i = 1; i <= key_columns_; ++i) {
    std::string_view part = returning_->BlobAt(i);
    key += fmt::format("{}:{}:", static_cast<int>(returning_->ColumnType(i)), part.size());
    key += part;
  }
  ++(key_columns_ > 0 && !keys_.insert(std::move(key)).second ? counts.superseded : counts.stored);
  TRANCHE_TRY(returning_->Step());
  return true;
}

// Rows that wrote to a row of the table which an earlier one of the batch had written to.
void SqliteWriter::CountKeys(Counts& counts) {
  if (!hook_ || key_columns_ == 0) return;
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
        .Hint("a trigger may have made rows that refer to nothing");
  }
  return true;
}

}  // namespace tranche
