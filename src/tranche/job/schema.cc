// The JSON Schema of a job file, from the same shapes that check it: editors complete and underline by it.
#include <nlohmann/json.hpp>

#include "tranche/job/describe.h"
#include "tranche/job/shapes.h"

namespace tranche {
namespace {

using Json = nlohmann::json;
using Kind = Shape::Kind;

constexpr const char* kValue = R"(\$\{[^}]+\})";  // ${…} stands for a value of any type

Json Ref(const std::string& name) { return {{"$ref", "#/$defs/" + name}}; }
Json Described(Json schema, const std::string& words) {
  schema["description"] = words;
  return schema;
}
Json Text() {
  return {{"type", {"string", "number", "boolean"}}};
}  // what an editor takes a plain scalar for
Json Pattern(const std::string& pattern) {
  return {{"type", "string"}, {"pattern", "^(" + pattern + "|.*" + kValue + ".*)$"}};
}
Json OrValue(Json schema) {
  return {{"anyOf", {std::move(schema), {{"type", "string"}, {"pattern", kValue}}}}};
}

Json SchemaOf(const Shape& shape);

Json ObjectOf(const std::vector<Field>& fields) {
  Json properties = Json::object();
  Json required = Json::array();
  for (const Field& field : fields) {
    Json schema = Described(SchemaOf(field.shape), field.doc);
    if (field.default_value) schema["default"] = *field.default_value;
    properties[field.name] = std::move(schema);
    if (field.required) required.push_back(field.name);
  }
  Json schema = {{"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}};
  if (!required.empty()) schema["required"] = std::move(required);
  return schema;
}

Json MapOf(Json item) { return {{"type", "object"}, {"additionalProperties", std::move(item)}}; }
Json NamesTo(Json item) {
  Json schema = MapOf(std::move(item));
  schema["propertyNames"] = {{"pattern", "^[a-z_][a-z0-9_]*$"}};
  return schema;
}

Json SchemaOf(const Shape& shape) {
  switch (shape.kind) {
    case Kind::kText:
    case Kind::kPath:
    case Kind::kColumn:
    case Kind::kName:
    case Kind::kExpression:
    case Kind::kOrder:
    case Kind::kSql:
    case Kind::kServerSql:
      return Text();
    case Kind::kCharacter:
      return {{"type", {"string", "number"}}};
    case Kind::kType:
      return {{"anyOf", Json::array({{{"type", "string"}}, MapOf({{"type", "string"}})})}};
    case Kind::kInteger: {
      Json schema = {{"type", "integer"}};
      if (shape.least) schema["minimum"] = *shape.least;
      return OrValue(std::move(schema));
    }
    case Kind::kNumber:
      return OrValue({{"type", "number"}});
    case Kind::kBoolean:
      return OrValue({{"type", "boolean"}});
    case Kind::kSize:
      return Pattern(R"([0-9.]+ ?(B|kB|MB|GB|KiB|MiB|GiB))");
    case Kind::kDuration:
      return Pattern(R"(([0-9.]+(ms|s|m|h|d|w))+)");
    case Kind::kShare:
      return {{"anyOf", Json::array({{{"type", "integer"}, {"minimum", 0}}, Pattern(R"([0-9.]+%)")})}};
    case Kind::kChoice:
      return OrValue({{"enum", shape.choices}});
    case Kind::kList: {
      Json item = SchemaOf(*shape.item);
      Json list = {{"type", "array"}, {"items", item}};
      if (!shape.lone) return list;
      return {{"anyOf", Json::array({std::move(item), std::move(list)})}};
    }
    case Kind::kMap:
      return shape.key->kind == Kind::kName ? NamesTo(SchemaOf(*shape.item)) : MapOf(SchemaOf(*shape.item));
    case Kind::kObject:
      return ObjectOf(shape.fields);
    case Kind::kOneOf: {
      Json options = Json::array();
      for (const Shape& option : shape.options) options.push_back(SchemaOf(option));
      return {{"anyOf", std::move(options)}};
    }
  }
  return Json::object();
}

// A map with exactly one of the components' keys, and the common keys beside it.
template <typename Spec>
Json ComponentOf(const std::vector<Spec>& specs, const Json& beside) {
  Json properties = beside;
  Json one = Json::array();
  for (const Spec& spec : specs) {
    properties[spec.name] = Described(SchemaOf(spec.shape), spec.summary);
    one.push_back({{"required", Json::array({spec.name})}});
  }
  return {{"type", "object"},
          {"properties", std::move(properties)},
          {"additionalProperties", false},
          {"oneOf", std::move(one)}};
}

Json BodyProperties() {
  return {
      {"from", Described(Ref("from"), "The input that flows, or a list of inputs.")},
      {"prepare", Described(Ref("steps"), "Steps over all rows, in order.")},
      {"group", Described(SchemaOf(GroupShape()), "Which rows are processed together.")},
      {"process", Described(Ref("steps"), "Steps on each group.")},
      {"store", Described(Ref("stores"), "Where the rows go; every store gets every row.")},
      {"rejects", Described(Ref("rejects"), "How many refused rows are allowed: a number or a percentage.")}};
}

}  // namespace

std::string JsonSchema(const Registry& registry) {
  Json rejects = Ref("rejects");
  Json step = ComponentOf(registry.steps(), {{"rejects", rejects}});
  Json include = {{"type", "object"},
                  {"properties", {{"include", {{"type", "string"}}}}},
                  {"required", {"include"}},
                  {"additionalProperties", false}};
  Json parameter = {{"anyOf", Json::array({{{"type", "string"}}, SchemaOf(ParameterShape())})}};
  Json top = BodyProperties();
  top["job"] = {{"type", "string"},
                {"pattern", "^([a-z0-9][a-z0-9_-]*/)?[a-z0-9][a-z0-9_-]*$"},
                {"description", "The job's name; by default the file's."}};
  top["include"] = {{"type", "string"}, {"description", "A file whose maps are merged into this one."}};
  top["parameters"] = Described(NamesTo(std::move(parameter)), "Values that `--set` gives.");
  top["collect"] = Described(
      NamesTo(ComponentOf(
          registry.sources(),
          {{"prepare", Ref("steps")},
           {"incremental", Described(Json{{"anyOf", Json::array({Text(), SchemaOf(IncrementShape())})}},
                                     "Only what is new: `new_files`, a column, or a map with a column.")},
           {"retry", Described(SchemaOf(RetryShape()), "How often a server is asked again.")},
           {"rejects", rejects}})),
      "Named inputs.");
  top["branches"] = Described(
      NamesTo({{"type", "object"}, {"properties", BodyProperties()}, {"additionalProperties", false}}),
      "Several ways for the same prepared rows.");
  top["run"] = Described(SchemaOf(RunShape()), "How the job runs, never what it does.");

  Json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                 {"title", "Tranche job"},
                 {"type", "object"},
                 {"properties", std::move(top)},
                 {"additionalProperties", false}};
  schema["$defs"] = {
      {"from", SchemaOf(FromShape())},
      {"rejects", SchemaOf(Shape::Share())},
      {"steps",
       {{"type", "array"}, {"items", {{"anyOf", Json::array({std::move(step), std::move(include)})}}}}},
      {"stores", NamesTo(ComponentOf(registry.sinks(), {{"batch", SchemaOf(BatchShape())},
                                                        {"retry", SchemaOf(RetryShape())},
                                                        {"rejects", rejects}}))}};
  return schema.dump(2);
}

}  // namespace tranche
