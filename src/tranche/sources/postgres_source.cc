#include "tranche/sources/server_source.h"
#include "tranche/sources/sources.h"
#include "tranche/sql/postgres.h"

namespace tranche {

SourceSpec PostgresSource() {
  SourceSpec spec;
  spec.name = "postgres";
  spec.summary = "Reads a table or a query of a PostgreSQL database.";
  spec.doc =
      "The rows are those of one moment, whatever others write meanwhile; they come by COPY in the binary "
      "format. A table of more than 16 MiB is read by several sessions side by side, which share the moment. "
      "Columns that the job does not use are not read.\n\n"
      "A table whose rows go into a database is read in the order of its primary key, by one session, where "
      "that is cheap (`guarantees.md`): they are stored while it is read, and after a crash or a lost server "
      "reading goes on behind the last row, at the moment that it is then. `tranche plan` says "
      "`streamed`.\n\n"
      "Types are the server's own; `numeric` without a precision is text, as no type of the engine holds all "
      "of its values: name one by `types`. Types that the engine does not have come as text. A value that "
      "its "
      "type has no room for (NaN in a `numeric(12,2)`, a time after the year 294246) makes the row a reject, "
      "with the number of the row in the answer as its line.\n\n"
      "Otherwise a server that is lost while it is read is read again from the start, as `retry` beside the "
      "input says; "
      "no answer may take longer than its `timeout` (10 minutes). TLS, and urls of several servers, are as "
      "for the store `postgres` "
      "(`target_session_attrs=prefer-standby` reads from a standby). The "
      "session can change nothing: it is read-only.\n\n"
      "`incremental: updated_at` reads the rows whose column is beyond the greatest value that the last "
      "finished run has read, in `{column, start, overlap}` with a first value and a time by which each run "
      "goes back. Rows without a value in the column are not read. A row that is written later with a value "
      "that is not beyond the mark is not seen without an `overlap`; with one, rows come again, and the "
      "store needs a key. In a `query`, `${mark}` is the value that the run begins with (with `start` in the "
      "first run), for a query that the server would not cut by itself: write `updated_at >= ${mark}`.";
  Field url{"url", Shape::Text(),
            "postgres://user@host:5432/database, the password as a secret: \"${secret:DATABASE_URL}\".",
            Field::kRequired};
  spec.example = "postgres:\n  url: \"${secret:DATABASE_URL}\"\n  table: public.orders\n";
  SetServerSource(spec, std::move(url), sql::MakePostgres);
  return spec;
}

}  // namespace tranche
