#include "tranche/sources/server_source.h"
#include "tranche/sources/sources.h"
#include "tranche/sql/mariadb.h"

namespace tranche {

SourceSpec MariaDbSource() {
  SourceSpec spec;
  spec.name = "mariadb";
  spec.summary = "Reads a table or a query of a MariaDB database.";
  spec.doc =
      "The rows are those of one moment, whatever others write meanwhile; they come as they are read, and "
      "only the "
      "columns that the job uses.\n\n"
      "A table whose rows go into a database is read in the order of its primary key, by one session, where "
      "that is cheap (`guarantees.md`): they are stored while it is read, and after a crash or a lost server "
      "reading goes on behind the last row, at the moment that it is then. `tranche plan` says "
      "`streamed`.\n\n"
      "An InnoDB table of more than 16 MiB whose primary key begins with a whole number, a date, a time or "
      "bytes is read by several sessions side by side, each a range of the key. They share the moment by a "
      "short `LOCK TABLES … READ`: who writes into the table waits until the sessions have begun, some "
      "milliseconds. Where the lock is not had within a second, or the user lacks the right LOCK TABLES, or "
      "there are prepared transactions (`XA RECOVER`), one session reads the table; `-v` says why. A `query` "
      "is read by one session, and locks nothing.\n\n"
      "Types are the server's own; `decimal` of more than 38 digits, `time`, "
      "`uuid` and "
      "`json` are text, `bit` and shapes are bytes, and `tinyint(1)` is a number: name another by `types`. A "
      "value "
      "that its type has no room for (the date 0000-00-00) makes the row a reject, with the number of the "
      "row in the "
      "answer as its line.\n\n"
      "Otherwise a server that is lost while it is read is read again from the start, as `retry` beside the "
      "input says; no "
      "answer may take longer than its `timeout` (10 minutes). TLS is as for the store `mariadb`. The "
      "session can "
      "change nothing: it is read-only. `incremental` by a column is as for `postgres`.";
  Field url{"url", Shape::Text(),
            "mariadb://user@host:3306/database, the password as a secret: \"${secret:DATABASE_URL}\".",
            Field::kRequired};
  spec.example = "mariadb:\n  url: \"${secret:DATABASE_URL}\"\n  table: orders\n";
  SetServerSource(spec, std::move(url), sql::MakeMariaDb);
  return spec;
}

}  // namespace tranche
