// A table or a query of a database server as a source, whatever the server (sql/server.h).
//
// The rows are those of one moment. A large table is read by several sessions, each a part of it; they share
// the moment. A value that its column's type has no room for stops the first reading; the second one, in one
// session, has such rows as rejects (careful.h). A server that is lost while it is read is read again from
// the start: nothing of an answer is stored before its end.
#pragma once

#include <memory>

#include "tranche/connector/source.h"
#include "tranche/connector/spec.h"
#include "tranche/sql/server.h"
#include "tranche/sql/table_name.h"

namespace tranche {

// The fields of such a source, beside its url.
std::vector<Field> ServerSourceFields();

// `table` is empty where the options have a query.
std::unique_ptr<Source> MakeServerSource(std::unique_ptr<sql::Server> server, sql::TableName table,
                                         const Options& options);

}  // namespace tranche
