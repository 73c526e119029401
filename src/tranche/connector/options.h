// The options of one component, as its factory reads them: already checked against its Shape, ${…} put in,
// relative paths made absolute. An accessor for an absent field gives the Field's default; asking for a field
// that the Shape does not have, or for the wrong type, is our bug and aborts.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tranche/base/clock.h"
#include "tranche/base/units.h"
#include "tranche/connector/node.h"
#include "tranche/connector/shape.h"

namespace tranche {

// SQL that a user wrote, with the place of each character of it.
struct Expression {
  std::string text;  // ${…} replaced by $name, padded so that offsets stay those of the file
  Node source;       // for Place At(offset)
};

// "decimal(12,2)", or {timestamp: "%d.%m.%Y"}
struct TypeName {
  std::string type;
  std::string format;  // strptime; may be empty
  Place place;
};

class Options {
 public:
  Options(const Shape* shape, const Node* node) : shape_(shape), node_(node) {}

  bool Has(std::string_view field) const;
  std::string Text(
      std::string_view field) const;  // also kPath, kColumn, kName, kChoice, kCharacter (the character)
  int64_t Integer(std::string_view field) const;
  double Number(std::string_view field) const;
  bool Boolean(std::string_view field) const;
  int64_t Size(std::string_view field) const;
  RejectLimit Share(std::string_view field) const;
  Expression Sql(std::string_view field) const;                  // kExpression, kOrder, kSql
  std::vector<std::string> Texts(std::string_view field) const;  // a list
  std::vector<std::pair<std::string, std::string>> TextMap(std::string_view field) const;  // a map, in order
  std::vector<std::pair<std::string, TypeName>> Types(std::string_view field) const;
  Options Object(std::string_view field) const;  // a nested object; absent = all defaults

  // The value as it stands (for shapes with several forms), or null.
  const Node* Raw(std::string_view field) const;
  const Node& node() const { return *node_; }  // the whole value
  Place place() const { return node_->place; }
  Place PlaceOf(std::string_view field) const;  // of the field's value, or of the component

 private:
  const Field& FieldNamed(std::string_view name) const;
  const Shape* shape_;
  const Node* node_;
};

// For values that are not fields of an object.
Expression ToExpression(const Node& scalar);
TypeName ToType(const Node& node);
std::vector<std::string> ToTexts(const Node& list_or_scalar);

}  // namespace tranche
