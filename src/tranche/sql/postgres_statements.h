// What a session on PostgreSQL does by SQL alone, whatever carries its statements. Query gives a boolean as
// "t" or "f".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tranche/sql/server.h"

namespace tranche::sql {

class PostgresStatements : public ServerSession {
 public:
  Result<Columns> ColumnsOf(std::string_view table) override;
  const Dialect& dialect() const override { return kPostgres; }
  Result<SchemaTables> Tables(const std::string& schema) override;
  Result<TableInfo> Look(std::string_view table) override;
  Result<bool> MayCreate() override;
  Result<bool> HasUniqueIndex(const TableInfo& table, const std::vector<std::string>& key) override;
  Status CreateLike(const TableInfo& table, const std::string& name) override;
  Status ReplaceBy(const std::string& table, const std::string& staging, const std::string& mark) override;
  Result<std::optional<std::string>> TryLock(const std::string& name) override;
  Status EndSessions(const std::string& application, int64_t number) override;
  Result<std::string> MakeScratch(const std::string& table, const std::string& name) override;
  Status DropScratch(const std::string& name) override;

 protected:
  // Of a new session: what it must not take from the server's defaults. Names without a schema are found in
  // `schema` (empty: where the server looks for them).
  Status SetUp(const std::string& schema);

 private:
  // Why another table can't simply take this one's place.
  Result<bool> IsPlain(const std::string& oid);
};

// Of a boolean that Query gave.
inline bool IsTrue(const std::optional<std::string>& text) { return text == "t"; }

// Of Server.
std::string PostgresLiteral(const Value& value);
Status CheckPostgresName(std::string_view what, std::string_view name);

}  // namespace tranche::sql
