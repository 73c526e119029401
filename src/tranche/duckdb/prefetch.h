// A thread that reads ahead, so that reading and what the engine does with the rows use a processor each.
#pragma once

#include <memory>

#include "tranche/connector/engine.h"

namespace tranche::duckdb {

// Yields what `reader` does, in its order. At most two batches wait. The reader is used by the thread alone
// until the result is destroyed.
std::unique_ptr<Reader> Prefetch(std::unique_ptr<Reader> reader);

}  // namespace tranche::duckdb
