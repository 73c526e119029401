// A table or a query of a database server as a source, whatever the server (sql/server.h).
//
// The rows are those of one moment. A large table is read by several sessions, each a part of it; they share
// the moment. A value that its column's type has no room for stops the first reading; the second one, in one
// session, has such rows as rejects (careful.h). A server that is lost while it is read is read again from
// the start: nothing of an answer is stored before its end.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "tranche/connector/spec.h"
#include "tranche/sql/server.h"

namespace tranche {

// The fields and the factory of such a source; its words and its example are the connector's own. `fields`
// name the server, as `make` reads them.
using ServerMaker = std::function<Result<std::unique_ptr<sql::Server>>(const Options&)>;
void SetServerSource(SourceSpec& spec, std::vector<Field> fields, ServerMaker make);
void SetServerSource(SourceSpec& spec, Field url, sql::MakeServer make);

}  // namespace tranche
