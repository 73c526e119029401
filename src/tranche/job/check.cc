#include "tranche/job/check.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <set>
#include <utility>

#include <fmt/ranges.h>

#include "tranche/base/file.h"
#include "tranche/base/units.h"
#include "tranche/connector/sql_state.h"
#include "tranche/job/source_text.h"
#include "tranche/job/type_name.h"
#include "tranche/job/words.h"
#include "tranche/job/yaml.h"

namespace tranche {
namespace {

using Kind = Shape::Kind;

constexpr int64_t kSqlFileBytes = 1 << 20;
constexpr std::string_view kCommonKeys[] = {"prepare", "incremental", "batch", "retry", "rejects"};

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

bool IsSql(Kind kind) {
  return kind == Kind::kExpression || kind == Kind::kOrder || kind == Kind::kSql || kind == Kind::kServerSql;
}

Status ParseAs(Kind kind, std::string_view text) {
  auto status = [](auto result) -> Status {
    if (!result) return std::move(result).error();
    return {};
  };
  switch (kind) {
    case Kind::kInteger:
      return status(ParseInteger(text));
    case Kind::kNumber:
      return status(ParseNumber(text));
    case Kind::kBoolean:
      return status(ParseBoolean(text));
    case Kind::kSize:
      return status(ParseSize(text));
    case Kind::kDuration:
      return status(ParseDuration(text));
    case Kind::kShare:
      return status(ParseRejectLimit(text));
    default:
      return {};
  }
}

// Whether a value could stand for the shape, by its YAML kind; words and numbers also by what they say.
bool Fits(const Node& node, const Shape& shape) {
  switch (shape.kind) {
    case Kind::kList:
      return node.is_list() || (shape.lone && Fits(node, *shape.item));
    case Kind::kMap:
    case Kind::kObject:
      return node.is_map();
    case Kind::kOneOf:
      return FittingShape(node, shape) != nullptr;
    case Kind::kType:
      return !node.is_list();
    case Kind::kChoice:
      return node.is_scalar() && std::ranges::find(shape.choices, node.text) != shape.choices.end();
    default:
      return node.is_scalar() && (node.text.starts_with("${") || ParseAs(shape.kind, node.text).has_value());
  }
}

// How long `text` is without its "asc", "desc", "nulls first", "nulls last".
size_t OrderedLength(std::string_view text) {
  auto trimmed = [&](size_t end) {
    while (end > 0 && std::isspace(static_cast<unsigned char>(text[end - 1]))) --end;
    return end;
  };
  auto without = [&](size_t end, std::string_view word) {
    end = trimmed(end);
    if (end <= word.size() || Lower(text.substr(end - word.size(), word.size())) != word) return end;
    if (!std::isspace(static_cast<unsigned char>(text[end - word.size() - 1]))) return end;
    return trimmed(end - word.size());
  };
  size_t end = trimmed(text.size());
  for (std::string_view last : {"first", "last"}) {
    size_t before = without(end, last);
    if (before != end && without(before, "nulls") != before)
      return without(without(without(before, "nulls"), "asc"), "desc");
  }
  return without(without(end, "asc"), "desc");
}

bool QuotesAreClosed(std::string_view sql) {
  SqlState state(sql);
  for (size_t i = 0; i < sql.size();) i = state.Step(i);
  return state.in() != SqlState::In::kText && state.in() != SqlState::In::kName;
}

size_t Characters(std::string_view text) {
  return static_cast<size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace

const Shape* FittingShape(const Node& node, const Shape& shape) {
  if (shape.kind != Kind::kOneOf) return &shape;
  for (const Shape& option : shape.options) {
    if (Fits(node, option)) return FittingShape(node, option);
  }
  return nullptr;
}

std::string AbsolutePath(const std::string& folder, const std::string& path) {
  if (path == "stdin" || path == "stdout") return path;
  return (std::filesystem::path(folder) / path).lexically_normal().string();
}

bool Checker::Report(Error error, const Place& place) {
  errors_.push_back(std::move(error).At(place));
  return false;
}

bool Checker::Mismatch(const Node& node, const Shape& shape, const std::string& what) {
  std::string_view is = node.is_map() ? "a map" : node.is_list() ? "a list" : "a text";
  Error error = Fail(Code::kJob, "'{}' cannot be {}", what, is).Hint("it takes: " + ShapeWords(shape));
  return Report(std::move(error), node.place);
}

bool Checker::Check(Node& node, const Shape& shape, const std::string& what) {
  if (IsRefused(node)) return false;
  switch (shape.kind) {
    case Kind::kObject:
      return node.is_map() ? CheckObject(node, shape, what) : Mismatch(node, shape, what);
    case Kind::kMap:
      return node.is_map() ? CheckMap(node, shape, what) : Mismatch(node, shape, what);
    case Kind::kList:
      return node.is_list() || (shape.lone && Fits(node, *shape.item)) ? CheckList(node, shape, what)
                                                                       : Mismatch(node, shape, what);
    case Kind::kOneOf:
      return CheckOneOf(node, shape, what);
    case Kind::kType:
      if (node.is_map()) return CheckTypeFormat(node, what);
      [[fallthrough]];
    default:
      return node.is_scalar() ? CheckScalar(node, shape, what) : Mismatch(node, shape, what);
  }
}

bool Checker::CheckObject(Node& node, const Shape& shape, const std::string& what) {
  bool good = true;
  for (auto& [key, value] : node.entries) {
    auto field = std::ranges::find(shape.fields, key.name, &Field::name);
    bool fine =
        field == shape.fields.end() ? CheckUnknown(key, shape, what) : Check(value, field->shape, key.name);
    good = fine && good;
  }
  for (const Field& field : shape.fields) {
    if (!field.required || node.Find(field.name)) continue;
    good = Report(Fail(Code::kJob, "'{}' needs '{}'", what, field.name)
                      .Hint(field.doc.substr(0, field.doc.find_last_not_of('.') + 1)),
                  node.place);
  }
  return good;
}

bool Checker::CheckUnknown(const Node::Key& key, const Shape& shape, const std::string& what) {
  if (IsLaterField(key.name)) return Report(NotYet(key.name), key.place);
  if (std::ranges::find(kCommonKeys, key.name) != std::end(kCommonKeys)) {
    return Report(Fail(Code::kJob, "'{}' is no option of '{}'", key.name, what)
                      .Hint(fmt::format("move '{}' beside '{}'", key.name, what)),
                  key.place);
  }
  std::vector<std::string> names;
  for (const Field& field : shape.fields) names.push_back(field.name);
  return Report(WithNearest(Fail(Code::kJob, "unknown field '{}' in '{}'", key.name, what), key.name, names),
                key.place);
}

bool Checker::CheckMap(Node& node, const Shape& shape, const std::string& what) {
  bool good = true;
  std::set<std::string> seen;
  for (auto& [key, value] : node.entries) {
    good = CheckKey(key, *shape.key, what) && good;
    if (shape.key->kind == Kind::kColumn && !seen.insert(Lower(key.name)).second) {
      good = Report(
          Fail(Code::kJob, "'{}' stands here twice: columns that differ only by case are the same", key.name),
          key.place);
    }
    good = Check(value, *shape.item, key.name) && good;
  }
  return good;
}

bool Checker::CheckKey(const Node::Key& key, const Shape& shape, const std::string& what) {
  if (key.name.empty()) return Report(Fail(Code::kJob, "an empty name in '{}'", what), key.place);
  if (key.name.find("${") != std::string::npos) {
    return Report(Fail(Code::kJob, "${{…}} cannot stand in a key").Hint("write the name as it is"),
                  key.place);
  }
  if (shape.kind == Kind::kName && !IsName(key.name)) {
    return Report(Fail(Code::kJob, "'{}' is not a name", key.name)
                      .Hint("names have a-z, 0-9 and _, and begin with a letter or _"),
                  key.place);
  }
  return true;
}

bool Checker::CheckList(Node& node, const Shape& shape, const std::string& what) {
  if (!node.is_list()) return Check(node, *shape.item, what);
  bool good = true;
  std::set<std::string> seen;
  for (Node& item : node.items) {
    if (!Check(item, *shape.item, what)) {
      good = false;
    } else if (shape.item->kind == Kind::kColumn && !seen.insert(Lower(item.text)).second) {
      good = Report(Fail(Code::kJob, "'{}' stands twice in '{}'", item.text, what), item.place);
    }
  }
  return good;
}

bool Checker::CheckOneOf(Node& node, const Shape& shape, const std::string& what) {
  const Shape* fitting = FittingShape(node, shape);
  if (fitting) {
    bool good = Check(node, *fitting, what);
    bool has_sql =
        std::ranges::any_of(shape.options, [](const Shape& option) { return option.kind == Kind::kSql; });
    if (good && has_sql && fitting->kind == Kind::kObject && node.Find("path"))
      return ReadSqlFile(node, what);
    return good;
  }
  // Nothing fits: the first scalar option says best what is wrong with a word or a number.
  for (const Shape& option : shape.options) {
    if (node.is_scalar() && option.kind != Kind::kMap && option.kind != Kind::kObject &&
        option.kind != Kind::kList) {
      return Check(node, option, what);
    }
  }
  return Mismatch(node, shape, what);
}

bool Checker::CheckScalar(Node& node, const Shape& shape, const std::string& what) {
  if (IsSql(shape.kind)) return CheckSql(node, shape.kind, what);
  if (!values_.Resolve(node, shape.kind)) return false;
  if (shape.kind == Kind::kPath) return CheckPath(node, what);
  if (auto checked = CheckText(node, shape, what); !checked)
    return Report(std::move(checked).error(), node.place);
  return true;
}

Status Checker::CheckText(const Node& node, const Shape& shape, const std::string& what) {
  const std::string& text = node.text;
  switch (shape.kind) {
    case Kind::kChoice:
      return CheckChoice(node, shape, what);
    case Kind::kType:
      return CheckTypeName(text);
    case Kind::kCharacter: {
      static const std::vector<std::string> kWords = {"comma", "semicolon", "tab", "pipe", "space"};
      if (Characters(text) == 1 || std::ranges::find(kWords, text) != kWords.end()) return {};
      Error error = text.empty() ? Fail(Code::kJob, "'{}' is empty", what)
                                 : Fail(Code::kJob, "'{}' is one character, not '{}'", what, text);
      std::string nearest = Nearest(text, kWords);
      return std::move(error).Hint(
          nearest.empty() ? "write comma, semicolon, tab, pipe or space, or one character in quotes"
                          : fmt::format("did you mean '{}'?", nearest));
    }
    case Kind::kName:
      if (IsName(text)) return {};
      return Fail(Code::kJob, "'{}' is not a name", text)
          .Hint("names have a-z, 0-9 and _, and begin with a letter or _");
    case Kind::kColumn:
      if (!text.empty()) return {};
      return Fail(Code::kJob, "'{}' needs the name of a column", what);
    case Kind::kText:
      if (std::ranges::none_of(text, [](char c) { return c >= 0 && c < ' ' && c != '\n' && c != '\t'; }))
        return {};
      return Fail(Code::kJob, "a control character in '{}'", what)
          .Hint("use single quotes: in double quotes \\b is a backspace");
    default:
      break;
  }
  if (shape.kind == Kind::kShare && what != "rejects" && !ParseAs(shape.kind, text)) {
    return Fail(Code::kJob, "'{}': not a number or a percentage: '{}'", what, text)
        .Hint("write it as in 10 or 0.1%");
  }
  if (auto parsed = ParseAs(shape.kind, text); !parsed)
    return std::move(parsed).error().In(fmt::format("'{}'", what));
  if (shape.least && ParseNumber(text).value_or(*shape.least) < *shape.least) {
    return Fail(Code::kJob, "'{}' is at least {}, not {}", what, *shape.least, text);
  }
  return {};
}

Status Checker::CheckChoice(const Node& node, const Shape& shape, const std::string& what) {
  if (std::ranges::find(shape.choices, node.text) != shape.choices.end()) return {};
  if (what == "engine" && node.text == "spark") return NotYet(what + ": " + node.text);
  return WithNearest(Fail(Code::kJob, "'{}' cannot be '{}'", what, node.text), node.text, shape.choices);
}

bool Checker::CheckPath(Node& node, const std::string& what) {
  if (node.text.empty())
    return Report(Fail(Code::kJob, "'{}' is empty", what).Hint("write the path of a file or folder"),
                  node.place);
  if (std::ranges::any_of(node.text, [](char c) { return c >= 0 && c < ' '; })) {
    return Report(Fail(Code::kJob, "a control character in '{}'", what), node.place);
  }
  if (size_t scheme = node.text.find("://"); scheme != std::string::npos) {
    return Report(NotYet(node.text.substr(0, scheme + 3)), node.place);
  }
  std::string absolute = AbsolutePath(folder_, node.text);
  node.masked = node.shown();  // a job that moves together with its files stays the same job
  node.text = std::move(absolute);
  return true;
}

bool Checker::CheckSql(Node& node, Kind kind, const std::string& what) {
  if (std::ranges::all_of(node.text, [](unsigned char c) { return std::isspace(c); })) {
    return Report(
        Fail(Code::kJob, "'{}' is empty", what)
            .Hint("write " +
                  std::string(kind == Kind::kSql || kind == Kind::kServerSql ? "a SELECT" : "an expression")),
        node.place);
  }
  if (node.style == Node::Style::kPlain && !QuotesAreClosed(node.text)) {
    return Report(
        Fail(Code::kJob, "a quote is not closed in '{}'", node.text)
            .Hint("YAML ends a text at ' #': put the whole expression in quotes, or below the key after '|'"),
        node.place);
  }
  if (!values_.Resolve(node, kind)) return false;
  if (!context_.engine || kind == Kind::kServerSql) return true;
  Expression expression = ToExpression(node);
  if (kind == Kind::kOrder) expression.text.resize(OrderedLength(expression.text));
  auto checked = kind == Kind::kSql ? context_.engine->CheckSelect(expression)
                                    : context_.engine->CheckExpression(expression);
  if (!checked) return Report(std::move(checked).error(), node.place);
  return true;
}

bool Checker::CheckTypeFormat(Node& node, const std::string& what) {
  auto refuse = [&] {
    return Report(Fail(Code::kJob, "'{}' is not a type with a format", what)
                      .Hint("write it as {timestamp: \"%d.%m.%Y\"}"),
                  node.place);
  };
  if (node.entries.size() != 1) return refuse();
  auto& [type, format] = node.entries[0];
  std::string name = Lower(type.name);
  if (!name.starts_with("timestamp") && name != "date" && name != "time") return refuse();
  if (auto checked = CheckTypeName(name); !checked) return Report(std::move(checked).error(), type.place);
  if (!Check(format, Shape::Text(), type.name)) return false;
  return format.text.find('%') == std::string::npos ? refuse() : true;
}

bool Checker::ReadSqlFile(Node& node, const std::string& what) {
  const Node& path = *node.Find("path");
  auto content = context_.read(path.text, kSqlFileBytes);
  if (!content) {
    Error error = std::move(content).error();
    error.code = Code::kJob;
    return Report(std::move(error), path.place);
  }
  auto source = SourceText::Make(*std::move(content), path.shown());
  if (!source) return Report(std::move(source).error(), path.place);
  Node text = Node::Scalar(source->text(), {path.shown(), 1, 1});
  text.style = Node::Style::kBlock;
  for (size_t line = 2; line <= source->lines(); ++line) {
    text.turns.push_back({source->OffsetOfLine(line), static_cast<int>(line), 1});
  }
  node = std::move(text);
  return CheckSql(node, Kind::kSql, what);
}

}  // namespace tranche
