#include "tranche/sinks/server_sink.h"
#include "tranche/sinks/sinks.h"
#include "tranche/sql/adbc.h"
#include "tranche/sql/adbc_target.h"

namespace tranche {

SinkSpec AdbcSink() {
  SinkSpec spec;
  spec.name = "adbc";
  spec.summary = "Writes a table of a PostgreSQL database by its driver of ADBC.";
  spec.doc =
      "As the store `postgres`, with its ledger, its modes and its promise, but by a driver of ADBC "
      "(https://arrow.apache.org/adbc): rows go in by the driver's bulk ingestion, in the transaction of "
      "their "
      "batch. What is promised stands on the transactions and the locks of PostgreSQL; a driver of another "
      "database "
      "is refused.\n\n"
      "Values that the driver does not write as the server has them (`time`, `uuid`, `jsonb`, `numeric` "
      "without a "
      "precision) go as text by way of a temporary table. A refused row is searched for by halves, as the "
      "driver "
      "does not name it. TLS is the driver's: say `sslmode=verify-full` in the uri.\n\n"
      "No answer takes longer than the `timeout` of `retry` (2 minutes): it is cancelled.";
  spec.example =
      "adbc:\n  driver: postgresql\n  options: {uri: \"${secret:DATABASE_URL}\"}\n  table: public.orders\n";
  SetServerStore(spec, sql::AdbcFields(), sql::MakeAdbcStore);
  return spec;
}

}  // namespace tranche
