// What ${…} stands for: parameters, ${env:X}, ${secret:X}, ${run:id}. In a text the value is put in; in SQL
// it is bound as $p1, $p2 … so that it can never change what the SQL means.
//
//   Values values(context, errors);
//   values.Declare(parameters);              // the job's `parameters`, with --set and the defaults
//   values.Resolve(node, Shape::Kind::kExpression);   // "a > ${least}" → "a > $p1     "
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tranche/connector/engine.h"
#include "tranche/connector/node.h"
#include "tranche/connector/shape.h"
#include "tranche/job/load.h"

namespace tranche {

class Values {
 public:
  Values(const LoadContext& context, std::vector<Error>& errors) : context_(context), errors_(errors) {}

  // `type` is a type of the job language or SQL's; `written` the default. Takes the value of --set where
  // there is one.
  void Declare(const Node::Key& name, const Node& type, const Node* written, const Node* allowed);
  // A parameter whose declaration was refused: nothing more is said about it.
  void Mention(const std::string& name) { declared_[name]; }
  // The parameter `table` of a job that runs once a table: what --set says, or nothing yet.
  void DeclareTable(const Place& place);
  // Whether ${mark} is known from here on: in the options of an input that is read by a column. Says where
  // one stands that was found since the last call.
  Place KnowMark(bool known);
  // After the last Declare: --set of what is not declared.
  void CheckSet();

  // Puts the values into a scalar of that kind. false: a mistake was reported.
  bool Resolve(Node& scalar, Shape::Kind kind);

  const std::map<std::string, std::string>& parameters() const { return texts_; }
  const Parameters& bound() const { return bound_; }
  // For the fingerprint: as `bound`, secrets as keyed hashes and the run's id as its name.
  const std::map<std::string, std::string>& shown() const { return shown_; }
  const std::set<std::string>& secrets() const { return secrets_; }
  // How many placeholders were put in so far (offline): what holds one can be checked in form only.
  int placeholders() const { return placeholders_; }

 private:
  struct Parameter {
    std::string type;
    std::optional<std::string> text;  // nothing: not set (offline, or reported already)
    std::vector<std::string> allowed;
  };
  struct Found {
    std::string type = "VARCHAR";
    std::optional<std::string> text;
    std::string shown;
    bool secret = false;
    bool mark = false;   // ${mark}: the source puts it in
    bool table = false;  // ${table}: it comes from a database
  };
  struct Reference {
    std::string kind;  // "", env, secret, run
    std::string name;
    std::optional<std::string> otherwise;
  };

  Result<std::string> Normal(const std::string& type, const std::string& text) const;
  Result<Reference> Parse(std::string_view inner) const;
  Result<Found> Look(const Reference& reference);
  Result<Found> LookOutside(const Reference& reference);
  Result<Found> LookParameter(const Reference& reference);
  Result<Found> At(std::string_view text, size_t offset, size_t* end);
  bool PutIn(Node& scalar, Shape::Kind kind);
  bool Bind(Node& scalar);
  std::string NameOf(const std::string& inner, const Found& found);
  bool Report(Error error, Place place);

  const LoadContext& context_;
  std::vector<Error>& errors_;
  std::map<std::string, Parameter> declared_;
  std::map<std::string, std::string> texts_;
  Parameters bound_;
  std::map<std::string, std::string> shown_;
  std::map<std::string, std::string> names_;  // what stands in ${…} → p1
  std::set<std::string> secrets_;
  bool mark_known_ = false;
  Place mark_;
  int placeholders_ = 0;
};

// A text that every check of `kind` takes: stands for a value that is not known offline.
std::string PlaceholderOf(Shape::Kind kind);

}  // namespace tranche
