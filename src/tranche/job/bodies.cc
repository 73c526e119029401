// A job's body, or its branches: from, prepare, group, process, store.
#include <algorithm>
#include <array>
#include <utility>

#include "tranche/job/loader.h"
#include "tranche/job/shapes.h"
#include "tranche/job/words.h"
#include "tranche/job/yaml.h"

namespace tranche {
namespace {

constexpr auto kBranchKeys =
    std::to_array<std::string_view>({"from", "prepare", "group", "process", "store", "rejects"});
constexpr int kMostDays = 36500;

Node* Find(Node& node, std::string_view key) { return const_cast<Node*>(node.Find(key)); }

}  // namespace

void Loader::ReadBodies(Node& root) {
  if (Node* from = Find(root, "from")) {
    from_places_[""] = from->place;
    job_.from = ReadFrom(from);
  }
  job_.prepare = ReadSteps(Find(root, "prepare"), {"prepare", ""});
  Node* branches = Find(root, "branches");
  if (!branches) {
    Body body = ReadBody("", root);
    body.from.clear();  // they are the job's own, read above
    body.prepare.clear();
    body.place = job_.inputs.empty() ? Place{path_, 1, 1} : job_.inputs[0].place;
    job_.bodies.push_back(std::move(body));
    return;
  }
  for (const auto& [key, value] : root.entries) {
    if (key.name != "group" && key.name != "process" && key.name != "store") continue;
    Report(Fail(Code::kJob, "'{}' stands beside 'branches'", key.name).Hint("move it into a branch"),
           key.place);
  }
  if (!ExpectMap(*branches, "branches")) return;
  if (branches->entries.empty()) Report(Fail(Code::kJob, "'branches' names no branch"), branches->place);
  for (auto& [name, value] : branches->entries) {
    CheckName(name, "a branch");
    if (job_.FindInput(name.name)) {
      Report(Fail(Code::kJob, "'{}' names an input and a branch", name.name)
                 .Hint("give the branch another name"),
             name.place);
    }
    if (IsRefused(value)) continue;
    if (!value.is_map()) {
      Report(Fail(Code::kJob, "branch '{}' is a map", name.name)
                 .Hint("with from, prepare, group, process, store"),
             value.place);
      continue;
    }
    CheckKeys(value, kBranchKeys, fmt::format("branch '{}'", name.name));
    Body body = ReadBody(name.name, value);
    body.place = name.place;
    job_.bodies.push_back(std::move(body));
  }
}

Body Loader::ReadBody(const std::string& name, Node& node) {
  Body body;
  body.name = name;
  std::string owner = name.empty() ? "" : "branch " + name;
  if (!name.empty()) {
    if (Node* from = Find(node, "from")) {
      from_places_[name] = from->place;
      body.from = ReadFrom(from);
    }
    body.prepare = ReadSteps(Find(node, "prepare"), {"prepare", owner});
    body.rejects = ReadRejects(Find(node, "rejects"));
  }
  body.group = ReadGroup(Find(node, "group"));
  body.process = ReadSteps(Find(node, "process"), {"process", owner});
  if (Node* stores = Find(node, "store")) {
    storing_.insert(name);
    body.stores = ReadStores(*stores);
  }
  return body;
}

std::vector<std::string> Loader::ReadFrom(Node* node) {
  if (!checker_.Check(*node, FromShape(), "from")) return {};
  std::vector<std::string> names = ToTexts(*node);
  if (names.empty()) Report(Fail(Code::kJob, "'from' is an empty list").Hint("name an input"), node->place);
  for (size_t i = 0; i < names.size(); ++i) {
    if (std::find(names.begin(), names.begin() + i, names[i]) == names.begin() + i) continue;
    Report(Fail(Code::kJob, "'{}' stands twice in 'from'", names[i]), node->items[i].place);
  }
  return names;
}

std::optional<Group> Loader::ReadGroup(Node* node) {
  if (!node || !checker_.Check(*node, GroupShape(), "group")) return std::nullopt;
  Options options(&GroupShape(), node);
  Group group;
  group.place = node->place;
  group.by = options.Texts("by");
  if (options.Has("rows")) {
    group.rows = options.Integer("rows");
    if (node->entries.size() > 1) {
      Report(Fail(Code::kJob, "'rows' stands beside 'by' or 'window'").Hint("group by one of them"),
             options.PlaceOf("rows"));
    }
  } else if (group.by.empty() && !options.Has("window")) {
    Report(Fail(Code::kJob, "'group' needs 'by', 'window' or 'rows'")
               .Hint("without 'group', all rows are one group"),
           node->place);
  }
  if (Node* window = Find(*node, "window")) group.window = ReadWindow(*window);
  return group;
}

std::optional<Window> Loader::ReadWindow(Node& node) {
  Options options(&GroupShape().fields[1].shape, &node);
  Window window;
  window.place = node.place;
  window.time = options.Text("time");
  window.every = options.Text("every");
  window.as = options.Text("as");
  window.zone = options.Text("zone");
  window.zone_place = options.PlaceOf("zone");
  auto length = ParseDuration(window.every);
  if (!length || *length <= Duration::zero()) {
    Error error = length ? Fail(Code::kJob, "a window of no length") : std::move(length).error();
    Report(std::move(error).In("'every'"), options.PlaceOf("every"));
    return std::nullopt;
  }
  window.length = *length;
  char unit = window.every.back();
  if (window.every.find_first_of("dw") != std::string::npos) {
    auto count = ParseInteger(std::string_view(window.every).substr(0, window.every.size() - 1));
    if (!count || *count > kMostDays) {
      Report(Fail(Code::kJob, "'every: {}' mixes days with hours", window.every)
                 .Hint("write whole days or weeks, as in 1d or 2w"),
             options.PlaceOf("every"));
      return std::nullopt;
    }
    window.days = static_cast<int>(*count) * (unit == 'w' ? 7 : 1);
  }
  return window;
}

}  // namespace tranche
