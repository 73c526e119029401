// What needs the whole job: which rows flow where.
#include <algorithm>
#include <functional>
#include <utility>

#include <fmt/ranges.h>

#include "tranche/job/loader.h"
#include "tranche/job/words.h"

namespace tranche {
namespace {

bool IsBranch(const Job& job, std::string_view name) {
  return !name.empty() && std::ranges::find(job.bodies, name, &Body::name) != job.bodies.end();
}

}  // namespace

void Loader::CheckFlow(Node& root) {
  const bool branched = root.Find("branches") != nullptr;
  CheckFromNames(job_.from, from_places_[""], "");
  for (const Body& body : job_.bodies) {
    if (!body.name.empty()) CheckFromNames(body.from, from_places_[body.name], body.name);
  }
  auto starts_from_prepared = [&](const Body& body) { return !branched || !from_places_[body.name].known(); };
  bool prepared = std::ranges::any_of(job_.bodies, starts_from_prepared);
  if (const Node* prepare = root.Find("prepare"); prepare && !prepared) {
    Report(Fail(Code::kJob, "no branch starts from the prepared rows")
               .Hint("take one branch's 'from' out, or move these steps into a branch"),
           prepare->place);
  }
  if (!root.Find("from") && prepared) {
    if (job_.inputs.size() == 1) {
      job_.from = {job_.inputs[0].name};
    } else if (job_.inputs.size() > 1) {
      std::vector<std::string> names;
      for (const Input& input : job_.inputs) names.push_back(input.name);
      Report(Fail(Code::kJob, "there are {} inputs, and no 'from' says which flows", names.size())
                 .Hint(fmt::format(
                     "write from: {}, or a list of inputs; the others are reached by name in join and sql",
                     names[0])),
             job_.inputs[1].place);
    }
  }
  CheckCycles();
  CheckStores();
  CheckStepInputs();
  WarnOfAppends();
}

void Loader::CheckFromNames(const std::vector<std::string>& from, const Place& place, std::string_view self) {
  std::vector<std::string> names;
  for (const Input& input : job_.inputs) names.push_back(input.name);
  if (!self.empty()) {
    for (const Body& body : job_.bodies) {
      if (body.name != self && !body.name.empty()) names.push_back(body.name);
    }
  }
  for (const std::string& name : from) {
    if (std::ranges::find(names, name) != names.end()) continue;
    if (name == self) {
      Report(Fail(Code::kJob, "branch '{}' starts from itself", name), place);
    } else if (self.empty() && IsBranch(job_, name)) {
      Report(Fail(Code::kJob, "'{}' is a branch, and the prepared rows come before branches", name)
                 .Hint("name an input"),
             place);
    } else {
      Report(WithNearest(Fail(Code::kJob, "unknown {} '{}' in 'from'",
                              self.empty() ? "input" : "input or branch", name),
                         name, names),
             place);
    }
  }
}

void Loader::CheckCycles() {
  std::map<std::string, int> state;  // 1: on the way, 2: done
  std::function<void(const Body&)> visit = [&](const Body& body) {
    state[body.name] = 1;
    for (const std::string& name : body.from) {
      auto next = std::ranges::find(job_.bodies, name, &Body::name);
      if (next == job_.bodies.end() || name == body.name) continue;
      if (state[name] == 1) {
        Report(Fail(Code::kJob, "branches '{}' and '{}' start from each other", body.name, name)
                   .Hint("let one of them start from an input or the prepared rows"),
               from_places_[body.name]);
      } else if (state[name] == 0) {
        visit(*next);
      }
    }
    state[body.name] = 2;
  };
  for (const Body& body : job_.bodies) {
    if (!body.name.empty() && state[body.name] == 0) visit(body);
  }
}

void Loader::CheckStores() {
  for (const Body& body : job_.bodies) {
    if (storing_.contains(body.name) || meant_.contains("store") || meant_.contains("branches")) continue;
    if (body.name.empty()) {
      Report(Fail(Code::kJob, "the job has no 'store'")
                 .Hint("name where the rows go, as in store: {out: {csv: {path: out.csv}}}"),
             {path_, 1, 1});
      continue;
    }
    bool read = std::ranges::any_of(job_.bodies, [&](const Body& other) {
      return std::ranges::find(other.from, body.name) != other.from.end();
    });
    if (!read) {
      Report(Fail(Code::kJob, "branch '{}' stores nothing, and no branch starts from it", body.name)
                 .Hint("give it a 'store'"),
             body.place);
    }
  }
}

void Loader::CheckStepInputs() {
  std::vector<std::string> names;
  for (const Input& input : job_.inputs) names.push_back(input.name);
  for (const auto& [name, place] : step_inputs_) {
    if (job_.FindInput(name)) continue;
    Report(WithNearest(Fail(Code::kJob, "unknown input '{}'", name), name, names), place);
  }
}

std::set<std::string> Loader::InputsOf(const Body& body) const {
  std::set<std::string> seen;
  std::set<std::string> inputs;
  std::function<void(const std::vector<std::string>&)> follow = [&](const std::vector<std::string>& from) {
    for (const std::string& name : from) {
      if (!seen.insert(name).second) continue;
      auto branch = std::ranges::find(job_.bodies, name, &Body::name);
      if (job_.FindInput(name)) {
        inputs.insert(name);
      } else if (branch != job_.bodies.end()) {
        follow(branch->from.empty() ? job_.from : branch->from);
      }
    }
  };
  follow(body.from.empty() ? job_.from : body.from);
  return inputs;
}

// Rule R18: a store that appends takes the rows of an input that is read again a second time.
void Loader::WarnOfAppends() {
  for (const Body& body : job_.bodies) {
    std::vector<std::string> read_again;
    for (const std::string& name : InputsOf(body)) {
      const Input& input = *job_.FindInput(name);
      if (!input.new_files && !input.increment) read_again.push_back(name);
    }
    if (read_again.empty()) continue;
    for (const Store& store : body.stores) {
      if (!store.spec || store.mode() != "append") continue;
      const Node* written = store.value.Find("mode");
      Warn(Fail(Code::kJob,
                "store '{}' appends, and '{}' is read whole in each run: a second run stores its rows again",
                store.name, fmt::join(read_again, "', '"))
               .Hint("write `incremental` beside the input, or mode: replace or upsert"),
           written ? written->place : store.place);
    }
  }
}

}  // namespace tranche
