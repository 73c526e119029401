#include <memory>

#include "tranche/base/failpoint.h"
#include "tranche/base/file.h"
#include "tranche/cli/commands.h"
#include "tranche/job/describe.h"

namespace tranche {
namespace {

std::vector<std::string> Names(const Registry& registry) {
  std::vector<std::string> names;
  for (const auto& spec : registry.sources()) names.push_back(spec.name);
  for (const auto& spec : registry.steps()) names.push_back(spec.name);
  for (const auto& spec : registry.sinks()) names.push_back(spec.name);
  return names;
}

}  // namespace

Status DocsCommand(Session& session, const DocsFlags& flags) {
  const Registry& registry = session.registry();
  if (flags.failpoints) {
    for (std::string_view name : FailpointNames()) fmt::print("{}\n", name);
    return {};
  }
  if (flags.schema) {
    fmt::print("{}\n", JsonSchema(registry));
    return {};
  }
  if (!flags.reference.empty()) {
    TRANCHE_TRY(MakeFolders(flags.reference));
    for (const auto& [file, text] : Reference(registry)) {
      TRANCHE_TRY(WriteFileDurably(flags.reference + "/" + file, text));
    }
    return WriteFileDurably(flags.reference + "/job.schema.json", JsonSchema(registry) + "\n");
  }
  if (flags.name.empty()) {
    fmt::print("{}", DescribeAll(registry));
    return {};
  }
  const std::string text = DescribeComponent(registry, flags.name);
  if (text.empty()) {
    const std::string nearest = Nearest(flags.name, Names(registry));
    return Fail(Code::kJob, "there is no connector or step '{}' in this version", flags.name)
        .Hint(nearest.empty() ? "`tranche docs` lists them" : "did you mean '" + nearest + "'?");
  }
  fmt::print("{}", text);
  return {};
}

}  // namespace tranche
