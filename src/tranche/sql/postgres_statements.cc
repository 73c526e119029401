#include "tranche/sql/postgres_statements.h"

#include <algorithm>

#include "tranche/base/hash.h"
#include "tranche/sql/postgres.h"
#include "tranche/sql/postgres_scratch.h"

namespace tranche::sql {
Status PostgresStatements::SetUp(const std::string& schema) {
  // Durable commits; times are UTC.
  constexpr std::pair<std::string_view, std::string_view> kSettings[] = {
      {"synchronous_commit", "on"},
      {"TimeZone", "UTC"},
      {"client_encoding", "UTF8"},
      {"default_transaction_isolation", "read committed"},
      {"client_min_messages", "warning"},
      {"standard_conforming_strings", "on"},
      {"lock_timeout", "30s"},
      {"intervalstyle", "postgres"},
      {"datestyle", "ISO"},
      {"extra_float_digits", "1"}};
  std::string settings;
  for (const auto& [name, value] : kSettings) {
    settings += fmt::format("{}set_config({}, {}, false)", settings.empty() ? "" : ", ", QuoteText(name),
                            QuoteText(value));
  }
  TRANCHE_TRY(Query("SELECT " + settings, {}));
  if (schema.empty()) return {};
  // No other schema: a table of the same name there is another table.
  TRANCHE_ASSIGN(auto found, Query("SELECT set_config('search_path', $1, false), to_regnamespace($1) IS NULL",
                                   {Text(QuoteName(schema))}));
  if (IsTrue(found.at(0).at(1))) return Fail(Code::kJob, "there is no schema '{}'", schema);
  return {};
}

Result<Columns> PostgresStatements::ColumnsOf(std::string_view table) {
  TRANCHE_ASSIGN(auto rows,
                 Query("SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = "
                       "to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                       {Text(QuoteName(table))}));
  Columns columns;
  for (TextRow& row : rows) columns.push_back({row[0].value_or(""), row[1].value_or("")});
  return columns;
}

Result<std::string> PostgresStatements::MakeScratch(const std::string& table, const std::string& name) {
  return MakePostgresScratch(*this, table, name);
}
Status PostgresStatements::DropScratch(const std::string& name) { return DropPostgresScratch(*this, name); }

Result<bool> PostgresStatements::MayCreate() {
  TRANCHE_ASSIGN(auto rows, Query("SELECT has_schema_privilege(current_schema(), 'CREATE')", {}));
  return rows.at(0).at(0) == "t";
}

Result<std::optional<std::string>> PostgresStatements::TryLock(const std::string& name) {
  const Value key = Number(static_cast<int64_t>(Hash64(name)));
  TRANCHE_ASSIGN(auto got, Query("SELECT pg_try_advisory_lock($1)", {key}));
  if (got.at(0).at(0) == "t") return std::nullopt;
  TRANCHE_ASSIGN(
      auto holders,
      Query("SELECT a.application_name || coalesce(' on ' || host(a.client_addr), '') FROM pg_locks l "
            "JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.granted AND "
            "a.datname = current_database() AND "
            "l.classid::bigint = ($1 >> 32) & 4294967295 AND l.objid::bigint = $1 & 4294967295",
            {key}));
  return holders.empty() ? "another session" : holders[0][0].value_or("another session");
}

Status PostgresStatements::EndSessions(const std::string& application, int64_t number) {
  TRANCHE_TRY(
      Query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND "
            "datname = current_database() AND pid <> pg_backend_pid() AND ($2 = 0 OR pid = $2)",
            {Text(application), sql::Number(number)}));
  return {};
}

// A pattern means the tables of one schema, a name also what lies elsewhere on the search path. A partition
// is read with its table.
Result<SchemaTables> PostgresStatements::Tables(const std::string& schema) {
  if (!schema.empty()) {
    TRANCHE_ASSIGN(auto found, Query("SELECT 1 FROM pg_namespace WHERE nspname = $1", {Text(schema)}));
    if (found.empty()) return Fail(Code::kJob, "there is no schema '{}'", schema);
  }
  TRANCHE_ASSIGN(
      auto rows,
      Query("SELECT relname, nspname = wanted AND relkind IN ('r', 'p', 'f') AND NOT relispartition "
            "FROM pg_class JOIN pg_namespace ON relnamespace = pg_namespace.oid "
            "CROSS JOIN (SELECT coalesce(nullif($1, ''), current_schema()::text) AS wanted) AS asked "
            "WHERE relkind IN ('r', 'p', 'f', 'v', 'm') AND (nspname = wanted OR ($1 = '' "
            "AND pg_table_is_visible(pg_class.oid) AND nspname NOT LIKE 'pg\\_%' "
            "AND nspname <> 'information_schema'))",
            {Text(schema)}));
  SchemaTables tables;
  for (const TextRow& row : rows)
    (IsTrue(row[1]) ? tables.tables : tables.others).push_back(row[0].value_or(""));
  return tables;
}

Result<TableInfo> PostgresStatements::Look(std::string_view table) {
  TRANCHE_ASSIGN(
      auto found,
      Query("SELECT c.oid, c.relname, c.relkind, c.relpersistence, c.relrowsecurity, EXISTS "
            "(SELECT 1 FROM pg_trigger t WHERE NOT t.tgisinternal AND t.tgtype & 1 = 1 AND t.tgrelid IN "
            "(SELECT relid FROM pg_partition_tree(c.oid) UNION SELECT c.oid)) OR EXISTS (SELECT 1 FROM "
            "pg_rewrite r "
            "WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN'), EXISTS (SELECT 1 FROM pg_trigger t WHERE "
            "t.tgdeferrable AND t.tgrelid = c.oid), has_table_privilege(c.oid, 'INSERT') FROM pg_class c "
            "WHERE c.oid = "
            "to_regclass($1)",
            {Text(QuoteName(table))}));
  TableInfo info;
  if (found.empty()) return info;
  const TextRow& row = found[0];
  const std::string oid = row[0].value_or("0");
  info.name = row[1].value_or("");
  const std::string kind = row[2].value_or("");
  if (kind == "v" || kind == "m") return Fail(Code::kJob, "'{}' is a view; name a table", table);
  if (kind != "r" && kind != "p" && kind != "f") return Fail(Code::kJob, "'{}' is no table", table);
  if (kind == "f") info.problem = "it is a foreign table: its server commits by itself";
  if (row[3] == "u") info.problem = "it is UNLOGGED: its rows are lost when the server crashes";
  if (!IsTrue(row[7])) info.problem = "this user may not INSERT into it";
  info.deferred = IsTrue(row[6]);
  info.meddles = IsTrue(row[4]) || IsTrue(row[5]) || kind == "f";
  TRANCHE_ASSIGN(
      auto columns,
      Query("SELECT a.attname, format_type(a.atttypid, a.atttypmod), t.typname, a.attnotnull, a.atthasdef OR "
            "a.attidentity <> '', a.attgenerated <> '' OR a.attidentity = 'a', t.typtype FROM pg_attribute a "
            "JOIN "
            "pg_type t ON t.oid = a.atttypid WHERE a.attrelid = $1::text::oid AND a.attnum > 0 AND NOT "
            "a.attisdropped ORDER BY a.attnum",
            {Text(oid)}));
  for (const TextRow& column : columns) {
    info.columns.push_back({.name = column[0].value_or(""),
                            .type = column[1].value_or(""),
                            // An enum or a domain is written as text, and the server makes it what it is.
                            .base = column[6] == "b" ? column[2].value_or("") : "",
                            .not_null = IsTrue(column[3]),
                            .has_default = IsTrue(column[4]),
                            .generated = IsTrue(column[5])});
  }
  if (kind == "r") {
    TRANCHE_ASSIGN(info.plain, IsPlain(oid));
  }
  return info;
}

Result<bool> PostgresStatements::IsPlain(const std::string& oid) {
  TRANCHE_ASSIGN(
      auto rows,
      Query(
          "SELECT NOT EXISTS (SELECT 1 FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid WHERE d.classid "
          "= "
          "'pg_rewrite'::regclass AND d.refobjid = c.oid) AND NOT EXISTS (SELECT 1 FROM pg_constraint k "
          "WHERE "
          "k.contype = 'f' AND (k.confrelid = c.oid OR k.conrelid = c.oid)) AND NOT EXISTS (SELECT 1 FROM "
          "pg_trigger t "
          "WHERE t.tgrelid = c.oid) AND NOT EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid) AND "
          "NOT "
          "EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhrelid = c.oid OR i.inhparent = c.oid) AND NOT "
          "EXISTS "
          "(SELECT 1 FROM pg_publication_rel p WHERE p.prrelid = c.oid) AND NOT EXISTS (SELECT 1 FROM "
          "pg_depend d "
          "JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' WHERE d.refobjid = c.oid) AND c.relacl IS "
          "NULL "
          "AND NOT EXISTS (SELECT 1 FROM pg_index x WHERE x.indrelid = c.oid) AND NOT EXISTS (SELECT 1 FROM "
          "pg_description e WHERE e.objoid = c.oid) AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE "
          "k.conrelid = "
          "c.oid) AND NOT EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND (a.attacl IS NOT "
          "NULL "
          "OR a.atthasdef OR a.attnotnull AND a.attnum > 0)) AND pg_get_userbyid(c.relowner) = current_user "
          "FROM pg_class c WHERE c.oid = $1::text::oid",
          {Text(oid)}));
  return IsTrue(rows.at(0).at(0));
}

Result<bool> PostgresStatements::HasUniqueIndex(const TableInfo& table, const std::vector<std::string>& key) {
  TRANCHE_ASSIGN(auto indexes, Query("SELECT (SELECT string_agg(lower(a.attname), chr(1) ORDER BY "
                                     "lower(a.attname)) FROM pg_attribute a WHERE "
                                     "a.attrelid = i.indrelid AND a.attnum = ANY "
                                     "((i.indkey::int2[])[0:i.indnkeyatts - 1])) FROM pg_index i "
                                     "WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indisvalid "
                                     "AND i.indimmediate AND i.indpred "
                                     "IS NULL AND i.indexprs IS NULL",
                                     {Text(QuoteName(table.name))}));
  const std::string wanted = KeyText(key);
  return std::ranges::any_of(indexes, [&](const TextRow& row) { return row[0] == wanted; });
}

Status PostgresStatements::CreateLike(const TableInfo& table, const std::string& name) {
  TRANCHE_TRY(Execute(fmt::format("CREATE TABLE {} (LIKE {} INCLUDING ALL EXCLUDING IDENTITY)",
                                  QuoteName(name), QuoteName(table.name)),
                      {}));
  return {};
}

// A table that something depends on keeps its definition, its name and its place: its rows are replaced. Who
// reads meanwhile sees the old rows until the transaction is committed.
Status PostgresStatements::ReplaceBy(const std::string& table, const std::string& staging,
                                     const std::string&) {
  TRANCHE_ASSIGN(const TableInfo there, Look(table));
  const std::string from = QuoteName(staging);
  if (there.exists() && !there.plain) {
    TRANCHE_ASSIGN(const TableInfo loaded, Look(staging));
    std::string names;
    for (const TableColumn& column : loaded.columns) {
      const TableColumn* own = there.Find(column.name);
      if (own == nullptr || own->generated) continue;
      names += (names.empty() ? "" : ", ") + QuoteName(column.name);
    }
    TRANCHE_TRY(Execute(fmt::format("DELETE FROM {}", QuoteName(there.name)), {}));
    TRANCHE_ASSIGN(const int64_t moved, Execute(fmt::format("INSERT INTO {} ({}) SELECT {} FROM {}",
                                                            QuoteName(there.name), names, names, from),
                                                {}));
    TRANCHE_ASSIGN(auto count, Query(fmt::format("SELECT count(*) FROM {}", from), {}));
    if (moved != ToNumber(count.at(0).at(0))) {
      return Fail(Code::kData, "a trigger or rule of '{}' dropped {} rows", table,
                  ToNumber(count[0][0]) - moved)
          .Hint("nothing was published; mend the trigger, then run this again");
    }
    TRANCHE_TRY(Execute(fmt::format("DROP TABLE {}", from), {}));
    return {};
  }
  if (there.exists()) TRANCHE_TRY(Execute(fmt::format("DROP TABLE {}", QuoteName(there.name)), {}));
  TRANCHE_TRY(Execute(fmt::format("ALTER TABLE {} RENAME TO {}", from, QuoteName(table)), {}));
  return {};
}

std::string PostgresLiteral(const Value& value) {
  if (!value.text) return "NULL";
  const std::string text = QuoteText(*value.text);
  return value.type == "VARCHAR" ? text : fmt::format("CAST({} AS {})", text, PostgresTypeFor(value.type));
}

// https://www.postgresql.org/docs/15/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS and
// ddl-system-columns.html
Status CheckPostgresName(std::string_view what, std::string_view name) {
  constexpr size_t kMost = 63;  // bytes; the rest would be cut off, and two names may become one
  constexpr std::string_view kOwn[] = {"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"};
  if (name.size() > kMost) {
    return Fail(Code::kJob, "the name of {} '{}' has {} bytes, and PostgreSQL takes {}", what, name,
                name.size(), kMost)
        .Hint("give it a shorter name");
  }
  if (what == "column" && std::ranges::find(kOwn, name) != std::end(kOwn)) {
    return Fail(Code::kJob, "every table of PostgreSQL has a column '{}' of its own", name)
        .Hint("rename it with `rename:`, or leave it out with `drop:`");
  }
  return {};
}

}  // namespace tranche::sql
