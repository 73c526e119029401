// The sources of files and embedded databases (see connector/source.h). One file a source.
#pragma once

#include "tranche/connector/spec.h"

namespace tranche {

SourceSpec ArrowSource();
SourceSpec CsvSource();
SourceSpec DuckDbSource();
SourceSpec JsonSource();
SourceSpec LinesSource();
SourceSpec ParquetSource();
SourceSpec SqliteSource();

}  // namespace tranche
