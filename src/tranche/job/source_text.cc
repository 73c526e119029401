#include "tranche/job/source_text.h"

#include <algorithm>
#include <utility>

namespace tranche {
namespace {

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }
bool IsBlank(char c) { return c == ' ' || c == '\t'; }

// Bytes of the well-formed UTF-8 character at `text[i]`; 0 if there is none.
size_t CharacterAt(std::string_view text, size_t i) {
  auto byte = [&](size_t k) { return static_cast<unsigned char>(text[i + k]); };
  unsigned char first = byte(0);
  size_t length = first < 0x80                    ? 1
                  : first >= 0xC2 && first < 0xE0 ? 2
                  : (first >> 4) == 0xE           ? 3
                  : first >= 0xF0 && first < 0xF5 ? 4
                                                  : 0;
  if (length == 0 || i + length > text.size()) return 0;
  for (size_t k = 1; k < length; ++k) {
    if (!IsContinuation(text[i + k])) return 0;
  }
  bool overlong = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xF0 && byte(1) < 0x90);
  bool outside = (first == 0xED && byte(1) >= 0xA0) || (first == 0xF4 && byte(1) >= 0x90);
  return overlong || outside ? 0 : length;
}

std::string WithPlainLineEnds(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  std::string plain;
  plain.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r') {
      plain += text[i];
    } else if (i + 1 == text.size() || text[i + 1] != '\n') {
      plain += '\n';
    }
  }
  return plain;
}

}  // namespace

Result<SourceText> SourceText::Make(std::string text, std::string file) {
  SourceText source;
  source.text_ = WithPlainLineEnds(text);
  source.file_ = std::move(file);
  source.starts_.push_back(0);
  for (size_t i = 0; i < source.text_.size(); ++i) {
    if (source.text_[i] == '\n') source.starts_.push_back(i + 1);
    if (IsContinuation(source.text_[i])) source.continuations_.push_back(i);
  }
  for (size_t i = 0; i < source.text_.size();) {
    size_t length = CharacterAt(source.text_, i);
    if (length == 0) {
      return Fail(Code::kJob, "not UTF-8").Hint("save the file as UTF-8").At(source.At(i));
    }
    char c = source.text_[i];
    if ((c >= 0 && c < ' ' && c != '\n' && c != '\t') || c == 0x7F) {
      return Fail(Code::kJob, "a control character (0x{:02x})", static_cast<int>(c))
          .Hint("take it out, or write it as an escape in double quotes")
          .At(source.At(i));
    }
    i += length;
  }
  return source;
}

std::string_view SourceText::Line(size_t number) const {
  size_t from = starts_[number - 1];
  size_t to = number < starts_.size() ? starts_[number] - 1 : text_.size();
  return std::string_view(text_).substr(from, to - from);
}

Place SourceText::At(size_t offset) const {
  offset = std::min(offset, text_.size());
  auto line = std::upper_bound(starts_.begin(), starts_.end(), offset);
  size_t start = *(line - 1);
  auto bytes_before = [&](size_t end) {
    return std::ranges::lower_bound(continuations_, end) - continuations_.begin();
  };
  size_t hidden = bytes_before(offset) - bytes_before(start);
  return {file_, static_cast<int>(line - starts_.begin()), static_cast<int>(offset - start - hidden) + 1};
}

// Goes through the file (`at`) and the value (`i`) side by side.
struct SourceText::Walk {
  const SourceText& source;
  const std::string& value;
  size_t at;
  size_t i = 0;
  std::vector<Node::Turn> turns = {};

  char Here() const { return at < source.text_.size() ? source.text_[at] : '\0'; }
  char Next() const { return at + 1 < source.text_.size() ? source.text_[at + 1] : '\0'; }
  bool AtEnd() const { return at >= source.text_.size(); }

  void Turn() {
    Place place = source.At(at);
    if (!turns.empty() && turns.back().offset == i) turns.pop_back();
    turns.push_back({i, place.line, place.column});
  }

  // A line end within a flow scalar: one becomes a space, n become n - 1 line ends.
  bool Fold() {
    size_t end = at;
    while (end < source.text_.size() && IsBlank(source.text_[end])) ++end;
    if (end >= source.text_.size() || source.text_[end] != '\n') return false;
    size_t breaks = 0;
    for (; end < source.text_.size() && (IsBlank(source.text_[end]) || source.text_[end] == '\n'); ++end) {
      if (source.text_[end] == '\n') ++breaks;
    }
    i += breaks == 1 ? 1 : breaks - 1;
    at = end;
    Turn();
    return true;
  }

  void Step() {
    ++at;
    ++i;
  }

  void Plain() {
    while (i < value.size() && !AtEnd()) {
      if (!Fold()) Step();
    }
  }

  bool SingleQuoted() {
    ++at;
    Turn();
    while (!AtEnd()) {
      if (Here() == '\'') {
        if (Next() != '\'') return ++at, true;
        at += 2;
        ++i;
        Turn();
      } else if (!Fold()) {
        Step();
      }
    }
    return false;
  }

  void Escape() {
    char kind = Next();
    at += 2;
    if (kind == '\n') {
      while (IsBlank(Here())) ++at;
    } else {
      at += kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;
      ++i;
      while (i < value.size() && IsContinuation(value[i])) ++i;
    }
    Turn();
  }

  bool DoubleQuoted() {
    ++at;
    Turn();
    while (!AtEnd()) {
      if (Here() == '"') return ++at, true;
      if (Here() == '\\') {
        Escape();
      } else if (!Fold()) {
        Step();
      }
    }
    return false;
  }

  // Each line of a block stands in the value as it is behind its indentation; between them are spaces or line
  // ends.
  void Block() {
    for (size_t line = source.At(at).line + 1; line <= source.lines() && i < value.size(); ++line) {
      std::string_view text = source.Line(line);
      size_t blanks = std::min(text.find_first_not_of(' '), text.size());
      if (blanks == text.size()) continue;
      while (i < value.size() && !Matches(text, blanks) && (value[i] == ' ' || value[i] == '\n')) ++i;
      size_t indent = 0;
      while (indent <= blanks && value.compare(i, text.size() - indent, text.substr(indent)) != 0) ++indent;
      if (indent > blanks) return;
      at = source.OffsetOfLine(line) + indent;
      Turn();
      i += text.size() - indent;
      at = source.OffsetOfLine(line) + text.size();
    }
  }
  bool Matches(std::string_view text, size_t blanks) const {
    return value.compare(i, text.size() - blanks, text.substr(blanks)) == 0;
  }
};

SourceText::Scalar SourceText::Locate(size_t offset, const std::string& value) const {
  Walk walk{*this, value, offset};
  while (walk.Here() == '&' || walk.Here() == '!') {  // an anchor or a tag stands before the scalar
    while (!walk.AtEnd() && !IsBlank(walk.Here()) && walk.Here() != '\n') ++walk.at;
    while (IsBlank(walk.Here()) || walk.Here() == '\n') ++walk.at;
  }
  Scalar scalar;
  Node& node = scalar.node;
  node.text = value;
  node.place = At(walk.at);
  switch (walk.Here()) {
    case '\'':
      node.style = Node::Style::kQuoted;
      scalar.closed = walk.SingleQuoted();
      break;
    case '"':
      node.style = Node::Style::kQuoted;
      scalar.closed = walk.DoubleQuoted();
      break;
    case '|':
    case '>':
      node.style = Node::Style::kBlock;
      walk.Block();
      if (!walk.turns.empty()) node.place = {file_, walk.turns[0].line, walk.turns[0].column};
      break;
    default:
      walk.Plain();
  }
  node.turns = std::move(walk.turns);
  scalar.end = walk.at;
  return scalar;
}

}  // namespace tranche
