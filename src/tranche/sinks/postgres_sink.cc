#include "tranche/sinks/scratch.h"
#include "tranche/sinks/server_sink.h"
#include "tranche/sinks/sinks.h"
#include "tranche/sql/postgres.h"

namespace tranche {
namespace {

Result<std::unique_ptr<sql::Server>> ServerOf(const Options& options, TableOptions& table) {
  TRANCHE_TRY(table.ParseTable(options, Schemas::kSome));
  auto server = sql::MakePostgres(
      {.url = options.Text("url"), .secret = !options.Raw("url")->masked.empty(), .schema = table.schema});
  if (!server) return std::move(server).error().At(options.PlaceOf("url"));
  return server;
}

}  // namespace

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
      "`replace` loads into a table beside and swaps both in one transaction. A table with a definition of "
      "its "
      "own (keys, constraints, indexes, views or rights on it) keeps it: its rows are replaced. UNLOGGED and "
      "foreign tables are refused: they can't keep the promise.\n\n"
      "`tranche prove` tries the store in a schema of its own, which it makes and drops again: see "
      "`docs/crash-and-resume.md`.";
  std::vector<Field> fields = {
      {"url", Shape::Text(),
       "postgres://user@host:5432/database, the password as a secret: \"${secret:DATABASE_URL}\".",
       Field::kRequired}};
  for (Field& field : TableFields(Schemas::kSome)) {
    if (field.name == "mode")
      field.shape = Shape(field.shape.options.front());  // a word, no changes by a column
    fields.push_back(std::move(field));
  }
  spec.shape = Shape::Object(std::move(fields));
  spec.example =
      "postgres: {url: \"${secret:DATABASE_URL}\", table: public.orders, mode: upsert, key: [order_id]}";
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
