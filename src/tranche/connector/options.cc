#include "tranche/connector/options.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace tranche {
namespace {

using Kind = Shape::Kind;

[[noreturn]] void Bug(std::string_view what, std::string_view field) {
  fmt::print(stderr, "tranche: a bug of ours: option '{}' {}\n", field, what);
  std::abort();
}

bool Is(const Shape& shape, std::initializer_list<Kind> kinds) {
  if (std::ranges::find(kinds, shape.kind) != kinds.end()) return true;
  return shape.kind == Kind::kOneOf &&
         std::ranges::any_of(shape.options, [&](const Shape& option) { return Is(option, kinds); });
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::string Unquote(std::string_view text) {
  text = Trim(text);
  bool quoted =
      text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front();
  return std::string(quoted ? text.substr(1, text.size() - 2) : text);
}

// A default as our own code writes it: "[NA, \"\"]" or "NA". No commas inside the quotes.
std::vector<std::string> DefaultTexts(std::string_view text) {
  std::vector<std::string> texts;
  text = Trim(text);
  if (!text.starts_with('[')) return {Unquote(text)};
  text = Trim(text.substr(1, text.size() - 2));
  while (!text.empty()) {
    size_t comma = std::min(text.find(','), text.size());
    texts.push_back(Unquote(text.substr(0, comma)));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return texts;
}

std::string Character(const std::string& word) {
  static constexpr std::pair<std::string_view, char> kWords[] = {
      {"comma", ','}, {"semicolon", ';'}, {"tab", '\t'}, {"pipe", '|'}, {"space", ' '}};
  for (auto [name, character] : kWords) {
    if (word == name) return std::string(1, character);
  }
  return word;
}

// The text of a scalar field or of its default; nothing where it has neither.
std::optional<std::string> Written(const Field& field, const Node* node) {
  if (node) return node->text;
  if (field.default_value) return Unquote(*field.default_value);
  return std::nullopt;
}

template <typename T>
T Parsed(const Field& field, const Node* node, Result<T> (*parse)(std::string_view), T absent) {
  auto written = Written(field, node);
  if (!written) return absent;
  auto value = parse(*written);
  if (!value) Bug("has a value that its shape does not allow: " + value.error().message, field.name);
  return *std::move(value);
}

void Expect(const Field& field, std::initializer_list<Kind> kinds) {
  if (!Is(field.shape, kinds)) Bug("is read as a type that it does not have", field.name);
}

}  // namespace

const Field& Options::FieldNamed(std::string_view name) const {
  if (shape_->kind == Kind::kObject) {
    auto found = std::ranges::find(shape_->fields, name, &Field::name);
    if (found != shape_->fields.end()) return *found;
  }
  for (const Shape& option : shape_->options) {
    auto found = std::ranges::find(option.fields, name, &Field::name);
    if (found != option.fields.end()) return *found;
  }
  Bug("is not in its shape", name);
}

const Node* Options::Raw(std::string_view field) const {
  FieldNamed(field);
  return node_->Find(field);
}

bool Options::Has(std::string_view field) const { return Raw(field) != nullptr; }

Place Options::PlaceOf(std::string_view field) const {
  const Node* node = Raw(field);
  return node ? node->place : node_->place;
}

std::string Options::Text(std::string_view name) const {
  const Field& field = FieldNamed(name);
  Expect(field, {Kind::kText, Kind::kPath, Kind::kColumn, Kind::kName, Kind::kChoice, Kind::kCharacter});
  std::string text = Written(field, Raw(name)).value_or("");
  return Is(field.shape, {Kind::kCharacter}) ? Character(text) : text;
}

int64_t Options::Integer(std::string_view name) const {
  const Field& field = FieldNamed(name);
  Expect(field, {Kind::kInteger});
  return Parsed<int64_t>(field, Raw(name), ParseInteger, 0);
}

double Options::Number(std::string_view name) const {
  const Field& field = FieldNamed(name);
  Expect(field, {Kind::kNumber, Kind::kInteger});
  return Parsed<double>(field, Raw(name), ParseNumber, 0);
}

bool Options::Boolean(std::string_view name) const {
  const Field& field = FieldNamed(name);
  Expect(field, {Kind::kBoolean});
  return Parsed<bool>(field, Raw(name), ParseBoolean, false);
}

int64_t Options::Size(std::string_view name) const {
  const Field& field = FieldNamed(name);
  Expect(field, {Kind::kSize});
  return Parsed<int64_t>(field, Raw(name), ParseSize, 0);
}

RejectLimit Options::Share(std::string_view name) const {
  const Field& field = FieldNamed(name);
  Expect(field, {Kind::kShare});
  return Parsed<RejectLimit>(field, Raw(name), ParseRejectLimit, {});
}

Expression Options::Sql(std::string_view name) const {
  const Field& field = FieldNamed(name);
  Expect(field, {Kind::kExpression, Kind::kOrder, Kind::kSql, Kind::kServerSql});
  if (const Node* node = Raw(name)) return ToExpression(*node);
  return ToExpression(Node::Scalar(field.default_value.value_or("")));
}

std::vector<std::string> Options::Texts(std::string_view name) const {
  const Field& field = FieldNamed(name);
  Expect(field, {Kind::kList});
  if (const Node* node = Raw(name)) return ToTexts(*node);
  return field.default_value ? DefaultTexts(*field.default_value) : std::vector<std::string>{};
}

std::vector<std::pair<std::string, std::string>> Options::TextMap(std::string_view name) const {
  Expect(FieldNamed(name), {Kind::kMap});
  std::vector<std::pair<std::string, std::string>> texts;
  if (const Node* node = Raw(name)) {
    for (const auto& [key, value] : node->entries) texts.emplace_back(key.name, value.text);
  }
  return texts;
}

std::vector<std::pair<std::string, TypeName>> Options::Types(std::string_view name) const {
  Expect(FieldNamed(name), {Kind::kMap});
  std::vector<std::pair<std::string, TypeName>> types;
  if (const Node* node = Raw(name)) {
    for (const auto& [key, value] : node->entries) types.emplace_back(key.name, ToType(value));
  }
  return types;
}

Options Options::Object(std::string_view name) const {
  const Field& field = FieldNamed(name);
  Expect(field, {Kind::kObject});
  static const Node kAbsent = [] {
    Node node;
    node.kind = Node::Kind::kMap;
    return node;
  }();
  const Shape* shape = &field.shape;
  for (const Shape& option : field.shape.options) {
    if (option.kind == Kind::kObject) shape = &option;
  }
  const Node* node = Raw(name);
  return Options(shape, node ? node : &kAbsent);
}

Expression ToExpression(const Node& scalar) { return {scalar.text, scalar}; }

TypeName ToType(const Node& node) {
  if (node.is_map() && !node.entries.empty()) {
    const auto& [type, format] = node.entries.front();
    return {type.name, format.text, node.place};
  }
  return {node.text, "", node.place};
}

std::vector<std::string> ToTexts(const Node& list_or_scalar) {
  if (list_or_scalar.is_scalar()) return {list_or_scalar.text};
  std::vector<std::string> texts;
  for (const Node& item : list_or_scalar.items) texts.push_back(item.text);
  return texts;
}

}  // namespace tranche
