// Threads that read ahead, so that reading and what the engine does with the rows use a processor each.
#pragma once

#include <memory>
#include <vector>

#include "tranche/connector/engine.h"

namespace tranche {

// Yields what `readers` of one schema do: one in its order, several side by side, as rows come, and shared by
// whoever asks. The first error ends it. At most two batches wait, or one for each reader. A reader is used
// by a thread of its own alone until the result is destroyed.
std::unique_ptr<Reader> Prefetch(std::vector<std::unique_ptr<Reader>> readers);

}  // namespace tranche
