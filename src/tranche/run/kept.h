// Kept runs: what a run with --keep-batches leaves for `tranche trace` when it is finished.
//
//   <state>/kept/<run number>/<stage id>/   the rows of its stages as they were stored, a spool each
//   tranche_batch in its targets            its spans, when they were committed, and by which start
//
// Whoever removes the folder of a run has it forgotten: the next run of the job takes its rows out of
// tranche_batch. The note stands from the moment when a start of the run was asked to keep.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tranche/base/result.h"
#include "tranche/state/state.h"

namespace tranche {

enum class Keeping {
  kNothing,
  kRows,    // and batches: it was asked to when rows had been read
  kPlaces,  // before: its rows carry where they stood in their inputs as well
};
Result<Keeping> KeepingOf(State& state, const RunRecord& run);
// As a note of a run that begins, and of one that is resumed.
std::pair<std::string, std::string> NoteOf(Keeping keeping);
Status NoteKept(State& state, const RunRecord& run);

std::string KeptFolder(const std::string& folder, int64_t run);  // `folder`: of the job's state

// Of a run that is over: lays the spools of a finished one that keeps aside, removes those of all others. May
// be called again.
Status PutSpoolsAway(State& state, const std::string& folder, const RunRecord& run);

// Runs that have kept, and whose folder somebody has removed: their ids, until NoteForgotten.
Result<std::vector<std::string>> ForgottenRuns(State& state, const std::string& folder);
Status NoteForgotten(State& state, const std::vector<std::string>& runs);

// The finished runs that are kept, oldest first.
Result<std::vector<RunRecord>> KeptRuns(State& state, const std::string& folder);

}  // namespace tranche
