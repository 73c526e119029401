// Arrow arrays that another library has allocated, made safe to be read a byte too far.
#pragma once

#include <memory>

#include <arrow/type_fwd.h>

#include "tranche/base/result.h"

namespace tranche {

// The same rows. A bitmap of NULLs whose end nobody has padded goes into a buffer of Arrow's own, or goes,
// where there are none: DuckDB (1.5.6) copies a byte more than there is of one that does not begin with a
// whole byte.
Result<std::shared_ptr<arrow::RecordBatch>> Padded(const arrow::RecordBatch& rows);

}  // namespace tranche
