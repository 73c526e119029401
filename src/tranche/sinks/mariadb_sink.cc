#include "tranche/sinks/server_sink.h"
#include "tranche/sinks/sinks.h"
#include "tranche/sql/mariadb.h"

namespace tranche {
SinkSpec MariaDbSink() {
  SinkSpec spec;
  spec.name = "mariadb";
  spec.summary = "Writes a table of a MariaDB database.";
  spec.doc =
      "The table is made where it is missing; columns go by name. A batch is one transaction, which holds "
      "its rows, "
      "its rejects and its line in the ledger (tables `tranche_run`, `tranche_batch` and `tranche_reject`, "
      "in the "
      "table's database), so a crash of either side at any moment, or an answer that is lost, neither loses "
      "nor "
      "doubles a row. Rows are loaded by arrays that are bound to one statement.\n\n"
      "A row that the server refuses (a constraint, a trigger, a length) is rejected with the server's own "
      "message, "
      "and so is one whose value would have to be changed to fit its column, also where the server would do "
      "so "
      "without a word: digits that a `datetime(3)` has no room for, blanks at the end of a `char`, a number "
      "for an "
      "`enum`. Whether two keys are one is for the collation of the table's column to say.\n\n"
      "MariaDB 10.7 or later, and tables of InnoDB. Hosts other than this machine are reached by TLS only, "
      "and the "
      "name in the server's certificate is verified (`sslmode=verify-full`); `?sslrootcert=` in the url "
      "names the "
      "authority, else the system's are taken. A lost connection, a deadlock or a server that starts anew is "
      "tried "
      "again as `retry` says; no answer may take longer than its `timeout` (2 minutes).\n\n"
      "`replace` loads into a table beside and exchanges both by one RENAME. The new table has columns, "
      "indexes and "
      "checks of the old one; a table with foreign keys or triggers is refused; its comment names the run at "
      "its end. CREATE, ALTER and RENAME end "
      "a "
      "transaction here: `before` is run once in each run where it is of INSERT, UPDATE and DELETE alone. "
      "How "
      "lasting a commit is, is for the server's `innodb_flush_log_at_trx_commit` to say (1 by default).\n\n"
      "`tranche prove` tries the store in a database of its own, which it makes and drops again.";
  Field url{"url", Shape::Text(),
            "mariadb://user@host:3306/database, the password as a secret: \"${secret:DATABASE_URL}\".",
            Field::kRequired};
  spec.example = "mariadb: {url: \"${secret:DATABASE_URL}\", table: orders, mode: upsert, key: [order_id]}";
  SetServerStore(spec, std::move(url), sql::MakeMariaDb);
  return spec;
}

}  // namespace tranche
