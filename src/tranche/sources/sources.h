// The sources of files and databases (see connector/source.h). One file a source.
#pragma once

#include "tranche/connector/spec.h"

namespace tranche {

SourceSpec AdbcSource();
SourceSpec ArrowSource();
SourceSpec CsvSource();
SourceSpec DuckDbSource();
SourceSpec JsonSource();
SourceSpec LinesSource();
SourceSpec MariaDbSource();
SourceSpec ParquetSource();
SourceSpec PostgresSource();
SourceSpec SqliteSource();

}  // namespace tranche
