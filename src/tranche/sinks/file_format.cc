#include "tranche/sinks/file_format.h"

namespace tranche {

Result<int64_t> FileFormat::WritePartitions(Engine&, const Query&, const std::string&,
                                            const std::vector<std::string>&) const {
  return Fail(Code::kInternal, "{} files have no partitions", name());
}

Result<int64_t> FileFormat::CountRows(const std::string&) const { return -1; }

Result<int64_t> EngineFormat::Write(Engine& engine, const Query& query, const std::string& path) const {
  TRANCHE_ASSIGN(Query prepared, Prepare(engine, query));
  return engine.CopyAside(prepared, {path, name_, options_, {}, ""});
}

Result<int64_t> EngineFormat::WritePartitions(Engine& engine, const Query& query, const std::string& path,
                                              const std::vector<std::string>& columns) const {
  TRANCHE_ASSIGN(Query prepared, Prepare(engine, query));
  return engine.CopyAside(prepared, {path, name_, options_, columns, ""});
}

Result<Query> EngineFormat::Replace(Engine& engine, const Query& query,
                                    const std::function<std::string(const Column&)>& expression) {
  TRANCHE_ASSIGN(Columns columns, engine.Bind(query));
  std::string list;
  for (const Column& column : columns) {
    std::string other = expression(column);
    if (other.empty()) continue;
    list += fmt::format("{}{} AS {}", list.empty() ? "" : ", ", other, QuoteName(column.name));
  }
  if (list.empty()) return query;
  SqlText sql("SELECT * REPLACE (" + list + ") FROM (");
  sql << query.sql << "\n)";
  return Query{std::move(sql), query.parameters};
}

}  // namespace tranche
