#include "tranche/run/budget.h"

namespace tranche {

RejectBudget::RejectBudget(const Job& job) : limit_(job.rejects) {
  auto steps = [this](const std::vector<StepItem>& items) {
    for (const StepItem& item : items) {
      if (item.rejects) own_[item.origin] = *item.rejects;
    }
  };
  for (const Input& input : job.inputs) {
    if (input.rejects) own_["input " + input.name] = *input.rejects;
    steps(input.prepare);
  }
  steps(job.prepare);
  for (const Body& body : job.bodies) {
    steps(body.prepare);
    steps(body.process);
    for (const Store& store : body.stores) {
      const auto& limit = store.rejects ? store.rejects : body.rejects;
      if (limit) own_["store " + store.name] = *limit;
    }
  }
}

Status RejectBudget::TooMany(const std::string& place, int64_t rejected, const RejectLimit& limit) const {
  return Fail(Code::kData, "too many rejects{}: {} where {} are allowed", place.empty() ? "" : " in " + place,
              FormatCount(rejected), limit.ToString())
      .Hint("`tranche rejects list` shows them; mend the rows, or raise `rejects`");
}

bool RejectBudget::judges_ends() const {
  bool ends = limit_.percent.has_value();
  for (const auto& [origin, limit] : own_) ends = ends || limit.percent.has_value();
  return ends;
}

int64_t RejectBudget::Rest() const {
  int64_t sum = 0;
  for (const auto& [origin, count] : rejected_) {
    if (!own_.contains(origin)) sum += count;
  }
  return sum;
}

Status RejectBudget::Add(const std::string& origin, int64_t count) {
  if (count == 0) return {};
  std::lock_guard lock(mutex_);
  int64_t& rejected = rejected_[origin];
  rejected += count;
  const auto own = own_.find(origin);
  const bool shared = own == own_.end();
  const RejectLimit& limit = shared ? limit_ : own->second;
  const int64_t sum = shared ? Rest() : rejected;
  if (!limit.Exceeded(sum, 0, false)) return {};
  rejected -= count;  // the rows are not refused after all: the run stops before they are
  return TooMany(shared ? "" : origin, sum, limit);
}

void RejectBudget::TakeBack(const std::string& origin, int64_t count) {
  std::lock_guard lock(mutex_);
  rejected_[origin] -= count;
}

Status RejectBudget::JudgeEnd(const std::string& origin, int64_t rows) {
  std::lock_guard lock(mutex_);
  const auto own = own_.find(origin);
  if (own == own_.end() || !own->second.Exceeded(rejected_[origin], rows, true)) return {};
  return TooMany(origin, rejected_[origin], own->second);
}

Status RejectBudget::JudgeRest(int64_t rows) {
  std::lock_guard lock(mutex_);
  if (!limit_.Exceeded(Rest(), rows, true)) return {};
  return TooMany("", Rest(), limit_);
}

}  // namespace tranche
