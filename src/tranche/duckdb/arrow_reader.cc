#include "tranche/duckdb/arrow_reader.h"

#include <arrow/api.h>
#include <arrow/c/bridge.h>
#include <arrow/util/key_value_metadata.h>

#include "tranche/batch/arrow_error.h"

namespace tranche::duckdb {

namespace {

// Arrow has them as text: "UUID", "JSON", lists of these. Else empty.
std::string LostType(duckdb_logical_type type) {
  const duckdb_type id = duckdb_get_type_id(type);
  if (id == DUCKDB_TYPE_UUID) return "UUID";
  if (id == DUCKDB_TYPE_LIST) {
    const std::string element = LostType(LogicalType(duckdb_list_type_child_type(type)).get());
    return element.empty() ? "" : element + "[]";
  }
  const std::unique_ptr<char, decltype(&duckdb_free)> alias(duckdb_logical_type_get_alias(type), duckdb_free);
  return alias != nullptr && std::string_view(alias.get()) == "JSON" ? "JSON" : "";
}

class ArrowReader : public Reader {
 public:
  ArrowReader(std::shared_ptr<Session> session, Prepared statement, Command command)
      : session_(std::move(session)), statement_(std::move(statement)), command_(std::move(command)) {}

  // DuckDB ends a stream that is given up only at the next statement: until then it keeps its files open, and
  // what the session does meanwhile would belong to its transaction.
  ~ArrowReader() override {
    if (ended_ || answer_.out()->internal_data == nullptr) return;
    answer_ = Answer();
    Prepared next;
    duckdb_prepare(session_->connection(), "SELECT 1", next.out());
  }

  Status Start() {
    TRANCHE_ASSIGN(answer_, session_->Stream(statement_, command_));
    options_ = ArrowOptions(duckdb_result_get_arrow_options(answer_.out()));
    idx_t count = duckdb_column_count(answer_.out());
    std::vector<LogicalType> owners;
    std::vector<duckdb_logical_type> types;
    std::vector<const char*> names;
    for (idx_t i = 0; i < count; ++i) {
      types.push_back(owners.emplace_back(duckdb_column_logical_type(answer_.out(), i)).get());
      names.push_back(duckdb_column_name(answer_.out(), i));
    }
    ArrowSchema exported;
    ErrorData problem(duckdb_to_arrow_schema(options_.get(), types.data(), names.data(), count, &exported));
    if (duckdb_error_data_has_error(problem.get())) return Fail(problem);
    TRANCHE_ARROW_ASSIGN(schema_, "read", "the answer's columns", arrow::ImportSchema(&exported));
    arrow::FieldVector fields = schema_->fields();
    for (size_t i = 0; i < fields.size(); ++i) {
      const std::string lost = LostType(types[i]);
      if (lost.empty()) continue;
      fields[i] = fields[i]->WithMergedMetadata(arrow::key_value_metadata({std::string(kTypeKey)}, {lost}));
    }
    schema_ = arrow::schema(fields);
    row_type_ = arrow::struct_(std::move(fields));
    return {};
  }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    if (ended_) return nullptr;
    Chunk chunk(duckdb_fetch_chunk(*answer_.out()));
    if (chunk.get() == nullptr) {
      if (duckdb_result_error(answer_.out()) != nullptr) return Failure();
      ended_ = true;
      session_->CountScans();
      return nullptr;
    }
    ArrowArray exported;
    ErrorData problem(duckdb_data_chunk_to_arrow(options_.get(), chunk.get(), &exported));
    if (duckdb_error_data_has_error(problem.get())) return Fail(problem);
    TRANCHE_ARROW_ASSIGN(auto rows, "read", "the answer's rows", arrow::ImportArray(&exported, row_type_));
    return arrow::RecordBatch::Make(schema_, rows->length(), rows->data()->child_data);
  }

 private:
  // DuckDB tells the threads of a query by an interrupt that one of them failed. Where it has but one buffer
  // for the rows, as for registered readers, a fetch looks for the interrupt first and ends the query with
  // that (seen in 1.5.6): nobody knows any more what the failure was. So the query is run again, for its
  // error alone.
  Error Failure() {
    while (Interrupted() && !session_->interrupted()) {
      auto again = session_->Stream(statement_, command_);
      if (!again) return std::move(again).error();
      answer_ = *std::move(again);
      while (Chunk(duckdb_fetch_chunk(*answer_.out())).get() != nullptr) {
        if (session_->interrupted()) duckdb_interrupt(session_->connection());  // it may have come too early
      }
      if (duckdb_result_error(answer_.out()) == nullptr) {
        return tranche::Fail(Code::kOutside, "the query failed once, and not when it was run again");
      }
    }
    return session_->Fail(duckdb_result_error(answer_.out()), command_);
  }

  bool Interrupted() { return duckdb_result_error_type(answer_.out()) == DUCKDB_ERROR_INTERRUPT; }

  Error Fail(const ErrorData& problem) const {
    return session_->Fail(duckdb_error_data_message(problem.get()), command_);
  }

  std::shared_ptr<Session> session_;
  Prepared statement_;
  Command command_;
  Answer answer_;
  ArrowOptions options_;
  std::shared_ptr<arrow::Schema> schema_;
  std::shared_ptr<arrow::DataType> row_type_;  // the same: ImportRecordBatch makes it anew for each chunk
  bool ended_ = false;
};

}  // namespace

Result<std::unique_ptr<Reader>> StreamAsArrow(std::shared_ptr<Session> session, Prepared statement,
                                              Command command) {
  auto reader = std::make_unique<ArrowReader>(std::move(session), std::move(statement), std::move(command));
  TRANCHE_TRY(reader->Start());
  return reader;
}

}  // namespace tranche::duckdb
