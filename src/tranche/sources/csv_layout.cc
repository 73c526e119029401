#include "tranche/sources/csv_layout.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "tranche/sources/place_rows.h"

namespace tranche {
namespace {

using nlohmann::json;

// The character that occurs most in the first line, outside quotes; a comma where there is none.
char FindDelimiter(std::string_view line, const CsvDialect& dialect) {
  constexpr std::string_view kCandidates = ",\t;|";
  std::array<int, kCandidates.size()> counts = {};
  bool quoted = false;
  for (char c : line) {
    if (dialect.quote != 0 && c == dialect.quote) quoted = !quoted;
    const size_t candidate = kCandidates.find(c);
    if (!quoted && candidate != std::string_view::npos) ++counts[candidate];
  }
  return kCandidates[static_cast<size_t>(std::ranges::max_element(counts) - counts.begin())];
}

// Passes to the first record that is not blank; false at the end of the file.
Result<bool> NextRecord(CsvReader& reader, const std::string& file) {
  while (true) {
    TRANCHE_ASSIGN(bool more, reader.Next());
    if (!more || !reader.record().blank()) return more;
    if (reader.record().byte < static_cast<int64_t>(kMostRecordBytes)) continue;
    return Fail(Code::kJob, "{} begins with more than 16 MiB of blank lines", file)
        .Hint("is this a CSV file?");
  }
}

Result<char> FindDelimiter(const CsvOptions& options, const std::vector<Split>& splits) {
  CsvDialect whole_lines = options.dialect;
  whole_lines.delimiter = '\n';
  for (const Split& split : splits) {
    TRANCHE_ASSIGN(CsvReader reader, CsvReader::Open(split.name, whole_lines));
    TRANCHE_TRY(reader.SkipLines(options.skip));
    TRANCHE_ASSIGN(bool more, NextRecord(reader, split.name));
    if (more) return FindDelimiter(reader.record().raw, options.dialect);
  }
  return ',';
}

Status CheckNames(const std::vector<std::string>& names, const std::string& file) {
  Columns seen;
  for (const std::string& name : names) {
    if (FindColumn(seen, name) != nullptr) {
      return Fail(Code::kJob, "column '{}' is twice in the header of {}", name, file)
          .Hint("give `names` of your own");
    }
    seen.push_back({name, ""});
  }
  return {};
}

Result<std::vector<std::string>> HeaderNames(const CsvRecord& header, const CsvOptions& options,
                                             const std::string& file) {
  if (!header.problem.empty() || !IsUtf8(header.raw)) {
    return Fail(Code::kJob, "the header of {} {}", file,
                header.problem.empty() ? std::string(kNotUtf8) : "cannot be read: " + header.problem);
  }
  if (header.fields.size() > kMostColumns) {
    return Fail(Code::kJob, "{} has {} columns; at most {} can be read", file, header.fields.size(),
                kMostColumns);
  }
  std::vector<std::string> names;
  for (const CsvField& field : header.fields) {
    names.emplace_back(field.text.empty() ? fmt::format("column_{}", names.size() + 1)
                                          : std::string(field.text));
  }
  if (options.names.empty()) return names;
  if (options.names.size() != names.size()) {
    return Fail(Code::kJob, "{} has {} columns, `names` has {}", file, names.size(), options.names.size());
  }
  return options.names;
}

Result<CsvShape> FindShape(const CsvOptions& options, const CsvDialect& dialect, const std::string& file) {
  TRANCHE_ASSIGN(CsvReader reader, CsvReader::Open(file, dialect));
  TRANCHE_TRY(reader.SkipLines(options.skip));
  TRANCHE_ASSIGN(bool more, NextRecord(reader, file));
  if (!options.header) {
    return CsvShape{.names = options.names, .before = options.skip, .header = false, .rows = more};
  }
  if (!more && options.names.empty()) {
    return Fail(Code::kJob, "{} is empty; a header line is needed", file)
        .Hint("leave it out, or give `names`");
  }
  if (!more) return CsvShape{.names = options.names, .rows = false};
  CsvShape shape{.names = {}, .before = reader.record().line - 1};
  TRANCHE_ASSIGN(shape.names, HeaderNames(reader.record(), options, file));
  TRANCHE_TRY(CheckNames(shape.names, file));
  TRANCHE_ASSIGN(shape.rows, reader.Next());
  return shape;
}

// All columns of all files, in the order in which they are met.
Status JoinColumns(const CsvOptions& options, const std::vector<Split>& splits, CsvLayout& layout) {
  Columns seen;
  for (size_t i = 0; i < splits.size(); ++i) {
    if (i > 0 && layout.shapes[i] == layout.shapes[i - 1]) continue;
    for (const std::string& name : layout.shapes[i].names) {
      if (FindColumn(seen, name) == nullptr) seen.push_back({name, ""});
    }
  }
  for (const Column& column : seen) {
    layout.columns.push_back({.name = column.name});
    for (size_t i = 0; i < splits.size() && !options.fill_missing; ++i) {
      if (i > 0 && layout.shapes[i] == layout.shapes[i - 1]) continue;
      if (PositionIn(layout.shapes[i], column.name) >= 0) continue;
      return Fail(Code::kJob, "column '{}' is missing in {}", column.name, splits[i].name)
          .Hint("add `missing: fill` to read it as NULL");
    }
  }
  return {};
}

// Adds the rows of one file.
struct FileRows {
  CsvReader reader;
  std::string file;
  CsvShape shape;
  std::vector<int> positions;  // of the columns
  std::vector<std::string> nulls;
  bool pad = false;
  int64_t left = -1;
  std::vector<std::optional<std::string_view>> values = {};

  std::string Problem() const {
    const CsvRecord& record = reader.record();
    if (!record.problem.empty()) return record.problem;
    const size_t width = shape.names.size();
    const size_t found = record.fields.size();
    // What is empty or NULL behind the last column is passed over, as the engine does.
    auto nothing = [this](const CsvField& field) {
      return field.text.empty() || std::ranges::find(nulls, field.text) != nulls.end();
    };
    const bool trailing =
        found > width && std::ranges::all_of(record.fields.begin() + static_cast<ptrdiff_t>(width),
                                             record.fields.end(), nothing);
    if (found == width || trailing || (pad && found < width)) return "";
    return fmt::format("has {} {}, expected are {}", found, found == 1 ? "value" : "values", width);
  }

  Result<bool> operator()(PlaceRows& rows) {
    if (left == 0) return false;
    TRANCHE_ASSIGN(bool more, reader.Next());
    if (!more) return false;
    const CsvRecord& record = reader.record();
    if (left > 0) --left;
    if (record.blank() && shape.names.size() > 1) return true;
    const std::string problem = Problem();
    values.assign(positions.size(), std::nullopt);
    for (size_t i = 0; i < positions.size() && problem.empty(); ++i) {
      if (positions[i] < 0 || positions[i] >= std::ssize(record.fields)) continue;
      const std::string_view text = record.fields[static_cast<size_t>(positions[i])].text;
      if (std::ranges::find(nulls, text) == nulls.end()) values[i] = text;
    }
    if (record.blank()) values.assign(positions.size(), std::nullopt);
    TRANCHE_TRY(rows.Add(values, file, record.line, record.byte, record.raw, problem));
    return true;
  }
};

Result<AddRow> OpenRows(const CsvOptions& options, const CsvLayout& layout, const std::string& file,
                        const CsvShape& shape, int64_t most) {
  TRANCHE_ASSIGN(CsvReader reader, CsvReader::Open(file, layout.dialect));
  TRANCHE_TRY(reader.SkipLines(shape.before));
  if (shape.header) {
    TRANCHE_ASSIGN(bool more, NextRecord(reader, file));
    if (!more && shape.rows) return Fail(Code::kData, "{} was changed while it was read", file);
  }
  auto rows = std::make_shared<FileRows>(FileRows{.reader = std::move(reader),
                                                  .file = file,
                                                  .shape = shape,
                                                  .positions = {},
                                                  .nulls = options.nulls,
                                                  .pad = options.pad,
                                                  .left = most});
  for (const TypedColumn& column : layout.columns) rows->positions.push_back(PositionIn(shape, column.name));
  return [rows](PlaceRows& into) { return (*rows)(into); };
}

}  // namespace

int PositionIn(const CsvShape& shape, std::string_view column) {
  const auto same = std::ranges::find(shape.names, column);
  if (same != shape.names.end()) return static_cast<int>(same - shape.names.begin());
  Columns names;
  for (const std::string& name : shape.names) names.push_back({name, ""});
  const Column* found = FindColumn(names, column);
  return found == nullptr ? -1 : static_cast<int>(found - names.data());
}

Result<CsvLayout> FindLayout(const CsvOptions& options, const std::vector<Split>& splits) {
  CsvLayout layout{.dialect = options.dialect, .columns = {}, .shapes = {}};
  if (options.find_delimiter) {
    TRANCHE_ASSIGN(layout.dialect.delimiter, FindDelimiter(options, splits));
  }
  for (const Split& split : splits) {
    TRANCHE_ASSIGN(CsvShape shape, FindShape(options, layout.dialect, split.name));
    layout.shapes.push_back(std::move(shape));
  }
  TRANCHE_TRY(JoinColumns(options, splits, layout));
  return layout;
}

std::vector<std::string> ToDetails(const CsvLayout& layout) {
  json columns = json::array();
  for (const TypedColumn& column : layout.columns) {
    columns.push_back(
        {{"name", column.name}, {"type", column.type}, {"format", column.format}, {"wide", column.wide}});
  }
  std::vector<std::string> details;
  for (const CsvShape& shape : layout.shapes) {
    details.push_back(json{
        {"delimiter", std::string(1, layout.dialect.delimiter)},
        {"columns", columns},
        {"careful", layout.careful},
        {"names", shape.names},
        {"before", shape.before},
        {"header", shape.header},
        {"rows",
         shape.rows}}.dump());
  }
  return details;
}

Result<CsvLayout> ParseDetails(const std::vector<Split>& splits) {
  CsvLayout layout;
  try {
    for (const Split& split : splits) {
      const json detail = json::parse(split.detail);
      CsvShape& shape = layout.shapes.emplace_back();
      detail.at("names").get_to(shape.names);
      detail.at("before").get_to(shape.before);
      detail.at("header").get_to(shape.header);
      detail.at("rows").get_to(shape.rows);
      if (layout.shapes.size() > 1) continue;
      detail.at("careful").get_to(layout.careful);
      layout.dialect.delimiter = detail.at("delimiter").get<std::string>().at(0);
      for (const json& column : detail.at("columns")) {
        layout.columns.push_back({.name = column.at("name"),
                                  .type = column.at("type"),
                                  .format = column.at("format"),
                                  .wide = column.at("wide")});
      }
    }
  } catch (const std::exception& error) {
    return Fail(Code::kOutside, "what this run knows of its files cannot be read: {}", error.what());
  }
  return layout;
}

ReaderFactory CarefulRows(const CsvOptions& options, const CsvLayout& layout,
                          const std::vector<Split>& splits, std::vector<size_t> which, int64_t most,
                          std::shared_ptr<ReadCount> count) {
  return [=]() -> Result<std::unique_ptr<Reader>> {
    std::vector<std::string> paths;
    for (size_t i : which) paths.push_back(splits[i].name);
    auto open = [=](size_t file) {
      return OpenRows(options, layout, splits[which[file]].name, layout.shapes[which[file]], most);
    };
    return ReadFiles(layout.columns.size(), std::move(paths), std::move(open), count);
  };
}

}  // namespace tranche
