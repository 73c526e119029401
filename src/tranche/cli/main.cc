#include <sys/resource.h>

#include <cstdlib>
#include <exception>
#include <string>

#include "tranche/base/failpoint.h"
#include "tranche/cli/command_line.h"
#include "tranche/duckdb/duckdb_engine.h"

namespace {

using tranche::Code;
using tranche::Error;
using tranche::ExitCode;
using tranche::Session;
using tranche::Status;

// Many systems allow few open files, and more to whoever asks.
void AllowOpenFiles() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Arrow's own allocator takes large pages, which are zeroed: 5 ms of a run that needs little memory. It is no
// faster in one that needs much.
void UseSystemAllocator() { setenv("ARROW_DEFAULT_MEMORY_POOL", "system", /*overwrite=*/0); }

tranche::Logger* log_of_run = nullptr;  // masks secrets

// The last word of a run that fails; its exit code.
int Say(Error error) {
  if (error.message.find("Too many open files") != std::string::npos)
    error = std::move(error).Hint("raise the limit (`ulimit -n 4096`), then run it again");
  const int code = ExitCode(error.code);
  const std::string text = error.ToString();
  if (log_of_run != nullptr && log_of_run->json()) {
    log_of_run->Error(text, {{"exit", int64_t{code}}});
  } else {
    fmt::print(stderr, "{}\n", log_of_run == nullptr ? text : log_of_run->Redacted(text));
  }
  return code;
}

// For std::terminate: some thread threw, and nobody can catch it. What this process leaves is what one leaves
// that was killed: the next run resumes.
[[noreturn]] void EndByException() noexcept {
  Error error = tranche::Fail(Code::kInternal, "ended without a reason");
  try {
    if (const std::exception_ptr thrown = std::current_exception()) std::rethrow_exception(thrown);
  } catch (const std::exception& thrown) {
    error = tranche::DuckDbThrew(thrown.what()).Hint("run it again to resume");
  } catch (...) {  // of a type that we do not know
  }
  std::_Exit(Say(std::move(error)));
}

int Run(int argc, char** argv) {
  AllowOpenFiles();
  UseSystemAllocator();
  const tranche::CommandLine line = tranche::ParseCommandLine(argc, argv);
  if (line.exit) return *line.exit;
  if (Status armed = tranche::ArmFailpoints(); !armed) return Say(std::move(armed).error());
  auto session = Session::Make(line.flags);
  if (!session) return Say(std::move(session).error());
  log_of_run = &(*session)->log();
  Status done = line.action(**session);
  return done ? 0 : Say(std::move(done).error());
}

}  // namespace

int main(int argc, char** argv) {
  std::set_terminate(EndByException);
  try {
    return Run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "internal error: {}\nplease report it with the job file and the command line\n",
               error.what());
    return ExitCode(Code::kInternal);
  }
}
