// SqlConnection: the little that the ledger needs of a database, the same for all of them.
// The caller owns transactions. One thread at a time; the connection must not outlive what it stands on.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tranche/base/result.h"
#include "tranche/base/sqlite.h"
#include "tranche/connector/engine.h"
#include "tranche/sql/dialect.h"

namespace tranche::sql {

class SqlConnection {
 public:
  virtual ~SqlConnection() = default;
  // Parameters are written $1, $2, … and appear for the first time in this order. Rows changed.
  virtual Result<int64_t> Execute(std::string_view sql, const std::vector<Value>& values = {}) = 0;
  virtual Result<std::vector<TextRow>> Query(std::string_view sql, const std::vector<Value>& values = {}) = 0;
  // Rows of whole numbers (0 for NULL), one after the other: for answers that are too long to be held.
  using Numbers = std::vector<int64_t>;
  virtual Status Each(std::string_view sql, const std::vector<Value>& values,
                      const std::function<Status(const Numbers&)>& take) = 0;
  // Columns of a table; none where there is no such table.
  virtual Result<Columns> ColumnsOf(std::string_view table) = 0;
  virtual const Dialect& dialect() const = 0;
};

std::unique_ptr<SqlConnection> Connect(sqlite::Database& database);
// `engine` has the attached database in use (USE).
std::unique_ptr<SqlConnection> Connect(Engine& engine);

Value Number(int64_t value);
Value Text(std::string value);
// Of $name: the value of a number from 1 on, else null.
const Value* FindParameter(const std::vector<Value>& values, std::string_view name);

// A whole number of a row; 0 for NULL.
int64_t ToNumber(const std::optional<std::string>& text);

}  // namespace tranche::sql
