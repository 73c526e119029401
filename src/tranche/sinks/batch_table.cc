#include "tranche/sinks/batch_table.h"

#include <algorithm>

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "tranche/batch/arrow_error.h"
#include "tranche/batch/cutter.h"
#include "tranche/connector/step.h"

namespace tranche {
namespace {

constexpr size_t kMostContent = 64 << 10;

class RowsReader : public Reader {
 public:
  RowsReader(std::shared_ptr<arrow::Schema> schema, std::vector<std::shared_ptr<arrow::RecordBatch>> rows)
      : schema_(std::move(schema)), rows_(std::move(rows)) {}
  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    return next_ < rows_.size() ? rows_[next_++] : nullptr;
  }

 private:
  std::shared_ptr<arrow::Schema> schema_;
  std::vector<std::shared_ptr<arrow::RecordBatch>> rows_;
  size_t next_ = 0;
};

std::string Cut(std::string text) {
  if (text.size() <= kMostContent) return text;
  size_t end = kMostContent;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;  // not inside a character
  text.resize(end);
  return text;
}

}  // namespace

Result<std::unique_ptr<BatchTable>> BatchTable::Make(Engine& engine, std::shared_ptr<arrow::Schema> schema) {
  std::unique_ptr<BatchTable> table(new BatchTable(engine));
  ReaderFactory factory = [schema, rows = table->rows_]() -> Result<std::unique_ptr<Reader>> {
    return std::make_unique<RowsReader>(schema, *rows);
  };
  TRANCHE_ASSIGN(table->registered_, engine.Register(schema, std::move(factory)));
  table->from_ = RowsAsTheyWere(*schema, table->registered_);
  TRANCHE_ASSIGN(table->columns_, engine.Bind({SqlText("SELECT * FROM " + table->from_)}));
  return table;
}

BatchTable::~BatchTable() { engine_.Unregister(registered_); }

void BatchTable::Set(Rows rows) { *rows_ = std::move(rows); }

void BatchTable::Set(const arrow::RecordBatch& batch, const std::vector<Span>& rows) {
  rows_->clear();
  for (Span span : rows) rows_->push_back(batch.Slice(span.from, span.rows()));
}

Result<std::shared_ptr<arrow::RecordBatch>> BatchTable::Select(const std::string& sql) {
  TRANCHE_ASSIGN(auto reader, engine_.Run({SqlText(sql)}));
  Rows parts;
  while (true) {
    TRANCHE_ASSIGN(auto part, reader->Next());
    if (part == nullptr) break;
    parts.push_back(std::move(part));
  }
  if (parts.empty()) return Fail(Code::kInternal, "a batch lost its rows in the engine");
  TRANCHE_ARROW_ASSIGN(auto whole, "put together", "a batch", arrow::ConcatenateRecordBatches(parts));
  return whole;
}

Result<std::vector<std::string>> BatchTable::AsJson(const arrow::RecordBatch& batch,
                                                    const std::vector<Span>& rows) {
  Set(batch, rows);
  Columns visible = columns_;
  std::erase_if(visible, [](const Column& column) { return column.name.starts_with(kHiddenPrefix); });
  TRANCHE_ASSIGN(auto answer, engine_.Select({SqlText(fmt::format("SELECT to_json({}) FROM {} AS input",
                                                                  RowForJson(visible), from_))}));
  std::vector<std::string> texts;
  for (TextRow& row : answer) texts.push_back(Cut(row.at(0).value_or("")));
  return texts;
}

std::shared_ptr<arrow::Schema> WithPosition(const arrow::Schema& schema) {
  auto fields = schema.fields();
  fields.push_back(arrow::field(std::string(kPositionColumn), arrow::int64()));
  return arrow::schema(std::move(fields));
}

Result<std::shared_ptr<arrow::RecordBatch>> WithPosition(const arrow::RecordBatch& rows) {
  auto columns = rows.columns();
  TRANCHE_ASSIGN(columns.emplace_back(), NumbersFrom(0, rows.num_rows()));
  return arrow::RecordBatch::Make(WithPosition(*rows.schema()), rows.num_rows(), std::move(columns));
}

std::vector<Span> ToSpans(const std::vector<RefusedCell>& rows) {
  std::vector<Span> spans;
  for (const RefusedCell& cell : rows) {
    if (!spans.empty() && spans.back().to == cell.row) {
      ++spans.back().to;
    } else {
      spans.push_back({cell.row, cell.row + 1});
    }
  }
  return spans;
}

std::vector<Span> Without(int64_t rows, const std::vector<RefusedCell>& refused) {
  std::vector<Span> spans;
  int64_t from = 0;
  for (const RefusedCell& cell : refused) {
    if (cell.row > from) spans.push_back({from, cell.row});
    from = cell.row + 1;
  }
  if (rows > from) spans.push_back({from, rows});
  return spans;
}

Result<std::vector<Reject>> MakeRejects(BatchTable& table, const Batch& batch, const std::string& store,
                                        std::vector<RefusedCell> refused) {
  std::vector<Reject> rejects;
  if (refused.empty()) return rejects;
  TRANCHE_ASSIGN(auto contents, table.AsJson(*batch.rows(), ToSpans(refused)));
  if (contents.size() != refused.size()) return Fail(Code::kInternal, "the engine lost rows of rejects");
  for (size_t i = 0; i < refused.size(); ++i) {
    Reject& reject = rejects.emplace_back();
    reject.origin = "store " + store;
    reject.reason = std::move(refused[i].reason);
    reject.column = std::move(refused[i].column);
    reject.row = batch.span.from + refused[i].row;
    reject.content = std::move(contents[i]);
  }
  return rejects;
}

}  // namespace tranche
