// The rows of a COPY … TO STDOUT in PostgreSQL's binary format, as Arrow; postgres_copy.h has the grammar.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tranche/sql/postgres_connection.h"

namespace tranche::sql {

// How the values of a column of PostgreSQL's type `base` (pg_type.typname; "_int4" is an array) with the
// modifier `modifier` are read: `type` and `value` of the column are set, by its name.
void SetPostgresColumn(AnswerColumn& column, const std::string& base, char kind, int modifier);

// The answer of a COPY that is under way; the connection must outlive it. `checks_text`: the server does not
// say that its text is UTF-8. With `with_row` the last column of the answer is a text of the whole row.
Result<std::unique_ptr<ServerAnswer>> ReadCopy(PostgresConnection& connection,
                                               const std::vector<AnswerColumn>& columns, bool with_row,
                                               bool checks_text);

}  // namespace tranche::sql
