#include "tranche/duckdb/registered_reader.h"

#include <algorithm>
#include <cstring>

#include <arrow/api.h>
#include <arrow/c/bridge.h>

#include "tranche/batch/arrow_error.h"
#include "tranche/connector/prefetch.h"

namespace tranche::duckdb {

namespace {

constexpr idx_t kMostThreads = 64;  // of one scan; the engine has fewer

// Converts record batches of one schema to DuckDB's chunks, by a connection of its own: a connection serves
// one thread, and that of the query is busy with it.
class Converter {
 public:
  static Result<Converter> Make(const Instance& instance, const arrow::Schema& schema) {
    Converter converter;
    TRANCHE_ASSIGN(converter.connection_, instance.Connect());
    ArrowSchema exported;
    TRANCHE_ARROW_TRY("hand on", "a reader's columns", arrow::ExportSchema(schema, &exported));
    ErrorData problem(
        duckdb_schema_from_arrow(converter.connection_.get(), &exported, converter.schema_.out()));
    exported.release(&exported);
    if (duckdb_error_data_has_error(problem.get())) return converter.Problem(problem);
    converter.row_type_ = arrow::struct_(schema.fields());
    return converter;
  }

  // At most duckdb_vector_size() rows.
  Result<Chunk> Convert(const arrow::RecordBatch& rows) {
    ArrowArray exported;
    const arrow::StructArray array(
        arrow::ArrayData::Make(row_type_, rows.num_rows(), {nullptr}, rows.column_data(), 0));
    TRANCHE_ARROW_TRY("hand on", "a reader's rows", arrow::ExportArray(array, &exported));
    Chunk chunk;
    ErrorData problem(duckdb_data_chunk_from_arrow(connection_.get(), &exported, schema_.get(), chunk.out()));
    if (duckdb_error_data_has_error(problem.get())) return Problem(problem);
    return chunk;
  }

 private:
  Converter() = default;

  Error Problem(const ErrorData& problem) const {
    Error error = Translate(Fault::Parse(duckdb_error_data_message(problem.get())), {});
    return std::move(error).In("DuckDB cannot take these columns");
  }

  Connection connection_;
  ConvertedSchema schema_;
  std::shared_ptr<arrow::DataType> row_type_;  // the same: ExportRecordBatch makes it anew for each
};

// What a query that scans a reader knows of it.
struct Bound {
  std::shared_ptr<RegisteredReader> reader;
  idx_t connection;  // of the query
};

// One scan.
struct Scan {
  std::shared_ptr<RegisteredReader> registered;
  std::unique_ptr<Reader> reader;
  std::vector<int> columns;               // that the query needs, in its order
  std::vector<idx_t> positions;           // where they go in the chunk
  std::shared_ptr<arrow::Schema> schema;  // of these columns
  RowCounter rows;
};

// What one thread has of a scan.
struct Share {
  std::optional<Converter> converter;
  std::shared_ptr<arrow::RecordBatch> batch;
  int64_t done = 0;  // rows of the batch
};

template <typename T>
void Delete(void* data) {
  delete static_cast<T*>(data);
}

void BindScan(duckdb_bind_info info) {
  auto* instance = static_cast<Instance*>(duckdb_bind_get_extra_info(info));
  TypedValue number(duckdb_bind_get_parameter(info, 0));
  auto reader = instance->FindReader(duckdb_get_int64(number.get()));
  if (reader == nullptr) {
    Error error = Fail(Code::kInternal, "this reader is not registered any more");
    return duckdb_bind_set_error(info, instance->Keep(std::move(error)).c_str());
  }
  for (size_t i = 0; i < reader->types.size(); ++i) {
    duckdb_bind_add_result_column(info, reader->schema->field(i)->name().c_str(), reader->types[i].get());
  }
  ClientContext context;
  duckdb_table_function_get_client_context(info, context.out());
  idx_t connection = duckdb_client_context_get_connection_id(context.get());
  duckdb_bind_set_bind_data(info, new Bound{std::move(reader), connection}, Delete<Bound>);
}

Result<std::unique_ptr<Scan>> StartScan(duckdb_init_info info, Instance& instance) {
  auto* bound = static_cast<Bound*>(duckdb_init_get_bind_data(info));
  std::vector<int> columns;
  std::vector<idx_t> positions;
  arrow::FieldVector fields;
  for (idx_t i = 0; i < duckdb_init_get_column_count(info); ++i) {
    idx_t column = duckdb_init_get_column_index(info, i);
    if (column >= bound->reader->types.size()) continue;  // count(*) asks for rows of nothing
    columns.push_back(static_cast<int>(column));
    positions.push_back(i);
    fields.push_back(bound->reader->schema->field(columns.back()));
  }
  ScanCount scan{.function = bound->reader->name};
  for (const auto& field : fields) scan.columns.push_back(field->name());
  TRANCHE_ASSIGN(auto reader, bound->reader->factory());
  if (!reader->shared()) {
    std::vector<std::unique_ptr<Reader>> readers;
    readers.push_back(std::move(reader));
    reader = Prefetch(std::move(readers));
  }
  return std::make_unique<Scan>(bound->reader, std::move(reader), std::move(columns), std::move(positions),
                                arrow::schema(std::move(fields)),
                                instance.CountRows(bound->connection, std::move(scan)));
}

void InitScan(duckdb_init_info info) {
  auto* instance = static_cast<Instance*>(duckdb_init_get_extra_info(info));
  auto scan = StartScan(info, *instance);
  if (!scan) return duckdb_init_set_error(info, instance->Keep(std::move(scan).error()).c_str());
  duckdb_init_set_max_threads(info, (*scan)->reader->shared() ? kMostThreads : 1);
  duckdb_init_set_init_data(info, scan->release(), Delete<Scan>);
}

void InitShare(duckdb_init_info info) { duckdb_init_set_init_data(info, new Share, Delete<Share>); }

// Of a bitmap of NULLs that does not begin with a whole byte, DuckDB (1.5.6) copies a byte more than there
// is.
arrow::Result<std::shared_ptr<arrow::ArrayData>> Padded(const arrow::ArrayData& array, bool child) {
  auto padded = std::make_shared<arrow::ArrayData>(array);
  if (!array.buffers.empty() && array.buffers[0] != nullptr && (child || array.offset % 8 != 0)) {
    const arrow::Buffer& nulls = *array.buffers[0];
    ARROW_ASSIGN_OR_RAISE(auto longer, arrow::AllocateBuffer(nulls.size() + 1));
    std::memcpy(longer->mutable_data(), nulls.data(), static_cast<size_t>(nulls.size()));
    longer->mutable_data()[nulls.size()] = 0;
    padded->buffers[0] = std::move(longer);
  }
  for (auto& own : padded->child_data) {
    ARROW_ASSIGN_OR_RAISE(own, Padded(*own, /*child=*/true));
  }
  return padded;
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> Padded(const arrow::RecordBatch& rows) {
  arrow::ArrayDataVector columns;
  for (const auto& column : rows.column_data()) {
    ARROW_ASSIGN_OR_RAISE(columns.emplace_back(), Padded(*column, /*child=*/false));
  }
  return arrow::RecordBatch::Make(rows.schema(), rows.num_rows(), std::move(columns));
}

// Puts the next rows into `output`; none at the end.
Status ReadChunk(const Instance& instance, Scan& scan, Share& share, duckdb_data_chunk output) {
  const arrow::Schema& schema = *scan.registered->schema;
  while (share.batch == nullptr || share.done == share.batch->num_rows()) {
    TRANCHE_ASSIGN(share.batch, scan.reader->Next());
    if (share.batch == nullptr) return {};
    share.done = 0;
    if (!share.batch->schema()->Equals(schema, /*check_metadata=*/false)) {
      return Fail(Code::kInternal, "a reader changed its columns from {} to {}", schema.ToString(),
                  share.batch->schema()->ToString());
    }
    TRANCHE_ARROW_ASSIGN(share.batch, "hand on", "a reader's rows", share.batch->SelectColumns(scan.columns));
    TRANCHE_ARROW_ASSIGN(share.batch, "hand on", "a reader's rows", Padded(*share.batch));
  }
  auto rows = share.batch->Slice(
      share.done, std::min<int64_t>(duckdb_vector_size(), share.batch->num_rows() - share.done));
  if (!scan.columns.empty()) {
    if (!share.converter) {
      TRANCHE_ASSIGN(share.converter, Converter::Make(instance, *scan.schema));
    }
    TRANCHE_ASSIGN(Chunk chunk, share.converter->Convert(*rows));
    for (idx_t i = 0; i < scan.positions.size(); ++i) {
      duckdb_vector_reference_vector(duckdb_data_chunk_get_vector(output, scan.positions[i]),
                                     duckdb_data_chunk_get_vector(chunk.get(), i));
    }
  }
  share.done += rows->num_rows();
  *scan.rows += rows->num_rows();
  duckdb_data_chunk_set_size(output, rows->num_rows());
  return {};
}

void ReadScan(duckdb_function_info info, duckdb_data_chunk output) {
  auto* instance = static_cast<Instance*>(duckdb_function_get_extra_info(info));
  Status status = ReadChunk(*instance, *static_cast<Scan*>(duckdb_function_get_init_data(info)),
                            *static_cast<Share*>(duckdb_function_get_local_init_data(info)), output);
  if (!status) duckdb_function_set_error(info, instance->Keep(std::move(status).error()).c_str());
}

}  // namespace

Status CreateReaderFunction(Instance& instance) {
  TableFunction function(duckdb_create_table_function());
  LogicalType number(duckdb_create_logical_type(DUCKDB_TYPE_BIGINT));
  duckdb_table_function_set_name(function.get(), kReaderFunction);
  duckdb_table_function_add_parameter(function.get(), number.get());
  duckdb_table_function_set_extra_info(function.get(), &instance, nullptr);
  duckdb_table_function_set_bind(function.get(), BindScan);
  duckdb_table_function_set_init(function.get(), InitScan);
  duckdb_table_function_set_local_init(function.get(), InitShare);
  duckdb_table_function_set_function(function.get(), ReadScan);
  duckdb_table_function_supports_projection_pushdown(function.get(), true);
  TRANCHE_ASSIGN(Connection connection, instance.Connect());
  if (duckdb_register_table_function(connection.get(), function.get()) != DuckDBSuccess) {
    return Fail(Code::kInternal, "DuckDB does not take the function {}", kReaderFunction);
  }
  return {};
}

Result<std::shared_ptr<RegisteredReader>> MakeReader(const Instance& instance,
                                                     std::shared_ptr<arrow::Schema> schema,
                                                     ReaderFactory factory) {
  auto reader = std::make_shared<RegisteredReader>("", std::move(schema), std::move(factory));
  TRANCHE_ASSIGN(Converter converter, Converter::Make(instance, *reader->schema));
  TRANCHE_ARROW_ASSIGN(auto empty, "hand on", "a reader's columns",
                       arrow::RecordBatch::MakeEmpty(reader->schema));
  TRANCHE_ASSIGN(Chunk chunk, converter.Convert(*empty));
  for (int i = 0; i < reader->schema->num_fields(); ++i) {
    reader->types.emplace_back(duckdb_vector_get_column_type(duckdb_data_chunk_get_vector(chunk.get(), i)));
  }
  return reader;
}

}  // namespace tranche::duckdb
