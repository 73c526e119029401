// Remains: what a run has left behind, so that two of them can be compared: the rows of every store, read
// back by the source of the same name, what its ledger says, and the rejects.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tranche/base/result.h"
#include "tranche/connector/engine.h"
#include "tranche/connector/spec.h"
#include "tranche/job/job.h"

namespace tranche {

struct StoredRows {
  std::vector<std::string> columns;
  std::vector<TextRow> rows;
  int64_t sent = 0;    // as its ledger says
  std::string ledger;  // "finished: 2,000 sent = 1,990 stored + 0 superseded + 0 unmatched + 10 rejected"
};

struct Remains {
  std::map<std::string, StoredRows> stores;
  std::vector<TextRow> rejects;          // origin, reason, column, row
  std::vector<std::string> left_behind;  // that a finished run removes
  int64_t runs = 0;                      // that were begun
};

// Of the newest run of `job` in `folder` (a trial), whose targets it names. The engine is used for this
// alone: what is attached to it stays.
Result<Remains> Collect(const Job& job, const Registry& registry, Engine& engine, const std::string& folder);

// What comes out differently although nothing has happened: now(), uuid(), a run's id.
struct Unsteady {
  std::map<std::string, std::set<std::string>> columns;  // by store
  bool rejected_rows = false;                            // their content
};
// Of two undisturbed runs. An error if more than single columns differ: then nothing can be proved.
Result<Unsteady> FindUnsteady(const Remains& one, const Remains& other);

// What is different, in words; empty = nothing: "store 'out': 3 rows are lost, such as (7, x)".
std::vector<std::string> Differences(const Remains& expected, const Remains& found, const Unsteady& unsteady);

}  // namespace tranche
