// ServerStore: a table of a database server as a store, whatever the server (sql/server.h). The ledger lies
// beside the table; protocol: docs/guarantees.md.
//
// Open: a lock for the run, then the epoch of the ledger is raised, which waits for every batch of an earlier
// start, then the ledger is read. Write: claim, rows, rejects, counts, COMMIT. An answer that was lost leaves
// the batch unknown; the next attempt ends what is left of the old session, and the claim tells.
#pragma once

#include <memory>

#include "tranche/connector/sink.h"
#include "tranche/sinks/table_options.h"
#include "tranche/sql/server.h"

namespace tranche {

std::unique_ptr<Sink> MakeServerStore(std::unique_ptr<sql::Server> server, TableOptions options);

}  // namespace tranche
