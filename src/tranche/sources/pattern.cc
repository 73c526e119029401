#include "tranche/sources/pattern.h"

#include <algorithm>

namespace tranche {
namespace {

// The end of a class: `at` is after its "[".
size_t EndOfClass(std::string_view text, size_t at) {
  if (at < text.size() && text[at] == '^') ++at;
  if (at < text.size() && text[at] == ']') ++at;  // a first ] is one of its characters
  while (at < text.size() && text[at] != ']') {
    if (text[at] == '\\') ++at;
    if (text.substr(at).starts_with("[:")) at = std::min(text.find(":]", at), text.size() - 1) + 1;
    ++at;
  }
  return std::min(at + 1, text.size());
}

}  // namespace

Result<Pattern> ParsePattern(std::string_view text) {
  Pattern pattern;
  for (size_t at = 0; at < text.size();) {
    const size_t start = at;
    const std::string_view rest = text.substr(at);
    if (rest.starts_with("\\Q")) {
      at = std::min(text.find("\\E", at), text.size());
    } else if (text[at] == '\\') {
      at = std::min(at + 2, text.size());
    } else if (text[at] == '[') {
      at = EndOfClass(text, at + 1);
    } else if (rest.starts_with("(?P<") ||
               (rest.starts_with("(?<") && !rest.starts_with("(?<=") && !rest.starts_with("(?<!"))) {
      const size_t name = text.find('<', at) + 1;
      const size_t end = std::min(text.find('>', name), text.size());
      const std::string group(text.substr(name, end - name));
      if (std::ranges::find(pattern.groups, group) != pattern.groups.end()) {
        return Fail(Code::kJob, "group '{}' is twice in the pattern", group);
      }
      pattern.groups.push_back(group);
      pattern.text += "(?P<" + group;
      at = end;
      continue;
    } else {
      if (text[at] == '(' && !rest.starts_with("(?")) pattern.groups.emplace_back();
      ++at;
    }
    pattern.text += text.substr(start, at - start);
  }
  const bool named =
      std::ranges::any_of(pattern.groups, [](const std::string& group) { return !group.empty(); });
  if (!named) {
    return Fail(Code::kJob, "the pattern has no named group")
        .Hint("write (?<name>…) around what is to be a column");
  }
  return pattern;
}

}  // namespace tranche
