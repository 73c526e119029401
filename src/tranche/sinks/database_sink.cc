#include "tranche/sinks/database_sink.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "tranche/base/file.h"

namespace tranche {

Shape DatabaseShape(std::string_view example_file, Schemas schemas) {
  std::vector<Field> fields = TableFields(schemas);
  fields.insert(fields.begin(),
                {"path", Shape::Path(),
                 fmt::format("The database file, such as {}; made where it is missing.", example_file),
                 Field::kRequired});
  return Shape::Object(std::move(fields));
}

Result<DatabaseOptions> DatabaseOptions::Parse(const Options& options, Schemas schemas) {
  DatabaseOptions parsed;
  TRANCHE_TRY(parsed.ParseTable(options, schemas));
  parsed.path = options.Text("path");
  return parsed;
}

Status DatabaseOptions::Check(const arrow::Schema& schema) const {
  TRANCHE_TRY(CheckRows(schema));
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) return {};
  if (!S_ISREG(info.st_mode)) {
    return Fail(Code::kJob, "{} is {}, not a database file", path,
                S_ISDIR(info.st_mode) ? "a folder" : "no regular file")
        .At(place);
  }
  if (faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) != 0) {
    Error error = FailErrno("write", path, errno);
    error.code = Code::kJob;
    return std::move(error).At(place);
  }
  return {};
}

Status DatabaseOptions::Prepare(const arrow::Schema& schema) const {
  TRANCHE_TRY(Check(schema));
  return MakeFolders(std::filesystem::path(path).parent_path().string());
}

}  // namespace tranche
