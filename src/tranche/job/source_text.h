// The text of a YAML file and where its scalars stand in it: yaml-cpp tells where a scalar begins, but an
// error inside an expression must point at its character, behind escapes, folded lines and the indentation of
// a block.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tranche/base/result.h"
#include "tranche/connector/node.h"

namespace tranche {

class SourceText {
 public:
  // Refuses what is not UTF-8 and control characters; takes a byte order mark away and makes all line ends
  // \n.
  static Result<SourceText> Make(std::string text, std::string file);

  const std::string& text() const { return text_; }
  const std::string& file() const { return file_; }
  size_t lines() const { return starts_.size(); }
  std::string_view Line(size_t number) const;  // from 1, without its end
  size_t OffsetOfLine(size_t number) const { return starts_[number - 1]; }
  Place At(size_t offset) const;  // columns count characters

  struct Scalar {
    Node node;
    size_t end = 0;      // offset behind its last character (its closing quote)
    bool closed = true;  // false: a quote that nothing closes
  };
  // The scalar that begins at `offset` (perhaps with an anchor) and whose value is `value`.
  Scalar Locate(size_t offset, const std::string& value) const;

 private:
  struct Walk;
  std::string text_;
  std::string file_;
  std::vector<size_t> starts_;         // of the lines
  std::vector<size_t> continuations_;  // bytes that are not the first of their character
};

}  // namespace tranche
