// Checks a value of the job file against its Shape, and puts it into the form that Options reads: ${…} put in
// or bound, paths absolute, SQL from a file put in its place. Every mistake is reported with its place; none
// stops the others.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tranche/connector/engine.h"
#include "tranche/connector/node.h"
#include "tranche/connector/shape.h"
#include "tranche/job/values.h"

namespace tranche {

class Checker {
 public:
  // `folder`: of the job file, absolute. Where the context has no engine, SQL is not parsed.
  Checker(Values& values, const LoadContext& context, std::string folder, std::vector<Error>& errors)
      : values_(values), context_(context), folder_(std::move(folder)), errors_(errors) {}

  // `what` names the value in messages: "csv", "group". false: a mistake was reported.
  bool Check(Node& node, const Shape& shape, const std::string& what);

  bool Report(Error error, const Place& place);  // always false

 private:
  bool CheckObject(Node& node, const Shape& shape, const std::string& what);
  bool CheckUnknown(const Node::Key& key, const Shape& shape, const std::string& what);
  bool CheckMap(Node& node, const Shape& shape, const std::string& what);
  bool CheckKey(const Node::Key& key, const Shape& shape, const std::string& what);
  bool CheckList(Node& node, const Shape& shape, const std::string& what);
  bool CheckOneOf(Node& node, const Shape& shape, const std::string& what);
  bool CheckScalar(Node& node, const Shape& shape, const std::string& what);
  Status CheckText(const Node& node, const Shape& shape, const std::string& what);
  Status CheckChoice(const Node& node, const Shape& shape, const std::string& what);
  bool CheckPath(Node& node, const std::string& what);
  bool CheckSql(Node& node, Shape::Kind kind, const std::string& what);
  bool CheckTypeFormat(Node& node, const std::string& what);
  bool ReadSqlFile(Node& node, const std::string& what);
  bool Mismatch(const Node& node, const Shape& shape, const std::string& what);

  Values& values_;
  const LoadContext& context_;
  std::string folder_;
  std::vector<Error>& errors_;
};

// The option of a kOneOf that a value stands for; null if none fits. Other shapes stand for themselves.
const Shape* FittingShape(const Node& node, const Shape& shape);

// A path of the job file: absolute, trailing slash kept; stdin and stdout as they are.
std::string AbsolutePath(const std::string& folder, const std::string& path);

}  // namespace tranche
