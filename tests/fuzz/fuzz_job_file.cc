// Any text as a job file: loader, values, checks, canonical form. No file is opened: the text is what every
// path holds, so that includes and SQL files are fuzzed too.
#include <cstdint>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "tranche/cli/builtin.h"
#include "tranche/job/load.h"

namespace tranche {
namespace {

class FixedClock : public Clock {
 public:
  int64_t NowMicros() override { return int64_t{1795132800} * 1'000'000; }
  int64_t SteadyNanos() override { return 0; }
  void Sleep(Duration) override {}
};

void Require(bool here) {
  if (!here) std::abort();
}

void Load(const std::string& text, bool offline) {
  static const Registry registry = BuiltinRegistry();
  static FixedClock clock;
  LoadContext context;
  context.registry = &registry;
  context.clock = &clock;
  context.set = {{"day", "2026-11-20"}, {"country", "'; drop table t; --"}};
  context.read = [&](const std::string&, int64_t) -> Result<std::string> { return text; };
  context.environment = [](const std::string& name) -> std::optional<std::string> {
    return name == "EMPTY" ? "" : "${secret:" + name + "}";
  };
  context.secret = [](const std::string&) -> std::optional<std::string> { return "hunter2"; };
  context.run_id = "0123456789abcdef0123456789abcdef";
  context.offline = offline;
  const Loaded loaded = LoadJob("/jobs/job.yaml", context);
  for (const auto* list : {&loaded.errors, &loaded.warnings}) {
    for (const Error& error : *list) {
      Require(!error.message.empty() && error.code == Code::kJob);
      Require(error.place.line >= 0 && error.place.column >= 0);
      Require(error.ToString().find("hunter2") == std::string::npos ||
              text.find("hunter2") != std::string::npos);
    }
  }
  if (!loaded.errors.empty()) return;
  // What was accepted can be written down, and holds no secret.
  Require(nlohmann::json::accept(loaded.job.canonical) && nlohmann::json::accept(loaded.job.tuning));
  Require(loaded.job.canonical.find("hunter2") == std::string::npos ||
          text.find("hunter2") != std::string::npos);
  Require(!loaded.job.name.empty() && !loaded.job.inputs.empty() && !loaded.job.bodies.empty());
}

}  // namespace
}  // namespace tranche

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (bool offline : {false, true}) tranche::Load(text, offline);
  return 0;
}
