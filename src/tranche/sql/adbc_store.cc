// A PostgreSQL behind a driver of ADBC as a store: its own statements (postgres_statements.h), and rows by
// the driver's bulk ingestion. Transactions are statements too, with the driver's autocommit on: it would end
// a transaction by itself after a savepoint was rolled back to.
#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include <arrow/api.h>

#include "tranche/connector/sql_state.h"
#include "tranche/sql/adbc.h"
#include "tranche/sql/adbc_client.h"
#include "tranche/sql/adbc_read.h"
#include "tranche/sql/postgres.h"
#include "tranche/sql/postgres_statements.h"

namespace tranche::sql {
namespace {

// What the driver writes as the server has it; all else goes as text, by way of a staging table.
constexpr std::array<std::string_view, 15> kIngestedWires = {
    "bool",    "int2",  "int4", "int8",      "float4",      "float8", "text",    "bpchar",
    "varchar", "bytea", "date", "timestamp", "timestamptz", "json",   "interval"};

// $1, $2, … as literals.
std::string WithValues(std::string_view text, const std::vector<Value>& values) {
  return ReplaceParameters(text, [&](std::string_view number) -> std::optional<std::string> {
    const Value* value = FindParameter(values, number);
    return value == nullptr ? std::nullopt : std::optional(PostgresLiteral(*value));
  });
}

Error ReadsNothing() { return Fail(Code::kInternal, "a store reads no rows"); }

class AdbcStoreSession : public PostgresStatements {
 public:
  AdbcStoreSession(const AdbcTarget& target, Duration timeout) : client_(target, timeout) {}

  Status Open(const std::string& application, const std::string& schema);

  // Of SqlConnection.
  Result<int64_t> Execute(std::string_view sql, const std::vector<Value>& values) override {
    // The server answers the COMMIT of a failed transaction by ROLLBACK, and the driver does not say so; any
    // other statement is refused there.
    if (sql == "COMMIT") TRANCHE_TRY(client_.Execute("SELECT 1"));
    return client_.Execute(WithValues(sql, values));
  }
  Result<std::vector<TextRow>> Query(std::string_view sql, const std::vector<Value>& values) override {
    // Not by COPY, which takes no statements that lock rows.
    TRANCHE_ASSIGN(const auto rows,
                   client_.Run(WithValues(sql, values), {{"adbc.postgresql.use_copy", "false"}}));
    return TextsOf(*rows);
  }
  Status Each(std::string_view sql, const std::vector<Value>& values,
              const std::function<Status(const Numbers&)>& take) override {
    TRANCHE_ASSIGN(const auto rows, client_.Run(WithValues(sql, values)));
    Numbers numbers;
    return EachText(*rows, [&](const TextRow& row) {
      numbers.clear();
      for (const auto& cell : row) numbers.push_back(ToNumber(cell));
      return take(numbers);
    });
  }

  // Of ServerSession.
  const Fault& fault() const override { return client_.fault(); }
  int64_t number() const override { return number_; }
  Result<int64_t> Load(const LoadTarget& target, const arrow::RecordBatch& rows,
                       const std::vector<Span>& spans) override;

  // Of sources.
  Result<std::vector<AnswerColumn>> Describe(const std::string&) override { return ReadsNothing(); }
  Result<std::unique_ptr<ServerAnswer>> Read(const std::string&, const std::vector<AnswerColumn>&, bool,
                                             const std::vector<std::string>&) override {
    return ReadsNothing();
  }

 private:
  // A temporary table may hide another of its name.
  Result<std::string> SchemaOf(const std::string& table);

  AdbcClient client_;
  int64_t number_ = 0;
  std::map<std::string, std::string> schemas_;  // of tables
};

Status AdbcStoreSession::Open(const std::string& application, const std::string& schema) {
  TRANCHE_TRY(client_.Open());
  TRANCHE_ASSIGN(const std::string vendor, client_.Vendor());
  if (vendor != "PostgreSQL") {
    return Fail(Code::kJob, "the store 'adbc' does not know the transactions of {}",
                vendor.empty() ? "this driver's database" : vendor)
        .Hint(
            "say `guarantee: at-least-once` to have rows appended all the same; SQLite, DuckDB and MariaDB "
            "have stores of their own, which keep each row exactly once");
  }
  TRANCHE_TRY(SetUp(schema));
  TRANCHE_ASSIGN(auto own, Query("SELECT set_config('application_name', $1, false), pg_backend_pid()",
                                 {Text(application)}));
  number_ = ToNumber(own.at(0).at(1));
  return {};
}

Result<std::string> AdbcStoreSession::SchemaOf(const std::string& table) {
  std::string& schema = schemas_[table];
  if (schema.empty()) {
    TRANCHE_ASSIGN(
        auto found,
        Query("SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE "
              "c.oid = to_regclass($1)",
              {Text(QuoteName(table))}));
    if (found.empty()) return Fail(Code::kOutside, "table '{}' is gone", table);
    schema = found[0].at(0).value_or("");
  }
  return schema;
}

Result<int64_t> AdbcStoreSession::Load(const LoadTarget& target, const arrow::RecordBatch& rows,
                                       const std::vector<Span>& spans) {
  TRANCHE_ASSIGN(const std::string schema, SchemaOf(target.table));
  arrow::FieldVector fields;
  for (int i = 0; i < rows.num_columns(); ++i) {
    fields.push_back(arrow::field(target.columns[static_cast<size_t>(i)], rows.column(i)->type()));
  }
  const auto named =
      arrow::RecordBatch::Make(arrow::schema(std::move(fields)), rows.num_rows(), rows.columns());
  arrow::RecordBatchVector parts;
  for (const Span span : spans) parts.push_back(named->Slice(span.from, span.rows()));
  return client_.Ingest({schema, target.table}, {named->schema(), std::move(parts)});
}

class AdbcStoreServer : public Server {
 public:
  AdbcStoreServer(AdbcTarget target, std::string schema)
      : target_(std::move(target)), schema_(std::move(schema)) {
    dialect_.name = "adbc";
  }

  Result<std::unique_ptr<ServerSession>> Connect(const std::string& application,
                                                 std::optional<Duration> timeout, Fault* fault) override {
    auto session = std::make_unique<AdbcStoreSession>(target_, timeout.value_or(kAnswerTimeout));
    if (Status opened = session->Open(application, schema_); !opened) {
      if (fault != nullptr) *fault = session->fault();
      return std::move(opened).error().In(Describe());
    }
    return session;
  }
  const Dialect& dialect() const override { return dialect_; }
  std::string TypeFor(std::string_view type, bool) const override { return PostgresTypeFor(type); }
  Fit FitFor(std::string_view type, const TableColumn& column) const override {
    Fit fit = PostgresFitFor(type, column);
    const std::string_view given = fit.cast.empty() ? type : fit.cast;
    std::string_view wire = fit.wire;
    if (wire.ends_with("[]")) wire.remove_suffix(2);
    const bool decimal = wire == "numeric" && given.starts_with("DECIMAL(");
    if (fit.as_text || decimal || std::ranges::find(kIngestedWires, wire) != kIngestedWires.end()) return fit;
    return {
        .cast = type == "VARCHAR" ? "" : "VARCHAR", .wire = "text", .as_text = true, .changed = fit.changed};
  }
  std::string Literal(const Value& value) const override { return PostgresLiteral(value); }
  Status CheckName(std::string_view what, std::string_view name) const override {
    return CheckPostgresName(what, name);
  }
  std::string Describe() const override { return target_.Describe(); }
  std::string target() const override { return fmt::format("adbc {}/{}", Describe(), schema_); }

 private:
  AdbcTarget target_;
  std::string schema_;
  Dialect dialect_ = kPostgres;
};

}  // namespace

Result<std::unique_ptr<Server>> MakeAdbcStore(const Options& options, std::string schema) {
  TRANCHE_ASSIGN(AdbcTarget target, ParseAdbcTarget(options));
  return std::make_unique<AdbcStoreServer>(std::move(target), std::move(schema));
}

}  // namespace tranche::sql
