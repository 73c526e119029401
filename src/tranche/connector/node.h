// A value of the job file with its place: what YAML gives, before a Spec gives it a type.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tranche/base/result.h"

namespace tranche {

struct Node {
  // From this character of `text` on, the file reads as the text does, up to the next turn.
  struct Turn {
    size_t offset;
    int line;
    int column;
  };
  enum class Kind { kScalar, kList, kMap };
  enum class Style { kPlain, kQuoted, kBlock };  // of a scalar; kBlock = | or >
  struct Key {
    std::string name;
    Place place;
  };

  Kind kind = Kind::kScalar;
  Style style = Style::kPlain;
  Place place;              // of its first character (of the content, for a block scalar)
  std::string text;         // kScalar: verbatim
  std::vector<Turn> turns;  // of a scalar with escapes or several lines; by offset
  std::string masked;       // set where `text` holds a secret or the run's id: what to compare and show
  std::vector<Node> items;  // kList
  std::vector<std::pair<Key, Node>> entries;  // kMap, in the order of the file

  // Out of line: what the vectors hold is not complete here.
  Node();
  Node(const Node&);
  Node(Node&&) noexcept;
  Node& operator=(const Node&);
  Node& operator=(Node&&) noexcept;
  ~Node();

  bool is_scalar() const { return kind == Kind::kScalar; }
  bool is_list() const { return kind == Kind::kList; }
  bool is_map() const { return kind == Kind::kMap; }
  const Node* Find(std::string_view key) const;  // null where absent

  // The place of a scalar's character: an error inside an expression points there.
  Place At(size_t offset) const;

  // What may be shown, logged and compared between runs.
  const std::string& shown() const { return masked.empty() ? text : masked; }

  static Node Scalar(std::string text, Place place = {});
};

}  // namespace tranche
