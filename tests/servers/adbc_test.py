#!/usr/bin/env python3
"""The store `adbc` by the driver of PostgreSQL against a real PostgreSQL: tests of the store `postgres`, and its own.

    tests/servers/adbc_test.py              all
    tests/servers/adbc_test.py -k killed    the tests with that in their name
"""
import contextlib
import pathlib
import sqlite3
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
import pyarrow.parquet  # noqa: E402

from servers.adbc import DUCKDB, Adbc, driver, place  # noqa: E402
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
            case.fail(2, f"does not know the transactions of {name}", "have stores of their own")
        with sqlite3.connect(case.folder / "out.db") as database:
            assert not database.execute("SELECT * FROM sqlite_master").fetchall()


TESTS = (every_mode_stores_and_rejects, types_round_trip, a_trigger_that_drops_rows, secrets_are_shown_nowhere, mistakes,
         other_databases_are_refused, killed_at_every_failpoint)


if __name__ == "__main__":
    sys.exit(main(__doc__, TESTS, Adbc, add_options))
