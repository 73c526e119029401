#include <algorithm>
#include <map>

#include <nlohmann/json.hpp>

#include "tranche/batch/cutter.h"
#include "tranche/sources/files.h"
#include "tranche/sources/sources.h"

namespace tranche {
namespace {

using nlohmann::json;

bool IsAny(const std::string& type, std::initializer_list<std::string_view> types) {
  return std::ranges::find(types, type) != types.end();
}

// Whether every value of both types is kept by their common type: whole numbers of any width, and float with
// double.
bool WidensSafely(const std::string& a, const std::string& b) {
  auto whole = [](const std::string& type) {
    return IsAny(type, {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT",
                        "UINTEGER", "UBIGINT"});
  };
  auto real = [](const std::string& type) { return IsAny(type, {"FLOAT", "DOUBLE"}); };
  return (whole(a) && whole(b)) || (real(a) && real(b)) ||
         (a.starts_with("DECIMAL") && b.starts_with("DECIMAL"));
}

class Parquet : public FileSource {
 public:
  explicit Parquet(const Options& options) : options_(options) {}

  Result<std::vector<Split>> Plan(SourceContext& context) override {
    TRANCHE_ASSIGN(auto splits, FindFiles(options_, context, /*stdin_too=*/false));
    Result<std::vector<Columns>> found = FindColumns(splits, *context.engine);
    if (!found) return std::move(found).error().At(options_.PlaceOf("path"));
    auto common = CommonColumns(splits, *found, *context.engine);
    if (!common) return std::move(common).error().At(options_.PlaceOf("path"));
    TRANCHE_ASSIGN(auto rows, CountRows(splits, *context.engine));
    for (size_t i = 0; i < splits.size(); ++i) {
      splits[i].detail =
          json{{"columns", ToJson(*common)}, {"own", ToJson((*found)[i])}, {"rows", rows[i]}}.dump();
    }
    return splits;
  }

  Status Open(std::vector<Split> splits, SourceContext&) override {
    own_.clear();
    rows_ = 0;
    try {
      for (const Split& split : splits) {
        const json detail = json::parse(split.detail);
        if (own_.empty()) columns_ = FromJson(detail.at("columns"));
        own_.push_back(FromJson(detail.at("own")));
        rows_ += detail.at("rows").get<int64_t>();
      }
    } catch (const std::exception& error) {
      return Fail(Code::kOutside, "what this run knows of its files cannot be read: {}", error.what());
    }
    splits_ = std::move(splits);
    return {};
  }

  bool places() const override { return true; }

  Result<SqlText> Scan(SourceContext& context) override {
    TRANCHE_ASSIGN(const bool large, HasLargeGroups(*context.engine));
    std::string sql;
    for (size_t i = 0; i < splits_.size();) {
      const Columns& own = own_[i];
      std::vector<std::string> paths;
      for (; i < splits_.size() && own_[i] == own; ++i) paths.push_back(splits_[i].name);
      std::string items;
      for (const Column& column : columns_) {
        const Column* from = FindColumn(own, column.name);
        items += items.empty() ? "" : ", ";
        items += from->type == column.type
                     ? QuoteName(from->name)
                     : fmt::format("CAST({} AS {})", QuoteName(from->name), column.type);
        items += " AS " + QuoteName(column.name);
      }
      if (context.places) {
        items += fmt::format(", filename AS {}, file_row_number + 1 AS {}", QuoteName(kFileColumn),
                             QuoteName(kLineColumn));
      }
      sql += fmt::format("{}SELECT {} FROM {}", sql.empty() ? "(" : " UNION ALL ", items, ScanOf(paths));
    }
    if (large) {
      std::string nothing;
      const size_t columns = columns_.size() + (context.places ? 2 : 0);
      for (size_t i = 0; i < columns; ++i) nothing += i == 0 ? "NULL" : ", NULL";
      sql += fmt::format(" UNION ALL SELECT {} FROM range(0)", nothing);
    }
    return SqlText(sql + ")");
  }

  // The footers; a filter that the engine moved into the scan does not count.
  Result<ScanTotal> Total(SourceContext&) override { return ScanTotal{rows_, true}; }

  std::string Describe() const override {
    return fmt::format("{}, {} rows by the footers", DescribeFiles(splits_), FormatCount(rows_));
  }

 private:
  static json ToJson(const Columns& columns) {
    json list = json::array();
    for (const Column& column : columns) list.push_back({column.name, column.type});
    return list;
  }
  static Columns FromJson(const json& list) {
    Columns columns;
    for (const json& column : list) columns.push_back({column.at(0), column.at(1)});
    return columns;
  }
  static std::string ScanOf(const std::vector<std::string>& paths) {
    return fmt::format("read_parquet({}, hive_partitioning = false, union_by_name = false)", FileList(paths));
  }

  static Error Unreadable(Error error, const std::string& path) {
    error.code = error.code == Code::kInternal || error.code == Code::kJob ? Code::kData : error.code;
    if (error.message.find(path) == std::string::npos) error = std::move(error).In(path);
    return std::move(error).In("not a Parquet file that can be read");
  }

  // Columns of each file; files whose footers say the same are asked once.
  static Result<std::vector<Columns>> FindColumns(const std::vector<Split>& splits, Engine& engine) {
    const std::string list = FileList(Paths(splits));
    auto schemas = engine.Select(
        {SqlText(fmt::format("SELECT file_name, CAST(hash(list(row(name, type, type_length, num_children, "
                             "converted_type, scale, precision, "
                             "logical_type))) AS VARCHAR) FROM parquet_schema({}) GROUP BY file_name",
                             list))});
    std::map<std::string, std::string> hashes;
    if (schemas) {
      for (const TextRow& row : *schemas) hashes[row[0].value_or("")] = row[1].value_or("");
    }
    std::map<std::string, Columns> known;
    std::vector<Columns> all;
    for (const Split& split : splits) {
      const auto hash = hashes.find(split.name);
      const std::string key = hash == hashes.end() ? split.name : hash->second;
      if (!known.contains(key)) {
        auto bound = engine.Bind({SqlText("SELECT * FROM " + ScanOf({split.name}))});
        if (!bound) return Unreadable(std::move(bound).error(), split.name);
        known[key] = *std::move(bound);
      }
      all.push_back(known[key]);
    }
    return all;
  }

  static Result<Columns> CommonColumns(const std::vector<Split>& splits, const std::vector<Columns>& all,
                                       Engine& engine) {
    Columns common = all.front();
    for (size_t i = 1; i < all.size(); ++i) {
      if (all[i] == all[i - 1]) continue;
      for (const Column& column : all[i]) {
        if (FindColumn(common, column.name) == nullptr) {
          return Fail(Code::kJob, "column '{}' of {} is missing in {}", column.name, splits[i].name,
                      splits[0].name)
              .Hint("make them two inputs, and join them by `from: [a, b]`");
        }
      }
      for (Column& column : common) {
        const Column* other = FindColumn(all[i], column.name);
        if (other == nullptr) {
          return Fail(Code::kJob, "column '{}' is missing in {}", column.name, splits[i].name)
              .Hint("make them two inputs, and join them by `from: [a, b]`");
        }
        if (other->type == column.type) continue;
        if (!WidensSafely(other->type, column.type)) {
          return Fail(Code::kJob, "column '{}' is {} in {} and {} in {}", column.name, column.type,
                      splits[0].name, other->type, splits[i].name)
              .Hint("make them two inputs, `cast` one of them, and join them by `from: [a, b]`");
        }
        TRANCHE_ASSIGN(
            auto wider,
            engine.Bind({SqlText(fmt::format("SELECT CAST(NULL AS {}) AS a UNION ALL SELECT CAST(NULL AS {})",
                                             column.type, other->type))}));
        column.type = wider.front().type;
      }
    }
    return common;
  }

  // Row groups of which each thread cannot hold one as text. The engine copies a row group as one piece,
  // which its memory limit does not count (DuckDB 1.5.6), unless a part of the query cannot be numbered by
  // row groups.
  Result<bool> HasLargeGroups(Engine& engine) const {
    TRANCHE_ASSIGN(auto rows,
                   engine.Select({SqlText(fmt::format(
                       "SELECT max(bytes) * current_setting('threads') > "
                       "parse_formatted_bytes(current_setting('memory_limit')) // 4 FROM (SELECT "
                       "sum(total_uncompressed_size) AS bytes FROM parquet_metadata({}) GROUP BY file_name, "
                       "row_group_id)",
                       FileList(Paths(splits_))))}));
    return rows.front().front() == "true";
  }

  static Result<std::vector<int64_t>> CountRows(const std::vector<Split>& splits, Engine& engine) {
    TRANCHE_ASSIGN(auto rows,
                   engine.Select({SqlText(fmt::format(
                       "SELECT file_name, CAST(num_rows AS VARCHAR) FROM parquet_file_metadata({})",
                       FileList(Paths(splits))))}));
    std::map<std::string, int64_t> counts;
    for (const TextRow& row : rows) {
      TRANCHE_ASSIGN(counts[row[0].value_or("")], ParseInteger(row[1].value_or("0")));
    }
    std::vector<int64_t> result;
    for (const Split& split : splits) result.push_back(counts[split.name]);
    return result;
  }

  Options options_;
  std::vector<Columns> own_;  // of each file
  int64_t rows_ = 0;
};

}  // namespace

SourceSpec ParquetSource() {
  SourceSpec spec;
  spec.name = "parquet";
  spec.summary = "Reads Parquet files.";
  spec.doc =
      "Several files are one input: columns are matched by name and must be the same in all of them. Whole "
      "numbers of "
      "different widths, floats and doubles, and decimals become the wider type. Folders in a path such as "
      "`day=2026-11-20/` are names of folders and make no columns.";
  spec.shape = Shape::Object({PathField(/*stdin_too=*/false)});
  spec.example = "parquet:\n  path: sales/*.parquet\n";
  spec.make = [](const Options& options) -> Result<std::unique_ptr<Source>> {
    return std::make_unique<Parquet>(options);
  };
  return spec;
}

}  // namespace tranche
