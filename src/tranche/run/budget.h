// RejectBudget: how many rejects are allowed, over all places of a run.
//
// A place (an input, a step, a store) with a limit of its own is judged by that; all others share the job's
// limit. A count is judged as soon as it is exceeded; a percentage at the end of its place, of the rows that
// came there. Thread-safe: a reject that is in flight counts, so that parallel batches can't exceed the limit
// together.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "tranche/base/result.h"
#include "tranche/base/units.h"
#include "tranche/job/job.h"

namespace tranche {

class RejectBudget {
 public:
  explicit RejectBudget(const Job& job);

  // Some limit is a percentage: whether the run may go on is known only when all rows were read.
  bool judges_ends() const;
  // `count` more rejects of a place; an Error of Code::kData if that is too many already.
  Status Add(const std::string& origin, int64_t count);
  // What a place that is made anew had added before.
  void TakeBack(const std::string& origin, int64_t count);
  // `rows` came to the place, and no more will.
  Status JudgeEnd(const std::string& origin, int64_t rows);
  // The same for all places without a limit of their own; `rows`: read by all inputs.
  Status JudgeRest(int64_t rows);

 private:
  Status TooMany(const std::string& place, int64_t rejected, const RejectLimit& limit) const;
  int64_t Rest() const;

  std::mutex mutex_;
  RejectLimit limit_;
  std::map<std::string, RejectLimit> own_;
  std::map<std::string, int64_t> rejected_;
};

}  // namespace tranche
