#include <algorithm>
#include <optional>

#include "tranche/sources/careful.h"
#include "tranche/sources/pattern.h"
#include "tranche/sources/sources.h"

namespace tranche {
namespace {

class Lines : public CarefulSource {
 public:
  Lines(const Options& options, std::optional<Pattern> pattern)
      : options_(options), pattern_(std::move(pattern)), nulls_(options.Texts("nulls")) {
    const std::string encoding = options.Text("encoding");
    if (encoding == "latin-1") encoding_ = Encoding::kLatin1;
    if (encoding == "utf-16") encoding_ = Encoding::kUtf16;
  }

  Result<std::vector<Split>> Plan(SourceContext& context) override {
    TRANCHE_ASSIGN(auto splits, FindFiles(options_, context, /*stdin_too=*/true));
    std::vector<TypedColumn> columns;
    if (pattern_) {
      TRANCHE_TRY(CheckPattern(*context.engine));
      for (const std::string& group : pattern_->groups) {
        if (!group.empty()) columns.push_back({.name = group});
      }
    } else {
      columns = {{.name = "file"}, {.name = "line", .type = "BIGINT"}, {.name = "text"}};
    }
    TRANCHE_TRY(ApplyTypes(columns, options_.Types("types"), *context.engine));
    StoreIn(splits, columns);
    return splits;
  }

  bool places() const override { return true; }

  Result<SqlText> Scan(SourceContext& context) override {
    count_ = std::make_shared<ReadCount>();
    TRANCHE_ASSIGN(rows_, Registration::Make(*context.engine, PlaceRows::SchemaOf(1),
                                             LineRows(Paths(splits_), encoding_, -1, count_,
                                                      /*skip_blank=*/false, /*text=*/careful_)));
    if (pattern_) return SqlText(ScanOver(typed_, Matched(), context));
    std::vector<TypedColumn> left = typed_;  // what SQL has to convert: a line's number is one already
    const bool number = left[1].type == "BIGINT";
    if (number) left[1].type = "VARCHAR";
    return SqlText(ScanOver(left, Plain(number ? "line" : "CAST(line AS VARCHAR)"), context));
  }

  Result<ScanTotal> Total(SourceContext&) override { return count_->total(); }

  std::string Describe() const override {
    return fmt::format("{}; {}{}", DescribeFiles(splits_), pattern_ ? "lines by a pattern" : "whole lines",
                       careful_ ? "; row by row" : "");
  }

 private:
  Status CheckPattern(Engine& engine) const {
    auto tried = engine.Select({SqlText(fmt::format("SELECT {}", Extract("''")))});
    if (tried) return {};
    std::string reason = tried.error().message;
    if (size_t at = reason.find("failed to parse: "); at != std::string::npos) reason.erase(0, at + 17);
    return Fail(Code::kJob, "the pattern is not a regular expression that RE2 takes: {}", reason)
        .Hint("RE2 has no lookaround and no backreferences")
        .At(options_.PlaceOf("pattern"));
  }

  // A struct of the whole match, as m, and of the groups.
  std::string Extract(const std::string& source) const {
    std::string names = "'m'";
    for (size_t i = 0; i < pattern_->groups.size(); ++i) names += fmt::format(", 'g{}'", i);
    return fmt::format("regexp_extract({}, {}, [{}])", source, QuoteText("(" + pattern_->text + ")"), names);
  }

  // No match gives empty texts; so does a match of nothing, which is why the second look.
  std::string Matched() const {
    std::string nulls;
    for (const std::string& null : nulls_) nulls += (nulls.empty() ? "" : ", ") + QuoteText(null);
    std::string values;
    for (size_t i = 0, column = 0; i < pattern_->groups.size(); ++i) {
      if (pattern_->groups[i].empty()) continue;
      const std::string group = fmt::format("s.g{}", i);
      values += nulls.empty()
                    ? fmt::format("{} AS c{}, ", group, column)
                    : fmt::format("CASE WHEN {0} NOT IN ({1}) THEN {0} END AS c{2}, ", group, nulls, column);
      ++column;
    }
    return fmt::format(
        "(SELECT {}file, line, byte, text, problem_column, CASE WHEN problem IS NOT NULL THEN problem WHEN "
        "s.m = '' AND "
        "NOT regexp_matches(l, {}) THEN 'does not match the pattern' END AS problem "
        "FROM (SELECT file, line, byte, text, problem, problem_column, c0 AS l, {} AS s FROM {}))",
        values, QuoteText(pattern_->text), Extract("c0"), rows_.text());
  }

  std::string Plain(std::string_view line) const {
    return fmt::format(
        "(SELECT file AS c0, {} AS c1, c0 AS c2, file, line, byte, text, problem, "
        "problem_column FROM "
        "{})",
        line, rows_.text());
  }

  Options options_;
  std::optional<Pattern> pattern_;
  std::vector<std::string> nulls_;
  Encoding encoding_ = Encoding::kUtf8;
  Registration rows_;
  std::shared_ptr<ReadCount> count_;
};

}  // namespace

SourceSpec LinesSource() {
  SourceSpec spec;
  spec.name = "lines";
  spec.summary = "Reads text files line by line, and takes logs apart by a pattern.";
  spec.doc =
      "With `pattern`, each named group of the regular expression is a column; a line that does not match is "
      "a reject. "
      "Columns are text unless `types` says otherwise. Without `pattern` the columns are `file`, `line` "
      "(from 1) and "
      "`text`.\n\n"
      "Files ending in `.gz` and `.zst` are decompressed. Lines longer than 16 MiB and lines that are not "
      "valid in the "
      "encoding are rejects. The expressions are those of RE2: no lookaround, no backreferences.";
  spec.shape = Shape::Object({
      PathField(/*stdin_too=*/true),
      {"pattern", Shape::Text(), "A regular expression with named groups, `(?<name>…)`; in single quotes."},
      {"types", Shape::Map(Shape::Column(), Shape::Type()), "Types of columns, with a format for dates."},
      {"nulls", Shape::ListOrOne(Shape::Text()), "Texts that mean NULL.", "[\"\"]"},
      {"encoding", Shape::Choice({"utf-8", "latin-1", "utf-16"}), "How characters are stored.", "utf-8"},
  });
  spec.example =
      "lines:\n  path: access.log-*.gz\n"
      "  pattern: '^(?<ip>\\S+) \\S+ \\S+ \\[(?<seen>[^\\]]+)\\] \"(?<request>[^\"]*)\" (?<status>\\d+) "
      "(?<bytes>\\d+|-)'\n"
      "  types: {seen: {timestamp: \"%d/%b/%Y:%H:%M:%S %z\"}, status: smallint, bytes: bigint}\n"
      "  nulls: [\"-\"]\n";
  spec.make = [](const Options& options) -> Result<std::unique_ptr<Source>> {
    std::optional<Pattern> pattern;
    if (options.Has("pattern")) {
      auto parsed = ParsePattern(options.Text("pattern"));
      if (!parsed) return std::move(parsed).error().At(options.PlaceOf("pattern"));
      pattern = *std::move(parsed);
    }
    return std::make_unique<Lines>(options, std::move(pattern));
  };
  return spec;
}

}  // namespace tranche
