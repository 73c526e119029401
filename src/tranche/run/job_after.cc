#include <algorithm>

#include "tranche/run/reject_retry.h"

namespace tranche {
namespace {

constexpr const char* kInput = "rejects";

// Takes out the steps before `origin`; false where it is none of them.
bool CutBefore(std::vector<StepItem>& steps, const std::string& origin) {
  const auto found = std::ranges::find(steps, origin, &StepItem::origin);
  if (found == steps.end()) return false;
  steps.erase(steps.begin(), found);
  return true;
}

// Keeps the bodies that get rows of one of `flows`, or of a body that does. "" = the prepared rows.
void KeepFlow(Job& job, std::vector<std::string> flows) {
  auto gets = [&](const std::string& name) { return std::ranges::find(flows, name) != flows.end(); };
  std::vector<Body> kept;
  for (size_t before = 0; before != flows.size();) {
    before = flows.size();
    for (const Body& body : job.bodies) {
      const bool there = body.from.empty() ? gets("") : std::ranges::any_of(body.from, gets);
      if (there && !body.name.empty() && !gets(body.name)) flows.push_back(body.name);
    }
  }
  for (Body& body : job.bodies) {
    const bool there = body.from.empty() ? gets("") : std::ranges::any_of(body.from, gets);
    if (!there) continue;
    std::erase_if(body.from, [&](const std::string& name) { return !gets(name); });
    kept.push_back(std::move(body));
  }
  job.bodies = std::move(kept);
}

// The job with rows that enter as the prepared ones, or before `prepare`.
void EnterPrepared(Job& job) {
  job.inputs = {Input{.name = kInput, .place = job.inputs.front().place}};
  job.from = {kInput};
}

// True where `origin` was found, and the job begins there.
Result<bool> BeginAt(Job& job, const std::string& origin) {
  for (Body& body : job.bodies) {
    for (const Store& store : body.stores) {
      if (origin != "store " + store.name) continue;
      Body only{.name = body.name, .stores = {store}, .place = body.place};
      job.bodies = {std::move(only)};
      job.prepare.clear();
      EnterPrepared(job);
      return true;
    }
  }
  for (const Input& input : job.inputs) {
    Input begins = input;
    if (origin != "input " + input.name && !CutBefore(begins.prepare, origin)) continue;
    if (!job.Flows(input.name)) {
      return Fail(Code::kJob, "what {} refused cannot be retried: the rows of input '{}' are only joined",
                  origin, input.name)
          .Hint("mend the input and run the job again");
    }
    const bool prepared = std::ranges::find(job.from, input.name) != job.from.end();
    KeepFlow(job, prepared ? std::vector<std::string>{"", input.name} : std::vector<std::string>{input.name});
    job.from = prepared ? std::vector<std::string>{input.name} : std::vector<std::string>{};
    begins.new_files = false;
    begins.increment.reset();
    job.inputs = {std::move(begins)};
    return true;
  }
  if (CutBefore(job.prepare, origin)) {
    KeepFlow(job, {""});
    EnterPrepared(job);
    return true;
  }
  for (Body& body : job.bodies) {
    if (!CutBefore(body.prepare, origin)) {
      if (!CutBefore(body.process, origin)) continue;
      body.prepare.clear();
      body.group.reset();
    }
    const std::string name = body.name;
    body.from = {name};
    KeepFlow(job, {name});
    std::ranges::find(job.bodies, name, &Body::name)->from.clear();
    job.prepare.clear();
    EnterPrepared(job);
    return true;
  }
  return false;
}

// A step that looks at rows together, or beside them, would see only those that were refused.
Status CheckSteps(const std::vector<StepItem>& steps, const std::string& origin) {
  for (const StepItem& item : steps) {
    TRANCHE_ASSIGN(const auto step, item.spec->make(Options(&item.spec->shape, &item.value)));
    const bool alone = !step->blocking() && step->inputs().empty() &&
                       (step->cardinality() == Step::Cardinality::kSame ||
                        step->cardinality() == Step::Cardinality::kFilters);
    if (alone) continue;
    return Fail(Code::kJob, "what {} refused cannot be retried: {} needs the other rows too", origin,
                item.origin)
        .Hint("mend the input and run the job again")
        .At(item.place);
  }
  return {};
}

Status CheckStore(const Store& store, const std::string& origin) {
  if (store.mode() != "replace") return {};
  return Fail(Code::kJob, "what {} refused cannot be retried: store '{}' replaces all that is there", origin,
              store.name)
      .Hint("mend the input and run the job again")
      .At(store.place);
}

void LiftLimits(std::vector<StepItem>& steps) {
  for (StepItem& item : steps) item.rejects.reset();
}

}  // namespace

Result<Job> JobAfter(Job job, const std::string& origin) {
  TRANCHE_ASSIGN(const bool found, BeginAt(job, origin));
  if (!found) return Fail(Code::kJob, "the job has no '{}' any more", origin);
  for (Input& input : job.inputs) {
    TRANCHE_TRY(CheckSteps(input.prepare, origin));
    LiftLimits(input.prepare);
    input.rejects.reset();
  }
  TRANCHE_TRY(CheckSteps(job.prepare, origin));
  LiftLimits(job.prepare);
  for (Body& body : job.bodies) {
    TRANCHE_TRY(CheckSteps(body.prepare, origin));
    TRANCHE_TRY(CheckSteps(body.process, origin));
    LiftLimits(body.prepare);
    LiftLimits(body.process);
    body.rejects.reset();
    for (Store& store : body.stores) {
      TRANCHE_TRY(CheckStore(store, origin));
      store.rejects.reset();
    }
  }
  // What is refused again stays open; it does not stop the others.
  job.rejects = {.count = {}, .percent = 100};
  return job;
}

}  // namespace tranche
