// Scratch schemas of PostgreSQL, for `prove`: of ServerSession.
#pragma once

#include <string>

#include "tranche/sql/server.h"

namespace tranche::sql {

Result<std::string> MakePostgresScratch(ServerSession& session, const std::string& table,
                                        const std::string& name);
Status DropPostgresScratch(ServerSession& session, const std::string& name);

}  // namespace tranche::sql
