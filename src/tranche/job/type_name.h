// Names of SQL types, as people write them in a job file: "decimal(12,2)", "timestamp with time zone",
// "varchar[]", "struct(a integer, b text)". They become part of SQL, so nothing but a type's name gets
// through.
#pragma once

#include <string>
#include <string_view>

#include "tranche/base/result.h"

namespace tranche {

Status CheckTypeName(std::string_view text);

}  // namespace tranche
