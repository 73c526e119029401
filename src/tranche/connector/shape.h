// Shape: the type of a value in a job file. One Shape drives parsing, validation, `tranche docs`, the
// reference and the JSON Schema of a component.
//
//   Shape::Object({
//       {"path", Shape::Path(), "File, folder or pattern.", Field::kRequired},
//       {"delimiter", Shape::Character(), "What separates the fields.", "comma"},
//       {"types", Shape::Map(Shape::Column(), Shape::Type()), "Types of columns that must not be guessed."},
//   })
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tranche {

struct Field;

struct Shape {
  enum class Kind {
    kText,        // any text; ${…} is put in
    kPath,        // text; relative to the job file
    kColumn,      // a column's name, as it is
    kName,        // [a-z_][a-z0-9_]*: names an input, a store, a rule
    kExpression,  // scalar SQL; ${…} is bound
    kOrder,       // an expression, optionally with asc|desc and nulls first|last
    kSql,         // a SELECT; ${…} is bound
    kServerSql,   // a SELECT in the SQL of a server, which alone can judge it; ${…} is put in as literals
    kType,        // an SQL type name, or {timestamp: "%d.%m.%Y"}
    kInteger,
    kNumber,
    kBoolean,
    kSize,
    kDuration,
    kShare,      // N | P%
    kCharacter,  // comma semicolon tab pipe space, or one character
    kChoice,     // one of `choices`
    kList,       // of `item`; where `lone` is set, a single item may stand without brackets
    kMap,        // of names (shape `key`) to `item`
    kObject,     // of `fields`
    kOneOf,      // the first of `options` whose YAML kind fits (a kChoice fits only its words)
  };

  Kind kind = Kind::kText;
  std::vector<std::string> choices;
  std::shared_ptr<Shape> key;
  std::shared_ptr<Shape> item;
  std::vector<Field> fields;
  std::vector<Shape> options;
  bool lone = false;
  std::optional<double> least;  // of kInteger and kNumber

  // Out of line: what the vectors hold is not complete here.
  Shape();
  Shape(const Shape&);
  Shape(Shape&&) noexcept;
  Shape& operator=(const Shape&);
  Shape& operator=(Shape&&) noexcept;
  ~Shape();

  static Shape Of(Kind kind) {
    Shape shape;
    shape.kind = kind;
    return shape;
  }
  static Shape Text() { return Of(Kind::kText); }
  static Shape Path() { return Of(Kind::kPath); }
  static Shape Column() { return Of(Kind::kColumn); }
  static Shape Name() { return Of(Kind::kName); }
  static Shape Expression() { return Of(Kind::kExpression); }
  static Shape Order() { return Of(Kind::kOrder); }
  static Shape Sql() { return Of(Kind::kSql); }
  static Shape ServerSql() { return Of(Kind::kServerSql); }
  static Shape Type() { return Of(Kind::kType); }
  static Shape Integer(double least = 0) {
    Shape shape = Of(Kind::kInteger);
    shape.least = least;
    return shape;
  }
  static Shape Number() { return Of(Kind::kNumber); }
  static Shape Boolean() { return Of(Kind::kBoolean); }
  static Shape Size() { return Of(Kind::kSize); }
  static Shape Duration() { return Of(Kind::kDuration); }
  static Shape Share() { return Of(Kind::kShare); }
  static Shape Character() { return Of(Kind::kCharacter); }
  static Shape Choice(std::vector<std::string> words);
  static Shape List(Shape item);
  static Shape ListOrOne(Shape item);
  static Shape Map(Shape key, Shape item);
  static Shape Object(std::vector<Field> fields);
  static Shape OneOf(std::vector<Shape> options);
};

struct Field {
  struct Required {};
  static constexpr Required kRequired{};

  std::string name;
  Shape shape;
  std::string doc;                           // one or two sentences
  std::optional<std::string> default_value;  // as written in YAML; the accessors of Options give it
  bool required = false;

  Field(std::string name, Shape shape, std::string doc)
      : name(std::move(name)), shape(std::move(shape)), doc(std::move(doc)) {}
  Field(std::string name, Shape shape, std::string doc, std::string default_value)
      : name(std::move(name)),
        shape(std::move(shape)),
        doc(std::move(doc)),
        default_value(std::move(default_value)) {}
  Field(std::string name, Shape shape, std::string doc, Required)
      : name(std::move(name)), shape(std::move(shape)), doc(std::move(doc)), required(true) {}
};

}  // namespace tranche
