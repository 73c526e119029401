#include "tranche/connector/node.h"

#include <algorithm>

namespace tranche {

Node::Node() = default;
Node::Node(const Node&) = default;
Node::Node(Node&&) noexcept = default;
Node& Node::operator=(const Node&) = default;
Node& Node::operator=(Node&&) noexcept = default;
Node::~Node() = default;

const Node* Node::Find(std::string_view key) const {
  for (const auto& [name, value] : entries) {
    if (name.name == key) return &value;
  }
  return nullptr;
}

Place Node::At(size_t offset) const {
  if (!place.known()) return place;
  offset = std::min(offset, text.size());
  Turn from{0, place.line, place.column};
  for (const Turn& turn : turns) {
    if (turn.offset <= offset) from = turn;
  }
  Place at{place.file, from.line, from.column};
  for (size_t i = from.offset; i < offset; ++i) {
    bool continues =
        (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80;  // columns count characters, not bytes
    if (!continues) ++at.column;
  }
  return at;
}

Node Node::Scalar(std::string text, Place place) {
  Node node;
  node.place = std::move(place);
  node.text = std::move(text);
  return node;
}

}  // namespace tranche
