#include "tranche/job/words.h"

#include <algorithm>
#include <array>

#include <fmt/ranges.h>

#include "tranche/base/units.h"

namespace tranche {
namespace {

using Kind = Shape::Kind;

constexpr auto kReserved =
    std::to_array<std::string_view>({"input", "mark", "table", "run", "env", "secret"});
constexpr auto kLaterConnectors = std::to_array<std::string_view>(
    {"adbc", "dynamodb", "flight_sql", "http", "images", "kafka", "mysql", "s3", "snowflake", "xml"});
constexpr auto kLaterSteps =
    std::to_array<std::string_view>({"exec", "http", "image", "mask", "predict", "python", "train"});
constexpr auto kLaterFields =
    std::to_array<std::string_view>({"alerts", "exactly_once", "late", "schedule", "shared_keys"});

template <size_t N>
bool Has(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

std::string Plural(const Shape& shape) {
  std::string words = ShapeWords(shape);
  if (shape.kind == Kind::kChoice || shape.kind == Kind::kOneOf || shape.kind == Kind::kList)
    return "(" + words + ")";
  return words.ends_with("y") ? words.substr(0, words.size() - 1) + "ies" : words + "s";
}

}  // namespace

std::string ShapeWords(const Shape& shape) {
  switch (shape.kind) {
    case Kind::kText:
      return "text";
    case Kind::kPath:
      return "path";
    case Kind::kColumn:
      return "column";
    case Kind::kName:
      return "name";
    case Kind::kExpression:
      return "expression";
    case Kind::kOrder:
      return "order";
    case Kind::kSql:
    case Kind::kServerSql:
      return "query";
    case Kind::kType:
      return "type";
    case Kind::kInteger:
      return "whole number";
    case Kind::kNumber:
      return "number";
    case Kind::kBoolean:
      return "true or false";
    case Kind::kSize:
      return "size";
    case Kind::kDuration:
      return "duration";
    case Kind::kShare:
      return "number or percentage";
    case Kind::kCharacter:
      return "character";
    case Kind::kChoice:
      return fmt::format("{}", fmt::join(shape.choices, ", "));
    case Kind::kList:
      return shape.lone ? fmt::format("{}, or a list of them", ShapeWords(*shape.item))
                        : fmt::format("list of {}", Plural(*shape.item));
    case Kind::kMap:
      return fmt::format("map of {} to {}", ShapeWords(*shape.key), ShapeWords(*shape.item));
    case Kind::kObject: {
      std::vector<std::string> names;
      for (const Field& field : shape.fields) names.push_back(field.name);
      return fmt::format("{{{}}}", fmt::join(names, ", "));
    }
    case Kind::kOneOf: {
      std::vector<std::string> words;
      for (const Shape& option : shape.options) words.push_back(ShapeWords(option));
      return fmt::format("{}", fmt::join(words, " or "));
    }
  }
  return "";
}

bool IsName(std::string_view text) {
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; };
  return !text.empty() && letter(text[0]) &&
         std::ranges::all_of(text, [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

bool IsReserved(std::string_view name) { return Has(kReserved, name); }
bool IsLaterConnector(std::string_view name) { return Has(kLaterConnectors, name); }
bool IsLaterStep(std::string_view name) { return Has(kLaterSteps, name); }
bool IsLaterField(std::string_view name) { return Has(kLaterFields, name); }

Error NotYet(std::string_view what) { return Fail(Code::kJob, "'{}' is not in this version", what); }

Error WithNearest(Error error, std::string_view word, const std::vector<std::string>& candidates) {
  std::string nearest = Nearest(word, candidates);
  if (!nearest.empty()) return std::move(error).Hint(fmt::format("did you mean '{}'?", nearest));
  if (candidates.empty()) return error;
  return std::move(error).Hint(
      fmt::format("there {} {}", candidates.size() == 1 ? "is" : "are", fmt::join(candidates, ", ")));
}

}  // namespace tranche
