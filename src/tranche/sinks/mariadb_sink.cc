#include "tranche/sinks/scratch.h"
#include "tranche/sinks/server_sink.h"
#include "tranche/sinks/sinks.h"
#include "tranche/sql/mariadb.h"

namespace tranche {
namespace {

Result<std::unique_ptr<sql::Server>> ServerOf(const Options& options, TableOptions& table) {
  TRANCHE_TRY(table.ParseTable(options, Schemas::kSome));
  auto server = sql::MakeMariaDb(
      {.url = options.Text("url"), .secret = !options.Raw("url")->masked.empty(), .schema = table.schema});
  if (!server) return std::move(server).error().At(options.PlaceOf("url"));
  return server;
}

}  // namespace

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
  std::vector<Field> fields = {
      {"url", Shape::Text(),
       "mariadb://user@host:3306/database, the password as a secret: \"${secret:DATABASE_URL}\".",
       Field::kRequired}};
  for (Field& field : TableFields(Schemas::kSome)) {
    if (field.name == "mode")
      field.shape = Shape(field.shape.options.front());  // a word, no changes by a column
    fields.push_back(std::move(field));
  }
  spec.shape = Shape::Object(std::move(fields));
  spec.example = "mariadb: {url: \"${secret:DATABASE_URL}\", table: orders, mode: upsert, key: [order_id]}";
  spec.modes = {"append", "replace", "upsert", "update", "delete"};
  spec.guarantee = "exactly once, by a ledger in the same database";
  spec.parallel = 16;
  spec.make = [](const Options& options) -> Result<std::unique_ptr<Sink>> {
    TableOptions table;
    TRANCHE_ASSIGN(auto server, ServerOf(options, table));
    return MakeServerStore(std::move(server), std::move(table));
  };
  spec.scratch = [](const Options& options, const ScratchPlace& place) -> Result<ScratchTarget> {
    TableOptions table;
    TRANCHE_ASSIGN(auto server, ServerOf(options, table));
    return ScratchServer(std::move(server), table, options, place);
  };
  return spec;
}

}  // namespace tranche
