// The specs of the stores in this folder.
#pragma once

#include "tranche/connector/spec.h"

namespace tranche {

SinkSpec CsvSink();
SinkSpec JsonSink();
SinkSpec ParquetSink();
SinkSpec AdbcSink();
SinkSpec ArrowSink();
SinkSpec SqliteSink();
SinkSpec DuckDbSink();
SinkSpec MariaDbSink();
SinkSpec PostgresSink();

}  // namespace tranche
