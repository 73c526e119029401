// How far the stores of a run have come: what may still be given up or changed without a word hangs on it.
#pragma once

#include <string>

#include "tranche/base/result.h"
#include "tranche/state/state.h"

namespace tranche {

// Later ones are more.
enum class Stored {
  kNothing,
  kAside,      // rows of a stage that is still being read, where nobody sees them
  kWhileRead,  // such rows in a store that others see: the inputs must stay as they are
  kAllRead,    // the inputs are not looked at any more
};

Result<Stored> StoredOf(State& state, const std::string& run);
Status NoteStored(State& state, const std::string& run, Stored how);

// Rows of it may be seen, or will be: it can't be forgotten.
inline bool IsBinding(Stored how) { return how > Stored::kAside; }

}  // namespace tranche
