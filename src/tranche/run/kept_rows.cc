#include "tranche/run/kept_rows.h"

#include <algorithm>

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "tranche/base/file.h"
#include "tranche/batch/arrow_error.h"
#include "tranche/batch/cutter.h"
#include "tranche/connector/step.h"

namespace tranche {
namespace {

constexpr std::string_view kNumberColumn = "__tranche_number";
constexpr int64_t kMostOfKeys = 100'000;

// The rows of a spool, each with its number.
class NumberedRows : public Reader {
 public:
  NumberedRows(std::shared_ptr<arrow::Schema> schema, std::unique_ptr<Spool::Reader> rows)
      : schema_(std::move(schema)), rows_(std::move(rows)) {}

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    TRANCHE_ASSIGN(auto rows, rows_->Next());
    if (rows == nullptr) return nullptr;
    arrow::ArrayVector columns = rows->columns();
    TRANCHE_ASSIGN(columns.emplace_back(), NumbersFrom(next_, rows->num_rows()));
    next_ += rows->num_rows();
    return arrow::RecordBatch::Make(schema_, rows->num_rows(), std::move(columns));
  }

 private:
  std::shared_ptr<arrow::Schema> schema_;
  std::unique_ptr<Spool::Reader> rows_;
  int64_t next_ = 0;
};

bool HasField(const arrow::Schema& schema, std::string_view name) {
  return schema.GetFieldIndex(std::string(name)) >= 0;
}

}  // namespace

Result<std::unique_ptr<KeptRows>> KeptRows::Open(State& state, const StageRecord& stage,
                                                 const std::string& folder, Engine& engine) {
  TRANCHE_ASSIGN(auto segments, state.Segments(stage.id));
  if (!Exists(folder)) return Fail(Code::kOutside, "{} is gone: the rows of stage '{}'", folder, stage.name);
  std::shared_ptr<arrow::Schema> schema;
  if (!stage.schema.empty()) {
    TRANCHE_ASSIGN(schema, ParseSchema(stage.schema));
  } else if (!segments.empty()) {
    TRANCHE_ASSIGN(schema, SchemaOfSegment(SegmentPath(folder, segments.front().number)));
  } else {
    schema = arrow::schema({});
  }
  std::unique_ptr<KeptRows> rows(new KeptRows(Spool(folder, schema, std::move(segments)), engine));
  TRANCHE_TRY(rows->spool_.Verify());
  if (schema->num_fields() == 0) return rows;
  const Spool& spool = rows->spool_;
  arrow::FieldVector fields = spool.schema()->fields();
  fields.push_back(arrow::field(std::string(kNumberColumn), arrow::int64()));
  auto numbered = arrow::schema(std::move(fields));
  TRANCHE_ASSIGN(rows->from_,
                 engine.Register(numbered, [&spool, numbered]() -> Result<std::unique_ptr<Reader>> {
                   TRANCHE_ASSIGN(auto reader, spool.Read({0, spool.rows()}));
                   return std::unique_ptr<Reader>(new NumberedRows(numbered, std::move(reader)));
                 }));
  TRANCHE_ASSIGN(rows->columns_, engine.Bind({SqlText("SELECT * FROM " + rows->from_)}));
  std::erase_if(rows->columns_, [](const Column& column) { return column.name.starts_with(kHiddenPrefix); });
  rows->has_file_ = HasField(*spool.schema(), kFileColumn);
  rows->has_line_ = HasField(*spool.schema(), kLineColumn);
  return rows;
}

KeptRows::~KeptRows() {
  if (!from_.empty()) engine_.Unregister(from_);
}

// A value is compared as its column's type; where the engine has no equality for that, as text.
Result<std::string> KeptRows::Condition(const Conditions& where) const {
  std::string sql;
  for (const auto& [name, value] : where) {
    const Column* column = FindColumn(columns_, name);
    if (column == nullptr) return NoColumn(name, columns_, {});
    const std::string& type = column->type;
    const bool nested = type.ends_with(']') || type.ends_with(')');
    const bool as_text = nested && !type.starts_with("DECIMAL");
    std::string wanted = QuoteText(value);
    if (!as_text) {
      wanted = fmt::format("TRY_CAST({} AS {})", wanted, type);
      TRANCHE_ASSIGN(const auto fits, engine_.Select({SqlText("SELECT " + wanted)}));
      if (!fits.at(0).at(0))
        return Fail(Code::kJob, "'{}' is no {}, and column '{}' is one", value, type, column->name);
    }
    sql += fmt::format(
        "{}{} = {}", sql.empty() ? "" : " AND ",
        as_text ? fmt::format("CAST({} AS VARCHAR)", QuoteName(column->name)) : QuoteName(column->name),
        wanted);
  }
  return sql;
}

Result<std::vector<KeptRows::Row>> KeptRows::Find(const Conditions& where, int64_t most) {
  std::vector<Row> found;
  if (columns_.empty()) return found;
  TRANCHE_ASSIGN(const std::string condition, Condition(where));
  TRANCHE_ASSIGN(
      const auto rows,
      engine_.Select({SqlText(fmt::format(
          "SELECT CAST({0} AS VARCHAR), CAST(to_json({1}) AS VARCHAR), {2}, {3} FROM {4} AS input WHERE {5} "
          "ORDER BY {0} LIMIT {6}",
          kNumberColumn, RowForJson(columns_), has_file_ ? kFileColumn : "NULL",
          has_line_ ? fmt::format("CAST({} AS VARCHAR)", kLineColumn) : "NULL", from_, condition, most))}));
  for (const TextRow& row : rows) {
    Row& one = found.emplace_back();
    TRANCHE_ASSIGN(one.number, ParseInteger(row[0].value_or("")));
    one.content = row[1].value_or("");
    one.file = row[2].value_or("");
    if (row[3]) {
      TRANCHE_ASSIGN(one.line, ParseInteger(*row[3]));
    }
  }
  return found;
}

Result<std::vector<std::vector<int64_t>>> KeptRows::OfSameKey(const Conditions& where,
                                                              const std::vector<std::string>& key) {
  std::vector<std::vector<int64_t>> groups;
  std::string names;
  for (const std::string& part : key) {
    const Column* column = FindColumn(columns_, part);
    if (column == nullptr) return groups;
    names += (names.empty() ? "" : ", ") + QuoteName(column->name);
  }
  TRANCHE_ASSIGN(const std::string condition, Condition(where));
  TRANCHE_ASSIGN(
      const auto rows,
      engine_.Select({SqlText(fmt::format(
          "SELECT CAST({0} AS VARCHAR), CAST(dense_rank() OVER (ORDER BY {1}) AS VARCHAR) FROM {2} "
          "WHERE ({1}) IN (SELECT {1} FROM {2} WHERE {3}) ORDER BY {0} LIMIT {4}",
          kNumberColumn, names, from_, condition, kMostOfKeys))}));
  for (const TextRow& row : rows) {
    TRANCHE_ASSIGN(const int64_t number, ParseInteger(row[0].value_or("")));
    TRANCHE_ASSIGN(const int64_t group, ParseInteger(row[1].value_or("")));
    if (group > std::ssize(groups)) groups.resize(static_cast<size_t>(group));
    groups[static_cast<size_t>(group) - 1].push_back(number);
  }
  return groups;
}

}  // namespace tranche
