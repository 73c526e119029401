// SQL that is put together from our words and the user's, knowing which is which: an engine's error at an
// offset of the text becomes an error at a place of the job file.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tranche/connector/options.h"

namespace tranche {

class SqlText {
 public:
  SqlText() = default;
  SqlText(std::string_view ours) : text_(ours) {}
  SqlText(const char* ours) : text_(ours) {}
  SqlText(std::string ours) : text_(std::move(ours)) {}

  SqlText& operator<<(std::string_view ours);
  SqlText& operator<<(const char* ours) { return *this << std::string_view(ours); }
  SqlText& operator<<(const std::string& ours) { return *this << std::string_view(ours); }
  SqlText& operator<<(const SqlText& other);
  SqlText& operator<<(const Expression& users);

  const std::string& text() const { return text_; }
  // The place of a character, if it is within something that the user wrote; else of the nearest piece of the
  // user's before it; else nothing.
  std::optional<Place> At(size_t offset) const;

 private:
  struct Piece {
    size_t from;
    size_t to;
    std::shared_ptr<const Expression> users;
  };
  std::string text_;
  std::vector<Piece> pieces_;
};

// "a""b"
std::string QuoteName(std::string_view name);
// 'a''b'
std::string QuoteText(std::string_view text);

}  // namespace tranche
