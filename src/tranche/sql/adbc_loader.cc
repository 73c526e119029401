#include "tranche/sql/adbc_loader.h"

#include <arrow/api.h>
#include <arrow/c/bridge.h>

#include "tranche/batch/arrow_error.h"
#include "tranche/connector/sql_text.h"
#include "tranche/sql/adbc_client.h"

namespace tranche::sql {
namespace {

Result<ArrowArrayStream> StreamOf(const RecordBatches& pieces, std::shared_ptr<arrow::Schema> schema) {
  TRANCHE_ARROW_ASSIGN(auto reader, "hand over", "rows",
                       arrow::RecordBatchReader::Make(pieces, std::move(schema)));
  ArrowArrayStream stream{};
  TRANCHE_ARROW_TRY("hand over", "rows", arrow::ExportRecordBatchReader(std::move(reader), &stream));
  return stream;
}

}  // namespace

AdbcLoader::AdbcLoader(const AdbcTarget& target, TableName table, Duration timeout)
    : client_(std::make_unique<AdbcClient>(target, timeout)), table_(std::move(table)) {}

AdbcLoader::~AdbcLoader() = default;

Status AdbcLoader::Open() { return client_->Open(); }

const Fault& AdbcLoader::fault() const { return client_->fault(); }

// Drivers say in many ways that there is no such table.
Result<std::optional<std::vector<std::string>>> AdbcLoader::Columns() {
  auto schema = client_->TableSchema(table_.schema, table_.table);
  if (!schema && client_->fault().kind == Fault::Kind::kLost) return std::move(schema).error();
  if (!schema || (*schema)->num_fields() == 0) return std::nullopt;
  return (*schema)->field_names();
}

Status AdbcLoader::Create(std::shared_ptr<arrow::Schema> schema) {
  TRANCHE_ASSIGN(const ArrowArrayStream nothing, StreamOf({}, std::move(schema)));
  auto made = client_->Ingest(table_.schema, table_.table, nothing, /*creates=*/true);
  if (made) return {};
  return std::move(made).error().Hint(
      "let somebody make the table, or make it yourself: before: CREATE TABLE …");
}

Status AdbcLoader::Execute(const std::string& sql) {
  TRANCHE_TRY(client_->Execute(sql));
  return {};
}

Status AdbcLoader::Load(const RecordBatches& pieces) {
  const std::shared_ptr<arrow::Schema>& schema = pieces.front()->schema();
  int64_t rows = 0;
  for (const auto& piece : pieces) rows += piece->num_rows();
  if (ingests_) {
    TRANCHE_ASSIGN(const ArrowArrayStream stream, StreamOf(pieces, schema));
    auto sent = client_->Ingest(table_.schema, table_.table, stream);
    if (sent && *sent >= 0 && *sent != rows) {
      return Fail(Code::kOutside, "the driver says that it loaded {} rows of {}", *sent, rows);
    }
    if (sent) return {};
    if (!client_->unsupported()) return std::move(sent).error();
    ingests_ = false;
  }
  std::string names, values;
  for (const auto& field : schema->fields()) {
    names += (names.empty() ? "" : ", ") + QuoteName(field->name());
    values += values.empty() ? "?" : ", ?";
  }
  TRANCHE_ASSIGN(const ArrowArrayStream stream, StreamOf(pieces, schema));
  TRANCHE_TRY(client_->ExecuteEach(
      fmt::format("INSERT INTO {} ({}) VALUES ({})", table_.quoted(), names, values), stream));
  return {};
}

}  // namespace tranche::sql
