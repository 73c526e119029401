#include "tranche/sinks/server_writer.h"

#include <algorithm>

#include <arrow/record_batch.h>

namespace tranche {
namespace {

constexpr std::string_view kStaging = "tranche_staging";
constexpr int64_t kPieceRows = 16'384;  // loaded at a time; what it costs beside them does not show

// The n-th row of spans.
int64_t NthOf(const std::vector<Span>& spans, int64_t n) {
  for (Span span : spans) {
    if (n < span.rows()) return span.from + n;
    n -= span.rows();
  }
  return -1;
}

// A span of indices into `spans`, as spans of rows.
std::vector<Span> Through(const std::vector<Span>& spans, Span indices) {
  std::vector<Span> rows;
  int64_t before = 0;
  for (Span span : spans) {
    const Span part{std::max(indices.from - before, int64_t{0}) + span.from,
                    std::min(indices.to - before, span.rows()) + span.from};
    if (part.from < part.to) rows.push_back(part);
    before += span.rows();
    if (before >= indices.to) break;
  }
  return rows;
}

int64_t RowsOf(const std::vector<Span>& spans) {
  int64_t rows = 0;
  for (Span span : spans) rows += span.rows();
  return rows;
}

// Rows of a staging table.
std::string Where(Span positions) {
  const std::string position = QuoteName(kPositionColumn);
  return fmt::format("(s.{0} >= {1} AND s.{0} < {2})", position, positions.from, positions.to);
}

void Insert(std::vector<RefusedCell>& refused, RefusedCell cell) {
  refused.insert(std::ranges::upper_bound(refused, cell.row, {}, &RefusedCell::row), std::move(cell));
}

}  // namespace

ServerWriter::ServerWriter(sql::ServerSession& session, const sql::TableInfo& table,
                           const TableOptions& options, const ServerRows& rows)
    : session_(session), table_(table), options_(options), rows_(rows) {
  staged_ = !options.key.empty() || table.meddles || rows.as_text();
  target_.table = table.name;
  staging_.table = kStaging;
  for (const ServerRows::Column& column : rows.columns()) {
    target_.columns.push_back(column.column->name);
    target_.wires.push_back(column.fit.wire);
  }
  staging_.columns = target_.columns;
  staging_.columns.emplace_back(kPositionColumn);
  staging_.wires = target_.wires;
  staging_.wires.emplace_back("int8");
  if (options.mode == Mode::kChanges) {
    staging_.columns.insert(staging_.columns.end() - 1, std::string(ServerRows::kChangeColumn));
    staging_.wires.emplace_back("int8");
  }
}

Status ServerWriter::Prepare() {
  if (!staged_) return {};
  std::string columns;
  for (const ServerRows::Column& column : rows_.columns()) {
    columns += fmt::format("{} {} NULL, ", QuoteName(column.column->name),
                           column.fit.as_text ? "TEXT" : column.column->definition());
  }
  if (options_.mode == Mode::kChanges)
    columns += fmt::format("{} BIGINT NULL, ", QuoteName(ServerRows::kChangeColumn));
  TRANCHE_TRY(session_.Execute(fmt::format(
      "CREATE TEMPORARY TABLE {} ({}{} BIGINT {}) {}", QuoteName(kStaging), columns,
      QuoteName(kPositionColumn), session_.dialect().position_key, session_.dialect().temporary_options)));
  return {};
}

// Rows are looked for in parts from now on. Not within a savepoint: the next one that fails would take it
// away.
Status ServerWriter::Index() {
  if (!session_.dialect().position_key.empty()) return {};
  TRANCHE_TRY(session_.Execute("RELEASE SAVEPOINT tranche_rows"));
  saved_ = false;
  TRANCHE_TRY(session_.Execute(fmt::format("CREATE INDEX IF NOT EXISTS tranche_staging_position ON {} ({})",
                                           QuoteName(kStaging), QuoteName(kPositionColumn))));
  return {};
}

Status ServerWriter::Settle() {
  if (!table_.deferred) return {};
  TRANCHE_TRY(session_.Execute("SET CONSTRAINTS ALL IMMEDIATE"));
  return {};
}

Error ServerWriter::Dropped() const {
  return Fail(Code::kData, "a trigger or rule of table '{}' dropped the row", table_.name);
}

Result<std::optional<sql::Refusal>> ServerWriter::Try(const std::function<Status()>& work) {
  if (!saved_) TRANCHE_TRY(session_.Execute("SAVEPOINT tranche_rows"));
  if (Status done = work(); !done) {
    const sql::Fault fault = session_.fault();
    const bool ours = fault.kind == sql::Fault::Kind::kNone && done.error().code == Code::kData;
    if (fault.kind != sql::Fault::Kind::kRow && !ours) return std::move(done).error();
    TRANCHE_TRY(session_.Execute("ROLLBACK TO SAVEPOINT tranche_rows"));
    saved_ = true;
    return sql::Refusal{std::move(done.error().message), fault.column, fault.row};
  }
  // One that stays below another keeps its locks, and thousands are more than a server has room for.
  TRANCHE_TRY(session_.Execute("RELEASE SAVEPOINT tranche_rows"));
  saved_ = false;
  return std::nullopt;
}

Status ServerWriter::Load(const sql::LoadTarget& target, const arrow::RecordBatch& rows, Refused& refused,
                          const std::function<Status(int64_t)>& allow) {
  const std::vector<Span> given = Without(rows.num_rows(), refused);
  const auto before = static_cast<int64_t>(refused.size());
  auto load = [&](Span indices) {
    return Try([&]() -> Status {
      TRANCHE_ASSIGN(const int64_t taken, session_.Load(target, rows, Through(given, indices)));
      return taken == indices.rows() ? Settle() : Dropped();
    });
  };
  // Rows may need one another where a constraint waits.
  const int64_t piece = table_.deferred ? rows.num_rows() : kPieceRows;
  TRANCHE_ASSIGN(auto found,
                 sql::Sift(RowsOf(given), load, [&](int64_t more) { return allow(before + more); }, piece));
  for (sql::RefusedRow& row : found) {
    Insert(refused, {NthOf(given, row.row), std::move(row.reason), std::move(row.column)});
  }
  return {};
}

Status ServerWriter::Write(const arrow::RecordBatch& rows, Refused& refused, Counts& counts,
                           const std::function<Status(int64_t)>& allow) {
  saved_ = false;
  if (staged_ && !session_.dialect().clears_temporary) {
    TRANCHE_TRY(session_.Execute("DELETE FROM " + QuoteName(kStaging)));
  }
  if (staged_) return WriteStaged(rows, refused, counts, allow);
  TRANCHE_TRY(Load(target_, rows, refused, allow));
  counts.rejected = static_cast<int64_t>(refused.size());
  counts.stored = rows.num_rows() - counts.rejected;
  return {};
}

std::vector<sql::Assignment> ServerWriter::Assignments() const {
  std::vector<sql::Assignment> columns;
  for (const ServerRows::Column& column : rows_.columns()) {
    const std::string name = QuoteName(column.column->name);
    columns.push_back(
        {column.column->name,
         column.fit.as_text ? fmt::format("CAST(s.{} AS {})", name, column.column->type) : "s." + name,
         column.key});
  }
  return columns;
}

Result<std::vector<int64_t>> ServerWriter::Change(const std::string& where, Counts& counts) {
  const sql::ChangePlan plan(session_.dialect(), table_.name,
                             fmt::format("(SELECT * FROM {} s WHERE {})", QuoteName(kStaging), where),
                             Assignments(), fmt::format("s.{}", QuoteName(ServerRows::kChangeColumn)),
                             fmt::format("s.{}", QuoteName(kPositionColumn)), options_.needs_unique_key());
  TRANCHE_ASSIGN(sql::ChangePlan::Done done, plan.Do(session_));
  TRANCHE_TRY(Settle());
  done.counts.sent = 0;  // they are counted already
  counts += done.counts;
  return std::move(done.refused);
}

// One statement over the staging table. Where the server took fewer rows than it was given, a trigger has
// dropped some.
Status ServerWriter::Merge(const std::string& where, std::optional<int64_t> rows, Counts& counts) {
  const std::vector<sql::Assignment> columns = Assignments();
  std::string same;
  for (const sql::Assignment& column : columns) {
    if (!column.key) continue;
    same += fmt::format("{}t.{} = {}", same.empty() ? "" : " AND ", QuoteName(column.column), column.value);
  }
  const std::string staging(kStaging);
  if (!rows) {
    TRANCHE_ASSIGN(auto count, session_.Query(fmt::format("SELECT count(*) FROM {} s WHERE {}",
                                                          QuoteName(staging), where)));
    rows = sql::ToNumber(count.at(0).at(0));
  }
  const int64_t given = *rows;
  counts.unmatched = 0;
  const sql::Dialect& dialect = session_.dialect();
  std::vector<std::string> statements;
  if (options_.mode == Mode::kUpdate || options_.mode == Mode::kDelete) {
    TRANCHE_ASSIGN(auto matched,
                   session_.Query(fmt::format(
                       "SELECT count(*) FROM {} s WHERE {} AND EXISTS (SELECT 1 FROM {} t WHERE {})",
                       QuoteName(staging), where, QuoteName(table_.name), same)));
    counts.stored = sql::ToNumber(matched.at(0).at(0));
    counts.unmatched = given - counts.stored;
    statements = {options_.mode == Mode::kUpdate
                      ? sql::UpdateSql(dialect, table_.name, staging, columns, where)
                      : sql::DeleteSql(dialect, table_.name, staging, columns, where)};
  } else {
    counts.stored = given;
    statements = options_.key.empty() ? std::vector{sql::InsertSql(table_.name, staging, columns, where)}
                                      : sql::UpsertSql(dialect, table_.name, staging, columns, where);
  }
  const bool all_key = std::ranges::all_of(columns, [](const auto& column) { return column.key; });
  int64_t changed = 0;
  for (const std::string& statement : statements) {
    TRANCHE_ASSIGN(const int64_t done, session_.Execute(statement));
    changed += done;
  }
  if (changed < counts.stored && !all_key) return Dropped();
  return Settle();
}

Result<int64_t> ServerWriter::Supersede() {
  std::vector<std::string> key;
  for (const ServerRows::Column& column : rows_.columns()) {
    if (column.key) key.push_back(column.column->name);
  }
  TRANCHE_ASSIGN(auto doubled, session_.Query(sql::DoubledKeysSql(kStaging, key)));
  if (sql::ToNumber(doubled.at(0).at(0)) == 0) return 0;
  return session_.Execute(sql::SupersedeSql(session_.dialect(), kStaging, key, kPositionColumn));
}

Status ServerWriter::WriteStaged(const arrow::RecordBatch& rows, Refused& refused, Counts& counts,
                                 const std::function<Status(int64_t)>& allow) {
  TRANCHE_ASSIGN(auto numbered, WithPosition(rows));
  TRANCHE_TRY(Load(staging_, *numbered, refused, allow));
  const bool changes = options_.mode == Mode::kChanges;
  if (!options_.key.empty() && !changes) {
    TRANCHE_ASSIGN(counts.superseded, Supersede());
  }
  std::vector<int64_t> doubled;  // inserts that found their key
  const int64_t all = numbered->num_rows();
  const int64_t staged = all - static_cast<int64_t>(refused.size()) - counts.superseded;
  bool indexed = false;
  auto merge = [&](Span positions) -> Result<std::optional<sql::Refusal>> {
    const bool whole = positions == Span{0, all};
    const std::string where = whole ? "TRUE" : Where(positions);
    auto refusal = Try([&]() -> Status {
      Counts part;
      std::vector<int64_t> found_keys;
      if (changes) {
        TRANCHE_ASSIGN(found_keys, Change(where, part));
      } else {
        TRANCHE_TRY(Merge(where, whole ? std::optional(staged) : std::nullopt, part));
      }
      counts += part;
      doubled.insert(doubled.end(), found_keys.begin(), found_keys.end());
      return {};
    });
    if (refusal && *refusal && !indexed) TRANCHE_TRY(Index());
    indexed = true;
    return refusal;
  };
  const auto before = static_cast<int64_t>(refused.size());
  TRANCHE_ASSIGN(auto found,
                 sql::Sift(numbered->num_rows(), merge, [&](int64_t more) { return allow(before + more); }));
  for (sql::RefusedRow& row : found) {
    Insert(refused, {row.row, std::move(row.reason), std::move(row.column)});
  }
  for (const int64_t row : doubled) Insert(refused, {row, std::string(sql::kKeyIsThere), ""});
  counts.rejected = static_cast<int64_t>(refused.size());
  if (!counts.balanced()) return Fail(Code::kInternal, "a batch lost rows in its staging table");
  return {};
}

}  // namespace tranche
