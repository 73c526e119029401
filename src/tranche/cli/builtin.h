// The connectors and steps of this build: the one list.
#pragma once

#include "tranche/connector/spec.h"

namespace tranche {

Registry BuiltinRegistry();

}  // namespace tranche
