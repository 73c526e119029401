#include "tranche/connector/sql_text.h"

#include <algorithm>

namespace tranche {

namespace {

std::string Quote(std::string_view text, char quote) {
  std::string quoted(1, quote);
  for (char c : text) {
    if (c == quote) quoted += quote;
    quoted += c;
  }
  quoted += quote;
  return quoted;
}

}  // namespace

SqlText& SqlText::operator<<(std::string_view ours) {
  text_ += ours;
  return *this;
}

SqlText& SqlText::operator<<(const SqlText& other) {
  size_t start = text_.size();
  size_t count = other.pieces_.size();  // `other` may be this text itself
  text_ += std::string(other.text_);
  for (size_t i = 0; i < count; ++i) {
    Piece piece = other.pieces_[i];
    pieces_.push_back({start + piece.from, start + piece.to, std::move(piece.users)});
  }
  return *this;
}

SqlText& SqlText::operator<<(const Expression& users) {
  size_t start = text_.size();
  text_ += users.text;
  pieces_.push_back({start, text_.size(), std::make_shared<const Expression>(users)});
  return *this;
}

std::optional<Place> SqlText::At(size_t offset) const {
  auto after = std::ranges::upper_bound(pieces_, offset, {}, &Piece::from);
  if (after == pieces_.begin()) return std::nullopt;
  const Piece& piece = *std::prev(after);
  // Behind the user's words, an engine usually means where they ended.
  return piece.users->source.At(std::min(offset, piece.to) - piece.from);
}

std::string QuoteName(std::string_view name) { return Quote(name, '"'); }
std::string QuoteText(std::string_view text) { return Quote(text, '\''); }

}  // namespace tranche
