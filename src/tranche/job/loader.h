// The grammar of a job file: from Nodes to a Job. Used by LoadJob alone; one object for one file.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tranche/job/check.h"
#include "tranche/job/load.h"
#include "tranche/job/values.h"

namespace tranche {

inline constexpr int64_t kMostBytes = 8 << 20;  // read of a job file, before its limits are looked at

class Loader {
 public:
  Loader(const LoadContext& context, std::string path);
  Loaded Load();

 private:
  // Where a list of steps stands: "prepare" of "branch best".
  struct StepPlace {
    std::string list;
    std::string owner;  // may be empty
  };
  // A map with one component's key and common keys beside it.
  template <typename Spec>
  struct Component {
    const Spec* spec = nullptr;
    Node::Key* key = nullptr;
    Node* value = nullptr;
    bool good = false;  // its value fits its shape
  };

  // An input whose `table` names several, as it is written.
  struct Many {
    std::string input;
    Node written;
  };
  // Where the options of an input or a store hold ${table}.
  struct TableUses {
    bool target = false;                 // in what names the target
    std::pair<std::string, Place> text;  // in this field, which takes it as text of a url or of SQL
    Place table, path;
  };

  // load.cc: the file as a whole
  std::optional<Node> ReadRoot();
  void ReadTop(Node& root);
  void ReadName(Node* node);
  void ReadRun(Node* node);
  void Finish(Loaded& loaded);

  // include.cc
  std::optional<Node> ReadIncluded(const Node& path, const char* holds);
  void MergeInclude(Node& root);
  void PutInSteps(Node& list);

  // components.cc
  template <typename Spec>
  Component<Spec> FindComponent(Node& node, const std::vector<Spec>& specs, std::string_view kind,
                                std::span<const std::string_view> beside);
  void ReportBeside(const Node::Key& key, const ComponentSpec& spec,
                    std::span<const std::string_view> beside);
  template <typename Spec>
  void ReportUnknown(const Node::Key& key, const std::vector<Spec>& specs, std::string_view kind);
  template <typename Spec>
  void Make(const Component<Spec>& component, const Node& value, int placeholders);
  void ReadParameters(Node* node);
  void ReadInputs(Node* node);
  void ReadInput(const Node::Key& name, Node& node);
  void ReadIncremental(Node& node, Input& input);
  std::vector<StepItem> ReadSteps(Node* node, const StepPlace& place);
  void ReadStep(Node& node, const StepPlace& place, int number, std::vector<StepItem>& steps);
  std::vector<Store> ReadStores(Node& node);
  void ReadStore(const Node::Key& name, Node& node, std::vector<Store>& stores);
  void ReadBatch(Node& node, Store& store);
  void ReadRetry(Node& node, RetryPolicy& policy);
  std::optional<RejectLimit> ReadRejects(Node* node);
  bool CheckName(const Node::Key& name, std::string_view kind);

  // bodies.cc
  void ReadBodies(Node& root);
  Body ReadBody(const std::string& name, Node& node);
  std::optional<Group> ReadGroup(Node* node);
  std::optional<Window> ReadWindow(Node& node);
  std::vector<std::string> ReadFrom(Node* node);

  // many_tables.cc
  void FindTables(const Node* collect);
  bool TakeTables(Input& input);
  template <typename Spec>
  TableUses UsesOf(const Node& node, const std::vector<Spec>& specs) const;
  void CheckUses(const TableUses& uses, const Shape& shape, const Node& options, bool input);
  void CheckReplace(const TableUses& uses, const Store& store);

  // flow.cc: what needs the whole job
  void CheckFlow(Node& root);
  void CheckFromNames(const std::vector<std::string>& from, const Place& place, std::string_view self);
  void CheckCycles();
  void CheckStores();
  void CheckStepInputs();
  void WarnOfAppends();
  std::set<std::string> InputsOf(const Body& body) const;

  bool Report(Error error, const Place& place);
  void Warn(Error error, const Place& place);
  bool CheckKeys(const Node& node, std::span<const std::string_view> keys, const std::string& what);
  bool ExpectMap(const Node& node, const std::string& what);

  const LoadContext& context_;
  std::string path_;
  std::vector<Error> errors_;
  std::vector<Error> warnings_;
  Values values_;
  Checker checker_;
  Job job_;
  std::optional<Many> many_;
  std::map<std::string, Place> from_places_;   // of a body's `from`, by its name ("" = the job's)
  std::set<std::string> meant_;                // keys that are there, misspelt
  std::set<std::string> storing_;              // bodies that have a `store`, good or not
  std::map<std::string, Place> store_places_;  // where a store of that name stands
  std::vector<std::pair<std::string, Place>> step_inputs_;  // inputs that steps name
};

}  // namespace tranche
