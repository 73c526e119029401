#include <filesystem>
#include <memory>

#include "tranche/base/file.h"
#include "tranche/cli/commands.h"

namespace tranche {
namespace {

// Folders stand for the job files in them.
Result<std::vector<std::string>> Files(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    if (!std::filesystem::is_directory(path)) {
      files.push_back(path);
      continue;
    }
    for (const char* ending : {"/*.yaml", "/*.yml"}) {
      TRANCHE_ASSIGN(auto found, Glob(path + ending));
      files.insert(files.end(), found.begin(), found.end());
    }
  }
  return files;
}

}  // namespace

Status ValidateCommand(Session& session, const ValidateFlags& flags) {
  TRANCHE_ASSIGN(const auto files, Files(flags.paths));
  if (files.empty()) return Fail(Code::kJob, "no job file in {}", fmt::join(flags.paths, ", "));
  int wrong = 0;
  std::string mistakes;
  for (const std::string& file : files) {
    auto job = session.Load(file, session.set(), NewId(), /*offline=*/true);
    if (!job) {
      ++wrong;
      mistakes += (mistakes.empty() ? "" : "\n") + job.error().message;
      continue;
    }
    session.SayWarnings();
    fmt::print("{}: ok{}\n", file,
               job->secrets.empty() ? "" : fmt::format("; needs {}", fmt::join(job->secrets, ", ")));
  }
  if (wrong > 0) return Error{Code::kJob, mistakes};
  return {};
}

}  // namespace tranche
