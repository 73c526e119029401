#include "tranche/sql/postgres.h"

#include <algorithm>
#include <cstdlib>
#include <ranges>

#include <arrow/record_batch.h>

#include "tranche/sql/postgres_connection.h"
#include "tranche/sql/postgres_copy.h"
#include "tranche/sql/postgres_read.h"
#include "tranche/sql/postgres_statements.h"

namespace tranche::sql {
namespace {

constexpr size_t kCopyBytes = 256 << 10;                     // sent at a time
constexpr Duration kHostTimeout = std::chrono::seconds(10);  // of one of several hosts, for the next one

// A host, a port and the like are lists where a url names several servers.
std::vector<std::string> PartsOf(std::string_view list) {
  std::vector<std::string> parts;
  for (const auto part : std::views::split(list, ',')) parts.emplace_back(part.begin(), part.end());
  if (parts.empty()) parts.emplace_back();
  return parts;
}

std::string Cell(const PGresult& result, int row, int column) {
  return {PQgetvalue(&result, row, column), static_cast<size_t>(PQgetlength(&result, row, column))};
}

class PostgresSession : public PostgresStatements {
 public:
  explicit PostgresSession(Duration timeout) : connection_(timeout) {}

  Status Open(const PostgresParameters& parameters, const std::string& schema) {
    TRANCHE_TRY(connection_.Open(parameters));
    return SetUp(schema);
  }

  // Of SqlConnection.
  Result<int64_t> Execute(std::string_view sql, const std::vector<Value>& values) override {
    TRANCHE_ASSIGN(PostgresResult result, connection_.Run(sql, values));
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

  Result<std::vector<AnswerColumn>> Describe(const std::string& query) override;
  Result<TableParts> Parts(const TableName& table, int64_t bytes, int most) override;
  std::optional<std::string> ShareMoment(
      const TableName& table, const std::vector<std::unique_ptr<ServerSession>>& sessions) override;
  bool reads_along() const override { return true; }
  Result<std::vector<std::string>> ReadingOrder(const TableName& table) override;
  Result<std::unique_ptr<ServerAnswer>> Read(const std::string& query,
                                             const std::vector<AnswerColumn>& columns, bool with_row,
                                             const std::vector<std::string>& order) override {
    std::string values;
    for (const AnswerColumn& column : columns) values += column.value + ", ";
    values += with_row ? "CAST(ROW(answer.*) AS text)" : "";
    if (values.ends_with(", ")) values.resize(values.size() - 2);
    TRANCHE_TRY(
        connection_.Run(fmt::format("COPY (SELECT {} FROM ({}\n) AS answer{}) TO STDOUT (FORMAT binary)",
                                    values, query, OrderOf(order))));
    return ReadCopy(connection_, columns, with_row, connection_.Setting("server_encoding") == "SQL_ASCII");
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
  PostgresConnection connection_;
};

Result<std::vector<AnswerColumn>> PostgresSession::Describe(const std::string& query) {
  TRANCHE_ASSIGN(PostgresResult described, connection_.Describe(query));
  std::vector<AnswerColumn> columns;
  std::string oids;
  for (int i = 0; i < PQnfields(described.get()); ++i)
    oids += fmt::format("{}{}", i == 0 ? "" : ",", PQftype(described.get(), i));
  TRANCHE_ASSIGN(auto types, Query("SELECT typname, typcategory FROM unnest(string_to_array($1, ',')::oid[]) "
                                   "WITH ORDINALITY AS o(oid, i) LEFT JOIN pg_type USING (oid) ORDER BY i",
                                   {Text(oids)}));
  for (int i = 0; i < PQnfields(described.get()); ++i) {
    const TextRow& type = types.at(static_cast<size_t>(i));
    AnswerColumn& column = columns.emplace_back(AnswerColumn{.name = PQfname(described.get(), i)});
    SetPostgresColumn(column, type.at(0).value_or(""), type.at(1).value_or("X")[0],
                      PQfmod(described.get(), i));
  }
  return columns;
}

// By the place of the rows on disk: https://www.postgresql.org/docs/15/ddl-system-columns.html. The last part
// has no end: the table may grow before the moment of the reading. A standby shares no moment.
Result<TableParts> PostgresSession::Parts(const TableName& table, int64_t bytes, int most) {
  TRANCHE_ASSIGN(auto rows, Query("SELECT pg_relation_size(oid), current_setting('block_size')::bigint FROM "
                                  "pg_class WHERE oid = to_regclass($1) AND relkind IN ('r', 'm') AND NOT "
                                  "pg_is_in_recovery()",
                                  {Text(table.quoted())}));
  TableParts cut;
  if (rows.empty()) return cut;
  const int64_t block = std::max<int64_t>(ToNumber(rows[0].at(1)), 1);
  const int64_t blocks = ToNumber(rows[0].at(0)) / block;
  const int64_t parts = std::clamp<int64_t>(ToNumber(rows[0].at(0)) / bytes, 1, most);
  for (int64_t part = 0; part < parts; ++part) {
    cut.conditions.push_back(fmt::format("ctid >= '({},0)'::tid", blocks * part / parts));
    if (part + 1 < parts) {
      cut.conditions.back() += fmt::format(" AND ctid < '({},0)'::tid", blocks * (part + 1) / parts);
    }
  }
  return cut;
}

std::optional<std::string> PostgresSession::ShareMoment(
    const TableName&, const std::vector<std::unique_ptr<ServerSession>>& sessions) {
  const std::string begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
  auto share = [&]() -> Status {
    TRANCHE_TRY(Execute(begin, {}));
    TRANCHE_ASSIGN(auto rows, Query("SELECT pg_export_snapshot()", {}));
    const std::string take = "SET TRANSACTION SNAPSHOT " + QuoteText(rows.at(0).at(0).value_or(""));
    return SideBySide(sessions.size(), [&](size_t i) -> Status {
      TRANCHE_TRY(sessions[i]->Execute(begin + "; " + take, {}));
      return {};
    });
  };
  Status shared = share();
  return shared ? std::nullopt : std::optional(shared.error().message);
}

// Where the rows lie on disk about as the key goes, by the server's statistics: an index leads to each page
// once.
Result<std::vector<std::string>> PostgresSession::ReadingOrder(const TableName& table) {
  TRANCHE_ASSIGN(
      auto rows,
      Query("SELECT attname, typname IN ('int2', 'int4', 'int8', 'text', 'varchar', 'bpchar', 'uuid'), "
            "coalesce((SELECT correlation > 0.9 FROM pg_stats WHERE schemaname = nspname "
            "AND tablename = relname AND pg_stats.attname = pg_attribute.attname AND NOT inherited), false) "
            "FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
            "JOIN pg_index ON indrelid = pg_class.oid AND indisprimary "
            "JOIN pg_attribute ON attrelid = pg_class.oid AND attnum = ANY (indkey) "
            "JOIN pg_type ON pg_type.oid = atttypid "
            "WHERE pg_class.oid = to_regclass($1) AND relkind = 'r' "
            "ORDER BY array_position(indkey::int2[], attnum)",
            {Text(table.quoted())}));
  std::vector<std::string> key;
  if (rows.empty() || !IsTrue(rows[0].at(2))) return key;
  for (const TextRow& row : rows) {
    if (!IsTrue(row.at(1))) return std::vector<std::string>{};
    key.push_back(row.at(0).value_or(""));
  }
  return key;
}

class PostgresServer : public Server {
 public:
  PostgresServer(PostgresParameters parameters, ServerUrl options)
      : parameters_(std::move(parameters)), options_(std::move(options)) {}

  Result<std::unique_ptr<ServerSession>> Connect(const std::string& application,
                                                 std::optional<Duration> timeout, Fault* fault) override {
    PostgresParameters parameters = parameters_;
    parameters.emplace_back("application_name", application);
    const Duration longest = timeout.value_or(kAnswerTimeout);
    if (Get("connect_timeout").empty()) {
      const Duration one = hosts().size() > 1 ? std::min(longest, kHostTimeout) : longest;
      const auto seconds = std::chrono::ceil<std::chrono::seconds>(one).count();
      parameters.emplace_back("connect_timeout", std::to_string(seconds));
    }
    auto session = std::make_unique<PostgresSession>(longest);
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
  std::string Literal(const Value& value) const override { return PostgresLiteral(value); }
  Status CheckName(std::string_view what, std::string_view name) const override {
    return CheckPostgresName(what, name);
  }
  std::string Describe() const override {
    return fmt::format("{}/{}", Get("host").empty() ? "localhost" : Get("host"), Get("dbname"));
  }
  // Several servers are one database, in whatever order they are named.
  std::string target() const override {
    const std::vector<std::string> ports = PartsOf(Get("port"));
    std::vector<std::string> places = hosts();
    for (size_t i = 0; i < places.size(); ++i) places[i] += ":" + ports[std::min(i, ports.size() - 1)];
    std::ranges::sort(places);
    return fmt::format("postgres {}/{}/{}", fmt::join(places, ","), Get("dbname"), options_.schema);
  }

 private:
  std::vector<std::string> hosts() const { return PartsOf(Get(Get("host").empty() ? "hostaddr" : "host")); }
  std::string Get(std::string_view name) const {
    for (const auto& [key, value] : parameters_) {
      if (key == name) return value;
    }
    return "";
  }
  PostgresParameters parameters_;
  ServerUrl options_;
};

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
  std::string user;
  bool local = true;
  for (const auto& [name, value] : parameters) {
    if (name == "user") user = value;
    if (name == "host" || name == "hostaddr") local = local && std::ranges::all_of(PartsOf(value), IsLocal);
  }
  if (!given("dbname")) {
    if (user.empty()) return Fail(Code::kJob, "the url names no database").Hint("write …@host:5432/database");
    parameters.emplace_back("dbname", user);
  }
  if (!given("sslmode")) {
    const bool named = given("sslrootcert");
    parameters.emplace_back("sslmode", local && !named ? "prefer" : "verify-full");
    if (!local && !named) parameters.emplace_back("sslrootcert", "/etc/ssl/certs/ca-certificates.crt");
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
