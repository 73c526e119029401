#include <sys/resource.h>

#include <cstdlib>
#include <exception>

#include "tranche/base/failpoint.h"
#include "tranche/cli/command_line.h"

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

Error Explained(Error error) {
  if (error.message.find("Too many open files") == std::string::npos) return error;
  return std::move(error).Hint("raise the limit (`ulimit -n 4096`), then run it again");
}

// Arrow's own allocator takes large pages, which are zeroed: 5 ms of a run that needs little memory. It is no
// faster in one that needs much.
void UseSystemAllocator() { setenv("ARROW_DEFAULT_MEMORY_POOL", "system", /*overwrite=*/0); }

int Run(int argc, char** argv) {
  AllowOpenFiles();
  UseSystemAllocator();
  const tranche::CommandLine line = tranche::ParseCommandLine(argc, argv);
  if (line.exit) return *line.exit;
  auto refuse = [](const Error& error) {
    fmt::print(stderr, "{}\n", error.ToString());
    return ExitCode(error.code);
  };
  if (Status armed = tranche::ArmFailpoints(); !armed) return refuse(armed.error());
  auto made = Session::Make(line.flags);
  if (!made) return refuse(made.error());
  Session& session = **made;
  const Status done = line.action(session);
  if (done) return 0;
  const Error error = Explained(done.error());
  if (session.log().json()) {
    session.log().Error(error.ToString(), {{"exit", int64_t{ExitCode(error.code)}}});
  } else {
    fmt::print(stderr, "{}\n", session.log().Redacted(error.ToString()));
  }
  return ExitCode(error.code);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return Run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "internal error: {}\nplease report it with the job file and the command line\n",
               error.what());
    return ExitCode(Code::kInternal);
  }
}
