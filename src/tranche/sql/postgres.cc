#include "tranche/sql/postgres.h"

#include <algorithm>
#include <cstdlib>

#include <arrow/record_batch.h>

#include "tranche/base/hash.h"
#include "tranche/sql/postgres_connection.h"
#include "tranche/sql/postgres_copy.h"
#include "tranche/sql/postgres_read.h"
#include "tranche/sql/postgres_scratch.h"

namespace tranche::sql {
namespace {

constexpr Duration kTimeout = std::chrono::minutes(2);
constexpr size_t kCopyBytes = 256 << 10;  // sent at a time

std::string Cell(const PGresult& result, int row, int column) {
  return {PQgetvalue(&result, row, column), static_cast<size_t>(PQgetlength(&result, row, column))};
}

bool IsTrue(const std::optional<std::string>& text) { return text == "t"; }

class PostgresSession : public ServerSession {
 public:
  explicit PostgresSession(Duration timeout) : connection_(timeout) {}

  Status Open(const PostgresParameters& parameters, const std::string& schema) {
    TRANCHE_TRY(connection_.Open(parameters));
    // Durable commits, whatever the server's default; times are UTC; names without a schema are found where
    // the table is.
    TRANCHE_TRY(connection_.Run(
        "SET synchronous_commit = on; SET TimeZone = 'UTC'; SET client_encoding = 'UTF8'; "
        "SET default_transaction_isolation = 'read committed'; SET client_min_messages = warning; "
        "SET standard_conforming_strings = on; SET lock_timeout = '30s'; SET intervalstyle = 'postgres'; "
        "SET datestyle = 'ISO'; SET extra_float_digits = 1"));
    if (schema.empty()) return {};
    // No other schema: a table of the same name there is another table.
    TRANCHE_ASSIGN(auto found,
                   Query("SELECT set_config('search_path', $1, false), to_regnamespace($1) IS NULL",
                         {Text(QuoteName(schema))}));
    if (found.at(0).at(1) == "t") return Fail(Code::kJob, "there is no schema '{}'", schema);
    return {};
  }

  // Of SqlConnection.
  Result<int64_t> Execute(std::string_view sql, const std::vector<Value>& values) override {
    TRANCHE_ASSIGN(PostgresResult result, connection_.Run(sql, values));
    if (sql == "COMMIT" && std::string_view(PQcmdStatus(result.get())) != "COMMIT") {
      return Fail(Code::kInternal, "the server answered COMMIT by {}", PQcmdStatus(result.get()));
    }
    return std::strtoll(PQcmdTuples(result.get()), nullptr, 10);
  }
  Result<std::vector<TextRow>> Query(std::string_view sql, const std::vector<Value>& values) override {
    TRANCHE_ASSIGN(PostgresResult result, connection_.Run(sql, values));
    std::vector<TextRow> rows;
    for (int row = 0; row < PQntuples(result.get()); ++row) rows.push_back(ToRow(*result, row));
    return rows;
  }
  Status Each(std::string_view sql, const std::vector<Value>& values,
              const std::function<Status(const Numbers&)>& take) override {
    Numbers numbers;
    return connection_.Each(sql, values, [&](const PGresult& result) {
      numbers.clear();
      for (int column = 0; column < PQnfields(&result); ++column) {
        numbers.push_back(std::strtoll(PQgetvalue(&result, 0, column), nullptr, 10));
      }
      return take(numbers);
    });
  }
  Result<Columns> ColumnsOf(std::string_view table) override {
    TRANCHE_ASSIGN(
        auto rows,
        Query("SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = "
              "to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
              {Text(QuoteName(table))}));
    Columns columns;
    for (TextRow& row : rows) columns.push_back({row[0].value_or(""), row[1].value_or("")});
    return columns;
  }
  const Dialect& dialect() const override { return kPostgres; }

  // Of ServerSession.
  const Fault& fault() const override { return connection_.fault(); }
  int64_t number() const override { return connection_.number(); }

  Result<int64_t> Load(const LoadTarget& target, const arrow::RecordBatch& rows,
                       const std::vector<Span>& spans) override {
    TRANCHE_ASSIGN(const CopyRows copy, CopyRows::Make(rows, target.wires));
    std::string names;
    for (const std::string& column : target.columns) names += (names.empty() ? "" : ", ") + QuoteName(column);
    TRANCHE_TRY(connection_.Run(
        fmt::format("COPY {} ({}) FROM STDIN (FORMAT binary)", QuoteName(target.table), names)));
    std::string bytes(CopyRows::Header());
    for (Span span : spans) {
      for (int64_t row = span.from; row < span.to; ++row) {
        copy.Append(row, bytes);
        if (bytes.size() < kCopyBytes) continue;
        TRANCHE_TRY(connection_.Put(bytes));
        bytes.clear();
      }
    }
    bytes += CopyRows::Trailer();
    TRANCHE_TRY(connection_.Put(bytes));
    TRANCHE_ASSIGN(PostgresResult result, connection_.EndPut());
    return std::strtoll(PQcmdTuples(result.get()), nullptr, 10);
  }

  Result<SchemaTables> Tables(const std::string& schema) override;
  Result<std::string> ReadMoment(const std::string& moment) override {
    TRANCHE_TRY(Execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", {}));
    if (!moment.empty()) {
      TRANCHE_TRY(Execute("SET TRANSACTION SNAPSHOT " + QuoteText(moment), {}));
      return moment;
    }
    TRANCHE_ASSIGN(auto rows, Query("SELECT pg_is_in_recovery()", {}));
    if (IsTrue(rows.at(0).at(0))) return "";  // a standby has a moment, and gives it to nobody
    TRANCHE_ASSIGN(rows, Query("SELECT pg_export_snapshot()", {}));
    return rows.at(0).at(0).value_or("");
  }
  Result<std::vector<AnswerColumn>> Describe(const std::string& query) override;
  Result<std::vector<std::string>> Parts(const std::string& table, int64_t bytes, int most) override;
  Result<std::unique_ptr<ServerAnswer>> Read(const std::string& query,
                                             const std::vector<AnswerColumn>& columns,
                                             bool with_row) override {
    std::string values;
    for (const AnswerColumn& column : columns) values += column.value + ", ";
    values += with_row ? "CAST(ROW(answer.*) AS text)" : "";
    if (values.ends_with(", ")) values.resize(values.size() - 2);
    TRANCHE_TRY(connection_.Run(
        fmt::format("COPY (SELECT {} FROM ({}\n) AS answer) TO STDOUT (FORMAT binary)", values, query)));
    return ReadCopy(connection_, columns, with_row, connection_.Setting("server_encoding") == "SQL_ASCII");
  }

  Result<std::string> MakeScratch(const std::string& table, const std::string& name) override {
    return MakePostgresScratch(*this, table, name);
  }
  Status DropScratch(const std::string& name) override { return DropPostgresScratch(*this, name); }

  Result<TableInfo> Look(std::string_view table) override;
  Result<bool> MayCreate() override {
    TRANCHE_ASSIGN(auto rows, Query("SELECT has_schema_privilege(current_schema(), 'CREATE')", {}));
    return rows.at(0).at(0) == "t";
  }
  Result<bool> HasUniqueIndex(const TableInfo& table, const std::vector<std::string>& key) override;
  Status CreateLike(const TableInfo& table, const std::string& name) override;
  Status ReplaceBy(const std::string& table, const std::string& staging, const std::string& mark) override;

  Result<std::optional<std::string>> TryLock(const std::string& name) override {
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

  Status EndSessions(const std::string& application, int64_t number) override {
    TRANCHE_TRY(
        Query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND "
              "datname = current_database() AND pid <> pg_backend_pid() AND ($2 = 0 OR pid = $2)",
              {Text(application), sql::Number(number)}));
    return {};
  }

 private:
  static TextRow ToRow(const PGresult& result, int row) {
    TextRow texts;
    for (int column = 0; column < PQnfields(&result); ++column) {
      if (PQgetisnull(&result, row, column)) {
        texts.emplace_back();
      } else {
        texts.emplace_back(Cell(result, row, column));
      }
    }
    return texts;
  }
  // Why another table can't simply take this one's place.
  Result<bool> IsPlain(const std::string& oid);

  PostgresConnection connection_;
};

// A pattern means the tables of one schema, a name also what lies elsewhere on the search path. A partition
// is read with its table.
Result<SchemaTables> PostgresSession::Tables(const std::string& schema) {
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

Result<std::vector<AnswerColumn>> PostgresSession::Describe(const std::string& query) {
  TRANCHE_ASSIGN(PostgresResult described, connection_.Describe(query));
  std::vector<AnswerColumn> columns;
  for (int i = 0; i < PQnfields(described.get()); ++i) {
    TRANCHE_ASSIGN(auto types, Query("SELECT typname, typcategory FROM pg_type WHERE oid = $1::text::oid",
                                     {Text(std::to_string(PQftype(described.get(), i)))}));
    AnswerColumn& column = columns.emplace_back(AnswerColumn{.name = PQfname(described.get(), i)});
    SetPostgresColumn(column, types.at(0).at(0).value_or(""), types[0].at(1).value_or("X")[0],
                      PQfmod(described.get(), i));
  }
  return columns;
}

// By the place of the rows on disk: https://www.postgresql.org/docs/15/ddl-system-columns.html. The last part
// has no end: the table may grow before the moment of the reading.
Result<std::vector<std::string>> PostgresSession::Parts(const std::string& table, int64_t bytes, int most) {
  TRANCHE_ASSIGN(auto rows, Query("SELECT pg_relation_size(oid), current_setting('block_size')::bigint FROM "
                                  "pg_class WHERE oid = to_regclass($1) AND relkind IN ('r', 'm')",
                                  {Text(table)}));
  if (rows.empty()) return std::vector<std::string>{};
  const int64_t block = std::max<int64_t>(ToNumber(rows[0].at(1)), 1);
  const int64_t blocks = ToNumber(rows[0].at(0)) / block;
  const int64_t parts = std::clamp<int64_t>(ToNumber(rows[0].at(0)) / bytes, 1, most);
  std::vector<std::string> conditions;
  for (int64_t part = 0; part < parts; ++part) {
    conditions.push_back(fmt::format("ctid >= '({},0)'::tid", blocks * part / parts));
    if (part + 1 < parts) {
      conditions.back() += fmt::format(" AND ctid < '({},0)'::tid", blocks * (part + 1) / parts);
    }
  }
  return conditions;
}

Result<TableInfo> PostgresSession::Look(std::string_view table) {
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

Result<bool> PostgresSession::IsPlain(const std::string& oid) {
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

Result<bool> PostgresSession::HasUniqueIndex(const TableInfo& table, const std::vector<std::string>& key) {
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

Status PostgresSession::CreateLike(const TableInfo& table, const std::string& name) {
  TRANCHE_TRY(Execute(fmt::format("CREATE TABLE {} (LIKE {} INCLUDING ALL EXCLUDING IDENTITY)",
                                  QuoteName(name), QuoteName(table.name)),
                      {}));
  return {};
}

// A table that something depends on keeps its definition, its name and its place: its rows are replaced. Who
// reads meanwhile sees the old rows until the transaction is committed.
Status PostgresSession::ReplaceBy(const std::string& table, const std::string& staging, const std::string&) {
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

class PostgresServer : public Server {
 public:
  PostgresServer(PostgresParameters parameters, ServerUrl options)
      : parameters_(std::move(parameters)), options_(std::move(options)) {}

  Result<std::unique_ptr<ServerSession>> Connect(const std::string& application,
                                                 std::optional<Duration> timeout, Fault* fault) override {
    PostgresParameters parameters = parameters_;
    parameters.emplace_back("application_name", application);
    auto session = std::make_unique<PostgresSession>(timeout.value_or(kTimeout));
    Status opened = session->Open(parameters, options_.schema);
    if (!opened) {
      if (fault != nullptr) *fault = session->fault();
      return std::move(opened).error().In(Describe());
    }
    return session;
  }
  const Dialect& dialect() const override { return kPostgres; }
  std::string TypeFor(std::string_view type, bool) const override { return PostgresTypeFor(type); }
  Fit FitFor(std::string_view type, const TableColumn& column) const override {
    return PostgresFitFor(type, column);
  }
  std::string Literal(const Value& value) const override {
    if (!value.text) return "NULL";
    const std::string text = QuoteText(*value.text);
    return value.type == "VARCHAR" ? text : fmt::format("CAST({} AS {})", text, PostgresTypeFor(value.type));
  }
  Status CheckName(std::string_view what, std::string_view name) const override;
  std::string Describe() const override {
    return fmt::format("{}/{}", Get("host").empty() ? "localhost" : Get("host"), Get("dbname"));
  }
  std::string target() const override {
    return fmt::format("postgres {}:{}/{}/{}", Get("host"), Get("port"), Get("dbname"), options_.schema);
  }

 private:
  std::string Get(std::string_view name) const {
    for (const auto& [key, value] : parameters_) {
      if (key == name) return value;
    }
    return "";
  }
  PostgresParameters parameters_;
  ServerUrl options_;
};

// https://www.postgresql.org/docs/15/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS and
// ddl-system-columns.html
Status PostgresServer::CheckName(std::string_view what, std::string_view name) const {
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

}  // namespace

Result<std::unique_ptr<Server>> MakePostgres(const ServerUrl& options) {
  char* problem = nullptr;
  std::unique_ptr<PQconninfoOption, FreePostgres> parsed(PQconninfoParse(options.url.c_str(), &problem));
  if (!parsed) {
    // libpq quotes the url, with the password.
    PQfreemem(problem);
    return Fail(Code::kJob, "the url cannot be read")
        .Hint("write it as postgres://user@host:5432/database, the password as ${secret:NAME}");
  }
  PostgresParameters parameters;
  auto given = [&](std::string_view name) {
    return std::ranges::find(parameters, name, [](auto& entry) { return std::string_view(entry.first); }) !=
           parameters.end();
  };
  for (const PQconninfoOption* option = parsed.get(); option->keyword != nullptr; ++option) {
    if (option->val != nullptr && *option->val != '\0') parameters.emplace_back(option->keyword, option->val);
  }
  // What is not said here would come from the environment.
  if (!given("host") && !given("hostaddr")) parameters.emplace_back("host", "localhost");
  if (!given("port")) parameters.emplace_back("port", "5432");
  if (given("password") && !options.secret) return PlainPassword();
  std::string host, user;
  for (const auto& [name, value] : parameters) {
    if (name == "host") host = value;
    if (name == "user") user = value;
  }
  if (!given("dbname")) {
    if (user.empty()) return Fail(Code::kJob, "the url names no database").Hint("write …@host:5432/database");
    parameters.emplace_back("dbname", user);
  }
  if (!given("sslmode")) {
    const bool named = given("sslrootcert");
    parameters.emplace_back("sslmode", IsLocal(host) && !named ? "prefer" : "verify-full");
    if (!IsLocal(host) && !named)
      parameters.emplace_back("sslrootcert", "/etc/ssl/certs/ca-certificates.crt");
  }
  for (const auto& [name, value] :
       std::initializer_list<std::pair<const char*, const char*>>{{"keepalives", "1"},
                                                                  {"keepalives_idle", "20"},
                                                                  {"keepalives_interval", "5"},
                                                                  {"keepalives_count", "3"}}) {
    if (!given(name)) parameters.emplace_back(name, value);
  }
  return std::make_unique<PostgresServer>(std::move(parameters), options);
}

}  // namespace tranche::sql
