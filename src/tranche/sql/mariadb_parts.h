// How a table of MariaDB's is read: in the order of its primary key, or by several sessions side by side in
// ranges of it, at one moment. The way of mydumper (https://github.com/mydumper/mydumper): each session
// begins a transaction with its snapshot while a lock keeps writers from the table.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tranche/sql/server.h"

namespace tranche::sql {

// As ServerSession::Parts. By what the server says of ranges of the index: a few statements, which read no
// rows but the least and the greatest key of ranges.
Result<TableParts> MariaDbParts(SqlConnection& session, const TableName& table, int64_t bytes, int most);

// As ServerSession::ReadingOrder.
Result<std::vector<std::string>> MariaDbReadingOrder(SqlConnection& session, const TableName& table);

// As ServerSession::ShareMoment. Writers wait for a second at most for `locking` to get its lock, and then as
// long as `sessions` take to begin; a session that does not say more within a second loses its lock.
std::optional<std::string> ShareMariaDbMoment(SqlConnection& locking, const TableName& table,
                                              const std::vector<std::unique_ptr<ServerSession>>& sessions);

}  // namespace tranche::sql
