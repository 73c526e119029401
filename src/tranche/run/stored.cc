#include "tranche/run/stored.h"

#include <algorithm>

namespace tranche {
namespace {

constexpr std::string_view kStoring = "storing";  // a note
constexpr std::string_view kWords[] = {"", "aside", "while read", "all is read"};

}  // namespace

Result<Stored> StoredOf(State& state, const std::string& run) {
  TRANCHE_ASSIGN(const auto noted, state.Note(run, "", kStoring));
  const auto* word = std::ranges::find(kWords, noted.value_or(""));
  if (word == std::end(kWords)) return Fail(Code::kOutside, "state.db: '{}' is not known", *noted);
  return static_cast<Stored>(word - kWords);
}

Status NoteStored(State& state, const std::string& run, Stored how) {
  return state.SetNote(run, "", kStoring, kWords[static_cast<size_t>(how)]);
}

}  // namespace tranche
