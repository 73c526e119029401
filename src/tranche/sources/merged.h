// Reads several readers of one schema side by side, each on a thread of its own.
#pragma once

#include <memory>
#include <vector>

#include "tranche/connector/engine.h"

namespace tranche {

// Rows come as they come; the first error ends it. A reader is made by the thread that reads it.
std::unique_ptr<Reader> Merge(std::shared_ptr<arrow::Schema> schema, std::vector<ReaderFactory> parts);

}  // namespace tranche
