#include <algorithm>
#include <cctype>

#include <arrow/api.h>

#include "tranche/base/sqlite.h"
#include "tranche/batch/arrow_error.h"
#include "tranche/sources/careful.h"
#include "tranche/sources/sources.h"
#include "tranche/sources/text_cursor.h"

namespace tranche {
namespace {

using sqlite::Database;
using sqlite::Statement;
using Storage = Statement::Type;

constexpr int64_t kSampleRows = 10'000;

// How a column's values travel: as they are stored where that is the type, else as text that SQL converts.
enum class Way { kWhole, kReal, kText, kBlob, kByText };

Way WayOf(const TypedColumn& column) {
  if (!column.format.empty()) return Way::kByText;
  if (column.type == "BIGINT") return Way::kWhole;
  if (column.type == "DOUBLE") return Way::kReal;
  if (column.type == "VARCHAR") return Way::kText;
  return column.type == "BLOB" ? Way::kBlob : Way::kByText;
}

// https://www.sqlite.org/datatype3.html#determination_of_column_affinity, and before it the names that SQLite
// has no storage for. "" = SQLite itself does not say.
std::string TypeOfDeclared(std::string declared) {
  std::ranges::transform(declared, declared.begin(), [](unsigned char c) { return std::toupper(c); });
  auto has = [&](std::string_view word) { return declared.find(word) != std::string::npos; };
  if (has("BOOL")) return "BOOLEAN";
  if (has("DATETIME") || has("TIMESTAMP")) return "TIMESTAMP";
  if (has("DATE")) return "DATE";
  if ((declared.starts_with("DECIMAL(") || declared.starts_with("NUMERIC(")) && declared.ends_with(")")) {
    return "DECIMAL" + declared.substr(7);
  }
  if (has("INT") && !has("POINT")) return "BIGINT";
  if (has("CHAR") || has("CLOB") || has("TEXT")) return "VARCHAR";
  if (has("BLOB")) return "BLOB";
  if (has("REAL") || has("FLOA") || has("DOUB")) return "DOUBLE";
  return "";
}

std::string AsText(const Statement& row, int column) {
  return row.ColumnType(column) == Storage::kReal ? fmt::format("{}", row.Double(column))
                                                  : std::string(row.Text(column));
}

// What is read and how: opened once a scan, in one transaction, so that writers do not show in between.
class Table {
 public:
  static Result<Table> Open(const std::string& path, const std::string& sql, const Parameters* parameters) {
    TRANCHE_ASSIGN(auto database, Database::Open(path, sqlite::Access::kReadOnly));
    TRANCHE_TRY(database->Execute("BEGIN"));
    TRANCHE_ASSIGN(Statement rows, database->Prepare(sql));
    Table table(std::move(database), std::move(rows));
    if (parameters != nullptr) {
      for (const auto& [name, value] : *parameters) table.Bind(name, value);
    }
    return table;
  }

  Statement& rows() { return rows_; }

 private:
  Table(std::unique_ptr<Database> database, Statement rows)
      : database_(std::move(database)), rows_(std::move(rows)) {}
  // The text of `value` lives as long as the parameters.
  void Bind(const std::string& name, const tranche::Value& value) {
    const int index = rows_.ParameterIndex(("$" + name).c_str());
    if (index == 0 || !value.text) return;
    const auto whole = ParseInteger(*value.text);
    const auto real = ParseNumber(*value.text);
    if (value.type == "BIGINT" && whole) {
      rows_.BindInt(index, *whole);
    } else if (value.type == "DOUBLE" && real) {
      rows_.BindDouble(index, *real);
    } else {
      rows_.BindText(index, *value.text);
    }
  }

  std::unique_ptr<Database> database_;
  Statement rows_;
};

std::shared_ptr<arrow::Schema> SchemaOf(const std::vector<TypedColumn>& columns) {
  arrow::FieldVector fields;
  for (size_t i = 0; i < columns.size(); ++i) {
    const Way way = WayOf(columns[i]);
    fields.push_back(arrow::field(fmt::format("c{}", i), way == Way::kWhole  ? arrow::int64()
                                                         : way == Way::kReal ? arrow::float64()
                                                         : way == Way::kBlob ? arrow::binary()
                                                                             : arrow::utf8()));
  }
  PlaceColumns::AddFields(fields);
  return arrow::schema(std::move(fields));
}

class SqliteReader : public Reader {
 public:
  SqliteReader(std::string path, Table table, std::vector<TypedColumn> columns,
               std::shared_ptr<ReadCount> count, bool shows)
      : path_(std::move(path)),
        table_(std::move(table)),
        columns_(std::move(columns)),
        schema_(SchemaOf(columns_)),
        count_(std::move(count)),
        shows_(shows) {}
  ~SqliteReader() override { count_->Say(read_, false); }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    if (ended_) return nullptr;
    TRANCHE_ARROW_ASSIGN(auto builder, "hold", "rows",
                         arrow::RecordBatchBuilder::Make(FieldsOfValues(), arrow::default_memory_pool()));
    PlaceColumns places;
    int64_t rows = 0;
    for (int64_t bytes = 0; rows < 16'384 && bytes < (8 << 20); ++rows) {
      TRANCHE_ASSIGN(bool more, table_.rows().Step());
      if (!more) {
        ended_ = true;  // and no Step after it, which would begin anew
        break;
      }
      auto added = AddRow(*builder, places);
      if (!added) return std::move(added).error();
      bytes += *added;
    }
    read_ += rows;
    if (ended_) count_->Say(read_, true);
    if (rows == 0) return nullptr;
    TRANCHE_ARROW_ASSIGN(auto values, "hold", "rows", builder->Flush());
    arrow::ArrayVector arrays = values->columns();
    TRANCHE_ARROW_TRY("hold", "rows", places.Finish(arrays));
    return arrow::RecordBatch::Make(schema_, rows, std::move(arrays));
  }

 private:
  std::shared_ptr<arrow::Schema> FieldsOfValues() const {
    arrow::FieldVector fields = schema_->fields();
    fields.resize(columns_.size());
    return arrow::schema(std::move(fields));
  }

  // Whether the value's storage is what the column's type can be stored as.
  static bool Fits(Way way, Storage storage) {
    switch (way) {
      case Way::kWhole:
        return storage == Storage::kInteger;
      case Way::kReal:
        return storage == Storage::kReal || storage == Storage::kInteger;
      case Way::kText:
        return storage != Storage::kBlob;
      case Way::kBlob:
        return storage == Storage::kBlob || storage == Storage::kText;
      case Way::kByText:
        return storage != Storage::kBlob;
    }
    return false;
  }

  // A whole number beyond 2^53 is not what the DOUBLE would be.
  static bool Exact(const Statement& row, int i) {
    return row.ColumnType(i) != Storage::kInteger ||
           std::abs(static_cast<double>(row.Int(i))) < 9007199254740992.0;
  }

  std::string ProblemOf(const Statement& row, int i, Way way) const {
    const Storage storage = row.ColumnType(i);
    if (storage == Storage::kNull) return "";
    const bool fits = Fits(way, storage) && (way != Way::kReal || Exact(row, i)) &&
                      (storage != Storage::kText || way == Way::kBlob || IsUtf8(row.Text(i)));
    if (fits) return "";
    if (storage == Storage::kBlob)
      return fmt::format("a BLOB is not of type {}", columns_[static_cast<size_t>(i)].type);
    if (!IsUtf8(row.Text(i))) return "is not valid UTF-8";
    return fmt::format("\"{}\" is not of type {}", row.Text(i).substr(0, 100),
                       columns_[static_cast<size_t>(i)].type);
  }

  // The row for people, where there is something to tell.
  std::string Shown(const Statement& row) const {
    std::string shown;
    for (int i = 0; i < row.columns(); ++i) {
      if (i > 0) shown += "|";
      if (row.ColumnType(i) == Storage::kBlob) {
        shown += "(blob)";
      } else if (row.ColumnType(i) != Storage::kNull) {
        shown += IsUtf8(row.Text(i)) ? AsText(row, i) : "(not UTF-8)";
      }
    }
    return shown;
  }

  Result<int64_t> AddRow(arrow::RecordBatchBuilder& builder, PlaceColumns& places) {
    const Statement& row = table_.rows();
    std::string problem;
    std::string_view column;
    for (size_t i = 0; i < columns_.size() && problem.empty(); ++i) {
      problem = ProblemOf(row, static_cast<int>(i), WayOf(columns_[i]));
      column = columns_[i].name;
    }
    arrow::Status status;
    int64_t bytes = 0;
    for (size_t i = 0; i < columns_.size(); ++i) {
      const int at = static_cast<int>(i);
      if (!problem.empty() || row.ColumnType(at) == Storage::kNull) {
        status &= builder.GetField(at)->AppendNull();
        continue;
      }
      switch (WayOf(columns_[i])) {
        case Way::kWhole:
          status &= builder.GetFieldAs<arrow::Int64Builder>(at)->Append(row.Int(at));
          break;
        case Way::kReal:
          status &= builder.GetFieldAs<arrow::DoubleBuilder>(at)->Append(row.Double(at));
          break;
        case Way::kBlob:
          status &= builder.GetFieldAs<arrow::BinaryBuilder>(at)->Append(row.BlobAt(at));
          break;
        default:
          status &= builder.GetFieldAs<arrow::StringBuilder>(at)->Append(AsText(row, at));
          bytes += std::ssize(row.Text(at));
      }
      bytes += 8;
    }
    ++number_;
    status &= places.Add(path_, number_, -1, problem.empty() && !shows_ ? "" : Shown(row), problem,
                         problem.empty() ? "" : column);
    if (!status.ok()) return ArrowError("hold", "a row", status);
    return bytes;
  }

  std::string path_;
  Table table_;
  std::vector<TypedColumn> columns_;
  std::shared_ptr<arrow::Schema> schema_;
  std::shared_ptr<ReadCount> count_;
  bool shows_;  // gives the text of rows that are good as far as we know: SQL may refuse them
  int64_t number_ = 0;
  int64_t read_ = 0;
  bool ended_ = false;
};

class Sqlite : public CarefulSource {
 public:
  explicit Sqlite(const Options& options) : options_(options) {}

  Result<std::vector<Split>> Plan(SourceContext& context) override {
    TRANCHE_ASSIGN(Split split, FindFile(options_.Text("path"), options_.PlaceOf("path")));
    std::vector<Split> splits = {std::move(split)};
    auto columns = FindTypes(splits.front().name, context);
    if (!columns) {
      Error error = std::move(columns).error();
      error.code = Code::kJob;
      return std::move(error).At(options_.PlaceOf(options_.Has("query") ? "query" : "path"));
    }
    TRANCHE_TRY(ApplyTypes(*columns, options_.Types("types"), *context.engine));
    StoreIn(splits, *columns);
    return splits;
  }

  Result<SqlText> Scan(SourceContext& context) override {
    count_ = std::make_shared<ReadCount>();
    auto factory = [path = splits_.front().name, sql = Sql(), columns = typed_, count = count_,
                    shows = careful_, parameters = context.parameters]() -> Result<std::unique_ptr<Reader>> {
      TRANCHE_ASSIGN(Table table, Table::Open(path, sql, parameters));
      return std::make_unique<SqliteReader>(path, std::move(table), columns, count, shows);
    };
    TRANCHE_ASSIGN(rows_, Registration::Make(*context.engine, SchemaOf(typed_), std::move(factory)));
    std::vector<TypedColumn> left = typed_;  // what SQL has to convert
    for (TypedColumn& column : left) {
      if (WayOf(column) != Way::kByText) column = {.name = column.name};
    }
    return SqlText(ScanOver(left, rows_.text(), context));
  }

  Result<ScanTotal> Total(SourceContext&) override { return count_->total(); }

  std::string Describe() const override {
    return fmt::format("{}; {}", splits_.front().name,
                       options_.Has("query") ? "a query" : options_.Text("table"));
  }

 private:
  std::string Sql() const {
    if (options_.Has("query")) return options_.Sql("query").text;
    return "SELECT * FROM " + sqlite::Quote(options_.Text("table"));
  }

  // By the declared types; where there is none, by what a sample stores.
  Result<std::vector<TypedColumn>> FindTypes(const std::string& path, const SourceContext& context) const {
    TRANCHE_ASSIGN(Table table, Table::Open(path, Sql(), context.parameters));
    Statement& rows = table.rows();
    std::vector<TypedColumn> columns;
    Columns seen;
    std::vector<int> unknown;
    for (int i = 0; i < rows.columns(); ++i) {
      const std::string name(rows.ColumnName(i));
      if (FindColumn(seen, name) != nullptr) {
        return Fail(Code::kJob, "column '{}' is twice in the query", name)
            .Hint("give one of them another name by AS");
      }
      seen.push_back({name, ""});
      columns.push_back({.name = name, .type = TypeOfDeclared(rows.DeclaredType(i))});
      if (columns.back().type.empty()) unknown.push_back(i);
    }
    if (unknown.empty()) return columns;
    std::vector<std::array<int64_t, 5>> stored(columns.size(), {0, 0, 0, 0, 0});
    for (int64_t row = 0; row < kSampleRows; ++row) {
      TRANCHE_ASSIGN(bool more, rows.Step());
      if (!more) break;
      for (int i : unknown) ++stored[static_cast<size_t>(i)][static_cast<size_t>(rows.ColumnType(i))];
    }
    for (int i : unknown) {
      const auto& counts = stored[static_cast<size_t>(i)];
      auto count = [&](Storage storage) { return counts[static_cast<size_t>(storage)]; };
      std::string& type = columns[static_cast<size_t>(i)].type;
      if (count(Storage::kBlob) > 0) {
        type = "BLOB";
      } else if (count(Storage::kText) > 0) {
        type = "VARCHAR";
      } else if (count(Storage::kReal) > 0) {
        type = "DOUBLE";
      } else {
        type = count(Storage::kInteger) > 0 ? "BIGINT" : "VARCHAR";
      }
    }
    return columns;
  }

  Options options_;
  Registration rows_;
  std::shared_ptr<ReadCount> count_;
};

// Not what SQLite keeps for itself: its own tables, and the shadows of virtual ones.
Result<SchemaTables> TablesOf(const std::string& path) {
  TRANCHE_ASSIGN(auto database, Database::Open(path, sqlite::Access::kReadOnly));
  TRANCHE_ASSIGN(
      Statement rows,
      database->Prepare("SELECT name, type = 'view' FROM pragma_table_list WHERE schema = 'main' AND "
                        "type IN ('table', 'virtual', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE "
                        "'\\'"));
  SchemaTables tables{.any_case = true, .where = path};
  while (true) {
    TRANCHE_ASSIGN(const bool more, rows.Step());
    if (!more) return tables;
    (rows.Int(1) != 0 ? tables.others : tables.tables).emplace_back(rows.Text(0));
  }
}

}  // namespace

SourceSpec SqliteSource() {
  SourceSpec spec;
  spec.name = "sqlite";
  spec.files = false;  // a table changes without its file being touched (a WAL): it is always read
  spec.summary = "Reads a table or a query of a SQLite file.";
  spec.doc =
      "The rows are those of one moment, whatever others write meanwhile. Types are those that the table "
      "declares, by "
      "SQLite's own rules, and BOOLEAN, DATE, TIMESTAMP and DECIMAL(p,s) by their names; columns without a "
      "type and "
      "expressions are judged by the first 10,000 rows. SQLite stores any value in any column: a row with a "
      "value that is "
      "not of its column's type is a reject, with the number of the row in the answer as its line.";
  spec.shape = Shape::Object({
      {"path", Shape::Path(), "The file.", Field::kRequired},
      TablesField("The table or view to read."),
      {"query", Shape::Sql(), "A SELECT in SQLite's SQL, instead of a table."},
      {"types", Shape::Map(Shape::Column(), Shape::Type()), "Types of columns that are not as declared."},
  });
  spec.example = "sqlite:\n  path: shop.db\n  table: orders\n";
  spec.tables = [](const Options& options, const std::string&, SourceContext&) {
    return TablesOf(options.Text("path"));
  };
  spec.make = [](const Options& options) -> Result<std::unique_ptr<Source>> {
    if (options.Has("table") == options.Has("query")) {
      return Fail(Code::kJob, "'sqlite' needs either `table` or `query`").At(options.place());
    }
    return std::make_unique<Sqlite>(options);
  };
  return spec;
}

}  // namespace tranche
