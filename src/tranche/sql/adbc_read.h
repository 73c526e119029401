// Arrow data of a driver as the engine takes it. For the files adbc*.cc alone.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <arrow/type_fwd.h>

#include "tranche/sql/adbc_client.h"
#include "tranche/sql/server.h"

namespace tranche::sql {

// What columns an answer of these has; one that cannot be read is an error that says what to do.
Result<std::vector<AnswerColumn>> AdbcColumns(const arrow::Schema& schema);

// The rows with `columns`, which stand in this order in the answer.
std::unique_ptr<ServerAnswer> ReadAdbc(std::unique_ptr<AdbcRows> rows, std::vector<AnswerColumn> columns,
                                       bool with_row);

// Each row as text; a boolean is "t" or "f".
Status EachText(AdbcRows& rows, const std::function<Status(const TextRow&)>& take);
Result<std::vector<TextRow>> TextsOf(AdbcRows& rows);

}  // namespace tranche::sql
