#include "tranche/sources/careful.h"

#include <nlohmann/json.hpp>

#include "tranche/sources/text_cursor.h"

namespace tranche {
namespace {

constexpr int64_t kMostSampledBytes = 64 << 20;  // of a file

}  // namespace

using nlohmann::json;

void CarefulSource::StoreIn(std::vector<Split>& splits, const std::vector<TypedColumn>& columns,
                            std::string_view more) {
  json list = json::array();
  for (const TypedColumn& column : columns) {
    list.push_back(
        {{"name", column.name}, {"type", column.type}, {"format", column.format}, {"wide", column.wide}});
  }
  const std::string detail = json{{"columns", list}, {"careful", false}, {"more", more}}.dump();
  for (Split& split : splits) split.detail = detail;
}

Status CarefulSource::Open(std::vector<Split> splits, SourceContext& context) {
  typed_.clear();
  input_ = context.input;
  try {
    const json detail = json::parse(splits.at(0).detail);
    for (const json& column : detail.at("columns")) {
      typed_.push_back({.name = column.at("name"),
                        .type = column.at("type"),
                        .format = column.at("format"),
                        .wide = column.at("wide")});
    }
    detail.at("careful").get_to(careful_);
    careful_ = careful_ || (context.places && places());
    detail.at("more").get_to(more_);
  } catch (const std::exception& error) {
    return Fail(Code::kOutside, "what this run knows of its files cannot be read: {}", error.what());
  }
  columns_ = ToColumns(typed_);
  splits_ = std::move(splits);
  return {};
}

bool CarefulSource::Recover(const Error& error) {
  if (careful_ || settled_ || error.code == Code::kJob) return false;
  if (!Concerns(error, splits_) && error.message != Complaint(input_)) return false;
  careful_ = true;
  integrity_.reset();
  for (Split& split : splits_) {
    json detail = json::parse(split.detail);
    detail["careful"] = true;
    split.detail = detail.dump();
  }
  return true;
}

std::string CarefulSource::ScanOver(const std::vector<TypedColumn>& columns, const std::string& from,
                                    const SourceContext& context) const {
  return careful_ ? CarefulScan(columns, from, context) : StrictScan(columns, from, input_);
}

ReaderFactory LineRows(std::vector<std::string> paths, Encoding encoding, int64_t most_lines,
                       std::shared_ptr<ReadCount> count, bool skip_blank, bool text) {
  return [=]() -> Result<std::unique_ptr<Reader>> {
    auto open = [=](size_t file) -> Result<AddRow> {
      TRANCHE_ASSIGN(LineReader opened, LineReader::Open(paths[file], encoding));
      auto lines = std::make_shared<LineReader>(std::move(opened));
      return [=, path = paths[file]](PlaceRows& rows) -> Result<bool> {
        if (most_lines >= 0 && (lines->line().number >= most_lines || lines->line().byte > kMostSampledBytes))
          return false;
        TRANCHE_ASSIGN(bool more, lines->Next());
        if (!more) return false;
        const Line& line = lines->line();
        if (skip_blank && line.text.find_first_not_of(" \t") == std::string_view::npos) return true;
        const std::optional<std::string_view> value = line.text;
        TRANCHE_TRY(rows.Add({&value, 1}, path, line.number, line.byte, line.text,
                             line.too_long ? "is longer than 16 MiB" : ""));
        return true;
      };
    };
    return ReadFiles(1, paths, std::move(open), count, text);
  };
}

}  // namespace tranche
