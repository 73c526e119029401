#include "tranche/base/failpoint.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace tranche {
namespace {

constexpr std::string_view kNames[] = {
    "run.recorded",      "resume.begun",     "resume.stage_dropped", "spool.begun",     "segment.written",
    "segment.synced",    "segment.renamed",  "segment.recorded",     "stage.sealed",    "new_input.kept",
    "store.opened",      "resume.gaps",      "batch.claimed",        "batch.written",   "batch.before_commit",
    "batch.committed",   "part.written",     "part.synced",          "part.journalled", "direct.written",
    "direct.journalled", "publish.before",   "publish.intent",       "publish.renamed", "publish.synced",
    "replace.swapped",   "publish.recorded", "store.finished",       "ledger.finished", "run.balanced",
    "run.finished",      "spool.removed",    "replace.renamed",      "segment.dropped",
};

enum class Action { kNone, kKill, kHold, kError, kTell };

// What the environment asks of this process; the one thing here that is global, as the environment is.
struct Armed {
  std::atomic<Action> action = Action::kNone;  // written last: whoever sees it sees the rest
  std::string_view name;
  int64_t hit = 1;
  std::atomic<int64_t> hits = 0;
};
Armed armed;

bool IsName(std::string_view name) { return std::ranges::find(kNames, name) != std::end(kNames); }

Error Refuse(std::string_view text) {
  return Fail(
      Code::kJob,
      "TRANCHE_FAILPOINT must be *:tell or <name>:kill|hold|error[@<hit>] with a name of `tranche docs "
      "--failpoints`, not '{}'",
      text);
}

}  // namespace

Status Failpoint(std::string_view name) {
  if (armed.action.load(std::memory_order_relaxed) == Action::kNone) return {};
  Action action = armed.action.load(std::memory_order_acquire);
  if (!IsName(name)) {
    fmt::print(stderr, "failpoint '{}' is not in the table of base/failpoint.cc\n", name);
    std::abort();
  }
  if (action == Action::kTell) {
    fmt::print(stderr, "failpoint {}\n", name);
    return {};
  }
  if (name != armed.name || armed.hits.fetch_add(1) + 1 != armed.hit) return {};
  switch (action) {
    case Action::kKill:
      std::raise(SIGKILL);
      break;
    case Action::kHold:
      fmt::print(stderr, "failpoint {}: held\n", name);
      std::this_thread::sleep_for(std::chrono::seconds(10));
      break;
    case Action::kError:
      return FailErrno("go on after failpoint", name, EIO);
    case Action::kNone:
    case Action::kTell:
      break;
  }
  return {};
}

std::span<const std::string_view> FailpointNames() { return kNames; }

Status ArmFailpoints() {
  const char* variable = std::getenv("TRANCHE_FAILPOINT");
  if (variable == nullptr || *variable == '\0') return {};
  std::string_view text = variable;
  if (text == "*:tell") {
    armed.action.store(Action::kTell, std::memory_order_release);
    return {};
  }
  size_t colon = text.find(':');
  if (colon == text.npos) return Refuse(text);
  std::string_view name = text.substr(0, colon);
  std::string_view verb = text.substr(colon + 1);
  int64_t hit = 1;
  if (size_t at = verb.find('@'); at != verb.npos) {
    std::string_view number = verb.substr(at + 1);
    auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), hit);
    if (error != std::errc() || end != number.data() + number.size() || hit < 1) return Refuse(text);
    verb = verb.substr(0, at);
  }
  Action action = verb == "kill"    ? Action::kKill
                  : verb == "hold"  ? Action::kHold
                  : verb == "error" ? Action::kError
                                    : Action::kNone;
  const auto* known = std::ranges::find(kNames, name);
  if (action == Action::kNone || known == std::end(kNames)) return Refuse(text);
  armed.name = *known;
  armed.hit = hit;
  armed.hits = 0;
  armed.action.store(action, std::memory_order_release);
  return {};
}

}  // namespace tranche
