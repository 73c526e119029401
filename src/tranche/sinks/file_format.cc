#include "tranche/sinks/file_format.h"

#include <algorithm>
#include <iterator>

namespace tranche {

Result<int64_t> FileFormat::WritePartitions(Engine&, const Query&, const std::string&,
                                            const std::vector<std::string>&) const {
  return Fail(Code::kInternal, "{} files have no partitions", name());
}

Result<int64_t> FileFormat::CountRows(const std::string&) const { return -1; }

Result<int64_t> EngineFormat::Write(Engine& engine, const Query& query, const std::string& path) const {
  return Copy(engine, query, {path, name_, options_, {}, ""});
}

Result<int64_t> EngineFormat::WritePartitions(Engine& engine, const Query& query, const std::string& path,
                                              const std::vector<std::string>& columns) const {
  return Copy(engine, query, {path, name_, options_, columns, ""});
}

Result<int64_t> EngineFormat::Copy(Engine& engine, const Query& query, CopyTarget target) const {
  TRANCHE_ASSIGN(Query prepared, Prepare(engine, query));
  TRANCHE_ASSIGN(CopyOptions more, OptionsFor(engine));
  std::ranges::move(more, std::back_inserter(target.options));
  return engine.CopyAside(prepared, target);
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
