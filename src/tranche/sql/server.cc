#include "tranche/sql/server.h"

#include <algorithm>
#include <thread>

#include <arrow/type.h>

namespace tranche::sql {

const TableColumn* TableInfo::Find(std::string_view column) const {
  for (const TableColumn& own : columns) {
    if (own.name == column) return &own;
  }
  for (const TableColumn& own : columns) {
    if (FindColumn({{own.name, ""}}, column) != nullptr) return &own;
  }
  return nullptr;
}

Result<std::vector<std::string>> ServerSession::ReadingOrder(const TableName&) {
  return std::vector<std::string>{};
}
Result<TableParts> ServerSession::Parts(const TableName&, int64_t, int) { return TableParts{}; }
std::optional<std::string> ServerSession::ShareMoment(const TableName&,
                                                      const std::vector<std::unique_ptr<ServerSession>>&) {
  return "this server shares no moment";
}

Status SideBySide(size_t count, const std::function<Status(size_t)>& work) {
  std::vector<Status> done(count);
  {
    std::vector<std::jthread> threads;
    for (size_t i = 0; i < count; ++i) threads.emplace_back([&, i] { done[i] = work(i); });
  }
  for (Status& status : done) TRANCHE_TRY(std::move(status));
  return {};
}

Result<std::string> ServerSession::MakeScratch(const std::string&, const std::string&) {
  return Fail(Code::kInternal, "this server has no scratch schemas");
}
Status ServerSession::DropScratch(const std::string&) {
  return Fail(Code::kInternal, "this server has no scratch schemas");
}

Result<std::unique_ptr<Server>> ServerOf(MakeServer make, const Options& options, std::string schema) {
  auto server = make({.url = options.Text("url"),
                      .secret = !options.Raw("url")->masked.empty(),
                      .schema = std::move(schema)});
  if (!server) return std::move(server).error().At(options.PlaceOf("url"));
  return server;
}

std::string OrderOf(const std::vector<std::string>& order) {
  std::string sql;
  for (const std::string& column : order) {
    sql += (sql.empty() ? " ORDER BY answer." : ", answer.") + QuoteName(column);
  }
  return sql;
}

Error PlainPassword() {
  return Fail(Code::kJob, "a password stands in the url as it is")
      .Hint("put the whole url into a secret: url: \"${secret:DATABASE_URL}\"");
}

bool IsLocal(std::string_view host) {
  return host.empty() || host.starts_with('/') || host == "localhost" || host.starts_with("127.") ||
         host == "::1";
}

std::string KeyText(std::vector<std::string> key) {
  for (std::string& part : key) {
    std::ranges::transform(part, part.begin(), [](unsigned char c) { return std::tolower(c); });
  }
  std::ranges::sort(key);
  std::string text;
  for (const std::string& part : key) text += (text.empty() ? "" : "\1") + part;
  return text;
}

std::shared_ptr<arrow::DataType> ArrowTypeOf(const AnswerColumn& column) {
  if (!column.native) return arrow::utf8();
  if (column.type.ends_with("[]")) {
    return arrow::list(ArrowTypeOf({.type = column.type.substr(0, column.type.size() - 2), .native = true}));
  }
  int precision = 0, scale = 0;
  if (std::sscanf(column.type.c_str(), "DECIMAL(%d,%d)", &precision, &scale) == 2) {
    return arrow::decimal128(precision, scale);
  }
  const std::pair<std::string_view, std::shared_ptr<arrow::DataType>> kTypes[] = {
      {"BOOLEAN", arrow::boolean()},
      {"TINYINT", arrow::int8()},
      {"SMALLINT", arrow::int16()},
      {"INTEGER", arrow::int32()},
      {"BIGINT", arrow::int64()},
      {"UTINYINT", arrow::uint8()},
      {"USMALLINT", arrow::uint16()},
      {"UINTEGER", arrow::uint32()},
      {"UBIGINT", arrow::uint64()},
      {"FLOAT", arrow::float32()},
      {"DOUBLE", arrow::float64()},
      {"BLOB", arrow::binary()},
      {"DATE", arrow::date32()},
      {"TIME", arrow::time64(arrow::TimeUnit::MICRO)},
      {"TIMESTAMP", arrow::timestamp(arrow::TimeUnit::MICRO)},
      {"TIMESTAMP_NS", arrow::timestamp(arrow::TimeUnit::NANO)},
      {"TIMESTAMP WITH TIME ZONE", arrow::timestamp(arrow::TimeUnit::MICRO, "UTC")},
      {"INTERVAL", arrow::month_day_nano_interval()},
  };
  for (const auto& [name, type] : kTypes) {
    if (name == column.type) return type;
  }
  return arrow::utf8();
}

}  // namespace tranche::sql
