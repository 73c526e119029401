#include "tranche/sinks/database_sink.h"

#include <sys/stat.h>

#include <filesystem>

#include <arrow/type.h>

#include "tranche/base/file.h"
#include "tranche/connector/step.h"
#include "tranche/sql/ledger.h"

namespace tranche {

Shape DatabaseShape(std::string_view example_file) {
  return Shape::Object({
      {"path", Shape::Path(),
       fmt::format("The database file, such as {}; made where it is missing.", example_file),
       Field::kRequired},
      {"table", Shape::Text(), "The table; made from the rows' columns where it is missing.",
       Field::kRequired},
      {"mode", Shape::Choice({"append", "replace", "upsert"}),
       "`append` adds the rows; `replace` puts them in the place of all that were there, at the end and in "
       "one step; `upsert` "
       "replaces rows of the same key, and the last row of a key wins.",
       "append"},
      {"key", Shape::List(Shape::Column()),
       "The columns that name a row, for `upsert`. A table that we make has them as its primary key; one "
       "that is there needs a "
       "unique index on them."},
  });
}

Result<DatabaseOptions> DatabaseOptions::Parse(const Options& options) {
  DatabaseOptions parsed;
  parsed.path = options.Text("path");
  parsed.table = options.Text("table");
  parsed.mode = options.Text("mode");
  parsed.key = options.Texts("key");
  parsed.place = options.place();
  if (parsed.mode == "upsert" && parsed.key.empty()) {
    return Fail(Code::kJob, "mode upsert needs a 'key'")
        .At(options.PlaceOf("mode"))
        .Hint("add key: [column, …]");
  }
  if (parsed.mode != "upsert" && !parsed.key.empty()) {
    return Fail(Code::kJob, "'key' is for mode upsert, and this is {}", parsed.mode)
        .At(options.PlaceOf("key"));
  }
  if (parsed.table.empty()) return Fail(Code::kJob, "'table' is empty").At(options.PlaceOf("table"));
  if (sql::Ledger::Owns(parsed.table)) {
    return Fail(Code::kJob, "table '{}' is the ledger of Tranche", parsed.table).At(options.PlaceOf("table"));
  }
  return parsed;
}

Status DatabaseOptions::Check(const arrow::Schema& schema) const {
  Columns columns;
  for (const auto& field : schema.fields()) columns.push_back({field->name(), ""});
  if (columns.empty()) return Fail(Code::kJob, "the rows have no columns").At(place);
  for (const std::string& part : key) {
    if (!FindColumn(columns, part)) return NoColumn(part, columns, place);
  }
  struct stat info = {};
  if (stat(path.c_str(), &info) == 0) {
    if (S_ISREG(info.st_mode)) return {};
    return Fail(Code::kJob, "{} is {}, not a database file", path,
                S_ISDIR(info.st_mode) ? "a folder" : "no regular file")
        .At(place);
  }
  return {};
}

Status DatabaseOptions::Prepare(const arrow::Schema& schema) const {
  TRANCHE_TRY(Check(schema));
  return MakeFolders(std::filesystem::path(path).parent_path().string());
}

Status DatabaseOptions::Lasting(Status looked) const {
  if (looked || looked.error().code != Code::kJob) return {};
  return std::move(looked).error().At(place);
}

std::string DatabaseOptions::Describe(std::string_view connector) const {
  std::string keys;
  for (const std::string& part : key) keys += (keys.empty() ? " by " : ", ") + part;
  return fmt::format("{} {}, table {}, {}{}", connector, path, table, mode, keys);
}

Status DatabaseOptions::CheckStored(int64_t stored, int64_t there) const {
  // Rows of an upsert may have replaced each other.
  if (there >= stored || (mode == "upsert" && there > 0)) return {};
  return Fail(Code::kData, "table '{}' holds {} rows, but this run has committed {} to it", table, there,
              stored)
      .Hint(
          "was it emptied or restored? Begin a new run with --again, or go on as it is with --trust-target");
}

Error DatabaseOptions::TableGone(std::string_view name) const {
  return Fail(Code::kData, "table '{}' is gone, but this run has committed rows to it", name)
      .Hint("begin a new run with --again, or go on with the rows that are left with --trust-target");
}

Error DatabaseOptions::NoUniqueIndex() const {
  std::string list, name = table;
  for (const std::string& part : key) {
    list += (list.empty() ? "" : ", ") + QuoteName(part);
    name += "_" + part;
  }
  return Fail(Code::kJob, "table '{}' has no unique index on the key", table)
      .Hint(fmt::format("run: CREATE UNIQUE INDEX {} ON {} ({})", QuoteName(name), QuoteName(table), list));
}

}  // namespace tranche
