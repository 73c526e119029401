#include "tranche/sinks/server_sink.h"
#include "tranche/sinks/sinks.h"
#include "tranche/sql/postgres.h"

namespace tranche {
SinkSpec PostgresSink() {
  SinkSpec spec;
  spec.name = "postgres";
  spec.summary = "Writes a table of a PostgreSQL database.";
  spec.doc =
      "The table is made where it is missing; columns go by name. A batch is one transaction, which holds "
      "its "
      "rows, its rejects and its line in the ledger (tables `tranche_run`, `tranche_batch` and "
      "`tranche_reject`, in the table's schema), so a crash of either side at any moment, or an answer that "
      "is "
      "lost, neither loses nor doubles a row. Rows are loaded by COPY in the binary format.\n\n"
      "A row that the server refuses (a constraint, a trigger, a length) is rejected with the server's own "
      "message, and so is one whose value would have to be changed to fit its column; the others of its "
      "batch "
      "are stored. Tables with triggers, and all modes with a key, go by a temporary table and one "
      "statement.\n\n"
      "Hosts other than this machine are reached by TLS only, and the name in the server's certificate is "
      "verified (`sslmode=verify-full`); `?sslrootcert=` in the url names the authority, else the system's "
      "are "
      "taken. A lost connection, a deadlock or a server that starts anew is tried again as `retry` says; no "
      "answer may take longer than its `timeout` (2 minutes).\n\n"
      "The url may name several servers, of which one takes writes: "
      "`postgres://user@one:5432,two:5432/shop?target_session_attrs=read-write`. They are tried in their "
      "order, one that says nothing for 10 seconds (`connect_timeout`). When the one in use is lost and a "
      "standby is promoted, the run goes on there, if `retry` lasts as long as that takes; a standby that "
      "has "
      "not got the last commits is found out: see `docs/databases.md`.\n\n"
      "`replace` loads into a table beside and swaps both in one transaction. A table with a definition of "
      "its "
      "own (keys, constraints, indexes, views or rights on it) keeps it: its rows are replaced. UNLOGGED and "
      "foreign tables are refused: they can't keep the promise.\n\n"
      "`tranche prove` tries the store in a schema of its own, which it makes and drops again: see "
      "`docs/crash-and-resume.md`.";
  Field url{"url", Shape::Text(),
            "postgres://user@host:5432/database, the password as a secret: \"${secret:DATABASE_URL}\".",
            Field::kRequired};
  spec.example =
      "postgres: {url: \"${secret:DATABASE_URL}\", table: public.orders, mode: upsert, key: [order_id]}";
  SetServerStore(spec, std::move(url), sql::MakePostgres);
  return spec;
}

}  // namespace tranche
