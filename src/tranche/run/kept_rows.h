// KeptRows: the rows of a stage that a run has left in its spool, to be asked by the values of columns.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tranche/base/result.h"
#include "tranche/batch/segment.h"
#include "tranche/connector/engine.h"
#include "tranche/state/state.h"

namespace tranche {

using Conditions = std::vector<std::pair<std::string, std::string>>;  // columns and their values, as text

class KeptRows {
 public:
  // `folder`: the spool's. The rows of a stage that is not sealed are those of its segments so far.
  static Result<std::unique_ptr<KeptRows>> Open(State& state, const StageRecord& stage,
                                                const std::string& folder, Engine& engine);
  ~KeptRows();
  KeptRows(const KeptRows&) = delete;

  const Columns& columns() const { return columns_; }  // visible ones

  struct Row {
    int64_t number = 0;
    std::string content;  // JSON
    std::string file;     // that it was read from, where the stage has kept that
    int64_t line = 0;     // in it, from 1; 0: not known
  };
  // The first `most` that meet all conditions. An error of Code::kJob: no such column, or a value that is
  // none of its type.
  Result<std::vector<Row>> Find(const Conditions& where, int64_t most);

  // For the rows that meet `where`: their numbers and those of all rows with the same `key`, by key.
  // Ascending; at most 100,000 rows.
  Result<std::vector<std::vector<int64_t>>> OfSameKey(const Conditions& where,
                                                      const std::vector<std::string>& key);

 private:
  KeptRows(Spool spool, Engine& engine) : spool_(std::move(spool)), engine_(engine) {}
  Result<std::string> Condition(const Conditions& where) const;

  Spool spool_;
  Engine& engine_;
  std::string from_;
  Columns columns_;
  bool has_file_ = false;
  bool has_line_ = false;
};

}  // namespace tranche
