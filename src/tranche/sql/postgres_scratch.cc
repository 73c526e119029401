#include "tranche/sql/postgres_scratch.h"

#include "tranche/base/hash.h"

namespace tranche::sql {
namespace {

// The sequences that the columns of a table take values from, and a number for each that it has not given
// yet. It is one of many, so that two trials differ there, and the column is left out of their comparison.
constexpr std::string_view kSequences =
    "WITH used AS (SELECT a.attname, a.attidentity <> '' AS identity, s.oid AS sequence, s.relname, "
    "pg_get_expr(d.adbin, d.adrelid) AS expression FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = "
    "a.attrelid AND d.adnum = a.attnum JOIN pg_depend p ON p.classid = 'pg_attrdef'::regclass AND p.objid = "
    "d.oid AND p.refclassid = 'pg_class'::regclass OR p.classid = 'pg_class'::regclass AND p.refclassid = "
    "'pg_class'::regclass AND p.refobjid = a.attrelid AND p.refobjsubid = a.attnum AND p.deptype = 'i' JOIN "
    "pg_class s ON s.relkind = 'S' AND s.oid = CASE WHEN a.attidentity <> '' THEN p.objid ELSE p.refobjid "
    "END WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped), "
    "next AS (SELECT u.*, q.*, CASE WHEN seqincrement > 0 THEN seqmax ELSE seqmin END::numeric AS last, "
    "coalesce(CASE WHEN has_sequence_privilege(seqrelid, 'SELECT, USAGE') THEN "
    "pg_sequence_last_value(seqrelid) END::numeric + seqincrement, seqstart) AS first FROM used u JOIN "
    "pg_sequence q ON q.seqrelid = u.sequence) "
    "SELECT attname, identity, relname, expression, quote_literal(sequence::regclass::text), least(greatest("
    "trunc(first + (last - first) / 2 * random()::numeric), seqmin), seqmax), format('AS %s INCREMENT %s "
    "MINVALUE %s MAXVALUE %s', seqtypid::regtype, seqincrement, seqmin, seqmax) FROM next";

std::string Replaced(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != text.npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

// A default that takes a number of a sequence would take it of the real one.
Status OwnSequences(ServerSession& session, const std::string& table, const std::string& schema,
                    const std::string& copy) {
  TRANCHE_ASSIGN(auto used, session.Query(kSequences, {Text(QuoteName(table))}));
  for (const TextRow& row : used) {
    const std::string column = QuoteName(row.at(0).value_or(""));
    const std::string alter = fmt::format("ALTER TABLE {} ALTER COLUMN {} ", copy, column);
    const std::string start = row.at(5).value_or("1");
    if (row.at(1) == "t") {
      TRANCHE_TRY(session.Execute(alter + "RESTART WITH " + start));
      continue;
    }
    const std::string own = QuoteName(schema) + "." + QuoteName(row.at(2).value_or(""));
    TRANCHE_TRY(session.Execute(fmt::format("CREATE SEQUENCE IF NOT EXISTS {} {} START {} OWNED BY {}.{}",
                                            own, row.at(6).value_or(""), start, copy, column)));
    TRANCHE_TRY(session.Execute(alter + "SET DEFAULT " +
                                Replaced(row.at(3).value_or(""), row.at(4).value_or("") + "::regclass",
                                         QuoteText(own) + "::regclass")));
  }
  return {};
}

Status CopyRows(ServerSession& session, const TableInfo& table, const std::string& copy) {
  const std::string from = QuoteName(table.name);
  TRANCHE_ASSIGN(auto size, session.Query("SELECT sum(pg_relation_size(relid)) FROM (SELECT relid FROM "
                                          "pg_partition_tree($1::text::regclass) UNION SELECT "
                                          "$1::text::regclass) AS parts",
                                          {Text(from)}));
  if (ToNumber(size.at(0).at(0)) > kMostCopied) return {};
  TRANCHE_ASSIGN(auto columns, session.Query("SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = "
                                             "to_regclass($1) AND attnum > 0 AND NOT attisdropped AND "
                                             "attgenerated = '' ORDER BY attnum",
                                             {Text(from)}));
  std::string names;
  for (const TextRow& row : columns) names += (names.empty() ? "" : ", ") + row.at(0).value_or("");
  if (names.empty()) return {};
  TRANCHE_TRY(session.Execute(fmt::format("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}",
                                          copy, names, names, from)));
  return {};
}

// Triggers and foreign keys lead out of the schema, and are not copied.
Status CopyTable(ServerSession& session, const std::string& table, const std::string& schema) {
  const std::string copy = QuoteName(schema) + "." + QuoteName(table);
  TRANCHE_ASSIGN(auto there, session.Query("SELECT to_regclass($1)", {Text(copy)}));
  if (there.at(0).at(0)) return {};
  TRANCHE_ASSIGN(const TableInfo real, session.Look(table));
  if (!real.exists()) return {};
  if (!real.problem.empty()) {
    return Fail(Code::kJob, "table '{}' cannot keep each row exactly once: {}", table, real.problem);
  }
  TRANCHE_TRY(
      session.Execute(fmt::format("CREATE TABLE {} (LIKE {} INCLUDING ALL)", copy, QuoteName(real.name))));
  TRANCHE_TRY(OwnSequences(session, real.name, schema, copy));
  return CopyRows(session, real, copy);
}

Status MakeSchema(ServerSession& session, const std::string& schema) {
  TRANCHE_ASSIGN(auto found, session.Query("SELECT to_regnamespace($1), has_database_privilege("
                                           "current_database(), 'CREATE'), quote_ident(current_database()), "
                                           "quote_ident(current_user)",
                                           {Text(QuoteName(schema))}));
  const TextRow& row = found.at(0);
  if (row.at(0)) return {};
  if (row.at(1) != "t") {
    return Fail(Code::kJob, "prove gives each trial a schema of its own, and this user may not make one")
        .Hint(fmt::format("let somebody who may run: GRANT CREATE ON DATABASE {} TO {}; or name a copy of "
                          "the database in the url",
                          row.at(2).value_or(""), row.at(3).value_or("")));
  }
  TRANCHE_TRY(session.Execute("CREATE SCHEMA " + QuoteName(schema)));
  return {};
}

}  // namespace

Result<std::string> MakePostgresScratch(ServerSession& session, const std::string& table,
                                        const std::string& name) {
  TRANCHE_TRY(session.Execute("BEGIN"));
  auto make = [&]() -> Result<std::string> {
    // A start that was killed may be at it still.
    TRANCHE_TRY(
        session.Query("SELECT pg_advisory_xact_lock($1)", {Number(static_cast<int64_t>(Hash64(name)))}));
    TRANCHE_ASSIGN(auto current, session.Query("SELECT current_schema()"));
    if (!current.at(0).at(0)) return Fail(Code::kJob, "the url leads to no schema").Hint("add schema:");
    // Two stores may write tables of one name in two schemas.
    const std::string schema = name + "_" + HashHex(*current[0][0]).substr(0, 8);
    TRANCHE_TRY(MakeSchema(session, schema));
    TRANCHE_TRY(CopyTable(session, table, schema));
    TRANCHE_TRY(session.Execute("COMMIT"));
    return schema;
  };
  auto made = make();
  if (!made && session.fault().kind != Fault::Kind::kLost) (void)session.Execute("ROLLBACK");
  return made;
}

Status DropPostgresScratch(ServerSession& session, const std::string& name) {
  TRANCHE_ASSIGN(auto schemas, session.Query("SELECT quote_ident(nspname) FROM pg_namespace WHERE "
                                             "starts_with(nspname::text, $1)",
                                             {Text(name + "_")}));
  for (const TextRow& row : schemas) {
    TRANCHE_TRY(session.Execute(fmt::format("DROP SCHEMA IF EXISTS {} CASCADE", row.at(0).value_or(""))));
  }
  return {};
}

}  // namespace tranche::sql
