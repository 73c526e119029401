#include "tranche/sql/mariadb.h"

#include <algorithm>
#include <charconv>
#include <thread>

#include "tranche/base/failpoint.h"
#include "tranche/base/hash.h"
#include "tranche/sql/mariadb_connection.h"
#include "tranche/sql/mariadb_parts.h"
#include "tranche/sql/mariadb_read.h"

namespace tranche::sql {
namespace {

constexpr int kMostSessions = 32;  // of one application
constexpr size_t kMostName = 64;   // characters

bool IsYes(const std::optional<std::string>& text) { return text && *text != "0" && *text != "NO"; }

std::string TextLiteral(std::string_view value) {
  std::string text;
  for (char c : value) text += c == '\\' ? "\\\\" : c == '\'' ? "''" : std::string(1, c);
  return "'" + text + "'";
}

// A table that has taken another's place says so at the end of its comment: "prices of today [tranche run
// 4f…]".
constexpr std::string_view kMark = " [tranche run ";
std::string WithoutMark(const std::string& comment) { return comment.substr(0, comment.rfind(kMark)); }
std::string MarkIn(const std::string& comment) {
  const size_t at = comment.rfind(kMark);
  return at == std::string::npos || !comment.ends_with(']') ? ""
                                                            : comment.substr(at + 2, comment.size() - at - 3);
}

class MariaDbSession : public ServerSession {
 public:
  MariaDbSession(Duration timeout, std::string database)
      : connection_(timeout), database_(std::move(database)) {}

  // A session that may have to be ended holds a lock by which others find it: the server's list of processes
  // has no name for it.
  Status Open(const MariaDbParameters& parameters, const std::string& application) {
    TRANCHE_TRY(connection_.Open(parameters, application));
    if (application == kApplication) return {};
    for (int place = 0; place < kMostSessions; ++place) {
      TRANCHE_ASSIGN(auto got, Query("SELECT GET_LOCK($1, 0)", {Text(PlaceOf(application, place))}));
      if (got.at(0).at(0) == "1") return {};
    }
    return Fail(Code::kOutside, "more than {} sessions of one store", kMostSessions);
  }

  // Of SqlConnection.
  Result<int64_t> Execute(std::string_view sql, const std::vector<Value>& values) override {
    return connection_.Execute(sql, values);
  }
  Result<std::vector<TextRow>> Query(std::string_view sql, const std::vector<Value>& values) override {
    return connection_.Query(sql, values);
  }
  Status Each(std::string_view sql, const std::vector<Value>& values,
              const std::function<Status(const Numbers&)>& take) override {
    Numbers numbers;
    return connection_.Each(sql, values, [&](const TextRow& row) {
      numbers.clear();
      for (const auto& cell : row) numbers.push_back(ToNumber(cell));
      return take(numbers);
    });
  }
  Result<Columns> ColumnsOf(std::string_view table) override {
    TRANCHE_ASSIGN(auto rows, Query("SELECT column_name, column_type FROM information_schema.columns WHERE "
                                    "table_schema = DATABASE() AND table_name = $1 ORDER BY ordinal_position",
                                    {Text(std::string(table))}));
    Columns columns;
    for (TextRow& row : rows) columns.push_back({row[0].value_or(""), row[1].value_or("")});
    return columns;
  }
  const Dialect& dialect() const override { return kMariaDb; }

  // Of ServerSession.
  const Fault& fault() const override { return connection_.fault(); }
  int64_t number() const override { return connection_.number(); }
  Result<int64_t> Load(const LoadTarget& target, const arrow::RecordBatch& rows,
                       const std::vector<Span>& spans) override {
    return connection_.Load(target, rows, spans);
  }
  Result<TableInfo> Look(std::string_view table) override;
  Result<bool> MayCreate() override { return true; }  // rights may come by roles: the server says it itself
  Result<bool> HasUniqueIndex(const TableInfo& table, const std::vector<std::string>& key) override;
  Status CreateLike(const TableInfo& table, const std::string& name) override {
    TRANCHE_TRY(Execute(fmt::format("CREATE TABLE {} LIKE {}", QuoteName(name), QuoteName(table.name)), {}));
    return {};
  }
  Status ReplaceBy(const std::string& table, const std::string& staging, const std::string& mark) override;

  Result<SchemaTables> Tables(const std::string& schema) override;
  Result<std::vector<AnswerColumn>> Describe(const std::string& query) override {
    std::vector<std::string> names;
    TRANCHE_ASSIGN(const auto fields, connection_.Describe(query, names));
    return MariaDbColumns(fields, names);
  }
  Result<TableParts> Parts(const TableName& table, int64_t bytes, int most) override {
    return MariaDbParts(*this, table, bytes, most);
  }
  std::optional<std::string> ShareMoment(
      const TableName& table, const std::vector<std::unique_ptr<ServerSession>>& sessions) override {
    return ShareMariaDbMoment(*this, table, sessions);
  }
  Result<std::vector<std::string>> ReadingOrder(const TableName& table) override {
    return MariaDbReadingOrder(*this, table);
  }
  Result<std::unique_ptr<ServerAnswer>> Read(const std::string& query,
                                             const std::vector<AnswerColumn>& columns, bool with_row,
                                             const std::vector<std::string>& order) override {
    TRANCHE_TRY(Execute("SET SESSION TRANSACTION READ ONLY", {}));
    std::string values, shown;
    for (const AnswerColumn& column : columns) {
      values += (values.empty() ? "" : ", ") + column.value;
      shown += ", " + column.text;
    }
    if (with_row) values += fmt::format(", CONCAT_WS('|'{})", shown);
    TRANCHE_TRY(
        connection_.Begin(fmt::format("SELECT {} FROM ({}\n) AS answer{}", values, query, OrderOf(order))));
    return ReadMariaDb(connection_, columns, with_row);
  }

  Result<std::string> MakeScratch(const std::string& table, const std::string& name) override;
  Status DropScratch(const std::string& name) override;

  Result<std::optional<std::string>> TryLock(const std::string& name) override {
    const Value lock = Text("tranche " + HashHex(database_ + "/" + name));
    TRANCHE_ASSIGN(auto got, Query("SELECT GET_LOCK($1, 0)", {lock}));
    if (got.at(0).at(0) == "1") return std::nullopt;
    TRANCHE_ASSIGN(auto holder, Query("SELECT concat('session ', id, ' of ', user, '@', host) FROM "
                                      "information_schema.processlist WHERE id = IS_USED_LOCK($1)",
                                      {lock}));
    return holder.empty() ? "another session" : holder[0].at(0).value_or("another session");
  }

  // A session that is killed is still there while it rolls back: its locks go at the end.
  Status EndSessions(const std::string& application, int64_t number) override {
    for (int place = 0; place < kMostSessions; ++place) {
      const Value lock = Text(PlaceOf(application, place));
      for (int attempt = 0;; ++attempt) {
        TRANCHE_ASSIGN(auto holder, Query("SELECT IS_USED_LOCK($1)", {lock}));
        const int64_t session = ToNumber(holder.at(0).at(0));
        if (session == 0 || session == connection_.number() || (number != 0 && session != number)) break;
        auto killed = Execute(fmt::format("KILL CONNECTION {}", session), {});
        if (!killed && fault().code != "1094") return std::move(killed).error();  // 1094: it has gone
        if (attempt == 100)
          return Fail(Code::kOutside, "session {} of an earlier start does not end", session);
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
    }
    return {};
  }

 private:
  // At most 64 characters, and the server's, not the database's.
  Status CheckAlone(const TableInfo& table);
  std::string PlaceOf(const std::string& application, int place) const {
    return fmt::format("tranche {} {}", HashHex(database_ + "/" + application), place);
  }

  MariaDbConnection connection_;
  std::string database_;
};

Result<SchemaTables> MariaDbSession::Tables(const std::string& schema) {
  TRANCHE_ASSIGN(auto there,
                 Query("SELECT schema_name, @@lower_case_table_names FROM information_schema.schemata "
                       "WHERE schema_name = coalesce(nullif($1, ''), DATABASE())",
                       {Text(schema)}));
  if (there.empty() && !schema.empty()) return Fail(Code::kJob, "there is no database '{}'", schema);
  SchemaTables tables{.any_case = !there.empty() && there[0][1] != "0"};
  TRANCHE_ASSIGN(auto rows,
                 Query("SELECT table_name, table_type = 'VIEW' FROM information_schema.tables WHERE "
                       "table_schema = coalesce(nullif($1, ''), DATABASE()) AND table_type IN ('BASE "
                       "TABLE', 'SYSTEM VERSIONED', 'VIEW')",
                       {Text(schema)}));
  for (const TextRow& row : rows)
    (IsYes(row[1]) ? tables.others : tables.tables).push_back(row[0].value_or(""));
  return tables;
}

Result<TableInfo> MariaDbSession::Look(std::string_view table) {
  const Value name = Text(std::string(table));
  TRANCHE_ASSIGN(auto found,
                 Query("SELECT table_name, table_type, engine, table_comment FROM "
                       "information_schema.tables WHERE table_schema = DATABASE() AND table_name = $1",
                       {name}));
  TableInfo info;
  if (found.empty()) return info;
  const TextRow& row = found[0];
  info.name = row[0].value_or("");
  info.mark = MarkIn(row[3].value_or(""));
  if (row[1] != "BASE TABLE") return Fail(Code::kJob, "'{}' is no table: {}", table, row[1].value_or("?"));
  if (row[2] != "InnoDB") {
    info.problem = fmt::format("its engine is {}, which has no transactions that last", row[2].value_or("?"));
  }
  TRANCHE_ASSIGN(auto cluster, Query("SELECT variable_value FROM information_schema.global_status WHERE "
                                     "variable_name = 'wsrep_cluster_size' AND variable_value > 1",
                                     {}));
  if (!cluster.empty())
    info.problem = "its server is a node of a Galera cluster, whose locks hold on one node only";
  TRANCHE_ASSIGN(auto triggers,
                 Query("SELECT count(*) FROM information_schema.triggers WHERE event_object_schema = "
                       "DATABASE() AND event_object_table = $1",
                       {name}));
  info.meddles = ToNumber(triggers.at(0).at(0)) > 0;
  TRANCHE_ASSIGN(
      auto columns,
      Query(
          "SELECT column_name, column_type, data_type, is_nullable, column_default IS NOT NULL OR extra LIKE "
          "'%auto_increment%', is_generated, character_set_name, collation_name FROM "
          "information_schema.columns "
          "WHERE table_schema = DATABASE() AND table_name = $1 ORDER BY ordinal_position",
          {name}));
  for (const TextRow& column : columns) {
    TableColumn& own = info.columns.emplace_back();
    own.name = column[0].value_or("");
    own.type = column[1].value_or("");
    own.base = column[2].value_or("");
    own.not_null = column[3] == "NO";
    own.has_default = IsYes(column[4]);
    own.generated = column[5] == "ALWAYS";
    if (column[7])
      own.collation = fmt::format("CHARACTER SET {} COLLATE {}", column[6].value_or("utf8mb4"), *column[7]);
  }
  return info;
}

Result<bool> MariaDbSession::HasUniqueIndex(const TableInfo& table, const std::vector<std::string>& key) {
  TRANCHE_ASSIGN(
      auto indexes,
      Query("SELECT group_concat(lower(column_name) ORDER BY lower(column_name) SEPARATOR '\x01'), "
            "count(sub_part) FROM information_schema.statistics WHERE table_schema = DATABASE() AND "
            "table_name = $1 AND non_unique = 0 GROUP BY index_name",
            {Text(table.name)}));
  const std::string wanted = KeyText(key);
  return std::ranges::any_of(indexes, [&](const TextRow& row) { return row[0] == wanted && row[1] == "0"; });
}

// RENAME changes both names in one step, and the mark says whose step it was.
Status MariaDbSession::ReplaceBy(const std::string& table, const std::string& staging,
                                 const std::string& mark) {
  TRANCHE_ASSIGN(const TableInfo there, Look(table));
  const std::string from = QuoteName(staging), to = QuoteName(table), old = QuoteName(staging + "_old");
  if (there.exists() && there.mark != mark) {
    TRANCHE_TRY(CheckAlone(there));
    TRANCHE_ASSIGN(auto comment,
                   Query("SELECT table_comment FROM information_schema.tables WHERE table_schema = "
                         "DATABASE() AND table_name = $1",
                         {Text(table)}));
    TRANCHE_TRY(Execute(
        fmt::format("ALTER TABLE {} COMMENT = {}", from,
                    TextLiteral(fmt::format("{} [{}]", WithoutMark(comment.at(0).at(0).value_or("")), mark))),
        {}));
    TRANCHE_TRY(Execute(fmt::format("DROP TABLE IF EXISTS {}", old), {}));
    TRANCHE_TRY(Execute(fmt::format("RENAME TABLE {} TO {}, {} TO {}", to, old, from, to), {}));
    TRANCHE_TRY(Failpoint("replace.renamed"));
  } else if (!there.exists()) {
    TRANCHE_TRY(Execute(
        fmt::format("ALTER TABLE {} COMMENT = {}", from, TextLiteral(fmt::format(" [{}]", mark))), {}));
    TRANCHE_TRY(Execute(fmt::format("RENAME TABLE {} TO {}", from, to), {}));
  }
  TRANCHE_TRY(Execute(fmt::format("DROP TABLE IF EXISTS {}", old), {}));
  return {};
}

// Another table of its name would not have what hangs on it.
Status MariaDbSession::CheckAlone(const TableInfo& table) {
  TRANCHE_ASSIGN(
      auto keys,
      Query("SELECT count(*) FROM information_schema.referential_constraints WHERE (constraint_schema = "
            "DATABASE() AND table_name = $1) OR (unique_constraint_schema = DATABASE() AND "
            "referenced_table_name = $2)",
            {Text(table.name), Text(table.name)}));
  if (!table.meddles && ToNumber(keys.at(0).at(0)) == 0) return {};
  return Fail(Code::kJob,
              "table '{}' has foreign keys or triggers, which another table of its name would not have",
              table.name)
      .Hint("use mode: upsert; or empty the table by `before: delete from …` and append");
}

// A database of its own, with a copy of the table: columns, indexes and checks, and where it is small its
// rows. Triggers and foreign keys lead out of it, and are not copied.
Result<std::string> MariaDbSession::MakeScratch(const std::string& table, const std::string& name) {
  const std::string database = name + "_" + HashHex(database_).substr(0, 8);
  const std::string copy = QuoteName(database) + "." + QuoteName(table);
  TRANCHE_TRY(Execute("CREATE DATABASE IF NOT EXISTS " + QuoteName(database), {}));
  TRANCHE_ASSIGN(const TableInfo real, Look(table));
  if (!real.exists()) return database;
  if (!real.problem.empty()) {
    return Fail(Code::kJob, "table '{}' cannot keep each row exactly once: {}", table, real.problem);
  }
  TRANCHE_ASSIGN(
      auto there,
      Query("SELECT count(*) FROM information_schema.tables WHERE table_schema = $1 AND table_name = $2",
            {Text(database), Text(table)}));
  if (ToNumber(there.at(0).at(0)) > 0) return database;
  // Under another name until it is whole: a start that was killed leaves none behind.
  const std::string aside = QuoteName(database) + "." + QuoteName("tranche copy");
  TRANCHE_TRY(Execute("DROP TABLE IF EXISTS " + aside, {}));
  TRANCHE_TRY(Execute(fmt::format("CREATE TABLE {} LIKE {}", aside, QuoteName(real.name)), {}));
  // Numbers that the server gives out begin somewhere else in each trial: such a column is left out of what
  // is compared.
  TRANCHE_ASSIGN(
      auto size,
      Query("SELECT data_length, floor(auto_increment + rand() * 1000) FROM information_schema.tables WHERE "
            "table_schema = DATABASE() AND table_name = $1",
            {Text(real.name)}));
  std::string columns;
  for (const TableColumn& column : real.columns) {
    if (!column.generated) columns += (columns.empty() ? "" : ", ") + QuoteName(column.name);
  }
  if (ToNumber(size.at(0).at(0)) <= kMostCopied) {
    TRANCHE_TRY(Execute(
        fmt::format("INSERT INTO {} ({}) SELECT {} FROM {}", aside, columns, columns, QuoteName(real.name)),
        {}));
  }
  if (const auto& next = size.at(0).at(1)) {
    TRANCHE_TRY(Execute(fmt::format("ALTER TABLE {} AUTO_INCREMENT = {}", aside, *next), {}));
  }
  TRANCHE_TRY(Execute(fmt::format("RENAME TABLE {} TO {}", aside, copy), {}));
  return database;
}

Status MariaDbSession::DropScratch(const std::string& name) {
  TRANCHE_ASSIGN(auto databases,
                 Query("SELECT schema_name FROM information_schema.schemata WHERE left(schema_name, $1) = $2",
                       {Number(static_cast<int64_t>(name.size()) + 1), Text(name + "_")}));
  for (const TextRow& row : databases) {
    TRANCHE_TRY(Execute("DROP DATABASE IF EXISTS " + QuoteName(row.at(0).value_or("")), {}));
  }
  return {};
}

class MariaDbServer : public Server {
 public:
  explicit MariaDbServer(MariaDbParameters parameters) : parameters_(std::move(parameters)) {}

  Result<std::unique_ptr<ServerSession>> Connect(const std::string& application,
                                                 std::optional<Duration> timeout, Fault* fault) override {
    auto session = std::make_unique<MariaDbSession>(timeout.value_or(kAnswerTimeout), parameters_.database);
    Status opened = session->Open(parameters_, application);
    if (!opened) {
      if (fault != nullptr) *fault = session->fault();
      return std::move(opened).error().In(Describe());
    }
    return session;
  }
  const Dialect& dialect() const override { return kMariaDb; }
  std::string TypeFor(std::string_view type, bool key) const override { return MariaDbTypeFor(type, key); }
  Fit FitFor(std::string_view type, const TableColumn& column) const override {
    return MariaDbFitFor(type, column);
  }
  std::string Literal(const Value& value) const override {
    return value.text ? TextLiteral(*value.text) : "NULL";
  }
  Status CheckName(std::string_view what, std::string_view name) const override {
    const auto characters =
        std::ranges::count_if(name, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
    if (static_cast<size_t>(characters) > kMostName) {
      return Fail(Code::kJob, "the {} '{}' has {} characters, and MariaDB takes {}", what, name, characters,
                  kMostName)
          .Hint("give it a shorter name");
    }
    if (std::ranges::any_of(name, [](char c) { return (static_cast<unsigned char>(c) & 0xF8) == 0xF0; })) {
      return Fail(Code::kJob, "the {} '{}' has a character beyond U+FFFF, which MariaDB takes in no name",
                  what, name)
          .Hint("give it another name, as by `rename:`");
    }
    if (name.ends_with(' '))
      return Fail(Code::kJob, "the {} '{}' ends with a blank, which MariaDB takes off", what, name);
    return {};
  }
  std::string Describe() const override {
    return fmt::format("{}/{}", parameters_.host, parameters_.database);
  }
  std::string target() const override {
    return fmt::format("mariadb {}:{}/{}", parameters_.host, parameters_.port, parameters_.database);
  }

 private:
  MariaDbParameters parameters_;
};

// %41: A. Nothing where it is not so written.
std::optional<std::string> Decoded(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    unsigned byte = 0;
    const auto parsed =
        std::from_chars(text.data() + i + 1, text.data() + std::min(i + 3, text.size()), byte, 16);
    if (parsed.ptr != text.data() + i + 3) return std::nullopt;
    decoded += static_cast<char>(byte);
    i += 2;
  }
  return decoded;
}

// Cuts `text` at `separator`: what stands before it, or all.
std::string_view Before(std::string_view& text, char separator) {
  const size_t at = text.find(separator);
  const std::string_view before = text.substr(0, at);
  text = at == std::string_view::npos ? std::string_view() : text.substr(at + 1);
  return before;
}

// https://www.rfc-editor.org/rfc/rfc3986; nothing where it can't be read.
std::optional<MariaDbParameters> ParseUrl(std::string_view url, std::string* mode) {
  MariaDbParameters parameters;
  const size_t scheme = url.find("://");
  if (scheme == std::string_view::npos ||
      (url.substr(0, scheme) != "mariadb" && url.substr(0, scheme) != "mysql")) {
    return std::nullopt;
  }
  url.remove_prefix(scheme + 3);
  std::string_view rest = url;
  std::string_view path = Before(rest, '?');
  std::string_view authority = Before(path, '/');
  if (const size_t at = authority.rfind('@'); at != std::string_view::npos) {
    std::string_view user = authority.substr(0, at);
    authority.remove_prefix(at + 1);
    const auto name = Decoded(Before(user, ':'));
    const auto password = Decoded(user);
    if (!name || !password) return std::nullopt;
    parameters.user = *name;
    parameters.password = *password;
  }
  if (authority.starts_with('[')) {
    authority.remove_prefix(1);
    parameters.host = Before(authority, ']');
    if (authority.starts_with(':')) authority.remove_prefix(1);
  } else {
    parameters.host = Before(authority, ':');
  }
  if (!authority.empty()) {
    const auto parsed =
        std::from_chars(authority.data(), authority.data() + authority.size(), parameters.port);
    if (parsed.ptr != authority.data() + authority.size() || parameters.port > 65'535) return std::nullopt;
  }
  const auto database = Decoded(path);
  if (!database) return std::nullopt;
  parameters.database = *database;
  while (!rest.empty()) {
    std::string_view value = Before(rest, '&');
    const std::string_view name = Before(value, '=');
    const auto decoded = Decoded(value);
    if (!decoded) return std::nullopt;
    if (name == "sslrootcert") {
      parameters.authority = *decoded;
    } else if (name == "sslmode") {
      *mode = *decoded;
    } else {
      return std::nullopt;
    }
  }
  return parameters;
}

}  // namespace

Result<std::unique_ptr<Server>> MakeMariaDb(const ServerUrl& options) {
  std::string mode;
  auto parameters = ParseUrl(options.url, &mode);
  if (!parameters) {
    return Fail(Code::kJob, "the url cannot be read")
        .Hint(
            "write it as mariadb://user@host:3306/database, the password as ${secret:NAME}; behind a ? may "
            "stand "
            "sslrootcert and sslmode");
  }
  if (!parameters->password.empty() && !options.secret) return PlainPassword();
  if (parameters->host.empty()) parameters->host = "localhost";
  if (parameters->host == "localhost") parameters->host = "127.0.0.1";  // else the library takes a socket
  if (!options.schema.empty()) parameters->database = options.schema;
  if (parameters->database.empty()) {
    return Fail(Code::kJob, "the url names no database").Hint("write …@host:3306/database");
  }
  const bool local = IsLocal(parameters->host) && parameters->authority.empty();
  if (mode.empty()) mode = local ? "disable" : "verify-full";
  if (mode != "disable" && mode != "require" && mode != "verify-full") {
    return Fail(Code::kJob, "sslmode cannot be '{}'", mode)
        .Hint("there are disable, require and verify-full");
  }
  parameters->tls = mode != "disable";
  parameters->verifies = mode == "verify-full";
  if (parameters->verifies && parameters->authority.empty()) {
    parameters->authority = "/etc/ssl/certs/ca-certificates.crt";
  }
  return std::make_unique<MariaDbServer>(*std::move(parameters));
}

}  // namespace tranche::sql
