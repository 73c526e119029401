#include "tranche/sources/server_source.h"
#include "tranche/sources/sources.h"
#include "tranche/sql/adbc.h"
#include "tranche/sql/adbc_target.h"

namespace tranche {

SourceSpec AdbcSource() {
  SourceSpec spec;
  spec.name = "adbc";
  spec.summary = "Reads a table or a query of any database that has a driver of ADBC.";
  spec.doc =
      "A driver of ADBC (https://arrow.apache.org/adbc) is a shared library: SQLite, PostgreSQL, Flight SQL, "
      "Snowflake, BigQuery and others have one. It is had by `pip install adbc-driver-NAME`, for one, and "
      "named by "
      "the path of its `libadbc_driver_NAME.so`, or by a name that the driver manager finds: a library of "
      "the "
      "system, or a manifest in `ADBC_DRIVER_PATH`, `~/.config/adbc/drivers` or `/etc/adbc/drivers`.\n\n"
      "The rows come as Arrow data, in one answer, of which a batch at a time is held; columns that the job "
      "does "
      "not use are not asked for. Types are the driver's own; what the engine has no type for comes as text, "
      "whatever the driver does not decode is an error that names the column: cast it in a `query`. Names of "
      "tables and columns are written in double quotes, as they stand in the database; a database that "
      "quotes "
      "otherwise is read by no `table` and no `query` here.\n\n"
      "A value that its type has no room for (a time with a zone finer than a microsecond, a text that is "
      "not of "
      "the type of `types`) makes the row a reject, with the number of the row in the answer as its line: a "
      "database "
      "need not give the rows in the order that a query asks for, as it is asked for the columns of that "
      "query. A "
      "server that is lost while it is read is read again from the start, as `retry` beside the input says. "
      "A call "
      "that takes longer than its `timeout` (10 minutes) is cancelled; where the driver does not stop, it is "
      "left to "
      "itself, and the server is lost.\n\n"
      "`incremental: updated_at` is as for the source `postgres`. The values of the column are compared by "
      "the "
      "database with the mark: it must take the text '2026-11-20 14:30:00' for a time.\n\n"
      "DuckDB has its driver in `libduckdb.so`: `options: {entrypoint: duckdb_adbc_init, path: "
      "shop.duckdb}`.";
  spec.example =
      "adbc:\n  driver: flightsql\n  options: {uri: \"grpc+tls://db.example.com:31337\", username: reader, "
      "password: \"${secret:DATABASE_PASSWORD}\"}\n  table: orders\n";
  SetServerSource(spec, sql::AdbcFields(), sql::MakeAdbc);
  return spec;
}

}  // namespace tranche
