#include "tranche/job/yaml_hints.h"

#include <string_view>

namespace tranche {
namespace {

constexpr std::string_view kSpecial = "*&!|>@%`{}[],#-?:'\"";

// The value that begins at `offset`, as far as its line goes.
std::string_view RestOfLine(const SourceText& source, size_t offset) {
  std::string_view rest = std::string_view(source.text()).substr(std::min(offset, source.text().size()));
  rest = rest.substr(0, rest.find('\n'));
  size_t comment = rest.find(" #");
  rest = rest.substr(0, comment);
  while (!rest.empty() && rest.back() == ' ') rest.remove_suffix(1);
  return rest;
}

// Offset of the value behind the last "key: " or "- " before `offset` in its line.
size_t ValueBefore(const SourceText& source, size_t offset) {
  Place place = source.At(offset);
  size_t start = source.OffsetOfLine(place.line);
  std::string_view before = std::string_view(source.text()).substr(start, offset - start);
  size_t colon = before.find(": ");
  size_t dash = before.find_first_not_of(' ');
  size_t from = 0;
  if (colon != std::string_view::npos) {
    from = colon + 2;
  } else if (dash != std::string_view::npos && before.substr(dash).starts_with("- ")) {
    from = dash + 2;
  }
  while (from < before.size() && before[from] == ' ') ++from;
  return start + from;
}

Error BeginsWith(const SourceText& source, size_t offset) {
  std::string_view rest = RestOfLine(source, offset);
  size_t end = source.text().rfind('[', offset) != std::string::npos ? rest.find_first_of(",]}")
                                                                     : std::string_view::npos;
  rest = rest.substr(0, end == 0 ? 1 : end);
  std::string word = rest.size() > 40 ? std::string(rest.substr(0, 40)) + "…" : std::string(rest);
  return Fail(Code::kJob, "a value cannot begin with '{}' in YAML", rest.substr(0, 1))
      .Hint(rest.find('"') == std::string_view::npos ? fmt::format("put it in quotes: \"{}\"", word)
                                                     : "put it in single quotes")
      .At(source.At(offset));
}

bool HasLeadingTab(std::string_view line) {
  return line.substr(0, line.find_first_not_of(" \t")).find('\t') != std::string_view::npos;
}

Error Unbalanced(const SourceText& source, size_t offset, std::string_view bracket) {
  const std::string& text = source.text();
  if (offset > 0 && offset < text.size() && text[offset] == '{' && text[offset - 1] == '$') {
    return Fail(Code::kJob, "${{…}} inside {{ }} or [ ] is not text in YAML")
        .Hint("put it in quotes: \"" +
              std::string(
                  RestOfLine(source, offset - 1).substr(0, RestOfLine(source, offset - 1).find('}') + 1)) +
              "\"")
        .At(source.At(offset - 1));
  }
  return Fail(Code::kJob, "a '{}' is not closed before this", bracket)
      .Hint("close it, or put the value in quotes if the bracket is part of it")
      .At(source.At(offset));
}

Error BehindAQuote(const SourceText& source, size_t value) {
  return Fail(Code::kJob, "text goes on behind a closing quote")
      .Hint("put the whole value in the other kind of quotes, or below the key after '|'")
      .At(source.At(value));
}

}  // namespace

Error ExplainYamlError(const SourceText& source, size_t offset, const std::string& message) {
  offset = std::min(offset, source.text().size());
  auto says = [&](std::string_view words) { return message.find(words) != std::string::npos; };
  Place place = source.At(offset);
  char here = offset < source.text().size() ? source.text()[offset] : '\0';
  size_t value = ValueBefore(source, offset);
  char begins = value < source.text().size() ? source.text()[value] : '\0';

  if (HasLeadingTab(source.Line(place.line)) || says("tab")) {
    return Fail(Code::kJob, "a tab in the indentation")
        .Hint("indent with spaces")
        .At({place.file, place.line, 1});
  }
  if (says("bad file")) return Fail(Code::kJob, "nested too deeply").At(place);
  if (says("unknown escape") || says("hex number") || says("invalid unicode")) {
    return Fail(Code::kJob, "in double quotes a backslash begins an escape, and this is none: \\{}",
                offset > 0 ? source.text()[offset - 1] : ' ')
        .Hint("use single quotes: there a backslash is a backslash")
        .At(source.At(source.text().rfind('\\', offset)));
  }
  if (says("alias not found") || says("anchor not found"))
    return BeginsWith(source, offset > 0 ? offset - 1 : 0);
  if (says("anchor is not defined") || says("unknown token") || says("block entry") || says("in alias") ||
      says("in anchor")) {
    return BeginsWith(source, offset);
  }
  if (says("illegal map value") || says("illegal map key")) {
    return Fail(Code::kJob, "a ': ' inside a value")
        .Hint("put the whole value in quotes, or below the key after '|'")
        .At(place);
  }
  if (says("in block scalar"))
    return begins == '"' || begins == '\'' ? BehindAQuote(source, value) : BeginsWith(source, value);
  if (says("map flow")) return Unbalanced(source, offset, "{");
  if (says("sequence flow")) return Unbalanced(source, offset, "[");
  if (says("flow end")) return BeginsWith(source, offset);
  if (says("end of map") || says("end of sequence")) {
    if (value < offset && (begins == '"' || begins == '\'')) return BehindAQuote(source, value);
    if (value == offset && kSpecial.find(here) != std::string_view::npos &&
        offset > source.OffsetOfLine(place.line) &&
        source.Line(place.line).find_first_not_of(' ') + source.OffsetOfLine(place.line) != offset) {
      return BeginsWith(source, offset);
    }
    return Fail(Code::kJob, "this line does not fit the lines above it")
        .Hint("keys of one map begin in the same column; what belongs below a key is indented more")
        .At(place);
  }
  return Fail(Code::kJob, "not YAML: {}", message).At(place);
}

}  // namespace tranche
