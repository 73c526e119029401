// Inputs, steps, stores and parameters: a component is a map with exactly one connector's or step's key (rule
// R2).
#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

#include <fmt/ranges.h>

#include "tranche/job/loader.h"
#include "tranche/job/shapes.h"
#include "tranche/job/words.h"
#include "tranche/job/yaml.h"

namespace tranche {
namespace {

constexpr auto kBesideInput = std::to_array<std::string_view>({"prepare", "incremental", "rejects", "retry"});
constexpr auto kBesideStep = std::to_array<std::string_view>({"rejects"});
constexpr auto kBesideStore = std::to_array<std::string_view>({"batch", "retry", "rejects"});
constexpr auto kCommon =
    std::to_array<std::string_view>({"prepare", "incremental", "batch", "retry", "rejects"});

template <typename Range>
bool Contains(const Range& words, std::string_view word) {
  return std::ranges::find(words, word) != std::ranges::end(words);
}

// What a name is that stands in the wrong kind of place: "a step", or nothing.
std::string OtherKind(const Registry& registry, std::string_view name) {
  std::vector<std::string> kinds;
  if (registry.FindSource(name)) kinds.push_back("an input");
  if (registry.FindStep(name)) kinds.push_back("a step");
  if (registry.FindSink(name)) kinds.push_back("a store");
  return fmt::format("{}", fmt::join(kinds, " and "));
}

}  // namespace

bool Loader::CheckName(const Node::Key& name, std::string_view kind) {
  if (!IsName(name.name)) {
    return Report(Fail(Code::kJob, "'{}' cannot name {}", name.name, kind)
                      .Hint("names have a-z, 0-9 and _, and begin with a letter or _"),
                  name.place);
  }
  if (IsReserved(name.name)) {
    return Report(Fail(Code::kJob, "'{}' is a reserved name", name.name)
                      .Hint(fmt::format("call {} something else", kind)),
                  name.place);
  }
  return true;
}

template <typename Spec>
Loader::Component<Spec> Loader::FindComponent(Node& node, const std::vector<Spec>& specs,
                                              std::string_view kind,
                                              std::span<const std::string_view> beside) {
  constexpr bool kStep = std::is_same_v<Spec, StepSpec>;
  Component<Spec> component;
  if (!node.is_map()) {
    if (IsRefused(node)) return component;
    Error error = kStep ? Fail(Code::kJob, "a step is a key and its value").Hint("as in - filter: amount > 0")
                        : Fail(Code::kJob, "{} is a map with the name of one connector", kind)
                              .Hint("as in csv: {path: data.csv}");
    Report(std::move(error), node.place);
    return component;
  }
  bool said = false;
  std::vector<const Node::Key*> unknown;
  for (auto& [key, value] : node.entries) {
    auto spec = std::ranges::find(specs, key.name, &Spec::name);
    if (spec != specs.end() && component.spec) {
      Report(Fail(Code::kJob, "'{}' and '{}' stand in one item", component.key->name, key.name)
                 .Hint(kStep ? "begin each step with its own '- '" : "give each its own name"),
             key.place);
    } else if (spec != specs.end()) {
      component = {&*spec, &key, &value, false};
    } else if (Contains(beside, key.name)) {
      continue;
    } else if (Contains(kCommon, key.name)) {
      Report(NotYet(key.name).Hint(fmt::format("it stands beside {} here", kind)), key.place);
    } else if (kStep ? IsLaterStep(key.name) : IsLaterConnector(key.name)) {
      said = true;
      Report(NotYet(key.name), key.place);
    } else {
      unknown.push_back(&key);
    }
  }
  if (component.spec) {
    for (const Node::Key* key : unknown) ReportBeside(*key, *component.spec, beside);
    component.good = checker_.Check(*component.value, component.spec->shape, component.spec->name);
  } else if (!unknown.empty() && !said) {
    ReportUnknown(*unknown[0], specs, kind);  // one word about the connector says enough
  } else if (!said) {
    Report(kStep ? Fail(Code::kJob, "an item without a step").Hint("as in - filter: amount > 0")
                 : Fail(Code::kJob, "{} needs the name of one connector", kind),
           node.place);
  }
  return component;
}

// A key that stands beside a component, and does not belong there.
void Loader::ReportBeside(const Node::Key& key, const ComponentSpec& spec,
                          std::span<const std::string_view> beside) {
  Error error = Fail(Code::kJob, "unknown field '{}' beside '{}'", key.name, spec.name);
  bool field = std::ranges::find(spec.shape.fields, key.name, &Field::name) != spec.shape.fields.end();
  Report(field ? std::move(error).Hint(fmt::format("move '{}' under '{}'", key.name, spec.name))
               : WithNearest(std::move(error), key.name, {beside.begin(), beside.end()}),
         key.place);
}

template <typename Spec>
void Loader::ReportUnknown(const Node::Key& key, const std::vector<Spec>& specs, std::string_view kind) {
  std::string other = OtherKind(*context_.registry, key.name);
  if (!other.empty()) {
    Report(Fail(Code::kJob, "'{}' is {}, and cannot be {}", key.name, other, kind), key.place);
    return;
  }
  std::vector<std::string> names;
  for (const Spec& spec : specs) names.push_back(spec.name);
  std::string_view what = std::is_same_v<Spec, StepSpec> ? "step" : "connector";
  Report(WithNearest(Fail(Code::kJob, "unknown {} '{}'", what, key.name), key.name, names), key.place);
}

// What only the component itself can say about its options, before anything is opened. Placeholders prove
// nothing.
template <typename Spec>
void Loader::Make(const Component<Spec>& component, const Node& value, int placeholders) {
  if (!component.good || !component.spec->make || values_.placeholders() != placeholders) return;
  auto made = component.spec->make(Options(&component.spec->shape, &value));
  if (!made) {
    Report(std::move(made).error(), value.place);
    return;
  }
  if constexpr (std::is_same_v<Spec, StepSpec>) {
    const Node* with = value.Find("with");
    for (std::string& name : (*made)->inputs())
      step_inputs_.emplace_back(std::move(name), with ? with->place : value.place);
  }
}

void Loader::ReadParameters(Node* node) {
  if (node && ExpectMap(*node, "parameters")) {
    for (auto& [name, value] : node->entries) {
      bool good = CheckName(name, "a parameter") && !IsRefused(value);
      if (good && value.is_scalar()) {
        values_.Declare(name, value, nullptr, nullptr);
        continue;
      }
      auto refuse_secret = [&](const Node& written) {
        if (written.text.find("${secret:") == std::string::npos) return;
        good = Report(Fail(Code::kJob, "a parameter cannot be a secret: parameters are shown")
                          .Hint("write ${secret:…} where it is needed"),
                      written.place);
      };
      for (const auto& [field, written] : value.entries) {
        refuse_secret(written);
        for (const Node& item : written.items) refuse_secret(item);
      }
      if (good && checker_.Check(value, ParameterShape(), name.name)) {
        values_.Declare(name, *value.Find("type"), value.Find("default"), value.Find("in"));
      } else {
        values_.Mention(name.name);
      }
    }
  }
  values_.CheckSet();
}

void Loader::ReadInputs(Node* node) {
  if (!node && meant_.contains("collect")) return;
  if (!node) {
    Report(Fail(Code::kJob, "the job has no 'collect'")
               .Hint("name what it reads, as in collect: {sales: {csv: {path: sales.csv}}}"),
           {path_, 1, 1});
    return;
  }
  if (!ExpectMap(*node, "collect")) return;
  if (node->entries.empty()) Report(Fail(Code::kJob, "'collect' names no input"), node->place);
  for (auto& [name, value] : node->entries) ReadInput(name, value);
}

namespace {

// `store: {csv: {path: …}}`: a connector where its name belongs.
template <typename Spec>
bool IsNameless(const Node::Key& name, const Node& node, const std::vector<Spec>& specs) {
  auto known = [&](const std::string& word) {
    return std::ranges::find(specs, word, &Spec::name) != specs.end();
  };
  return known(name.name) && node.is_map() &&
         std::ranges::none_of(node.entries, [&](const auto& entry) { return known(entry.first.name); });
}

}  // namespace

void Loader::ReadInput(const Node::Key& name, Node& node) {
  if (IsNameless(name, node, context_.registry->sources())) {
    Report(Fail(Code::kJob, "an input needs a name")
               .Hint(fmt::format("as in collect: {{rows: {{{}: …}}}}", name.name)),
           name.place);
    return;
  }
  CheckName(name, "an input");
  int placeholders = values_.placeholders();
  const TableUses uses = UsesOf(node, context_.registry->sources());
  const Node* beside = node.Find("incremental");
  values_.KnowMark(beside != nullptr && (beside->is_map() || beside->text != "new_files"));
  auto component = FindComponent(node, context_.registry->sources(), "an input", kBesideInput);
  const Place mark = values_.KnowMark(false);
  Input input;
  input.name = name.name;
  input.place = name.place;
  input.spec = component.spec;
  if (component.spec) input.value = std::move(*component.value);
  if (component.good && many_ && many_->input == input.name) component.good = TakeTables(input);
  if (component.good) CheckUses(uses, component.spec->shape, input.value, /*input=*/true);
  Make(component, input.value, placeholders);
  auto find = [&](std::string_view key) { return const_cast<Node*>(node.Find(key)); };
  input.prepare = ReadSteps(find("prepare"), {"prepare", "input " + name.name});
  if (Node* incremental = find("incremental")) ReadIncremental(*incremental, input);
  if (mark.known() && input.increment && input.increment->start.empty()) {
    Report(Fail(Code::kJob, "the first run has no value for ${{mark}}")
               .Hint("say where it begins, as in incremental: {column: updated_at, start: \"2020-01-01\"}"),
           mark);
  }
  if (Node* retry = find("retry")) ReadRetry(*retry, input.retry);
  if (find("retry") && input.spec && !input.spec->remote) {
    Report(Fail(Code::kJob, "'retry' stands beside what is reached over a network, and '{}' is not",
                input.spec->name)
               .Hint("leave it out"),
           find("retry")->place);
  }
  input.rejects = ReadRejects(find("rejects"));
  job_.inputs.push_back(std::move(input));
}

void Loader::ReadIncremental(Node& node, Input& input) {
  if (IsRefused(node)) return;
  const bool by_column = input.spec && input.spec->incremental;
  if (node.is_map() && by_column) {
    if (!checker_.Check(node, IncrementShape(), "incremental")) return;
    Options options(&IncrementShape(), &node);
    input.increment = {.column = options.Text("column"), .start = options.Text("start")};
    if (options.Has("overlap"))
      input.increment->overlap = ParseDuration(options.Raw("overlap")->text).value();
    return;
  }
  if (node.is_scalar() && by_column && node.text != "new_files") {
    if (checker_.Check(node, Shape::Column(), "incremental")) input.increment = {.column = node.text};
    return;
  }
  if (!node.is_scalar() || node.text != "new_files") {
    const bool near = node.is_scalar() && !Nearest(node.text, std::vector<std::string>{"new_files"}).empty();
    Report(near ? Fail(Code::kJob, "unknown 'incremental: {}'", node.text).Hint("did you mean 'new_files'?")
                : Fail(Code::kJob, "'incremental' by a column needs a database server{}",
                       input.spec ? fmt::format(", and '{}' is none", input.spec->name) : "")
                      .Hint("for files there is incremental: new_files"),
           node.place);
    return;
  }
  if (input.spec && !input.spec->files) {
    Report(Fail(Code::kJob, "'incremental: new_files' needs an input of files, and '{}' is none",
                input.spec->name)
               .Hint(by_column ? "name a column that grows, as in incremental: updated_at" : ""),
           node.place);
    return;
  }
  input.new_files = true;
}

std::vector<StepItem> Loader::ReadSteps(Node* node, const StepPlace& place) {
  std::vector<StepItem> steps;
  if (!node || IsRefused(*node)) return steps;
  if (!node->is_list()) {
    Report(Fail(Code::kJob, "'{}' is a list of steps", place.list).Hint("begin each step with '- '"),
           node->place);
    return steps;
  }
  PutInSteps(*node);
  int number = 0;
  for (Node& item : node->items) ReadStep(item, place, ++number, steps);
  return steps;
}

void Loader::ReadStep(Node& node, const StepPlace& place, int number, std::vector<StepItem>& steps) {
  int placeholders = values_.placeholders();
  auto component = FindComponent(node, context_.registry->steps(), "a step", kBesideStep);
  auto rejects = ReadRejects(const_cast<Node*>(node.Find("rejects")));
  if (!component.spec) return;
  StepItem step;
  step.spec = component.spec;
  step.place = component.key->place;
  step.origin = place.owner.empty()
                    ? fmt::format("{} ({} {})", step.spec->name, place.list, number)
                    : fmt::format("{} ({}, {} {})", step.spec->name, place.owner, place.list, number);
  step.value = std::move(*component.value);
  step.rejects = rejects;
  Make(component, step.value, placeholders);
  steps.push_back(std::move(step));
}

std::vector<Store> Loader::ReadStores(Node& node) {
  std::vector<Store> stores;
  if (!ExpectMap(node, "store")) return stores;
  if (node.entries.empty()) Report(Fail(Code::kJob, "'store' names no store"), node.place);
  for (auto& [name, value] : node.entries) ReadStore(name, value, stores);
  return stores;
}

void Loader::ReadStore(const Node::Key& name, Node& node, std::vector<Store>& stores) {
  if (IsNameless(name, node, context_.registry->sinks())) {
    Report(Fail(Code::kJob, "a store needs a name")
               .Hint(fmt::format("as in store: {{out: {{{}: …}}}}", name.name)),
           name.place);
    return;
  }
  CheckName(name, "a store");
  auto [first, fresh] = store_places_.try_emplace(name.name, name.place);
  if (!fresh) {
    Report(Fail(Code::kJob, "two stores are named '{}'", name.name)
               .Hint(fmt::format("the first is at {}; a store's name is its identity in the whole job",
                                 first->second.ToString())),
           name.place);
  }
  int placeholders = values_.placeholders();
  const TableUses uses = UsesOf(node, context_.registry->sinks());
  auto component = FindComponent(node, context_.registry->sinks(), "a store", kBesideStore);
  Store store;
  store.name = name.name;
  store.place = name.place;
  store.spec = component.spec;
  if (component.spec) {
    store.value = std::move(*component.value);
    store.batch = component.spec->policy;
  }
  if (component.good) {
    CheckUses(uses, component.spec->shape, store.value, /*input=*/false);
    CheckReplace(uses, store);
  }
  Make(component, store.value, placeholders);
  auto find = [&](std::string_view key) { return const_cast<Node*>(node.Find(key)); };
  if (Node* batch = find("batch")) ReadBatch(*batch, store);
  if (Node* retry = find("retry")) ReadRetry(*retry, store.retry);
  store.rejects = ReadRejects(find("rejects"));
  stores.push_back(std::move(store));
}

void Loader::ReadBatch(Node& node, Store& store) {
  if (!checker_.Check(node, BatchShape(), "batch")) return;
  Options options(&BatchShape(), &node);
  if (options.Has("rows")) {
    store.batch.rows = options.Integer("rows");
    store.batch.automatic = false;
  }
  if (options.Has("bytes")) store.batch.bytes = options.Size("bytes");
  if (options.Has("linger")) store.batch.linger = ParseDuration(options.Raw("linger")->text).value();
  if (store.batch.bytes < 1)
    Report(Fail(Code::kJob, "a batch of 0 bytes holds nothing"), options.PlaceOf("bytes"));
  if (!options.Has("parallel")) return;
  int64_t most = store.spec ? store.spec->parallel : 1;
  if (store.spec && options.Integer("parallel") > most) {
    Report(Fail(Code::kJob, "'{}' takes {} at a time", store.spec->name,
                most == 1 ? "one batch" : fmt::format("{} batches", most))
               .Hint(most == 1 ? "leave 'parallel' out" : fmt::format("write at most parallel: {}", most)),
           options.PlaceOf("parallel"));
    return;
  }
  store.batch.parallel = static_cast<int>(std::min(options.Integer("parallel"), most));
}

void Loader::ReadRetry(Node& node, RetryPolicy& policy) {
  if (!checker_.Check(node, RetryShape(), "retry")) return;
  Options options(&RetryShape(), &node);
  if (options.Has("attempts"))
    policy.attempts = static_cast<int>(std::min<int64_t>(options.Integer("attempts"), 1'000'000));
  if (options.Has("timeout")) policy.timeout = ParseDuration(options.Raw("timeout")->text).value();
  std::string backoff = options.Text("backoff");
  size_t dots = backoff.find("..");
  auto least = ParseDuration(backoff.substr(0, dots));
  auto most = ParseDuration(dots == std::string::npos ? backoff : backoff.substr(dots + 2));
  if (!least || !most || *least > *most || dots == std::string::npos) {
    Report(Fail(Code::kJob, "not a range of pauses: '{}'", backoff)
               .Hint("write the shortest and the longest, as in 200ms..30s"),
           options.PlaceOf("backoff"));
    return;
  }
  policy.least = *least;
  policy.most = *most;
}

std::optional<RejectLimit> Loader::ReadRejects(Node* node) {
  if (!node || !checker_.Check(*node, Shape::Share(), "rejects")) return std::nullopt;
  return ParseRejectLimit(node->text).value();
}

}  // namespace tranche
