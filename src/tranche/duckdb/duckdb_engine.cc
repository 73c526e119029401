#include "tranche/duckdb/duckdb_engine.h"

#include "tranche/duckdb/answers.h"
#include "tranche/duckdb/arrow_reader.h"
#include "tranche/duckdb/registered_reader.h"
#include "tranche/duckdb/screen.h"
#include "tranche/duckdb/session.h"

namespace tranche {

namespace duckdb {

namespace {

const Parameters kNoParameters;

std::string CopyOptions(const CopyTarget& target) {
  std::string text = fmt::format("FORMAT {}", target.format);
  for (const auto& [name, value] : target.options) text += fmt::format(", {} {}", name, value);
  if (target.partition.empty()) return text;
  text += ", PARTITION_BY (";
  for (const std::string& column : target.partition) {
    if (&column != &target.partition.front()) text += ", ";
    text += QuoteName(column);
  }
  text += ")";
  if (!target.file_name.empty()) text += fmt::format(", FILENAME_PATTERN {}", QuoteText(target.file_name));
  return text;
}

// What DuckDB would change on the way into Arrow goes as text: of UHUGEINT the upper half became negative,
// TIME WITH TIME ZONE lost its zone, BIT and BIGNUM became bytes of DuckDB's own. For REPLACE; empty: there
// is none.
std::string AsTexts(const Prepared& statement) {
  std::string texts;
  for (idx_t i = 0; i < duckdb_prepared_statement_column_count(statement.get()); ++i) {
    switch (duckdb_prepared_statement_column_type(statement.get(), i)) {
      case DUCKDB_TYPE_UHUGEINT:
      case DUCKDB_TYPE_TIME_TZ:
      case DUCKDB_TYPE_BIT:
      case DUCKDB_TYPE_BIGNUM:
        break;
      default:
        continue;
    }
    const char* name = duckdb_prepared_statement_column_name(statement.get(), i);
    const std::string quoted = QuoteName(name);
    duckdb_free(const_cast<char*>(name));
    texts += fmt::format("{}CAST({} AS VARCHAR) AS {}", texts.empty() ? "" : ", ", quoted, quoted);
  }
  return texts;
}

// Written down, because the engine takes 20 ms to list its functions.
const std::set<std::string>& Moody() {
  static const std::set<std::string> kMoody{"current_connection_id",
                                            "current_database",
                                            "current_date",
                                            "current_query",
                                            "current_query_id",
                                            "current_schema",
                                            "current_schemas",
                                            "current_time",
                                            "current_timestamp",
                                            "current_transaction_id",
                                            "currval",
                                            "gen_random_uuid",
                                            "get_current_time",
                                            "get_current_timestamp",
                                            "in_search_path",
                                            "localtime",
                                            "localtimestamp",
                                            "nextval",
                                            "now",
                                            "random",
                                            "setseed",
                                            "sleep_ms",
                                            "stats",
                                            "today",
                                            "transaction_timestamp",
                                            "txid_current",
                                            "uuid",
                                            "uuidv4",
                                            "uuidv7",
                                            "write_log"};
  return kMoody;
}

class DuckDbEngine : public Engine {
 public:
  explicit DuckDbEngine(std::shared_ptr<Session> session) : session_(std::move(session)) {}

  static Result<std::unique_ptr<Engine>> Make(std::shared_ptr<Instance> instance) {
    TRANCHE_ASSIGN(auto session, Session::Open(std::move(instance)));
    return std::make_unique<DuckDbEngine>(std::move(session));
  }

  std::string version() const override { return fmt::format("DuckDB {}", duckdb_library_version()); }
  Result<std::unique_ptr<Engine>> Fork() override { return Make(session_->instance()); }

  Status CheckExpression(const Expression& expression) override {
    return ScreenExpression(*session_, expression);
  }
  Status CheckSelect(const Expression& select) override {
    TRANCHE_TRY(ScreenSelect(*session_, select));
    return {};
  }
  Result<std::vector<std::string>> TablesOf(const Expression& select) override {
    return ScreenSelect(*session_, select);
  }

  Result<Columns> Bind(const Query& query) override {
    TRANCHE_ASSIGN(auto rows, Rows("SELECT column_name, column_type FROM (DESCRIBE ", query, "\n)"));
    Columns columns;
    for (TextRow& row : rows) columns.push_back({row[0].value_or(""), row[1].value_or("")});
    return columns;
  }

  Result<std::unique_ptr<Reader>> Run(const Query& query) override {
    Command command = Wrap("", query, "");
    TRANCHE_ASSIGN(Prepared statement, Ready(query, command));
    if (std::string texts = AsTexts(statement); !texts.empty()) {
      command = Wrap(fmt::format("SELECT * REPLACE ({}) FROM (", texts), query, "\n)");
      TRANCHE_ASSIGN(statement, Ready(query, command));
    }
    return StreamAsArrow(session_, std::move(statement), std::move(command));
  }

  Result<int64_t> CopyAside(const Query& query, const CopyTarget& target) override {
    Command command =
        Wrap("COPY (", query, fmt::format("\n) TO {} ({})", QuoteText(target.path), CopyOptions(target)));
    TRANCHE_ASSIGN(Prepared statement, Ready(query, command));
    TRANCHE_ASSIGN(Answer answer, session_->Run(statement, command));
    session_->CountScans();
    return static_cast<int64_t>(duckdb_rows_changed(answer.out()));
  }

  const std::set<std::string>& MoodyWords() const override { return Moody(); }
  std::vector<ScanCount> LastScans() const override { return session_->scans(); }

  Result<std::vector<TextRow>> Select(const Query& query) override {
    return Rows("SELECT COLUMNS(*)::VARCHAR FROM (", query, "\n)");
  }

  Result<int64_t> Execute(std::string_view sql, const std::vector<Value>& values) override {
    Command command{std::string(sql), SqlText(sql)};
    for (const Value& value : values) {
      if (value.secret && value.text && !value.text->empty()) command.secrets.push_back(*value.text);
    }
    if (values.empty()) return session_->Execute(command);
    TRANCHE_ASSIGN(Prepared statement, session_->Prepare(command));
    TRANCHE_TRY(session_->Bind(statement, values, command));
    TRANCHE_ASSIGN(Answer answer, session_->Run(statement, command));
    return static_cast<int64_t>(duckdb_rows_changed(answer.out()));
  }

  Result<std::string> Register(std::shared_ptr<arrow::Schema> schema, ReaderFactory factory) override {
    TRANCHE_ASSIGN(auto reader, MakeReader(*session_->instance(), std::move(schema), std::move(factory)));
    return session_->instance()->AddReader(std::move(reader));
  }

  void Unregister(const std::string& name) override { session_->instance()->RemoveReader(name); }

  void Interrupt() override { session_->Interrupt(); }

 private:
  Result<Prepared> Ready(const Query& query, const Command& command) {
    TRANCHE_ASSIGN(Prepared statement, session_->Prepare(command));
    TRANCHE_TRY(session_->Bind(statement, query.parameters ? *query.parameters : kNoParameters, command));
    return statement;
  }

  Result<std::vector<TextRow>> Rows(std::string_view before, const Query& query, std::string_view after) {
    Command command = Wrap(before, query, after);
    TRANCHE_ASSIGN(Prepared statement, Ready(query, command));
    TRANCHE_ASSIGN(Answer answer, session_->Run(statement, command));
    return TextRows(*session_, answer, command);
  }

  std::shared_ptr<Session> session_;
};

}  // namespace

}  // namespace duckdb

Result<std::unique_ptr<Engine>> MakeDuckDb(const DuckDbOptions& options) {
  TRANCHE_ASSIGN(auto instance, duckdb::Instance::Open(options));
  return duckdb::DuckDbEngine::Make(std::move(instance));
}

Error DuckDbThrew(std::string_view what) { return duckdb::Translate(duckdb::Fault::Parse(what), {}); }

}  // namespace tranche
