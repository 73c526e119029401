#include <arrow/record_batch.h>
#include <nlohmann/json.hpp>

#include "tranche/sources/files.h"
#include "tranche/sources/sources.h"
#include "tranche/sql/duckdb_file.h"
#include "tranche/sql/table_name.h"

namespace tranche {
namespace {

// Without one, a table is looked for in main.
std::string SchemaOr(const std::string& schema) { return schema.empty() ? "main" : schema; }

// A query of the user's in a session of its own, where the file's tables need no prefix.
class OwnSession : public Reader {
 public:
  static Result<std::unique_ptr<Reader>> Make(Engine& engine, const std::string& alias, const Query& query,
                                              std::shared_ptr<ReadCount> count) {
    TRANCHE_ASSIGN(auto session, engine.Fork());
    TRANCHE_TRY(session->Execute("USE " + QuoteName(alias)));
    TRANCHE_ASSIGN(auto rows, session->Run(query));
    return std::make_unique<OwnSession>(std::move(session), std::move(rows), std::move(count));
  }
  OwnSession(std::unique_ptr<Engine> session, std::unique_ptr<Reader> rows, std::shared_ptr<ReadCount> count)
      : session_(std::move(session)), rows_(std::move(rows)), count_(std::move(count)) {}
  ~OwnSession() override { count_->Say(read_, false); }

  std::shared_ptr<arrow::Schema> schema() const override { return rows_->schema(); }
  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    TRANCHE_ASSIGN(auto batch, rows_->Next());
    if (batch == nullptr) {
      count_->Say(read_, true);
    } else {
      read_ += batch->num_rows();
    }
    return batch;
  }

 private:
  std::unique_ptr<Engine> session_;
  std::unique_ptr<Reader> rows_;  // goes before its session
  std::shared_ptr<ReadCount> count_;
  int64_t read_ = 0;
};

class DuckDb : public FileSource {
 public:
  DuckDb(const Options& options, sql::TableName table)
      : options_(options), path_(options.Text("path")), table_(std::move(table)) {}

  Result<std::vector<Split>> Plan(SourceContext& context) override {
    TRANCHE_ASSIGN(Split split, FindFile(path_, options_.PlaceOf("path")));
    auto alias = AttachDuckDb(*context.engine, path_, /*writable=*/false);
    if (!alias) return std::move(alias).error().At(options_.PlaceOf("path"));
    TRANCHE_ASSIGN(auto session, context.engine->Fork());
    TRANCHE_TRY(session->Execute("USE " + QuoteName(*alias)));
    auto columns = session->Bind({Sql(*alias), context.parameters});
    if (!columns)
      return std::move(columns).error().At(options_.PlaceOf(options_.Has("query") ? "query" : "table"));
    nlohmann::json list = nlohmann::json::array();
    for (const Column& column : *columns) list.push_back({column.name, column.type});
    split.detail = list.dump();
    return std::vector<Split>{std::move(split)};
  }

  Status Open(std::vector<Split> splits, SourceContext&) override {
    splits_ = std::move(splits);
    columns_.clear();
    try {
      for (const auto& column : nlohmann::json::parse(splits_.at(0).detail))
        columns_.push_back({column.at(0), column.at(1)});
    } catch (const std::exception& error) {
      return Fail(Code::kOutside, "what this run knows of its files cannot be read: {}", error.what());
    }
    return {};
  }

  Result<SqlText> Scan(SourceContext& context) override {
    count_ = std::make_shared<ReadCount>();
    TRANCHE_ASSIGN(std::string alias, AttachDuckDb(*context.engine, path_, /*writable=*/false));
    std::string names;
    for (const Column& column : columns_) names += (names.empty() ? "" : ", ") + QuoteName(column.name);
    if (options_.Has("table")) return SqlText(fmt::format("(SELECT {} FROM {})", names, TableName(alias)));
    Engine& engine = *context.engine;
    auto open = [&engine, alias, sql = Sql(alias), parameters = context.parameters, count = count_] {
      return OwnSession::Make(engine, alias, {sql, parameters}, count);
    };
    TRANCHE_ASSIGN(auto first, open());
    auto schema = first->schema();
    first.reset();
    TRANCHE_ASSIGN(rows_, Registration::Make(engine, std::move(schema), open));
    return SqlText(fmt::format("(SELECT {} FROM {})", names, rows_.text()));
  }

  Result<ScanTotal> Total(SourceContext& context) override {
    if (options_.Has("query")) return count_->total();
    for (const ScanCount& scan : context.engine->LastScans()) {
      if (scan.detail.find(table_.table) != std::string::npos) return ScanTotal{scan.rows, true};
    }
    return ScanTotal{0, false};
  }

  std::string Describe() const override {
    return fmt::format("{}; {}", path_, options_.Has("query") ? "a query" : options_.Text("table"));
  }

 private:
  std::string TableName(const std::string& alias) const {
    return fmt::format("{}.{}.{}", QuoteName(alias), QuoteName(SchemaOr(table_.schema)),
                       QuoteName(table_.table));
  }

  SqlText Sql(const std::string& alias) const {
    if (options_.Has("table")) return SqlText("SELECT * FROM " + TableName(alias));
    SqlText sql;
    sql << options_.Sql("query");
    return sql;
  }

  Options options_;
  std::string path_;
  sql::TableName table_;
  Registration rows_;
  std::shared_ptr<ReadCount> count_;
};

Result<SchemaTables> TablesOf(const std::string& path, const std::string& schema, Engine& engine) {
  SchemaTables tables{.any_case = true, .where = path};
  TRANCHE_TRY(LookIntoDuckDb(engine, path, [&](Engine& session) -> Status {
    TRANCHE_ASSIGN(const auto rows,
                   session.Select({SqlText(fmt::format(
                       "SELECT table_name, table_type = 'VIEW' FROM information_schema.tables WHERE "
                       "table_catalog = current_database() AND lower(table_schema) = lower({})",
                       QuoteText(SchemaOr(schema))))}));
    for (const TextRow& row : rows)
      (row.at(1) == "true" ? tables.others : tables.tables).push_back(row.at(0).value_or(""));
    return {};
  }));
  return tables;
}

}  // namespace

SourceSpec DuckDbSource() {
  SourceSpec spec;
  spec.name = "duckdb";
  spec.files = false;  // a table changes without its file being touched (a WAL): it is always read
  spec.summary = "Reads a table or a query of a DuckDB file.";
  spec.doc =
      "The file is opened for reading only; no other process may write to it meanwhile. In a query, the "
      "file's tables "
      "need no prefix.";
  spec.shape = Shape::Object({
      {"path", Shape::Path(), "The file.", Field::kRequired},
      TablesField("The table or view to read, `name` or `schema.name`."),
      {"schema", Shape::Text(), "The table's schema; `table` is then taken as it is."},
      {"query", Shape::Sql(), "A SELECT, instead of a table."},
  });
  spec.example = "duckdb:\n  path: shop.duckdb\n  table: orders\n";
  spec.tables = [](const Options& options, const std::string& schema, SourceContext& context) {
    return TablesOf(options.Text("path"), schema, *context.engine);
  };
  spec.make = [](const Options& options) -> Result<std::unique_ptr<Source>> {
    if (options.Has("table") == options.Has("query")) {
      return Fail(Code::kJob, "'duckdb' needs either `table` or `query`").At(options.place());
    }
    sql::TableName table;
    if (options.Has("table")) {
      TRANCHE_ASSIGN(table, sql::ParseTableName(options));
    }
    return std::make_unique<DuckDb>(options, std::move(table));
  };
  return spec;
}

}  // namespace tranche
