#include "tranche/sql/changes.h"

namespace tranche::sql {
namespace {

constexpr std::string_view kPlan = "__tranche_plan";
constexpr int kInsert = static_cast<int>(Change::kInsert), kUpdate = static_cast<int>(Change::kUpdate),
              kDelete = static_cast<int>(Change::kDelete);

// Columns of the plan beside those of the table:
//   position, change
//   there     whether the table has the key before the batch
//   before    of the last row before that has the key and is no update: twice its position, and 1 if the key
//             is there after it
//   finds     whether the row finds its key
//   did       whether it does something
//   last, made, erased: positions of the last row of the key that did something, that made it, that took it
//             away
constexpr std::string_view kPosition = R"("__tranche_position")", kChange = R"("__tranche_change")",
                           kThere = R"("__tranche_there")", kBefore = R"("__tranche_before")",
                           kFinds = R"("__tranche_finds")", kDid = R"("__tranche_did")",
                           kLast = R"("__tranche_last")", kMade = R"("__tranche_made")",
                           kErased = R"("__tranche_erased")";

std::string PlanQuery(std::string_view table, std::string_view source, const std::vector<Assignment>& columns,
                      std::string_view change, std::string_view position) {
  std::string values, keys, same;
  for (const Assignment& column : columns) {
    const std::string name = QuoteName(column.column);
    values += fmt::format("{} AS {}, ", column.value, name);
    if (!column.key) continue;
    keys += fmt::format("{}{}", keys.empty() ? "" : ", ", name);
    same += fmt::format("{}t.{} = r.{}", same.empty() ? "" : " AND ", name, name);
  }
  const auto last = [&](const std::string& condition, std::string_view as) {
    return fmt::format(", max(CASE WHEN {} THEN {} END) OVER (PARTITION BY {}) AS {}", condition, kPosition,
                       keys, as);
  };
  std::string sql = fmt::format("WITH r AS (SELECT {}{} AS {}, {} AS {} FROM {} s)", values, change, kChange,
                                position, kPosition, source);
  sql += fmt::format(
      ", seen AS (SELECT r.*, CASE WHEN EXISTS (SELECT 1 FROM {} t WHERE {}) THEN 1 ELSE 0 END AS {}, "
      "max(CASE WHEN {} <> {} THEN 2 * {} + CASE WHEN {} = {} THEN 0 ELSE 1 END END) OVER (PARTITION BY {} "
      "ORDER BY {} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS {} FROM r)",
      QuoteName(table), same, kThere, kChange, kUpdate, kPosition, kChange, kDelete, keys, kPosition,
      kBefore);
  sql +=
      fmt::format(", found AS (SELECT seen.*, CASE WHEN {} IS NULL THEN {} ELSE {} % 2 END AS {} FROM seen)",
                  kBefore, kThere, kBefore, kFinds);
  sql += fmt::format(
      ", done AS (SELECT found.*, CASE WHEN {} = {} THEN 1 - {} WHEN {} IN ({}, {}) THEN {} ELSE 1 END AS {} "
      "FROM found)",
      kChange, kInsert, kFinds, kChange, kUpdate, kDelete, kFinds, kDid);
  return sql + " SELECT done.*" + last(fmt::format("{} = 1", kDid), kLast) +
         last(fmt::format("{} = 1 AND {} = 0", kDid, kFinds), kMade) +
         last(fmt::format("{} = 1 AND {} = {}", kDid, kChange, kDelete), kErased) + " FROM done";
}

}  // namespace

ChangePlan::ChangePlan(const Dialect& dialect, std::string_view table, std::string_view source,
                       const std::vector<Assignment>& columns, std::string_view change,
                       std::string_view position, bool unique)
    : dialect_(dialect),
      table_(table),
      query_(PlanQuery(table, source, columns, change, position)),
      unique_(unique) {
  std::vector<Assignment> planned;
  bool sets = false;
  for (const Assignment& column : columns) {
    planned.push_back({column.column, "s." + QuoteName(column.column), column.key});
    sets |= !column.key;
  }
  const std::string erases = fmt::format("{} = 1 AND {} = {}", kThere, kPosition, kErased);
  const std::string makes =
      fmt::format("{} = {} AND {} > coalesce({}, -1)", kPosition, kMade, kMade, kErased);
  const std::string changes =
      fmt::format("{} = {} AND {} = 1 AND {} <> {}", kPosition, kLast, kFinds, kChange, kDelete);
  steps_.push_back({DeleteSql(dialect, table, kPlan, planned, erases), erases});
  steps_.push_back({InsertSql(table, kPlan, planned, makes), makes});
  // A row that is all key is as it shall be.
  if (sets) steps_.push_back({UpdateSql(dialect, table, kPlan, planned, changes), changes});
}

Result<ChangePlan::Done> ChangePlan::Do(SqlConnection& connection) const {
  const std::string plan = QuoteName(kPlan);
  // What a failed try has left, where a table does not go with its transaction.
  if (dialect_.ddl_commits) TRANCHE_TRY(connection.Execute("DROP TEMPORARY TABLE IF EXISTS " + plan));
  TRANCHE_TRY(connection.Execute(
      fmt::format("CREATE TEMPORARY TABLE {} {} AS {}", plan, dialect_.temporary_options, query_)));
  TRANCHE_ASSIGN(Done done, Count(connection));
  for (const Step& step : steps_) {
    TRANCHE_ASSIGN(auto rows,
                   connection.Query(fmt::format("SELECT count(*) FROM {} WHERE {}", plan, step.rows)));
    const int64_t wanted = ToNumber(rows.at(0).at(0));
    if (wanted == 0) continue;
    TRANCHE_ASSIGN(const int64_t changed, connection.Execute(step.sql));
    if (changed < wanted || (unique_ && changed > wanted)) {
      return Fail(Code::kData, "table '{}' says that {} rows were changed where {} should be", table_,
                  changed, wanted)
          .Hint("does a trigger or a rule of the table meddle?");
    }
  }
  TRANCHE_TRY(
      connection.Execute(fmt::format("DROP {}TABLE {}", dialect_.ddl_commits ? "TEMPORARY " : "", plan)));
  return done;
}

Result<ChangePlan::Done> ChangePlan::Count(SqlConnection& connection) const {
  const auto sum = [](const std::string& condition) {
    return fmt::format(", coalesce(sum(CASE WHEN {} THEN 1 ELSE 0 END), 0)", condition);
  };
  TRANCHE_ASSIGN(auto counted,
                 connection.Query(fmt::format(
                     "SELECT count(*){}{}{} FROM {}", sum(fmt::format("{} = {}", kPosition, kLast)),
                     sum(fmt::format("{} = 1 AND {} <> {}", kDid, kPosition, kLast)),
                     sum(fmt::format("{} = 0 AND {} <> {}", kDid, kChange, kInsert)), QuoteName(kPlan))));
  const TextRow& row = counted.at(0);
  Done done{{ToNumber(row[0]), ToNumber(row[1]), ToNumber(row[2]), ToNumber(row[3]), 0}};
  TRANCHE_TRY(connection.Each(fmt::format("SELECT {} FROM {} WHERE {} = 0 AND {} = {} ORDER BY {}", kPosition,
                                          QuoteName(kPlan), kDid, kChange, kInsert, kPosition),
                              {}, [&](const SqlConnection::Numbers& numbers) -> Status {
                                done.refused.push_back(numbers[0]);
                                return {};
                              }));
  done.counts.rejected = static_cast<int64_t>(done.refused.size());
  return done;
}

}  // namespace tranche::sql
