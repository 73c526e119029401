#!/usr/bin/env python3
"""The source `adbc` with the drivers of SQLite and PostgreSQL, against real databases.

    tests/servers/adbc_source_test.py             all
    tests/servers/adbc_source_test.py -k mark     the tests with that in their name
"""
import pathlib
import sqlite3
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
from servers import postgres_source_test as source_tests  # noqa: E402
from servers.adbc import Adbc, driver, place  # noqa: E402
from servers.postgres import PASSWORD  # noqa: E402
from servers.postgres_source_test import goes_on_behind_the_last, same  # noqa: E402
from servers.suite import main  # noqa: E402

SECRET = "${secret:DATABASE_URL}"


class Case(source_tests.Case):
    """A folder, a database, a job from it into SQLite."""

    def job(self, source, store="sqlite: {path: out.db, table: t, mode: replace}", beside="", more="rejects: 0",
            library=driver("postgresql"), options=f'uri: "{SECRET}"'):
        super().job(source, store, beside, more, place=place(library, options))


def every_type_goes_there_and_back(program, server):
    """What the driver hands on as text or Arrow, back in a table of the same types by way of the store `postgres`."""
    with Case(program, server) as case:
        case.sql(source_tests.EVERY_TYPE.replace(", ip inet", "").replace(", '10.0.0.1'", ""))
        # Times that the driver has no room for.
        case.sql("DELETE FROM every WHERE NOT isfinite(dt) OR NOT isfinite(ts) OR ts < '0001-01-01' OR ts > '9999-01-01'")
        case.sql("CREATE TABLE copy (LIKE every)")
        case.job('table: every, types: {n: "decimal(12,2)", wide: "decimal(38,10)"}', store='postgres: {url: "${secret:DATABASE_URL}", table: copy}')
        case.succeed()
        there, back = (sorted(map(tuple, case.sql(f"SELECT q::text FROM {table} q"))) for table in ("every", "copy"))
        lost = [row for row in there if row not in set(back)]
        assert there == back, f"{len(lost)} rows differ, as in\n{lost[0][0][:600]}\n{[row for row in back if row not in set(there)][0][0][:600]}"
        same(len(there), 3001)


def sqlite_values(program, server):
    with Case(program, server) as case:
        rows = [(i, None if i % 7 == 0 else f"n{i}", i / 8, bytes([i % 256, 0]), f"2026-01-{i % 28 + 1:02}") for i in range(1, 100_001)]
        with sqlite3.connect(case.folder / "in.db") as database:
            database.execute("CREATE TABLE t (id integer, name text, share real, b blob, day date)")
            database.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", rows)
            database.execute("CREATE TABLE hollow (id integer)")
        of_file = {"library": driver("sqlite"), "options": f"uri: {case.folder}/in.db"}
        case.job("table: t, types: {day: date}", **of_file)
        case.succeed()
        same(case.stored(), rows)
        case.job('query: "SELECT name, count(*) AS n FROM t WHERE id > ${least} AND name IS NULL GROUP BY 1"', **of_file)
        case.succeed()
        same(case.stored(), [(None, 14285)])
        case.job("table: hollow", **of_file)
        case.succeed()
        same(case.stored(), [])
        case.job("table: '*'", store='sqlite: {path: out.db, table: "all_${table}", mode: replace}', **of_file)
        case.succeed()
        same([case.stored(f"SELECT count(*) FROM all_{table}") for table in ("t", "hollow")], [[(100_000,)], [(0,)]])


def values_without_room_are_rejects(program, server):
    with Case(program, server) as case:
        case.sql("CREATE TABLE odd (id int, free numeric, note text); INSERT INTO odd SELECT i, i / 4.0, 'x' FROM generate_series(1, 5000) i;"
                 "UPDATE odd SET free = 'NaN' WHERE id = 17; UPDATE odd SET free = 1e30 WHERE id = 4020")
        case.job('query: "SELECT * FROM odd ORDER BY id", types: {free: "decimal(10,2)"}', more="rejects: 2")
        case.succeed()
        same(case.stored("SELECT count(*), min(id), max(id) FROM t"), [(4998, 1, 5000)])
        rejects = case.rejected()
        same([(reject["line"], reject["column"]) for reject in rejects], [(17, "free"), (4020, "free")])
        assert "17|nan|x" in rejects[0]["content"], rejects[0]


def only_what_is_used_is_read(program, server):
    with Case(program, server) as case:
        case.sql("CREATE TABLE wide (id int, big text); INSERT INTO wide SELECT i, repeat('x', 1000) FROM generate_series(1, 30000) i;"
                 "CREATE ROLE narrow LOGIN PASSWORD 'narrow'; GRANT SELECT (id) ON wide TO narrow")
        case.job("query: 'SELECT id, CASE WHEN id > 0 THEN 1 / (id - 1) END AS bad FROM wide'", beside="prepare: [{select: [id]}]")
        case.succeed()  # to read `bad` would be an error
        same(case.stored("SELECT count(*), sum(id) FROM t"), [(30000, 450015000)])


def tables_views_and_queries(program, server):
    with Case(program, server) as case:
        case.sql("""CREATE SCHEMA "s.x"; CREATE TABLE "s.x"."a""b" (id int, "Größe" text); INSERT INTO "s.x"."a""b" VALUES (1, 'x');
                 CREATE TABLE numbers (id int); INSERT INTO numbers SELECT generate_series(1, 8);
                 CREATE VIEW seen AS SELECT id * 2 AS double FROM numbers; CREATE TABLE hollow (id int)""")
        for source, wanted in (('schema: "s.x", table: ' + "'a\"b'", [(1, "x")]), ("table: public.numbers", [(i,) for i in range(1, 9)]),
                               ("table: seen", [(2 * i,) for i in range(1, 9)]), ("table: hollow", []),
                               ('query: "SELECT id, ${word} AS w FROM numbers -- a comment\n\n      WHERE id > ${least};"',
                                [(i, "it's") for i in (6, 7, 8)])):
            case.job(source)
            case.succeed("--again")
            same(case.stored(), wanted)
        case.job("table: '*'", store='sqlite: {path: all.db, table: "${table}", mode: replace}')
        case.succeed()
        with sqlite3.connect(case.folder / "all.db") as database:
            names = [name for name, in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")]
        same([name for name in names if not name.startswith("tranche_")], ["hollow", "numbers"])


def incremental_by_a_column(program, server):
    with Case(program, server) as case:
        case.sql("CREATE TABLE log (id bigint, at timestamp); INSERT INTO log SELECT i, timestamp '2026-01-01' + i * interval '1 minute' "
                 "FROM generate_series(1, 100) i; INSERT INTO log VALUES (1000, NULL)")
        goes_on_behind_the_last(case)
        case.job("table: log", "sqlite: {path: out.db, table: late, mode: upsert, key: [id]}", beside="incremental: at")
        case.succeed("--again")
        case.sql("INSERT INTO log VALUES (2000, '2026-01-01 01:41:00.5')")
        case.succeed()
        same(case.stored("SELECT count(*), max(id) FROM late"), [(101, 2000)])


def a_lost_server_is_read_again(program, server):
    with Case(program, server) as case:
        case.sql("CREATE TABLE slow (id int); INSERT INTO slow SELECT generate_series(1, 100000)")
        query = 'query: "SELECT s.id, CASE WHEN s.id % 1000 = 0 THEN pg_sleep(0.005)::text END AS p FROM slow s"'
        case.job(query, beside="retry: {attempts: 5, backoff: 10ms..100ms}")
        ended = []

        def end_session():
            while not ended:
                time.sleep(0.02)
                ended.extend(case.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY %' AND "
                                      f"datname = '{case.database}' AND state = 'active' AND clock_timestamp() - query_start > '0.1 s'"))
        ender = threading.Thread(target=end_session, daemon=True)
        ender.start()
        case.succeed()
        assert ended, "no session was ended"
        same(case.stored("SELECT count(*), sum(id) FROM t"), [(100000, 100000 * 100001 // 2)])
        case.job("query: 'SELECT pg_sleep(60)::text AS never'", beside="retry: {attempts: 1, timeout: 500ms}")
        begun = time.monotonic()
        case.fail(1)
        assert time.monotonic() - begun < 30, "a call went on after its timeout"
        case.job("table: slow", beside="retry: {attempts: 2, backoff: 10ms..20ms}")
        case.environment["DATABASE_URL"] = server.url(case.database).replace(f":{server.port}/", ":1/")
        case.fail(1, "cannot connect")


def mistakes(program, server):
    with Case(program, server) as case:
        case.sql("CREATE TABLE t (id int, ip inet); INSERT INTO t VALUES (1, '10.0.0.1')")
        for source, code, *messages in (
                ("table: missing", 2, "missing"), ('query: "SELEC 1"', 2, "syntax error"), ('query: "SELECT 1 AS a, 2 AS a"', 2, "twice"),
                ('query: "DELETE FROM t RETURNING id"', 2), ("table: t, query: select 1", 2, "either"),
                ("table: t", 2, "column 'ip' is of a type that the driver does not decode", "casts it to text"),
                ('query: "SELECT id FROM t", types: {id: nonsense}', 2, "nonsense"),
                ('query: "SELECT 1 / (id - 1) AS q FROM t"', 3, "division by zero")):
            case.job(source)
            case.fail(code, *messages)
        same(case.sql("SELECT count(*) FROM t"), [["1"]])
        url = case.environment["DATABASE_URL"]
        case.job("table: t")
        case.fail(2, "authentication failed", DATABASE_URL=url.replace(PASSWORD, "wrong"))
        case.fail(2, "does not exist", DATABASE_URL=server.url("nowhere"))
        case.fail(2, "cannot connect", DATABASE_URL=url.replace("postgres://", "nonsense "))
        case.job("table: t", library="/no/such/driver.so")
        case.fail(2, "the ADBC driver '/no/such/driver.so' cannot be loaded", "pip install adbc-driver-")
        case.job("table: t", library="nothing")
        case.fail(2, "the ADBC driver 'nothing' cannot be loaded", "pip install adbc-driver-nothing")
        case.job("table: t", library="./driver.so")
        case.fail(2, "does not begin with '/'")
        case.job("table: t", library=driver("sqlite"), options="uri: /nowhere/x.db")
        case.fail(2, "failed to open '/nowhere/x.db'")
        case.job("table: t", beside="retry: {attempts: 1}", library=driver("flightsql"), options='uri: "grpc://127.0.0.1:1"')
        case.fail(1, "[FlightSQL]", "connection refused")
        case.job("table: t", options=f'uri: "{url}"')
        case.fail(2, "a password stands in 'uri' as it is")
        case.job("table: t", options='uri: "postgres://127.0.0.1/x", password: plain')
        case.fail(2, "a password stands in 'password' as it is", "${secret:")
        case.job("table: t", options=f'uri: "{SECRET}", colour: blue')
        case.fail(2, "colour")


TESTS = (every_type_goes_there_and_back, sqlite_values, values_without_room_are_rejects, only_what_is_used_is_read,
         tables_views_and_queries, incremental_by_a_column, a_lost_server_is_read_again, mistakes)


if __name__ == "__main__":
    sys.exit(main(__doc__, TESTS, Adbc))
