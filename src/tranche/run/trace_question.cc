#include "tranche/run/trace_question.h"

#include <algorithm>
#include <cstdlib>

#include <nlohmann/json.hpp>

namespace tranche {
namespace {

using Json = nlohmann::json;

bool SameValue(const std::string& one, const std::string& other) {
  if (one == other) return true;
  if (one.find_first_of(".eE") == one.npos && other.find_first_of(".eE") == other.npos) return false;
  char* end = nullptr;
  char* other_end = nullptr;
  const double number = std::strtod(one.c_str(), &end);
  const double other_number = std::strtod(other.c_str(), &other_end);
  const bool numbers = !one.empty() && !other.empty() && *end == 0 && *other_end == 0;
  return numbers && number == other_number;
}

}  // namespace

std::vector<std::string> SplitAtCommas(const std::string& text) {
  std::vector<std::string> parts{""};
  for (const char c : text) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

std::vector<std::string> KeyOf(const Store& store) {
  std::vector<std::string> key;
  const Node* node = store.value.Find("key");
  if (node == nullptr) return key;
  if (node->is_scalar()) key.push_back(node->text);
  for (const Node& item : node->items) key.push_back(item.text);
  return key;
}

std::optional<Conditions> AskedOf(const Store& store, const TraceQuestion& question) {
  if (!question.store.empty() && store.name != question.store) return std::nullopt;
  if (question.key.empty()) return question.where;
  const std::vector<std::string> key = KeyOf(store);
  std::vector<std::string> values = question.key;
  if (values.size() == 1 && key.size() > 1) values = SplitAtCommas(values.front());
  if (key.size() != values.size()) return std::nullopt;
  Conditions where;
  for (size_t i = 0; i < key.size(); ++i) where.emplace_back(key[i], values[i]);
  return where;
}

bool Meets(const std::string& content, const Conditions& where) {
  const Json row = Json::parse(content, nullptr, false);
  if (!row.is_object()) return false;
  return std::ranges::all_of(where, [&](const auto& condition) {
    const auto& [name, value] = condition;
    for (const auto& [key, cell] : row.items()) {
      if (FindColumn({{key, ""}}, name) == nullptr || cell.is_null()) continue;
      return SameValue(cell.is_string() ? cell.template get<std::string>() : cell.dump(), value);
    }
    return false;
  });
}

bool Holds(const std::string& line, const Conditions& where) {
  auto joins = [&](size_t at) {
    return at < line.size() && std::isalnum(static_cast<unsigned char>(line[at]));
  };
  return std::ranges::all_of(where, [&](const auto& condition) {
    const std::string& value = condition.second;
    for (size_t at = line.find(value); at != line.npos && !value.empty(); at = line.find(value, at + 1)) {
      if ((at == 0 || !joins(at - 1)) && !joins(at + value.size())) return true;
    }
    return false;
  });
}

}  // namespace tranche
