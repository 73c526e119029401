// Scratch targets of the stores in this folder: a path is moved, and what a database file defines is copied.
#pragma once

#include "tranche/connector/spec.h"

namespace tranche {

Result<ScratchTarget> ScratchFiles(const Options& options, const ScratchPlace& place);
Result<ScratchTarget> ScratchSqlite(const Options& options, const ScratchPlace& place);
Result<ScratchTarget> ScratchDuckDb(const Options& options, const ScratchPlace& place);

}  // namespace tranche
