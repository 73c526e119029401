#!/usr/bin/env python3
"""The store `adbc` by the driver of PostgreSQL against a real PostgreSQL: tests of the store `postgres`, and its own; and
at least once, by the drivers of SQLite, of DuckDB and of Flight SQL.

    tests/servers/adbc_test.py              all
    tests/servers/adbc_test.py -k killed    the tests with that in their name
"""
import collections
import contextlib
import pathlib
import re
import sqlite3
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
import pyarrow.parquet  # noqa: E402

from servers.adbc import DUCKDB, Adbc, driver, place  # noqa: E402
from servers.faults_test import Between  # noqa: E402
from servers.flight import ArrowGo, Roapi  # noqa: E402
from servers.postgres import PASSWORD  # noqa: E402
from servers.postgres_test import (Case, a_trigger_that_drops_rows, add_options, every_mode_stores_and_rejects,  # noqa: E402
                                   kill_everywhere, secrets_are_shown_nowhere, types_round_trip)
from servers.suite import main  # noqa: E402


def killed_at_every_failpoint(program, server, options):
    kills = kill_everywhere(program, server, options, ("append",))
    assert kills > (15 if options.all_hits else 2), f"only {kills} kills"
    return f"{kills} kills"


def mistakes(program, server):
    with Case(program, server) as case:
        case.write([[1, 1, 1, "x"]])
        case.sql("CREATE VIEW seen AS SELECT 1 AS id; CREATE UNLOGGED TABLE light (id bigint, k int, amount int, note text);"
                 "CREATE TABLE bare (id bigint, k int, amount int, note text)")
        for store, *messages in (("table: seen", "is a view"), ("table: light", "UNLOGGED"), ("table: nowhere.t", "there is no schema"),
                                 ("table: bare, mode: upsert, key: [id]", "unique"), ("table: bare, columns: strict, schema: x", "schema 'x'")):
            case.job(store)
            case.fail(2, *messages)
        case.job()
        url = server.url(case.database)
        case.fail(2, "authentication failed", "check user and password", DATABASE_URL=url.replace(PASSWORD, "wrong"))
        case.fail(2, "does not exist", DATABASE_URL=server.url("nowhere"))


def other_databases_are_refused(program, server):
    """Before anything is written; whether the driver has transactions or not."""
    with Case(program, server) as case, contextlib.ExitStack() as servers:
        case.write([[1, 1, 1, "x"]])
        case.job()
        job = (case.folder / "job.yaml").read_text()
        pyarrow.parquet.write_table(pyarrow.table({"id": [1]}), case.folder / "t.parquet")
        others = {"SQLite": (driver("sqlite"), f"uri: {case.folder}/out.db"),
                  "duckdb": (DUCKDB, f"entrypoint: duckdb_adbc_init, path: {case.folder}/out.duckdb"),
                  "RoAPI": (driver("flightsql"), f'uri: "{servers.enter_context(Roapi(case.folder)).uri}"')}
        if ArrowGo.PROGRAM.exists():
            others["db_name"] = (driver("flightsql"), f'uri: "{servers.enter_context(ArrowGo()).uri}"')
        for name, (library, options) in others.items():
            (case.folder / "job.yaml").write_text(job.replace(Adbc.place, place(library, options)))
            case.fail(2, f"does not know the transactions of {name}", "guarantee: at-least-once")
        with sqlite3.connect(case.folder / "out.db") as database:
            assert not database.execute("SELECT * FROM sqlite_master").fetchall()


VALUES = [[i, i % 400, i * 3, f"it's {i % 7}"] for i in range(3000)]
MADE = "CREATE TABLE t (note text NOT NULL, more integer, amount integer, id integer, k integer)"  # in an order of its own


@contextlib.contextmanager
def any_database(program, server, kind):
    """A case whose store is `t` in a database of that kind, by its driver."""
    with Case(program, server) as case, contextlib.ExitStack() as servers:
        case.write(VALUES)
        if kind == "flightsql":
            case.uri = servers.enter_context(ArrowGo()).uri
        case.place = {"sqlite": lambda: place(driver("sqlite"), f"uri: {case.folder}/out.db"),
                      "duckdb": lambda: place(DUCKDB, f"entrypoint: duckdb_adbc_init, path: {case.folder}/out.duckdb"),
                      "flightsql": lambda: place(driver("flightsql"), f'uri: "{case.uri}"')}[kind]()
        yield case


def loads(case, store="table: t", more="", batch="rows: 500"):
    case.job(f"{store}, guarantee: at-least-once", batch=batch, more=more)
    job = case.folder / "job.yaml"
    job.write_text(job.read_text().replace(Adbc.place, case.place))


def read(case):
    """The table, by Tranche itself."""
    (case.folder / "read.yaml").write_text(f"""\
job: read
collect: {{rows: {{adbc: {{{case.place}, query: "SELECT id, k, amount, note FROM t"}}}}}}
store: {{out: {{parquet: {{path: read.parquet}}}}}}
""")
    case.program.succeed(case.folder, "run", "read.yaml")
    table = pyarrow.parquet.read_table(case.folder / "read.parquet")
    return sorted([row["id"], row["k"], row["amount"], row["note"]] for row in table.to_pylist())


KINDS = ("sqlite", "duckdb", *(("flightsql",) if ArrowGo.PROGRAM.exists() else ()))


def any_database_at_least_once(program, server):
    """A table of the driver's making, and one that is there, whose columns stand in another order."""
    for kind in KINDS:
        for there in (True, False)[:1 if kind == "flightsql" else 2]:
            with any_database(program, server, kind) as case:
                made = MADE.replace("more integer, ", "") if kind == "duckdb" else MADE  # its driver fills all columns or none
                more = f', before: "{made}", after: "UPDATE t SET amount = -1 WHERE id = 7"' if there else ""
                loads(case, "table: t" + more)
                case.succeed()
                assert "nothing new since run 1" in case.succeed()
                wanted = [row[:2] + [-1 if there and row[0] == 7 else row[2]] + row[3:] for row in VALUES]
                assert read(case) == wanted, f"{kind}: rows differ"
                status = program.succeed(case.folder, "status", "job.yaml")
                assert "3,000 rows are stored" in status, status
    return ", ".join(KINDS)


def at_least_once_doubles_one_batch_at_most_and_names_it(program, server):
    for kind in KINDS[:2]:
        for failpoint, twice in (("store.opened@1", False), ("batch.claimed@3", False), ("batch.written@3", True),
                                 ("batch.committed@3", False), ("publish.before@1", False)):
            with any_database(program, server, kind) as case:
                loads(case)
                assert program.kill(case.folder, "run", "job.yaml", failpoint=failpoint), f"{failpoint} was not reached"
                said = case.succeed()
                unsure = failpoint.startswith(("batch.claimed", "batch.written"))
                assert ("may be stored twice store=out from=1000 to=1500" in said) == unsure, f"{failpoint}: {said}"
                assert read(case) == sorted(VALUES + (VALUES[1000:1500] if twice else [])), f"{kind} {failpoint}: rows differ"
    with any_database(program, server, "sqlite") as case:  # batches of other sizes from start to start
        loads(case, batch="rows: 200")
        assert program.kill(case.folder, "run", "job.yaml", failpoint="batch.written@2")
        loads(case, batch="rows: 1000")
        assert program.kill(case.folder, "run", "job.yaml", failpoint="batch.written@1")
        loads(case, batch="rows: 300")
        said = case.succeed()
        named = re.findall(r"may be stored twice store=out from=(\d+) to=(\d+)", said)
        assert named == [("200", "500"), ("500", "800"), ("800", "1100"), ("1100", "1400")], said
        assert read(case) == sorted(VALUES + VALUES[200:400] + VALUES[200:1200]), "rows differ"


class AnswersLost(Between):
    """Cuts all connections in the place of some of the answers to COPY, when the rows are committed."""

    def __init__(self, port, numbers):
        self.numbers, self.copied = numbers, 0
        super().__init__(port)

    def passes(self, data, one, other):
        if self.to_server(other) or b"COPY 100\0" not in data:
            return True
        self.copied += 1
        if self.copied in self.numbers:
            self.cut()
            return False
        return True


def a_lost_answer_doubles_what_is_named(program, server):
    with Case(program, server) as case, AnswersLost(server.port, (4, 17, 18)) as network:
        case.write(VALUES)
        case.environment["DATABASE_URL"] = server.plain_url(case.database, network.port)
        case.job("table: t, guarantee: at-least-once", batch="rows: 100", retry="attempts: 20, backoff: 10ms..50ms")
        said = case.succeed()
        named = [(int(begin), int(end)) for begin, end in re.findall(r"may be stored twice store=out from=(\d+) to=(\d+)", said)]
        assert named == [(300, 400), (1500, 1600)], said  # the second one twice
        wanted = collections.Counter({i: 1 for i in range(3000)})
        wanted.update([*range(300, 400), *range(1500, 1600), *range(1500, 1600)])
        there = collections.Counter(int(row[0]) for row in case.sql("SELECT id FROM t"))
        assert there == wanted, "rows differ"


def at_least_once_says_what_it_cannot(program, server):
    with any_database(program, server, "sqlite") as case:
        for store, *messages in (("table: t, mode: upsert, key: [id]", "appends", "mode upsert"), ("table: t, mode: replace", "before: DELETE FROM"),
                                 ("table: t, columns: evolve", "adds no columns"), ("table: t, columns: strict", "there is no table 't'")):
            loads(case, store)
            case.fail(2, *messages)
        with sqlite3.connect(case.folder / "out.db") as database:
            database.execute("CREATE TABLE t (id integer, k integer)")
        loads(case)
        case.fail(2, "table 't'", "'amount'")
        code, out, err = program.run(case.folder, "prove", "job.yaml")
        assert code == 2 and "may hold a batch twice" in err, err
        # A row that is refused ends the run, which goes on when it is mended.
        with sqlite3.connect(case.folder / "out.db") as database:
            database.executescript(f"DROP TABLE t; {MADE}; CREATE UNIQUE INDEX t_id ON t (id); INSERT INTO t (id, note) VALUES (1700, 'there')")
        code, out, err = case.run()
        assert code == 1 and "UNIQUE constraint failed" in err and "run it again" in err, f"{code}: {err}"
        with sqlite3.connect(case.folder / "out.db") as database:
            assert database.execute("SELECT count(*) FROM t").fetchone() == (1501,)
            database.execute("DELETE FROM t WHERE note = 'there'")
        assert "committed=1500" in case.succeed()
        assert read(case) == VALUES
    with any_database(program, server, "sqlite") as case:
        case.place = case.place.replace("out.db", "no/folder/out.db")
        loads(case)
        case.fail(2, "failed to open")


TESTS = (every_mode_stores_and_rejects, types_round_trip, a_trigger_that_drops_rows, secrets_are_shown_nowhere, mistakes,
         other_databases_are_refused, any_database_at_least_once, at_least_once_doubles_one_batch_at_most_and_names_it,
         a_lost_answer_doubles_what_is_named, at_least_once_says_what_it_cannot, killed_at_every_failpoint)


if __name__ == "__main__":
    sys.exit(main(__doc__, TESTS, Adbc, add_options))
