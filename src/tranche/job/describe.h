// What the specs say, for people and for editors.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "tranche/connector/spec.h"

namespace tranche {

std::string JsonSchema(const Registry& registry);   // of a whole job file, draft 2020-12
std::string DescribeAll(const Registry& registry);  // `tranche docs`: lists, one line each
// `tranche docs NAME` and docs/reference/<kind>-<name>.md: Markdown of every component of that name ("" if
// none).
std::string DescribeComponent(const Registry& registry, std::string_view name);
// File name (within docs/reference/) → Markdown. With an index.
std::map<std::string, std::string> Reference(const Registry& registry);

}  // namespace tranche
