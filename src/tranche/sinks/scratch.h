// Scratch targets of the stores in this folder: a path or a schema is moved, and what a database
// defines there is copied.
#pragma once

#include "tranche/connector/spec.h"
#include "tranche/sinks/table_options.h"
#include "tranche/sql/server.h"

namespace tranche {

Result<ScratchTarget> ScratchFiles(const Options& options, const ScratchPlace& place);
Result<ScratchTarget> ScratchSqlite(const Options& options, const ScratchPlace& place);
Result<ScratchTarget> ScratchDuckDb(const Options& options, const ScratchPlace& place);
// A schema of its own in the same database, which goes by ScratchTarget::remove.
Result<ScratchTarget> ScratchServer(std::shared_ptr<sql::Server> server, const TableOptions& table,
                                    const Options& options, const ScratchPlace& place);

}  // namespace tranche
