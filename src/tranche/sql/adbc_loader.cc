#include "tranche/sql/adbc_loader.h"

#include <arrow/api.h>

#include "tranche/connector/sql_text.h"
#include "tranche/sql/adbc_client.h"

namespace tranche::sql {
AdbcLoader::AdbcLoader(const AdbcTarget& target, TableName table, Duration timeout)
    : client_(std::make_unique<AdbcClient>(target, timeout)), table_(std::move(table)) {}

AdbcLoader::~AdbcLoader() = default;

Status AdbcLoader::Open() { return client_->Open(); }

const Fault& AdbcLoader::fault() const { return client_->fault(); }

// Drivers say in many ways that there is no such table.
Result<std::optional<std::vector<std::string>>> AdbcLoader::Columns() {
  auto schema = client_->TableSchema(table_);
  if (!schema && client_->fault().kind == Fault::Kind::kLost) return std::move(schema).error();
  if (!schema || (*schema)->num_fields() == 0) return std::nullopt;
  return (*schema)->field_names();
}

Status AdbcLoader::Create(std::shared_ptr<arrow::Schema> schema) {
  auto made = client_->Ingest(table_, {std::move(schema), {}}, /*creates=*/true);
  if (made) return {};
  return std::move(made).error().Hint(
      "let somebody make the table, or make it yourself: before: CREATE TABLE …");
}

Status AdbcLoader::Execute(const std::string& sql) {
  TRANCHE_TRY(client_->Execute(sql));
  return {};
}

Status AdbcLoader::Load(const RecordBatches& pieces) {
  const AdbcClient::Rows stream = {pieces.front()->schema(), pieces};
  int64_t rows = 0;
  for (const auto& piece : pieces) rows += piece->num_rows();
  if (ingests_) {
    auto sent = client_->Ingest(table_, stream);
    if (sent && *sent >= 0 && *sent != rows) {
      return Fail(Code::kOutside, "the driver says that it loaded {} rows of {}", *sent, rows);
    }
    if (sent) return {};
    if (!client_->unsupported()) return std::move(sent).error();
    ingests_ = false;
  }
  std::string names, values;
  for (const auto& field : stream.schema->fields()) {
    names += (names.empty() ? "" : ", ") + QuoteName(field->name());
    values += values.empty() ? "?" : ", ?";
  }
  TRANCHE_TRY(client_->ExecuteEach(
      fmt::format("INSERT INTO {} ({}) VALUES ({})", table_.quoted(), names, values), stream));
  return {};
}

}  // namespace tranche::sql
