#include "tranche/sql/adbc.h"

#include <algorithm>

#include <arrow/api.h>

#include "tranche/sql/adbc_client.h"
#include "tranche/sql/adbc_read.h"

namespace tranche::sql {
namespace {

constexpr Duration kTimeout = std::chrono::minutes(10);

Error ReadsOnly() { return Fail(Code::kInternal, "a database behind ADBC is only read"); }

class AdbcSession : public ServerSession {
 public:
  AdbcSession(const AdbcTarget& target, Duration timeout) : client_(target, timeout) {}
  Status Open() { return client_.Open(); }

  // Of SqlConnection.
  Result<int64_t> Execute(std::string_view, const std::vector<Value>&) override { return ReadsOnly(); }
  Result<std::vector<TextRow>> Query(std::string_view sql, const std::vector<Value>&) override {
    TRANCHE_ASSIGN(const auto rows, client_.Run(std::string(sql)));
    return TextsOf(*rows);
  }
  Status Each(std::string_view, const std::vector<Value>&,
              const std::function<Status(const Numbers&)>&) override {
    return ReadsOnly();
  }
  Result<Columns> ColumnsOf(std::string_view) override { return ReadsOnly(); }
  const Dialect& dialect() const override { return kPostgres; }

  // Of ServerSession.
  const Fault& fault() const override { return client_.fault(); }
  Result<SchemaTables> Tables(const std::string& schema) override;
  // One statement sees one moment, and a table is read by one: there are no Parts.
  Result<std::vector<AnswerColumn>> Describe(const std::string& query) override {
    TRANCHE_ASSIGN(const auto schema, client_.Describe(query));
    return AdbcColumns(*schema);
  }
  Result<std::unique_ptr<ServerAnswer>> Read(const std::string& query,
                                             const std::vector<AnswerColumn>& columns, bool with_row,
                                             const std::vector<std::string>&) override {
    std::string values;
    for (const AnswerColumn& column : columns) values += (values.empty() ? "" : ", ") + column.value;
    TRANCHE_ASSIGN(auto rows, client_.Run(fmt::format("SELECT {} FROM ({}\n) AS answer", values, query)));
    return ReadAdbc(std::move(rows), columns, with_row);
  }

  // Of stores.
  Result<int64_t> Load(const LoadTarget&, const arrow::RecordBatch&, const std::vector<Span>&) override {
    return ReadsOnly();
  }
  Result<TableInfo> Look(std::string_view) override { return ReadsOnly(); }
  Result<bool> MayCreate() override { return ReadsOnly(); }
  Result<bool> HasUniqueIndex(const TableInfo&, const std::vector<std::string>&) override {
    return ReadsOnly();
  }
  Status CreateLike(const TableInfo&, const std::string&) override { return ReadsOnly(); }
  Status ReplaceBy(const std::string&, const std::string&, const std::string&) override {
    return ReadsOnly();
  }
  Result<std::optional<std::string>> TryLock(const std::string&) override { return ReadsOnly(); }
  Status EndSessions(const std::string&, int64_t) override { return ReadsOnly(); }
  int64_t number() const override { return 0; }

 private:
  AdbcClient client_;
};

// One row a catalog: [{schema, [{table, type}]}].
Result<SchemaTables> AdbcSession::Tables(const std::string& schema) {
  const std::string wanted =
      schema.empty() ? client_.Option(ADBC_CONNECTION_OPTION_CURRENT_DB_SCHEMA) : schema;
  const std::string catalog = client_.Option(ADBC_CONNECTION_OPTION_CURRENT_CATALOG);
  TRANCHE_ASSIGN(const auto rows, client_.Tables(wanted));
  SchemaTables found;
  auto take = [&](const arrow::StructArray& tables) {
    const auto& names = static_cast<const arrow::StringArray&>(*tables.field(0));
    const auto& types = static_cast<const arrow::StringArray&>(*tables.field(1));
    for (int64_t i = 0; i < tables.length(); ++i) {
      std::string type = types.GetString(i);
      std::ranges::transform(type, type.begin(), [](unsigned char c) { return std::tolower(c); });
      const bool table = type.ends_with("table") && !type.starts_with("system");
      (table ? found.tables : found.others).push_back(names.GetString(i));
    }
  };
  while (true) {
    TRANCHE_ASSIGN(const auto batch, rows->Next());
    if (batch == nullptr) return found;
    const auto& catalogs = static_cast<const arrow::StringArray&>(*batch->column(0));
    const auto& schemas = static_cast<const arrow::ListArray&>(*batch->column(1));
    for (int64_t row = 0; row < batch->num_rows(); ++row) {
      if (schemas.IsNull(row)) continue;
      if (!catalog.empty() && catalogs.IsValid(row) && catalogs.GetView(row) != catalog) continue;
      const auto part = schemas.value_slice(row);
      const auto& tables =
          static_cast<const arrow::ListArray&>(*static_cast<const arrow::StructArray&>(*part).field(1));
      for (int64_t i = 0; i < tables.length(); ++i) {
        if (tables.IsValid(i)) take(static_cast<const arrow::StructArray&>(*tables.value_slice(i)));
      }
    }
  }
}

class AdbcServer : public Server {
 public:
  explicit AdbcServer(AdbcTarget target) : target_(std::move(target)) {}

  Result<std::unique_ptr<ServerSession>> Connect(const std::string&, std::optional<Duration> timeout,
                                                 Fault* fault) override {
    auto session = std::make_unique<AdbcSession>(target_, timeout.value_or(kTimeout));
    if (Status opened = session->Open(); !opened) {
      if (fault != nullptr) *fault = session->fault();
      return std::move(opened).error().In(Describe());
    }
    return session;
  }
  const Dialect& dialect() const override { return kPostgres; }
  std::string TypeFor(std::string_view type, bool) const override { return std::string(type); }
  Fit FitFor(std::string_view, const TableColumn&) const override { return {}; }
  std::string Literal(const Value& value) const override {
    if (!value.text) return "NULL";
    const std::string text = QuoteText(*value.text);
    return value.type == "VARCHAR" ? text : fmt::format("CAST({} AS {})", text, value.type);
  }
  Status CheckName(std::string_view, std::string_view) const override { return {}; }

  std::string Describe() const override { return target_.Describe(); }
  std::string target() const override { return "adbc " + Describe(); }

 private:
  AdbcTarget target_;
};

}  // namespace

Result<std::unique_ptr<Server>> MakeAdbc(const Options& options) {
  TRANCHE_ASSIGN(AdbcTarget target, ParseAdbcTarget(options));
  return std::make_unique<AdbcServer>(std::move(target));
}

}  // namespace tranche::sql
