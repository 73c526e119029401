// ServerStore: a table of a database server as a store, whatever the server (sql/server.h). The ledger lies
// beside the table; protocol: docs/guarantees.md.
//
// Open: a lock for the run, then the epoch of the ledger is raised, which waits for every batch of an earlier
// start, then the ledger is read. Write: claim, rows, rejects, counts, COMMIT. An answer that was lost leaves
// the batch unknown; the next attempt ends what is left of the old session, and the claim tells.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tranche/connector/spec.h"
#include "tranche/sql/server.h"

namespace tranche {

// The fields, modes and factories of such a store; its words and its example are the connector's own.
// `fields` name the server, as `make` reads them.
using ServerStoreMaker =
    std::function<Result<std::unique_ptr<sql::Server>>(const Options& options, const std::string& schema)>;
void SetServerStore(SinkSpec& spec, std::vector<Field> fields, ServerStoreMaker make);
void SetServerStore(SinkSpec& spec, Field url, sql::MakeServer make);

}  // namespace tranche
