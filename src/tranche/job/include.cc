// `include`: shared parts of several jobs.
#include <algorithm>
#include <filesystem>
#include <iterator>
#include <utility>

#include "tranche/base/file.h"
#include "tranche/job/loader.h"
#include "tranche/job/yaml.h"

namespace tranche {
namespace {

// Puts what `from` has and `into` has not into `into`; of maps on both sides, entry by entry.
void Merge(Node& into, Node from) {
  for (auto& [key, value] : from.entries) {
    Node* own = const_cast<Node*>(into.Find(key.name));
    if (!own) {
      into.entries.emplace_back(std::move(key), std::move(value));
    } else if (own->is_map() && value.is_map()) {
      Merge(*own, std::move(value));
    }
  }
}

}  // namespace

// `holds`: "map" or "list of steps". Included files include nothing.
std::optional<Node> Loader::ReadIncluded(const Node& path, const char* holds) {
  if (IsRefused(path)) return std::nullopt;
  if (!path.is_scalar() || path.text.empty() || path.text.find("${") != std::string::npos) {
    Report(Fail(Code::kJob, "'include' takes the path of one file, as it is"), path.place);
    return std::nullopt;
  }
  std::string folder = std::filesystem::path(job_.file).parent_path().string();
  auto text = context_.read(AbsolutePath(folder, path.text), kMostBytes);
  if (!text) {
    Error error = std::move(text).error();
    error.code = Code::kJob;
    Report(std::move(error), path.place);
    return std::nullopt;
  }
  std::string shown = (std::filesystem::path(path_).parent_path() / path.text).string();
  Yaml yaml = ParseYaml(*std::move(text), shown);
  std::ranges::move(yaml.errors, std::back_inserter(errors_));
  if (!yaml.readable) return std::nullopt;
  if (std::string_view(holds) == "map" ? !yaml.root.is_map() : !yaml.root.is_list()) {
    Report(Fail(Code::kJob, "what is included here is a {}", holds), yaml.root.place);
    return std::nullopt;
  }
  return std::move(yaml.root);
}

void Loader::MergeInclude(Node& root) {
  const Node* path = root.Find("include");
  if (!path) return;
  auto included = ReadIncluded(*path, "map");
  if (!included) return;
  for (const auto& [key, value] : included->entries) {
    if (key.name != "include" && key.name != "job") continue;
    Report(Fail(Code::kJob, "an included file has no '{}'", key.name), key.place);
  }
  Merge(root, *std::move(included));
}

void Loader::PutInSteps(Node& list) {
  std::vector<Node> steps;
  for (Node& item : list.items) {
    const Node* path = item.is_map() ? item.Find("include") : nullptr;
    if (!path) {
      steps.push_back(std::move(item));
      continue;
    }
    if (item.entries.size() > 1) {
      Report(Fail(Code::kJob, "'include' stands alone in its item"), item.place);
      continue;
    }
    auto included = ReadIncluded(*path, "list of steps");
    if (!included) continue;
    for (Node& step : included->items) {
      if (step.is_map() && step.Find("include")) {
        Report(Fail(Code::kJob, "an included file includes nothing"), step.place);
      } else {
        steps.push_back(std::move(step));
      }
    }
  }
  list.items = std::move(steps);
}

}  // namespace tranche
