#include "tranche/sql/dialect.h"

#include <fmt/format.h>

#include "tranche/connector/sql_text.h"

namespace tranche::sql {

const Dialect kSqlite{.name = "sqlite"};

const Dialect kDuckDb{.name = "duckdb"};

// FOR SHARE: a claim waits for a new epoch, and a new epoch for the claims of the old one.
const Dialect kPostgres{.name = "postgres",
                        .share_lock = "FOR SHARE",
                        .counts_in_run = false,
                        .temporary_options = "ON COMMIT DELETE ROWS"};

// A key of InnoDB takes 3072 bytes; IGNORE would hide more than a key that is there already.
const Dialect kMariaDb{.name = "mariadb",
                       .key_type = "VARCHAR(250) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
                       .text_type = "MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
                       .table_options = "ENGINE=InnoDB",
                       .keep_first = "ON DUPLICATE KEY UPDATE run_id = tranche_batch.run_id",
                       .share_lock = "LOCK IN SHARE MODE",
                       .now = "CAST(UTC_TIMESTAMP() AS CHAR)",
                       .counts_in_run = false,
                       .transactional_ddl = false,
                       .temporary_options = "ENGINE=InnoDB",
                       .on_conflict = false};

namespace {

// "a, b" of some of the columns.
template <typename Text>
std::string List(const std::vector<Assignment>& columns, std::string_view separator, Text text) {
  std::string list;
  for (const Assignment& column : columns) {
    const std::string part = text(column);
    if (!part.empty()) list += (list.empty() ? "" : std::string(separator)) + part;
  }
  return list;
}

std::string Names(const std::vector<Assignment>& columns) {
  return List(columns, ", ", [](const Assignment& column) { return QuoteName(column.column); });
}
std::string Values(const std::vector<Assignment>& columns) {
  return List(columns, ", ", [](const Assignment& column) { return column.value; });
}
std::string KeyNames(const std::vector<Assignment>& columns) {
  return List(columns, ", ",
              [](const Assignment& column) { return column.key ? QuoteName(column.column) : ""; });
}
// t.key = s.key
std::string SameKey(const std::vector<Assignment>& columns) {
  return List(columns, " AND ", [](const Assignment& column) {
    return column.key ? fmt::format("t.{} = {}", QuoteName(column.column), column.value) : "";
  });
}
std::string Sets(const std::vector<Assignment>& columns, std::string_view target) {
  return List(columns, ", ", [&](const Assignment& column) {
    return column.key ? "" : fmt::format("{}{} = {}", target, QuoteName(column.column), column.value);
  });
}
std::string Where(std::string_view where) { return where.empty() ? "" : fmt::format(" WHERE {}", where); }
std::string And(std::string_view where) { return where.empty() ? "" : fmt::format(" AND {}", where); }

}  // namespace

std::string InsertSql(const Dialect&, std::string_view table, std::string_view staging,
                      const std::vector<Assignment>& columns, std::string_view where) {
  return fmt::format("INSERT INTO {} ({}) SELECT {} FROM {} s{}", QuoteName(table), Names(columns),
                     Values(columns), QuoteName(staging), Where(where));
}

std::string UpsertSql(const Dialect& dialect, std::string_view table, std::string_view staging,
                      const std::vector<Assignment>& columns, std::string_view where) {
  const std::string insert = InsertSql(dialect, table, staging, columns, where);
  if (dialect.on_conflict) {
    std::string sets = List(columns, ", ", [](const Assignment& column) {
      return column.key ? "" : fmt::format("{0} = excluded.{0}", QuoteName(column.column));
    });
    return fmt::format("{} ON CONFLICT ({}) DO {}", insert, KeyNames(columns),
                       sets.empty() ? "NOTHING" : "UPDATE SET " + sets);
  }
  std::string sets = List(columns, ", ", [](const Assignment& column) {
    return column.key ? "" : fmt::format("{0} = VALUES({0})", QuoteName(column.column));
  });
  if (sets.empty()) {
    for (const Assignment& column : columns) {
      if (column.key && sets.empty()) sets = fmt::format("{0} = VALUES({0})", QuoteName(column.column));
    }
  }
  return fmt::format("{} ON DUPLICATE KEY UPDATE {}", insert, sets);
}

std::string UpdateSql(const Dialect& dialect, std::string_view table, std::string_view staging,
                      const std::vector<Assignment>& columns, std::string_view where) {
  if (dialect.on_conflict) {
    return fmt::format("UPDATE {} t SET {} FROM {} s WHERE {}{}", QuoteName(table), Sets(columns, ""),
                       QuoteName(staging), SameKey(columns), And(where));
  }
  return fmt::format("UPDATE {} t JOIN {} s ON {} SET {}{}", QuoteName(table), QuoteName(staging),
                     SameKey(columns), Sets(columns, "t."), Where(where));
}

std::string DeleteSql(const Dialect& dialect, std::string_view table, std::string_view staging,
                      const std::vector<Assignment>& columns, std::string_view where) {
  if (dialect.on_conflict) {
    return fmt::format("DELETE FROM {} t USING {} s WHERE {}{}", QuoteName(table), QuoteName(staging),
                       SameKey(columns), And(where));
  }
  return fmt::format("DELETE t FROM {} t JOIN {} s ON {}{}", QuoteName(table), QuoteName(staging),
                     SameKey(columns), Where(where));
}

}  // namespace tranche::sql
