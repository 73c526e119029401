#include <algorithm>
#include <map>
#include <numeric>
#include <optional>

#include "tranche/sources/csv_ending.h"
#include "tranche/sources/csv_layout.h"
#include "tranche/sources/place_rows.h"
#include "tranche/sources/sources.h"
#include "tranche/sources/text_cursor.h"

namespace tranche {
namespace {

constexpr int64_t kSampleRows = 10'000;  // of a file
constexpr size_t kMostScans = 64;        // in one query
constexpr size_t kFewFiles = 2;          // a scan's parts may be read by several threads

class Csv : public FileSource {
 public:
  Csv(const Options& options, CsvOptions read) : options_(options), read_(std::move(read)) {}
  ~Csv() override { integrity_.reset(); }  // its thread has `endings_`

  Result<std::vector<Split>> Plan(SourceContext& context) override {
    TRANCHE_ASSIGN(auto splits, FindFiles(options_, context, /*stdin_too=*/true));
    auto layout = FindLayout(read_, splits);
    if (!layout) return std::move(layout).error().At(options_.PlaceOf("path"));
    if (Status found = FindTypes(*layout, splits, context); !found) {
      return std::move(found).error().At(options_.PlaceOf("path"));
    }
    layout->careful = MustBeCareful(*layout);
    for (const Split& split : splits) {
      if (layout->careful || IsCompressed(split.name)) continue;
      TRANCHE_ASSIGN(layout->careful, EndsInLongLine(split.name, split.identity.size));
      if (layout->careful || splits.size() <= kFewFiles) continue;
      TRANCHE_ASSIGN(layout->careful, MayEndQuoted(split.name, split.identity.size, layout->dialect));
    }
    auto details = ToDetails(*layout);
    for (size_t i = 0; i < splits.size(); ++i) splits[i].detail = std::move(details[i]);
    return splits;
  }

  Status Open(std::vector<Split> splits, SourceContext& context) override {
    TRANCHE_ASSIGN(layout_, ParseDetails(splits));
    layout_.careful = layout_.careful || context.places;  // the engine's reader knows no lines
    const char delimiter = layout_.dialect.delimiter;
    layout_.dialect = read_.dialect;
    layout_.dialect.delimiter = delimiter;
    splits_ = std::move(splits);
    columns_ = ToColumns(layout_.columns);
    return {};
  }

  Result<SqlText> Scan(SourceContext& context) override {
    count_ = std::make_shared<ReadCount>();
    input_ = context.input;
    firsts_.clear();
    if (!layout_.careful) return FastScan();
    std::vector<size_t> all(splits_.size());
    std::iota(all.begin(), all.end(), 0);
    TRANCHE_ASSIGN(rows_, Registration::Make(*context.engine, PlaceRows::SchemaOf(columns_.size()),
                                             CarefulRows(read_, layout_, splits_, all, -1, count_)));
    return SqlText(CarefulScan(layout_.columns, rows_.text(), context));
  }

  bool marks() const override { return layout_.careful; }
  bool places() const override { return true; }

  Status TakeRejects(SourceContext& context, const std::function<Status(Reject)>& take) override {
    TRANCHE_TRY(FileSource::TakeRejects(context, take));
    if (!endings_) return {};
    endings_->Settle();
    if (!endings_->long_line() && (splits_.size() <= kFewFiles || !endings_->quoted())) return {};
    return Fail(Code::kData, "{}", Complaint(input_));  // Recover knows what to do
  }

  bool Recover(const Error& error) override {
    if (layout_.careful || settled_) return false;
    if (error.message.find("CSV Reader") == std::string::npos && error.code == Code::kJob) return false;
    // "Not implemented": a row is larger than the engine's buffer.
    const bool ours = Concerns(error, splits_) || error.message == Complaint(input_) ||
                      error.message.find("CSV Parser") != std::string::npos ||
                      error.message.find("CSV Reader") != std::string::npos;
    if (!ours) return false;
    layout_.careful = true;
    integrity_.reset();
    endings_.reset();
    auto details = ToDetails(layout_);
    for (size_t i = 0; i < splits_.size(); ++i) splits_[i].detail = std::move(details[i]);
    return true;
  }

  Result<ScanTotal> Total(SourceContext& context) override {
    if (layout_.careful) return count_->total();
    return CountScans(*context.engine, "READ_CSV", firsts_);
  }

  std::string Describe() const override {
    static const std::map<char, std::string> kNames = {
        {',', "comma"}, {'\t', "tab"}, {';', "semicolon"}, {'|', "pipe"}, {' ', "space"}};
    const char delimiter = layout_.dialect.delimiter;
    const auto name = kNames.find(delimiter);
    return fmt::format("{}; delimiter {}, {}{}", DescribeFiles(splits_),
                       name == kNames.end() ? std::string(1, delimiter) : name->second,
                       read_.header ? "header" : "no header", layout_.careful ? "; row by row" : "");
  }

 private:
  // A sample of the first, the last and the largest file of each shape.
  Status FindTypes(CsvLayout& layout, const std::vector<Split>& splits, SourceContext& context) const {
    std::vector<size_t> sample;
    std::vector<bool> done(splits.size(), false);
    for (size_t i = 0; i < splits.size(); ++i) {
      if (done[i]) continue;
      size_t last = i;
      size_t largest = i;
      for (size_t j = i; j < splits.size(); ++j) {
        if (layout.shapes[j].names != layout.shapes[i].names) continue;
        done[j] = true;
        last = j;
        if (splits[j].identity.size > splits[largest].identity.size) largest = j;
      }
      for (size_t each : {i, last, largest}) {
        if (std::ranges::find(sample, each) == sample.end()) sample.push_back(each);
      }
    }
    TRANCHE_ASSIGN(Registration rows,
                   Registration::Make(*context.engine, PlaceRows::SchemaOf(layout.columns.size()),
                                      CarefulRows(read_, layout, splits, sample, kSampleRows,
                                                  std::make_shared<ReadCount>())));
    TRANCHE_TRY(GuessTypes(layout.columns, rows.text(), *context.engine));
    return ApplyTypes(layout.columns, options_.Types("types"), *context.engine);
  }

  // Where the engine's reader cannot know what the dialect says, or reads wrongly (seen: a quote before the
  // header).
  bool MustBeCareful(const CsvLayout& layout) const {
    const CsvDialect& dialect = layout.dialect;
    if (dialect.encoding != Encoding::kUtf8 || dialect.comment != 0) return true;
    size_t scans = 0;
    for (size_t i = 0; i < layout.shapes.size(); ++i) {
      if (layout.shapes[i].before > 0 && dialect.quote != 0) return true;
      scans += i == 0 || !(layout.shapes[i] == layout.shapes[i - 1]);
    }
    return scans > kMostScans;
  }

  Result<SqlText> FastScan() {
    SqlText sql("(");
    for (size_t i = 0; i < splits_.size();) {
      std::vector<std::string> paths;
      const CsvShape& shape = layout_.shapes[i];
      for (; i < splits_.size() && layout_.shapes[i] == shape; ++i) paths.push_back(splits_[i].name);
      if (!shape.rows) continue;
      if (!firsts_.empty()) sql << " UNION ALL ";
      sql << ScanOf(shape, paths);
      firsts_.push_back(paths.front());
    }
    integrity_.reset();
    endings_.emplace(layout_.dialect);
    StartIntegrity(Paths(splits_),
                   [this](const std::string& path, std::string_view block) { endings_->Add(path, block); });
    if (firsts_.empty()) return SqlText(Stub(columns_));
    sql << ")";
    return sql;
  }

  std::string ScanOf(const CsvShape& shape, const std::vector<std::string>& paths) const {
    std::string select;
    std::vector<std::string> read_as(shape.names.size(), "VARCHAR");
    for (const TypedColumn& column : layout_.columns) {
      const int position = PositionIn(shape, column.name);
      if (!select.empty()) select += ", ";
      select += position < 0 ? fmt::format("CAST(NULL AS {})", column.type)
                             : FastValue(column, fmt::format("c{}", position), input_);
      select += " AS " + QuoteName(column.name);
      if (position >= 0) read_as[static_cast<size_t>(position)] = ReadAs(column);
    }
    std::string columns;
    for (size_t i = 0; i < read_as.size(); ++i) {
      columns += fmt::format("{}'c{}': {}", i > 0 ? ", " : "", i, QuoteText(read_as[i]));
    }
    std::string nulls;
    for (const std::string& null : read_.nulls) nulls += (nulls.empty() ? "" : ", ") + QuoteText(null);
    auto character = [](char c) { return c == 0 ? std::string("''") : QuoteText(std::string_view(&c, 1)); };
    const bool dates = std::ranges::find(read_as, "DATE") != read_as.end();
    return fmt::format(
        "SELECT {} FROM read_csv({}, auto_detect = false, delim = {}, quote = {}, escape = {}, header = {}, "
        "skip = {}, "
        "nullstr = [{}], columns = {{{}}}, null_padding = {}, hive_partitioning = false, "
        "buffer_size = {}{})",
        select, FileList(paths), character(layout_.dialect.delimiter), character(layout_.dialect.quote),
        character(layout_.dialect.escape), shape.header, shape.before, nulls, columns, read_.pad,
        kEngineBuffer, dates ? ", dateformat = '%Y-%m-%d'" : "");
  }

  Options options_;
  CsvOptions read_;
  CsvLayout layout_;
  std::string input_;
  std::vector<std::string> firsts_;    // the first file of each scan
  std::optional<CsvEndings> endings_;  // of compressed files; of the thread of `integrity_` until that ends
  Registration rows_;
  std::shared_ptr<ReadCount> count_;
};

Result<char> OneCharacter(const Options& options, std::string_view field) {
  const std::string text = options.Text(field);
  if (text == "none" || text.empty()) return '\0';
  if (text.size() > 1 || text == "\n" || text == "\r") {
    return Fail(Code::kJob, "'{}' must be one character of ASCII", field).At(options.PlaceOf(field));
  }
  return text.front();
}

Result<CsvOptions> ReadOptions(const Options& options) {
  CsvOptions read;
  CsvDialect& dialect = read.dialect;
  read.find_delimiter = !options.Has("delimiter");
  if (!read.find_delimiter) {
    TRANCHE_ASSIGN(dialect.delimiter, OneCharacter(options, "delimiter"));
  }
  TRANCHE_ASSIGN(dialect.quote, OneCharacter(options, "quote"));
  dialect.escape = dialect.quote;
  if (options.Has("escape")) {
    TRANCHE_ASSIGN(dialect.escape, OneCharacter(options, "escape"));
  }
  TRANCHE_ASSIGN(dialect.comment, OneCharacter(options, "comment"));
  if (dialect.quote != 0 && dialect.quote == dialect.delimiter) {
    return Fail(Code::kJob, "'quote' and 'delimiter' are the same").At(options.PlaceOf("quote"));
  }
  const std::string encoding = options.Text("encoding");
  dialect.encoding = encoding == "latin-1"  ? Encoding::kLatin1
                     : encoding == "utf-16" ? Encoding::kUtf16
                                            : Encoding::kUtf8;
  read.header = options.Boolean("header");
  read.names = options.Texts("names");
  read.nulls = options.Texts("nulls");
  read.skip = options.Integer("skip");
  read.pad = options.Text("ragged") == "pad";
  read.fill_missing = options.Text("missing") == "fill";
  if (!read.header && read.names.empty()) {
    return Fail(Code::kJob, "without a header, the columns need names")
        .Hint("add `names: [first, second]`")
        .At(options.PlaceOf("header"));
  }
  Columns seen;
  for (const std::string& name : read.names) {
    if (FindColumn(seen, name) != nullptr) {
      return Fail(Code::kJob, "'{}' is twice in 'names'", name).At(options.PlaceOf("names"));
    }
    seen.push_back({name, ""});
  }
  return read;
}

}  // namespace

SourceSpec CsvSource() {
  SourceSpec spec;
  spec.name = "csv";
  spec.summary = "Reads comma-separated files, and others of that kind.";
  spec.doc =
      "Files ending in `.gz` and `.zst` are decompressed. Several files are one input: columns are matched "
      "by name, so "
      "their order may differ from file to file.\n\n"
      "Types are guessed from the first 10,000 rows of the first, the last and the largest file of each "
      "header: whole "
      "numbers, decimal numbers, `true` and `false`, and dates and times as ISO 8601 writes them. Numbers "
      "that begin "
      "with 0 and dates of other forms stay text; `types` says what they are. A row with a value that does "
      "not fit its "
      "column's type is a reject with its line, byte, column and reason; nothing is rounded, cut or made "
      "NULL in "
      "silence, but for the digits of a time behind the microsecond.\n\n"
      "A quote that is never closed costs its line, not the rest of the file.";
  spec.shape = Shape::Object({
      PathField(/*stdin_too=*/true),
      {"delimiter", Shape::Character(),
       "What separates the values. Default: the one of comma, tab, semicolon and pipe that the first line "
       "has most of."},
      {"quote", Shape::OneOf({Shape::Choice({"none"}), Shape::Character()}),
       "What surrounds values that hold delimiters or line ends; `none` for files without.", "'\"'"},
      {"escape", Shape::Character(), "What stands before a quote inside quotes. Default: the quote itself."},
      {"comment", Shape::Character(), "Lines that begin with this are passed over."},
      {"header", Shape::Boolean(), "Whether the first line names the columns.", "true"},
      {"names", Shape::List(Shape::Column()), "Names of the columns, instead of those in the header."},
      {"skip", Shape::Integer(), "Lines before the header that are passed over.", "0"},
      {"types", Shape::Map(Shape::Column(), Shape::Type()),
       "Types of columns that are not to be guessed, with a format where dates are not as ISO 8601 writes "
       "them."},
      {"nulls", Shape::ListOrOne(Shape::Text()), "Texts that mean NULL.", "[\"\"]"},
      {"encoding", Shape::Choice({"utf-8", "latin-1", "utf-16"}), "How characters are stored.", "utf-8"},
      {"ragged", Shape::Choice({"reject", "pad"}),
       "What is done with rows that have too few values: refuse them, or read NULL for what is missing.",
       "reject"},
      {"missing", Shape::Choice({"fail", "fill"}),
       "What is done where one of several files lacks a column: stop before anything is read, or read NULL.",
       "fail"},
  });
  spec.example =
      "csv:\n  path: sales-*.csv.gz\n  types: {amount: \"decimal(12,2)\", sold: {timestamp: \"%d.%m.%Y "
      "%H:%M\"}}\n"
      "  nulls: [NA, \"\"]\n";
  spec.make = [](const Options& options) -> Result<std::unique_ptr<Source>> {
    TRANCHE_ASSIGN(CsvOptions read, ReadOptions(options));
    return std::make_unique<Csv>(options, std::move(read));
  };
  return spec;
}

}  // namespace tranche
