#include "tranche/connector/shape.h"

#include <utility>

namespace tranche {

Shape::Shape() = default;
Shape::Shape(const Shape&) = default;
Shape::Shape(Shape&&) noexcept = default;
Shape& Shape::operator=(const Shape&) = default;
Shape& Shape::operator=(Shape&&) noexcept = default;
Shape::~Shape() = default;

Shape Shape::Choice(std::vector<std::string> words) {
  Shape shape = Of(Kind::kChoice);
  shape.choices = std::move(words);
  return shape;
}

Shape Shape::List(Shape item) {
  Shape shape = Of(Kind::kList);
  shape.item = std::make_shared<Shape>(std::move(item));
  return shape;
}

Shape Shape::ListOrOne(Shape item) {
  Shape shape = List(std::move(item));
  shape.lone = true;
  return shape;
}

Shape Shape::Map(Shape key, Shape item) {
  Shape shape = Of(Kind::kMap);
  shape.key = std::make_shared<Shape>(std::move(key));
  shape.item = std::make_shared<Shape>(std::move(item));
  return shape;
}

Shape Shape::Object(std::vector<Field> fields) {
  Shape shape = Of(Kind::kObject);
  shape.fields = std::move(fields);
  return shape;
}

Shape Shape::OneOf(std::vector<Shape> options) {
  Shape shape = Of(Kind::kOneOf);
  shape.options = std::move(options);
  return shape;
}

}  // namespace tranche
