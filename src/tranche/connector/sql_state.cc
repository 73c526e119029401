#include "tranche/connector/sql_state.h"

namespace tranche {

std::string ReplaceParameters(std::string_view text,
                              const std::function<std::optional<std::string>(std::string_view name)>& value) {
  std::string replaced;
  SqlState state(text);
  for (size_t i = 0; i < text.size();) {
    if (text[i] == '$' && state.in() == SqlState::In::kCode) {
      size_t end = i + 1;
      while (end < text.size() && SqlState::IsWord(text[end])) ++end;
      if (const auto found = value(text.substr(i + 1, end - i - 1))) {
        replaced += *found;
        i = end;
        continue;
      }
    }
    const size_t next = state.Step(i);
    replaced += text.substr(i, next - i);
    i = next;
  }
  return replaced;
}

}  // namespace tranche
