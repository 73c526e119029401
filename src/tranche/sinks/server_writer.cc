#include "tranche/sinks/server_writer.h"

#include <algorithm>

#include <arrow/record_batch.h>

#include "tranche/sql/bisect.h"

namespace tranche {
namespace {

constexpr std::string_view kStaging = "tranche_staging";
constexpr size_t kAskEvery = 100;  // rejects

int64_t RowsOf(const std::vector<Span>& spans) {
  int64_t rows = 0;
  for (Span span : spans) rows += span.rows();
  return rows;
}

// The n-th row of spans.
int64_t NthOf(const std::vector<Span>& spans, int64_t n) {
  for (Span span : spans) {
    if (n < span.rows()) return span.from + n;
    n -= span.rows();
  }
  return -1;
}

// Those rows of `spans` that are in [from, to).
std::vector<Span> Cut(const std::vector<Span>& spans, int64_t from, int64_t to) {
  std::vector<Span> cut;
  for (Span span : spans) {
    const Span part{std::max(span.from, from), std::min(span.to, to)};
    if (part.from < part.to) cut.push_back(part);
  }
  return cut;
}

// Spans of indices into `spans`, as spans of rows.
std::vector<Span> Through(const std::vector<Span>& spans, const std::vector<Span>& indices) {
  std::vector<Span> rows;
  for (Span index : indices) {
    int64_t before = 0;
    for (Span span : spans) {
      const Span part{std::max(index.from - before, int64_t{0}) + span.from,
                      std::min(index.to - before, span.rows()) + span.from};
      if (part.from < part.to) rows.push_back(part);
      before += span.rows();
    }
  }
  return rows;
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
}

Status ServerWriter::Prepare() {
  if (!staged_) return {};
  std::string columns;
  for (const ServerRows::Column& column : rows_.columns()) {
    columns += fmt::format("{} {}, ", QuoteName(column.column->name),
                           column.fit.as_text ? "TEXT" : column.column->type);
  }
  TRANCHE_TRY(session_.Execute(fmt::format("CREATE TEMPORARY TABLE {} ({}{} BIGINT PRIMARY KEY) {}",
                                           QuoteName(kStaging), columns, QuoteName(kPositionColumn),
                                           session_.dialect().temporary_options)));
  return {};
}

bool ServerWriter::RowFault(const Status& status) const {
  return !status && session_.fault().kind == sql::Fault::Kind::kRow;
}

Status ServerWriter::Settle() {
  if (!table_.deferred) return {};
  TRANCHE_TRY(session_.Execute("SET CONSTRAINTS ALL IMMEDIATE"));
  return {};
}

Result<std::optional<std::string>> ServerWriter::Probe(const std::function<Status()>& work) {
  TRANCHE_TRY(session_.Execute("SAVEPOINT tranche_probe"));
  Status done = work();
  if (!done && !RowFault(done) && done.error().code != Code::kData) return std::move(done).error();
  TRANCHE_TRY(session_.Execute("ROLLBACK TO SAVEPOINT tranche_probe"));
  if (done) return std::nullopt;
  return done.error().message;
}

Result<int64_t> ServerWriter::LoadGuided(const sql::LoadTarget& target,
                                         const std::shared_ptr<arrow::RecordBatch>& rows, Refused& refused,
                                         const std::function<Status(int64_t)>& allow) {
  std::vector<Span> left = Without(rows->num_rows(), refused);
  int64_t loaded = 0;
  size_t asked = refused.size();
  while (RowsOf(left) > 0) {
    TRANCHE_TRY(session_.Execute("SAVEPOINT tranche_rows"));
    int64_t taken = 0;
    auto load = [&](const std::vector<Span>& spans) -> Status {
      TRANCHE_ASSIGN(taken, session_.Load(target, *rows, spans));
      return Settle();
    };
    Status done = load(left);
    if (done) {
      loaded += taken;
      break;
    }
    if (!RowFault(done)) return std::move(done).error();
    const sql::Fault fault = session_.fault();
    TRANCHE_TRY(session_.Execute("ROLLBACK TO SAVEPOINT tranche_rows"));
    if (fault.row && *fault.row < RowsOf(left)) {
      const int64_t row = NthOf(left, *fault.row);
      Insert(refused, {row, done.error().message, fault.column});
      const std::vector<Span> before = Cut(left, 0, row);
      if (RowsOf(before) == 0 || load(before)) {
        loaded += RowsOf(before) > 0 ? taken : 0;
        left = Cut(left, row + 1, rows->num_rows());
      } else if (session_.fault().kind == sql::Fault::Kind::kRow) {
        TRANCHE_TRY(session_.Execute("ROLLBACK TO SAVEPOINT tranche_rows"));
        left = Without(rows->num_rows(), refused);  // not even they go in: once more, without the row
        loaded = 0;
      } else {
        return Fail(Code::kOutside, "a batch could not be loaded: {}", done.error().message);
      }
    } else {  // the server does not say which
      TRANCHE_ASSIGN(auto found, sql::Bisect(RowsOf(left), [&](const std::vector<Span>& indices) {
                       return Probe([&] { return load(Through(left, indices)); });
                     }));
      if (found.empty()) return std::move(done).error();
      for (sql::RefusedRow& row : found) Insert(refused, {NthOf(left, row.row), std::move(row.reason), ""});
      left = Cut(Without(rows->num_rows(), refused), left.front().from, rows->num_rows());
    }
    if (refused.size() >= asked + kAskEvery) {
      TRANCHE_TRY(allow(static_cast<int64_t>(refused.size())));
      asked = refused.size();
    }
  }
  return loaded;
}

Status ServerWriter::Write(Refused& refused, Counts& counts, const std::function<Status(int64_t)>& allow) {
  return staged_ ? WriteStaged(refused, counts, allow) : WriteDirect(refused, counts, allow);
}

Status ServerWriter::WriteDirect(Refused& refused, Counts& counts,
                                 const std::function<Status(int64_t)>& allow) {
  TRANCHE_ASSIGN(counts.stored, LoadGuided(target_, rows_.rows(), refused, allow));
  counts.rejected = static_cast<int64_t>(refused.size());
  return {};
}

std::string ServerWriter::Where(const std::vector<Span>& positions) const {
  std::string where;
  for (Span span : positions) {
    where += fmt::format("{}(s.{} >= {} AND s.{} < {})", where.empty() ? "(" : " OR ",
                         QuoteName(kPositionColumn), span.from, QuoteName(kPositionColumn), span.to);
  }
  return where.empty() ? "(1 = 0)" : where + ")";
}

// One statement over the staging table. Where the server took fewer rows than it was given, a trigger has
// dropped some.
Status ServerWriter::Merge(const std::string& where, Counts& counts) {
  std::vector<sql::Assignment> columns;
  std::string same;
  for (const ServerRows::Column& column : rows_.columns()) {
    const std::string name = QuoteName(column.column->name);
    const std::string value =
        column.fit.as_text ? fmt::format("CAST(s.{} AS {})", name, column.column->type) : "s." + name;
    columns.push_back({column.column->name, value, column.key});
    if (column.key) same += fmt::format("{}t.{} = {}", same.empty() ? "" : " AND ", name, value);
  }
  const std::string staging(kStaging);
  TRANCHE_ASSIGN(auto count, session_.Query(fmt::format("SELECT count(*) FROM {} s WHERE {}",
                                                        QuoteName(staging), where)));
  const int64_t given = sql::ToNumber(count.at(0).at(0));
  counts.unmatched = 0;
  std::string sql;
  if (options_.mode == Mode::kUpdate || options_.mode == Mode::kDelete) {
    TRANCHE_ASSIGN(auto matched,
                   session_.Query(fmt::format(
                       "SELECT count(*) FROM {} s WHERE {} AND EXISTS (SELECT 1 FROM {} t WHERE {})",
                       QuoteName(staging), where, QuoteName(table_.name), same)));
    counts.stored = sql::ToNumber(matched.at(0).at(0));
    counts.unmatched = given - counts.stored;
    sql = options_.mode == Mode::kUpdate ? UpdateSql(table_.name, staging, columns, where)
                                         : DeleteSql(table_.name, staging, columns, where);
  } else {
    counts.stored = given;
    sql = options_.key.empty() ? InsertSql(table_.name, staging, columns, where)
                               : UpsertSql(table_.name, staging, columns, where);
  }
  TRANCHE_ASSIGN(const int64_t changed, session_.Execute(sql));
  if (changed < counts.stored && !sql.ends_with("DO NOTHING")) {
    return Fail(Code::kData, "a trigger or rule of table '{}' dropped the row", table_.name);
  }
  return Settle();
}

Status ServerWriter::WriteStaged(Refused& refused, Counts& counts,
                                 const std::function<Status(int64_t)>& allow) {
  TRANCHE_ASSIGN(auto numbered, WithPosition(*rows_.rows()));
  TRANCHE_ASSIGN(const int64_t staged, LoadGuided(staging_, numbered, refused, allow));
  const std::string staging = QuoteName(kStaging);
  if (!options_.key.empty()) {
    std::string keys, same;
    for (const ServerRows::Column& column : rows_.columns()) {
      if (!column.key) continue;
      const std::string name = QuoteName(column.column->name);
      keys += name + ", ";
      same += fmt::format(" AND s.{0} = later.{0}", name);
    }
    const std::string position = QuoteName(kPositionColumn);
    TRANCHE_ASSIGN(
        counts.superseded,
        session_.Execute(fmt::format("DELETE FROM {0} s USING (SELECT {1}max({2}) AS {2} FROM {0} GROUP BY "
                                     "{3}) later WHERE later.{2} > s.{2}{4}",
                                     staging, keys, position, keys.substr(0, keys.size() - 2), same)));
  }
  const std::string all = Where({{0, numbered->num_rows()}});
  TRANCHE_TRY(session_.Execute("SAVEPOINT tranche_rows"));
  Status merged = Merge(all, counts);
  if (!merged && !RowFault(merged) && merged.error().code != Code::kData) return merged;
  if (!merged) {
    TRANCHE_TRY(session_.Execute("ROLLBACK TO SAVEPOINT tranche_rows"));
    TRANCHE_ASSIGN(auto found, sql::Bisect(numbered->num_rows(), [&](const std::vector<Span>& positions) {
                     return Probe([&] {
                       Counts probed;
                       return Merge(Where(positions), probed);
                     });
                   }));
    if (found.empty()) return merged;
    std::vector<Span> bad;
    for (sql::RefusedRow& row : found) {
      bad.push_back({row.row, row.row + 1});
      Insert(refused, {row.row, std::move(row.reason), ""});
    }
    TRANCHE_TRY(allow(static_cast<int64_t>(refused.size())));
    TRANCHE_TRY(session_.Execute(fmt::format("DELETE FROM {} s WHERE {}", staging, Where(bad))));
    TRANCHE_TRY(Merge(all, counts));
  }
  counts.rejected = static_cast<int64_t>(refused.size());
  if (staged != counts.superseded + counts.stored + counts.unmatched + counts.rejected -
                    (numbered->num_rows() - staged)) {
    return Fail(Code::kInternal, "a batch lost rows in its staging table");
  }
  return {};
}

}  // namespace tranche
