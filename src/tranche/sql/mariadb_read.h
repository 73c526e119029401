// The rows of a SELECT of MariaDB's, as Arrow.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tranche/sql/mariadb_connection.h"

namespace tranche::sql {

// The columns of an answer, as `fields` describe them.
std::vector<AnswerColumn> MariaDbColumns(const std::vector<MYSQL_FIELD>& fields,
                                         const std::vector<std::string>& names);

// The answer of a SELECT that has begun; the connection must outlive it.
Result<std::unique_ptr<ServerAnswer>> ReadMariaDb(MariaDbConnection& connection,
                                                  const std::vector<AnswerColumn>& columns, bool with_row);

}  // namespace tranche::sql
