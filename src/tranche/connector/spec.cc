#include "tranche/connector/spec.h"

#include <algorithm>

namespace tranche {
namespace {

template <typename Spec>
const Spec* Find(const std::vector<Spec>& specs, std::string_view name) {
  auto found = std::ranges::find(specs, name, &Spec::name);
  return found == specs.end() ? nullptr : &*found;
}

}  // namespace

const SourceSpec* Registry::FindSource(std::string_view name) const { return Find(sources_, name); }
const StepSpec* Registry::FindStep(std::string_view name) const { return Find(steps_, name); }
const SinkSpec* Registry::FindSink(std::string_view name) const { return Find(sinks_, name); }

}  // namespace tranche
