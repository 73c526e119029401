#include "tranche/cli/table.h"

#include <algorithm>

namespace tranche {
namespace {

// UTF-8 characters, not bytes.
size_t Width(const std::string& text) {
  return std::ranges::count_if(text, [](unsigned char c) { return (c & 0xC0) != 0x80; });
}

std::string Shown(std::string text, size_t widest) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 32 || c == 127) c = ' ';
  }
  if (Width(text) <= widest) return text;
  size_t bytes = 0;
  for (size_t seen = 0; bytes < text.size(); ++bytes) {
    if ((static_cast<unsigned char>(text[bytes]) & 0xC0) != 0x80 && seen++ == widest - 1) break;
  }
  return text.substr(0, bytes) + "…";
}

}  // namespace

std::string FormatTable(const std::vector<std::string>& header, const std::vector<TextRow>& rows,
                        size_t widest) {
  std::vector<std::vector<std::string>> cells{{}};
  for (const std::string& name : header) cells.front().push_back(Shown(name, widest));
  for (const TextRow& row : rows) {
    auto& line = cells.emplace_back();
    for (const auto& cell : row) line.push_back(Shown(cell.value_or(""), widest));
  }
  std::vector<size_t> widths(header.size(), 0);
  for (const auto& line : cells) {
    for (size_t i = 0; i < line.size() && i < widths.size(); ++i)
      widths[i] = std::max(widths[i], Width(line[i]));
  }
  std::string text;
  for (const auto& line : cells) {
    std::string out;
    for (size_t i = 0; i < line.size() && i < widths.size(); ++i) {
      out += line[i] + std::string(widths[i] - Width(line[i]) + 2, ' ');
    }
    out.erase(out.find_last_not_of(' ') + 1);
    text += out + "\n";
  }
  return text;
}

}  // namespace tranche
