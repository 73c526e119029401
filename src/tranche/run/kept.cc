#include "tranche/run/kept.h"

#include "tranche/base/failpoint.h"
#include "tranche/base/file.h"

namespace tranche {
namespace {

constexpr std::string_view kNote = "keep batches";  // with one of these
constexpr std::string_view kRows = "rows";
constexpr std::string_view kPlaces = "places";
constexpr std::string_view kForgotten = "forgotten";

}  // namespace

Result<Keeping> KeepingOf(State& state, const RunRecord& run) {
  TRANCHE_ASSIGN(const auto note, state.Note(run.id, "", kNote));
  return note == kPlaces ? Keeping::kPlaces : note == kRows ? Keeping::kRows : Keeping::kNothing;
}

std::pair<std::string, std::string> NoteOf(Keeping keeping) {
  return {std::string(kNote), std::string(keeping == Keeping::kPlaces ? kPlaces : kRows)};
}

Status NoteKept(State& state, const RunRecord& run) {
  TRANCHE_ASSIGN(const Keeping before, KeepingOf(state, run));
  if (before != Keeping::kNothing) return {};
  TRANCHE_ASSIGN(const auto stages, state.Stages(run.id));
  const auto [name, value] = NoteOf(stages.empty() ? Keeping::kPlaces : Keeping::kRows);
  return state.SetNote(run.id, "", name, value);
}

std::string KeptFolder(const std::string& folder, int64_t run) {
  return fmt::format("{}/kept/{}", folder, run);
}

// The run's own folder goes last: it says that there is something to be put away still.
Status PutSpoolsAway(State& state, const std::string& folder, const RunRecord& run) {
  TRANCHE_ASSIGN(const Keeping keeping, KeepingOf(state, run));
  const bool kept = keeping != Keeping::kNothing && run.state == RunState::kFinished;
  if (kept) TRANCHE_TRY(MakeFolders(KeptFolder(folder, run.number)));
  TRANCHE_ASSIGN(const auto stages, state.Stages(run.id));
  for (const StageRecord& stage : stages) {
    const std::string spool = folder + "/spool/" + stage.id;
    if (kept && Exists(spool)) {
      TRANCHE_TRY(Rename(spool, KeptFolder(folder, run.number) + "/" + stage.id));
    } else {
      TRANCHE_TRY(RemoveFolder(spool));
    }
    TRANCHE_TRY(Failpoint("spool.removed"));
  }
  return RemoveFolder(folder + "/run/" + run.id);
}

Result<std::vector<std::string>> ForgottenRuns(State& state, const std::string& folder) {
  std::vector<std::string> forgotten;
  TRANCHE_ASSIGN(const auto runs, state.Runs());
  for (const RunRecord& run : runs) {
    if (run.state != RunState::kFinished || Exists(KeptFolder(folder, run.number))) continue;
    TRANCHE_ASSIGN(const Keeping keeping, KeepingOf(state, run));
    if (keeping != Keeping::kNothing) forgotten.push_back(run.id);
  }
  return forgotten;
}

Status NoteForgotten(State& state, const std::vector<std::string>& runs) {
  for (const std::string& run : runs) TRANCHE_TRY(state.SetNote(run, "", kNote, kForgotten));
  return {};
}

Result<std::vector<RunRecord>> KeptRuns(State& state, const std::string& folder) {
  TRANCHE_ASSIGN(auto runs, state.Runs());
  std::erase_if(runs, [&](const RunRecord& run) {
    return run.state != RunState::kFinished || !Exists(KeptFolder(folder, run.number));
  });
  return runs;
}

}  // namespace tranche
