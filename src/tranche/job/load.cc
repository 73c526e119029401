#include "tranche/job/load.h"

#include <algorithm>
#include <filesystem>
#include <tuple>
#include <utility>

#include "tranche/base/file.h"
#include "tranche/job/canonical.h"
#include "tranche/job/loader.h"
#include "tranche/job/shapes.h"
#include "tranche/job/words.h"
#include "tranche/job/yaml.h"

namespace tranche {
namespace {

constexpr std::string_view kTopKeys[] = {"job",   "include", "parameters", "collect",  "from",    "prepare",
                                         "group", "process", "store",      "branches", "rejects", "run"};
constexpr size_t kMostErrors = 100;

std::string FolderOf(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::absolute(path, ignored).lexically_normal().parent_path().string();
}

bool IsJobName(std::string_view name) {
  auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  auto part = [&](std::string_view text) {
    return !text.empty() && plain(text[0]) &&
           std::ranges::all_of(text, [&](char c) { return plain(c) || c == '_' || c == '-'; });
  };
  size_t slash = name.find('/');
  if (slash == std::string_view::npos) return part(name);
  return part(name.substr(0, slash)) && part(name.substr(slash + 1));
}

}  // namespace

std::string Store::mode() const {
  const Node* written = value.Find("mode");
  if (written != nullptr) return written->text;  // a map has none
  return spec->modes.empty() ? "" : spec->modes.front();
}

const Input* Job::FindInput(std::string_view name) const {
  auto found = std::ranges::find(inputs, name, &Input::name);
  return found == inputs.end() ? nullptr : &*found;
}

bool Job::Flows(std::string_view input) const {
  auto names = [&](const std::vector<std::string>& list) {
    return std::ranges::find(list, input) != list.end();
  };
  return names(from) || std::ranges::any_of(bodies, [&](const Body& body) { return names(body.from); });
}

Loader::Loader(const LoadContext& context, std::string path)
    : context_(context),
      path_(std::move(path)),
      values_(context_, errors_),
      checker_(values_, context_, FolderOf(path_), errors_) {}

bool Loader::Report(Error error, const Place& place) { return checker_.Report(std::move(error), place); }

void Loader::Warn(Error error, const Place& place) { warnings_.push_back(std::move(error).At(place)); }

bool Loader::ExpectMap(const Node& node, const std::string& what) {
  if (node.is_map()) return true;
  if (IsRefused(node)) return false;
  return Report(Fail(Code::kJob, "'{}' is a map of names", what)
                    .Hint("write a name, a colon, and what it names below it"),
                node.place);
}

bool Loader::CheckKeys(const Node& node, std::span<const std::string_view> keys, const std::string& what) {
  bool good = true;
  for (const auto& [key, value] : node.entries) {
    if (std::ranges::find(keys, key.name) != keys.end()) continue;
    if (IsLaterField(key.name)) {
      good = Report(NotYet(key.name), key.place);
      continue;
    }
    meant_.insert(Nearest(key.name, keys));
    Error error = Fail(Code::kJob, "unknown field '{}' in {}", key.name, what);
    good = Report(WithNearest(std::move(error), key.name, {keys.begin(), keys.end()}), key.place);
  }
  return good;
}

std::optional<Node> Loader::ReadRoot() {
  auto text = context_.read(path_, kMostBytes);
  if (!text) {
    Error error = std::move(text).error();
    error.code = Code::kJob;
    Report(std::move(error), {});
    return std::nullopt;
  }
  Yaml yaml = ParseYaml(*std::move(text), path_);
  std::ranges::move(yaml.errors, std::back_inserter(errors_));
  if (!yaml.readable) return std::nullopt;
  if (!yaml.root.is_map()) {
    Report(Fail(Code::kJob, "a job file is a map")
               .Hint("it begins with 'job: name' and has at least 'collect' and 'store'"),
           yaml.root.place);
    return std::nullopt;
  }
  return std::move(yaml.root);
}

void Loader::ReadName(Node* node) {
  job_.name = std::filesystem::path(path_).stem().string();
  Place place{path_, 1, 1};
  if (node) {
    if (IsRefused(*node)) return;
    place = node->place;
    if (!node->is_scalar()) {
      Report(Fail(Code::kJob, "'job' is a name").Hint("write job: my-job"), place);
      return;
    }
    if (node->text.find("${") != std::string::npos) {
      Report(Fail(Code::kJob, "'job' takes no ${{…}}")
                 .Hint("the name is what the job is known by in its targets"),
             place);
      return;
    }
    job_.name = node->text;
  }
  if (IsJobName(job_.name)) return;
  Error error = Fail(Code::kJob, "not a name of a job: '{}'", job_.name);
  Report(std::move(error).Hint(
             node ? "use a-z, 0-9, - and _, perhaps with a group before it: sales/by-hour"
                  : "the file's name cannot be the job's: write job: and a name of a-z, 0-9, - and _"),
         place);
}

void Loader::ReadRun(Node* node) {
  if (!node || !checker_.Check(*node, RunShape(), "run")) return;
  Options options(&RunShape(), node);
  if (options.Has("memory")) job_.run.memory = options.Size("memory");
  if (options.Has("threads"))
    job_.run.threads = static_cast<int>(std::min<int64_t>(options.Integer("threads"), 1024));
  if (options.Has("timeout")) job_.run.timeout = ParseDuration(options.Raw("timeout")->text).value();
}

void Loader::ReadTop(Node& root) {
  auto find = [&](std::string_view key) { return const_cast<Node*>(root.Find(key)); };
  CheckKeys(root, kTopKeys, "a job");
  ReadName(find("job"));
  FindTables(find("collect"));
  ReadParameters(find("parameters"));
  ReadInputs(find("collect"));
  ReadBodies(root);
  if (auto limit = ReadRejects(find("rejects"))) job_.rejects = *limit;
  ReadRun(find("run"));
  CheckFlow(root);
}

void Loader::Finish(Loaded& loaded) {
  auto order = [&](const Error& error) {
    return std::tuple(error.place.file != path_, error.place.file, error.place.line, error.place.column);
  };
  auto sort = [&](std::vector<Error>& list) {
    std::ranges::stable_sort(list, std::less(), order);
    auto same = [](const Error& a, const Error& b) { return a.place == b.place && a.message == b.message; };
    list.erase(std::unique(list.begin(), list.end(), same), list.end());
    if (list.size() > kMostErrors) list.resize(kMostErrors);
  };
  sort(errors_);
  sort(warnings_);
  job_.parameters = values_.parameters();
  job_.values = values_.bound();
  job_.secrets.assign(values_.secrets().begin(), values_.secrets().end());
  if (errors_.empty()) {
    job_.canonical = CanonicalJob(job_, values_.shown());
    job_.tuning = JobTuning(job_);
  }
  loaded.job = std::move(job_);
  loaded.errors = std::move(errors_);
  loaded.warnings = std::move(warnings_);
}

Loaded Loader::Load() {
  Loaded loaded;
  std::error_code ignored;
  job_.file = std::filesystem::absolute(path_, ignored).lexically_normal().string();
  if (auto root = ReadRoot()) {
    MergeInclude(*root);
    ReadTop(*root);
  }
  Finish(loaded);
  return loaded;
}

Loaded LoadJob(const std::string& path, const LoadContext& context) { return Loader(context, path).Load(); }

}  // namespace tranche
