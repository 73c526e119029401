#include "tranche/prove/launch.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <csignal>
#include <string_view>

#include "tranche/base/clock.h"
#include "tranche/base/file.h"

extern char** environ;  // NOLINT: as POSIX names it

namespace tranche {
namespace {

constexpr double kMostSeconds = 600;
constexpr std::string_view kVariable = "TRANCHE_FAILPOINT=";

std::string Failpoints(const std::optional<Kill>& kill, bool tell) {
  if (tell) return std::string(kVariable) + "*:tell";
  if (!kill || kill->failpoint.empty()) return "";
  return fmt::format("{}{}:kill@{}", kVariable, kill->failpoint, kill->hit);
}

// Ours, but for what it says of failpoints.
std::vector<std::string> Environment(std::string failpoints) {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (!std::string_view(*variable).starts_with(kVariable)) variables.emplace_back(*variable);
  }
  if (!failpoints.empty()) variables.push_back(std::move(failpoints));
  return variables;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

Result<pid_t> Spawn(std::vector<std::string> arguments, const std::string& said,
                    std::vector<std::string> environment) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, said.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  // The signals that this process takes by a thread of its own are the child's to take.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  arguments.insert(arguments.begin(), "tranche");
  pid_t child = 0;
  const int failed = posix_spawn(&child, "/proc/self/exe", &files, &attributes, Pointers(arguments).data(),
                                 Pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (failed != 0) return FailErrno("start", "/proc/self/exe", failed);
  return child;
}

// Whether the child ends within `seconds`.
Result<bool> EndsWithin(pid_t child, double seconds) {
  const int handle = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  if (handle < 0) return FailErrno("watch", "a process", errno);
  pollfd watched{.fd = handle, .events = POLLIN, .revents = 0};
  const int ready = poll(&watched, 1, static_cast<int>(std::ceil(seconds * 1000)));
  close(handle);
  return ready > 0;
}

std::string Ordinal(int64_t number) {
  const int64_t last = number % 10;
  const bool teen = number % 100 / 10 == 1;
  return fmt::format("{}{}", number,
                     teen || last == 0 || last > 3 ? "th"
                     : last == 1                   ? "st"
                     : last == 2                   ? "nd"
                                                   : "rd");
}

}  // namespace

std::string Kill::ToString() const {
  if (failpoint.empty()) return fmt::format("after {:.3f} s", seconds);
  return hit == 1 ? failpoint : fmt::format("{}, {} time", failpoint, Ordinal(hit));
}

Result<Start> Launch(const std::vector<std::string>& arguments, const std::string& said,
                     const std::optional<Kill>& kill, bool tell) {
  const int64_t begun = SystemClock().SteadyNanos();
  TRANCHE_ASSIGN(const pid_t child, Spawn(arguments, said, Environment(Failpoints(kill, tell))));
  const bool by_time = kill && kill->failpoint.empty();
  auto ended = EndsWithin(child, by_time ? kill->seconds : kMostSeconds);
  if (!ended || !*ended) ::kill(child, SIGKILL);
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return FailErrno("wait for", "a process", errno);
  }
  TRANCHE_TRY(ended);
  Start start{.killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
              .seconds = (SystemClock().SteadyNanos() - begun) / 1e9};
  if (!*ended && !by_time)
    return Fail(Code::kOutside, "a trial has not ended after {:.0f} s", kMostSeconds).Hint("see " + said);
  start.exit = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  TRANCHE_ASSIGN(start.said, ReadFile(said));
  return start;
}

}  // namespace tranche
