// Puts the errors of yaml-cpp into words that say what to write instead.
#pragma once

#include <string>

#include "tranche/job/source_text.h"

namespace tranche {

Error ExplainYamlError(const SourceText& source, size_t offset, const std::string& message);

}  // namespace tranche
