#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace tranche {

// Knows at each character of an SQL text whether it is within quotes or a comment: where a value may be
// bound.
class SqlState {
 public:
  explicit SqlState(std::string_view text) : text_(text) {}
  enum class In { kCode, kText, kName, kLineComment, kBlockComment };
  In in() const { return in_; }

  // Takes the character at `i`; says where the next begins.
  size_t Step(size_t i) {
    char c = text_[i];
    char next = i + 1 < text_.size() ? text_[i + 1] : '\0';
    switch (in_) {
      case In::kCode:
        if (c == '\'') {
          in_ = In::kText;
          escapes_ =
              i > 0 && (text_[i - 1] == 'e' || text_[i - 1] == 'E') && (i == 1 || !IsWord(text_[i - 2]));
        } else if (c == '"') {
          in_ = In::kName;
        } else if (c == '-' && next == '-') {
          in_ = In::kLineComment;
        } else if (c == '/' && next == '*') {
          in_ = In::kBlockComment;
          return i + 2;
        }
        return i + 1;
      case In::kText:
        if (c == '\\' && escapes_) return i + 2;
        if (c == '\'' && next == '\'') return i + 2;
        if (c == '\'') in_ = In::kCode;
        return i + 1;
      case In::kName:
        if (c == '"') in_ = In::kCode;
        return i + 1;
      case In::kLineComment:
        if (c == '\n') in_ = In::kCode;
        return i + 1;
      case In::kBlockComment:
        if (c == '*' && next == '/') {
          in_ = In::kCode;
          return i + 2;
        }
        return i + 1;
    }
    return i + 1;
  }

  static bool IsWord(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  }

 private:
  std::string_view text_;
  In in_ = In::kCode;
  bool escapes_ = false;
};

// `text` with `value` of each $name of its code (not within quotes or comments) in the place of it; where
// there is none, it stays.
std::string ReplaceParameters(std::string_view text,
                              const std::function<std::optional<std::string>(std::string_view name)>& value);

}  // namespace tranche
