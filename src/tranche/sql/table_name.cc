#include "tranche/sql/table_name.h"

#include "tranche/connector/sql_text.h"

namespace tranche::sql {

std::string TableName::quoted() const {
  return (schema.empty() ? "" : QuoteName(schema) + ".") + QuoteName(table);
}

Result<TableName> ParseTableName(const Options& options) {
  TableName name{.table = options.Text("table")};
  if (options.Has("schema")) {
    name.schema = options.Text("schema");
    if (name.schema.empty()) return Fail(Code::kJob, "'schema' is empty").At(options.PlaceOf("schema"));
  } else if (size_t dot = name.table.find('.'); dot != std::string::npos) {
    if (dot == 0 || name.table.find('.', dot + 1) != std::string::npos) {
      return Fail(Code::kJob, "'{}' is not a table, or a schema and a table", name.table)
          .At(options.PlaceOf("table"))
          .Hint("write schema: beside it; the table's name is then taken as it is");
    }
    name.schema = name.table.substr(0, dot);
    name.table = name.table.substr(dot + 1);
  }
  if (name.table.empty()) return Fail(Code::kJob, "'table' is empty").At(options.PlaceOf("table"));
  return name;
}

}  // namespace tranche::sql
