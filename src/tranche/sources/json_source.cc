#include <algorithm>

#include "tranche/sources/careful.h"
#include "tranche/sources/json_rows.h"
#include "tranche/sources/sources.h"
#include "tranche/sources/text_cursor.h"

namespace tranche {
namespace {

constexpr int64_t kSampleRows = 10'000;
constexpr const char* kSample = "\"tranche sample\"";  // a temporary table
constexpr int kMostDepth = 100;  // of values that the engine may look into: it does so by recursion

// How values follow each other in a file; the words of the option `format`, and the engine's.
enum class Format { kLines, kArray, kValues };

std::string_view EngineName(Format format) {
  switch (format) {
    case Format::kLines:
      return "newline_delimited";
    case Format::kArray:
      return "array";
    case Format::kValues:
      return "unstructured";
  }
  return "";
}

std::string_view Word(Format format) {
  return format == Format::kLines ? "lines" : format == Format::kArray ? "array" : "values";
}

Format FormatOf(std::string_view word) {
  return word == "lines" ? Format::kLines : word == "array" ? Format::kArray : Format::kValues;
}

// Whether objects and arrays stand deeper in each other than kMostDepth, in as much of a file as the sample
// holds.
Result<bool> IsDeep(const std::string& path, Format format) {
  TRANCHE_ASSIGN(TextCursor cursor, TextCursor::Open(path, Encoding::kUtf8));
  const int outside = format == Format::kArray ? 1 : 0;
  int depth = 0;
  int64_t rows = 0;
  bool quoted = false;
  bool escaped = false;
  while (rows < kSampleRows) {
    for (char c : cursor.window()) {
      if (format == Format::kLines && c == '\n') {
        depth = 0;
        quoted = escaped = false;
        ++rows;
      } else if (quoted) {
        quoted = escaped || c != '"';
        escaped = !escaped && c == '\\';
      } else if (c == '"') {
        quoted = true;
      } else if (c == '[' || c == '{') {
        if (++depth > kMostDepth) return true;
      } else if (c == ']' || c == '}') {
        if (--depth == outside && format != Format::kLines) ++rows;
      }
    }
    cursor.Advance(cursor.window().size());
    TRANCHE_ASSIGN(bool more, cursor.Fill());
    if (!more) return false;
  }
  return false;
}

// A JSON pointer (RFC 6901) to a key.
std::string PointerTo(std::string_view key) {
  std::string pointer = "/";
  for (char c : key) {
    if (c == '~') {
      pointer += "~0";
    } else if (c == '/') {
      pointer += "~1";
    } else {
      pointer += c;
    }
  }
  return pointer;
}

class Json : public CarefulSource {
 public:
  explicit Json(const Options& options) : options_(options), rows_pointer_(options.Text("rows")) {}

  Result<std::vector<Split>> Plan(SourceContext& context) override {
    TRANCHE_ASSIGN(splits_, FindFiles(options_, context, /*stdin_too=*/true));
    TRANCHE_ASSIGN(format_, FindFormat());
    auto columns = FindColumns(*context.engine);
    if (!columns) return std::move(columns).error().At(options_.PlaceOf("path"));
    TRANCHE_TRY(ApplyTypes(*columns, options_.Types("types"), *context.engine));
    StoreIn(splits_, *columns, Word(format_));
    return std::move(splits_);
  }

  Status Open(std::vector<Split> splits, SourceContext& context) override {
    TRANCHE_TRY(CarefulSource::Open(std::move(splits), context));
    format_ = FormatOf(more_);
    return {};
  }

  bool places() const override { return true; }

  Result<SqlText> Scan(SourceContext& context) override {
    count_ = std::make_shared<ReadCount>();
    const std::vector<std::string> paths = Paths(splits_);
    if (careful_ && format_ == Format::kLines && !Picks()) {
      std::vector<JsonKey> keys;
      for (const TypedColumn& column : typed_) {
        const bool text = column.type == "VARCHAR" || !column.format.empty();
        const auto as = IsNested(column.type) ? JsonKey::As::kJson
                        : text                ? JsonKey::As::kText
                                              : JsonKey::As::kToken;
        const bool number = column.format.empty() && (column.type == "BIGINT" || column.type == "DOUBLE");
        keys.push_back({.name = column.name,
                        .as = as,
                        .takes_all = column.format.empty() && column.type == "VARCHAR",
                        .digits = number ? size_t{15} : 0,
                        .fractions = column.type == "DOUBLE"});
      }
      TRANCHE_ASSIGN(lines_, Registration::Make(*context.engine, PlaceRows::SchemaOf(typed_.size()),
                                                JsonRows(paths, std::move(keys), count_)));
      return SqlText(ScanOver(typed_, lines_.text(), context));
    }
    if (careful_ && format_ == Format::kLines) {
      TRANCHE_ASSIGN(lines_, Registration::Make(*context.engine, PlaceRows::SchemaOf(1),
                                                LineRows(paths, Encoding::kUtf8, -1, count_,
                                                         /*skip_blank=*/true, /*text=*/true)));
      return SqlText(ScanOver(typed_, Values(typed_, Items(FromLines(lines_.text()))), context));
    }
    StartIntegrity(paths);
    if (careful_ || Picks())
      return SqlText(ScanOver(typed_, Values(typed_, Items(FromObjects(paths))), context));
    return SqlText(FastScan(paths));
  }

  Result<ScanTotal> Total(SourceContext& context) override {
    if (!rows_pointer_.empty()) return ScanTotal{0, false};  // the engine counts documents, not their rows
    if (careful_ && format_ == Format::kLines) return count_->total();
    return CountScans(*context.engine, careful_ || Picks() ? "READ_JSON_OBJECTS" : "READ_JSON",
                      {splits_.front().name});
  }

  std::string Describe() const override {
    return fmt::format("{}; {}{}", DescribeFiles(splits_), Word(format_), careful_ ? "; row by row" : "");
  }

 private:
  // Values are taken out of each object by pointers; else its keys are the columns.
  bool Picks() const { return options_.Has("fields") || !rows_pointer_.empty(); }

  // By the first file's ending, else by its first line.
  Result<Format> FindFormat() const {
    if (options_.Has("format")) return FormatOf(options_.Text("format"));
    std::string path = splits_.front().name;
    if (IsCompressed(path)) path = path.substr(0, path.rfind('.'));
    if (path.ends_with(".ndjson") || path.ends_with(".jsonl")) return Format::kLines;
    TRANCHE_ASSIGN(TextCursor cursor, TextCursor::Open(splits_.front().name, Encoding::kUtf8));
    while (true) {
      const std::string_view text = cursor.window();
      const size_t start = text.find_first_not_of(" \t\r\n");
      if (start != std::string_view::npos && text[start] == '[') {
        return rows_pointer_.empty() ? Format::kArray : Format::kValues;
      }
      const size_t end = start == std::string_view::npos ? start : text.find('\n', start);
      if (end != std::string_view::npos || text.size() > kMostRecordBytes) {
        return text.substr(0, end).find_last_of('}') == std::string_view::npos ? Format::kValues
                                                                               : Format::kLines;
      }
      TRANCHE_ASSIGN(bool more, cursor.Fill());
      if (!more) return Format::kLines;
    }
  }

  // json, file, line, byte, text, problem, problem_column; `json` is NULL where there is a problem.
  std::string FromLines(const std::string& lines) const {
    return fmt::format(
        "(SELECT CASE WHEN wrong IS NULL THEN CAST(c0 AS JSON) END AS json, file, line, byte, text, wrong AS "
        "problem, "
        "problem_column FROM (SELECT *, CASE WHEN problem IS NOT NULL THEN problem WHEN NOT json_valid(c0) "
        "THEN "
        "'is malformed JSON' WHEN json_type(c0) <> 'OBJECT' THEN 'is not an object' WHEN "
        "len(json_keys(c0)) <> len(list_distinct(json_keys(c0))) THEN 'has a key twice' END AS wrong FROM "
        "{}))",
        lines);
  }

  std::string FromObjects(const std::vector<std::string>& paths) const {
    return fmt::format(
        "(SELECT CASE WHEN json_type(json) = 'OBJECT' THEN json END AS json, filename AS file, CAST(NULL AS "
        "BIGINT) AS line, "
        "CAST(NULL AS BIGINT) AS byte, left(CAST(json AS VARCHAR), 65536) AS text, CASE WHEN json_type(json) "
        "<> 'OBJECT' "
        "THEN 'is not an object' END AS problem, CAST(NULL AS VARCHAR) AS problem_column FROM "
        "read_json_objects({}, "
        "format = '{}', filename = true, hive_partitioning = false))",
        FileList(paths), EngineName(format_));
  }

  // One row for each item of the array at `rows`.
  std::string Items(const std::string& objects) const {
    if (rows_pointer_.empty()) return objects;
    return fmt::format(
        "(SELECT item AS json, file, line, byte, coalesce(left(CAST(item AS VARCHAR), 65536), text) AS text, "
        "CASE WHEN "
        "problem IS NOT NULL THEN problem WHEN is_array IS DISTINCT FROM true THEN {0} WHEN json_type(item) "
        "<> 'OBJECT' "
        "THEN 'is not an object' END AS problem, problem_column FROM (SELECT *, unnest(CASE WHEN is_array "
        "THEN "
        "CAST(found AS JSON[]) ELSE [NULL::JSON] END) AS item FROM (SELECT *, json_type(found) = 'ARRAY' AS "
        "is_array FROM "
        "(SELECT *, json_extract(json, {1}) AS found FROM {2}))))",
        QuoteText(fmt::format("has no array at {}", rows_pointer_)), QuoteText(rows_pointer_), objects);
  }

  // Quoted.
  std::string Pointer(const TypedColumn& column) const {
    for (const auto& [name, pointer] : options_.TextMap("fields")) {
      if (name == column.name) return QuoteText(pointer);
    }
    return QuoteText(PointerTo(column.name));
  }

  // c0, c1, … as text beside their places; `items` as FromLines gives.
  std::string Values(const std::vector<TypedColumn>& columns, const std::string& items_of) const {
    std::string items;
    for (size_t i = 0; i < columns.size(); ++i) {
      const std::string pointer = Pointer(columns[i]);
      items +=
          IsNested(columns[i].type)
              ? fmt::format("nullif(CAST(json_extract(json, {}) AS VARCHAR), 'null') AS c{}, ", pointer, i)
              : fmt::format("json_extract_string(json, {}) AS c{}, ", pointer, i);
    }
    return fmt::format("(SELECT {}file, line, byte, text, problem, problem_column FROM {})", items, items_of);
  }

  std::string FastScan(const std::vector<std::string>& paths) const {
    std::string items;
    std::string columns;
    bool dates = false;
    for (const TypedColumn& column : typed_) {
      const std::string name = QuoteName(column.name);
      if (!items.empty()) items += ", ";
      items += FastValue(column, name, input_) + " AS " + name;
      columns += (columns.empty() ? "" : ", ") + QuoteText(column.name) + ": " + QuoteText(ReadAs(column));
      dates = dates || ReadAs(column) == "DATE";
    }
    return fmt::format(
        "(SELECT {} FROM read_json({}, format = '{}', columns = {{{}}}, auto_detect = false, "
        "hive_partitioning = false{}))",
        items, FileList(paths), EngineName(format_), columns, dates ? ", dateformat = '%Y-%m-%d'" : "");
  }

  // The first, the last and the largest file.
  std::vector<std::string> SampleFiles() const {
    auto largest =
        std::ranges::max_element(splits_, {}, [](const Split& split) { return split.identity.size; });
    std::vector<std::string> paths = {splits_.front().name};
    for (const std::string& path : {largest->name, splits_.back().name}) {
      if (std::ranges::find(paths, path) == paths.end()) paths.push_back(path);
    }
    return paths;
  }

  Result<std::vector<TypedColumn>> FindColumns(Engine& engine) const {
    Registration lines;
    std::string objects = FromObjects(SampleFiles());
    if (format_ == Format::kLines) {
      TRANCHE_ASSIGN(lines, Registration::Make(
                                engine, PlaceRows::SchemaOf(1),
                                LineRows(SampleFiles(), Encoding::kUtf8, kSampleRows,
                                         std::make_shared<ReadCount>(), /*skip_blank=*/true, /*text=*/true)));
      objects = FromLines(lines.text());
    }
    // Parsed once, looked at several times.
    TRANCHE_TRY(engine.Execute(
        fmt::format("CREATE OR REPLACE TEMP TABLE {} AS SELECT * FROM {} WHERE problem IS NULL LIMIT {}",
                    kSample, Items(objects), kSampleRows)));
    auto columns = FindNames(engine);
    if (columns) columns = FindTypes(*std::move(columns), engine);
    TRANCHE_TRY(engine.Execute(fmt::format("DROP TABLE {}", kSample)));
    return columns;
  }

  Result<std::vector<TypedColumn>> FindNames(Engine& engine) const {
    std::vector<TypedColumn> columns;
    if (options_.Has("fields")) {
      for (auto& [column, pointer] : options_.TextMap("fields")) columns.push_back({.name = column});
      return columns;
    }
    TRANCHE_ASSIGN(
        auto rows,
        engine.Select({SqlText(fmt::format(
            "SELECT k FROM (SELECT n, unnest(json_keys(json)) AS k, unnest(range(len(json_keys(json)))) "
            "AS p FROM (SELECT json, row_number() OVER () AS n FROM {})) GROUP BY k ORDER BY min(n * "
            "1000000 + p)",
            kSample))}));
    if (rows.size() > kMostColumns) {
      return Fail(Code::kJob, "the objects have {} keys; at most {} can be columns", rows.size(),
                  kMostColumns)
          .Hint("name those you need by `fields: {column: /key}`");
    }
    Columns seen;
    for (const TextRow& row : rows) {
      const std::string name = row.front().value_or("");
      const size_t nul = name.find('\0');
      if (name.empty() || nul != std::string::npos) {
        Error error = name.empty() ? Fail(Code::kJob, "a key is an empty text")
                                   : Fail(Code::kJob, "a key has a NUL byte after '{}'", name.substr(0, nul));
        return std::move(error).Hint("name the columns by `fields: {column: /key}`");
      }
      if (const Column* twin = FindColumn(seen, name)) {
        return Fail(Code::kJob, "keys '{}' and '{}' differ only by case", twin->name, name)
            .Hint("name the columns by `fields: {column: /key}`");
      }
      seen.push_back({name, ""});
      columns.push_back({.name = name});
    }
    if (columns.empty()) {
      return Fail(Code::kJob, "{} holds no objects with keys", splits_.front().name)
          .Hint("name the columns by `fields: {column: /key}`, or leave the file out");
    }
    return columns;
  }

  // Texts are text unless all are dates or times, numbers are numbers; objects and arrays as the engine sees
  // them.
  Result<std::vector<TypedColumn>> FindTypes(std::vector<TypedColumn> columns, Engine& engine) const {
    std::vector<TypedColumn> guessed = columns;
    TRANCHE_TRY(GuessTypes(guessed, Values(columns, kSample), engine));
    bool deep = false;
    for (const std::string& path : SampleFiles()) {
      if (deep) break;
      TRANCHE_ASSIGN(deep, IsDeep(path, format_));
    }
    std::string items;
    for (const TypedColumn& column : columns) {
      const std::string value = fmt::format("json_extract(json, {})", Pointer(column));
      items += fmt::format(
          "{}array_to_string(list_sort(list(DISTINCT replace(json_type({}), 'UBIGINT', 'BIGINT'))), ' '), {}",
          items.empty() ? "" : ", ", value,
          deep ? "NULL" : fmt::format("CAST(json_group_structure({}) AS VARCHAR)", value));
    }
    TRANCHE_ASSIGN(auto rows, engine.Select({SqlText(fmt::format("SELECT {} FROM {}", items, kSample))}));
    for (size_t i = 0; i < columns.size(); ++i) {
      std::string kinds = rows.front()[2 * i].value_or("");
      if (kinds.ends_with(" NULL")) kinds.resize(kinds.size() - 5);
      if (kinds.starts_with("NULL ")) kinds.erase(0, 5);
      TRANCHE_ASSIGN(columns[i], TypeOf(guessed[i], kinds, rows.front()[2 * i + 1].value_or(""), engine));
    }
    return columns;
  }

  static Result<TypedColumn> TypeOf(TypedColumn guessed, const std::string& kinds,
                                    const std::string& structure, Engine& engine) {
    const bool number = kinds == "BIGINT" || kinds == "DOUBLE" || kinds == "BIGINT DOUBLE";
    const bool moment = guessed.type == "DATE" || guessed.type.starts_with("TIME");
    if (number || kinds == "BOOLEAN" || (kinds == "VARCHAR" && moment)) return guessed;
    guessed.type = "VARCHAR";
    if ((kinds != "OBJECT" && kinds != "ARRAY") || structure.empty()) return guessed;
    std::string signed_numbers = structure;  // a small number says nothing about the sign of the next
    for (std::string_view before : {":\"", "[\""}) {
      const std::string from = fmt::format("{}UBIGINT\"", before);
      for (size_t at = signed_numbers.find(from); at != std::string::npos; at = signed_numbers.find(from)) {
        signed_numbers.erase(at + before.size(), 1);
      }
    }
    auto bound = engine.Bind(
        {SqlText(fmt::format("SELECT from_json('null', {}) AS value", QuoteText(signed_numbers)))});
    // What has no structure in common stays JSON text.
    if (bound && bound->front().type.find("JSON") == std::string::npos) guessed.type = bound->front().type;
    return guessed;
  }

  Options options_;
  std::string rows_pointer_;
  Format format_ = Format::kLines;
  Registration lines_;
  std::shared_ptr<ReadCount> count_;
};

}  // namespace

SourceSpec JsonSource() {
  SourceSpec spec;
  spec.name = "json";
  spec.summary = "Reads JSON: an object a line, an array of objects, or objects inside documents.";
  spec.doc =
      "Without `fields`, the keys of the objects are the columns: those of the first 10,000 objects of the "
      "first, the last and the largest file. Objects and arrays inside become structs and lists, or stay "
      "JSON text where they have no structure in common or are nested more than 100 deep. Numbers with a "
      "fraction are DOUBLE, as in JavaScript; a decimal that must be exact stands in quotes, with its type "
      "in "
      "`types`.\n\n"
      "A value that does not fit its column's type, a line that is malformed, and an object with a key twice "
      "are rejects. Where values do not stand one a line (`array`, `values`), rejects have no line, and "
      "malformed JSON stops the run.\n\n"
      "Files ending in `.gz` and `.zst` are decompressed.";
  spec.shape = Shape::Object({
      PathField(/*stdin_too=*/true),
      {"format", Shape::Choice({"lines", "array", "values"}),
       "How objects follow each other: one a line, in one array, or one after the other. Default: by the "
       "first file's ending "
       "(`.ndjson`, `.jsonl`) or its first line."},
      {"rows", Shape::Text(),
       "JSON pointer to an array in each document, whose items are the rows: `/items`."},
      {"fields", Shape::Map(Shape::Column(), Shape::Text()),
       "The columns, each with the JSON pointer to its value: `{city: /address/city}`."},
      {"types", Shape::Map(Shape::Column(), Shape::Type()),
       "Types of columns that are not to be guessed, with a format where dates are not as ISO 8601 writes "
       "them."},
  });
  spec.example = "json:\n  path: issues-*.json\n  rows: /items\n  fields: {id: /id, author: /user/login}\n";
  spec.make = [](const Options& options) -> Result<std::unique_ptr<Source>> {
    auto check = [](const std::string& pointer, Place place) -> Status {
      if (pointer.empty() || pointer.starts_with('/')) return {};
      return Fail(Code::kJob, "'{}' is no JSON pointer", pointer)
          .Hint("it begins with /: /items/0/name")
          .At(std::move(place));
    };
    TRANCHE_TRY(check(options.Text("rows"), options.PlaceOf("rows")));
    for (const auto& [column, pointer] : options.TextMap("fields"))
      TRANCHE_TRY(check(pointer, options.PlaceOf("fields")));
    return std::make_unique<Json>(options);
  };
  return spec;
}

}  // namespace tranche
