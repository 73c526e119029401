// Rewrites a scalar piece by piece, and keeps the place of every character: an error in what comes out points
// at what stands in the file.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "tranche/connector/node.h"

namespace tranche {

class Rewrite {
 public:
  explicit Rewrite(const Node& from) : from_(from), line_(from.place.line), column_(from.place.column) {}

  // All pieces in order: [done, to) as it stands, or replaced by `text` (in `shown` by another).
  void Copy(size_t to) {
    bool first = true;
    while (done_ < to) {
      if (first || TurnsHere()) Turn();
      first = false;
      text_ += from_.text[done_];
      shown_ += from_.text[done_];
      Step();
    }
  }
  void Replace(size_t to, std::string_view text, std::string_view shown) {
    TurnsHere();
    Turn();
    text_ += text;
    shown_ += shown;
    while (done_ < to) {
      TurnsHere();
      Step();
    }
  }

  Place Here() {
    TurnsHere();
    return {from_.place.file, line_, column_};
  }

  // `shown` is kept only where it says something else than the text.
  Node Finish() && {
    Node node = from_;
    node.turns = std::move(turns_);
    node.masked = shown_ == text_ ? std::string() : std::move(shown_);
    node.text = std::move(text_);
    return node;
  }

 private:
  // Takes the turns of the file up to here; true if there is one.
  bool TurnsHere() {
    bool any = false;
    for (; turn_ < from_.turns.size() && from_.turns[turn_].offset <= done_; ++turn_) {
      line_ = from_.turns[turn_].line;
      column_ = from_.turns[turn_].column;
      any = true;
    }
    return any;
  }
  void Turn() {
    TurnsHere();
    turns_.push_back({text_.size(), line_, column_});
  }
  void Step() {
    ++done_;
    bool continues =
        done_ < from_.text.size() && (static_cast<unsigned char>(from_.text[done_]) & 0xC0) == 0x80;
    if (!continues) ++column_;
  }

  const Node& from_;
  size_t done_ = 0;
  size_t turn_ = 0;
  int line_;
  int column_;
  std::string text_;
  std::string shown_;
  std::vector<Node::Turn> turns_;
};

}  // namespace tranche
