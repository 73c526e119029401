// Arrow's errors as ours.
#pragma once

#include <string_view>

#include "tranche/base/result.h"

namespace arrow {
class Status;
}

namespace tranche {

// ArrowError("write", "/x/000000.arrow", status): as FailErrno where the system refused ("cannot write
// /x/000000.arrow: No space left on device"), else Arrow's own words; want of memory is an outside fault as
// well.
Error ArrowError(std::string_view action, std::string_view subject, const arrow::Status& status);

// Like TRANCHE_TRY and TRANCHE_ASSIGN, for what returns arrow::Status and arrow::Result.
#define TRANCHE_ARROW_TRY(action, subject, expression)                                     \
  do {                                                                                     \
    if (auto tried = (expression); !tried.ok()) return ArrowError(action, subject, tried); \
  } while (false)

#define TRANCHE_ARROW_ASSIGN(declaration, action, subject, expression) \
  TRANCHE_ARROW_ASSIGN_AS(TRANCHE_JOIN(assigned_, __LINE__), declaration, action, subject, expression)
#define TRANCHE_ARROW_ASSIGN_AS(name, declaration, action, subject, expression) \
  auto name = (expression);                                                     \
  if (!name.ok()) return ArrowError(action, subject, name.status());            \
  declaration = std::move(name).ValueUnsafe()

}  // namespace tranche
