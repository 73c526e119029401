#!/usr/bin/env python3
"""The source `adbc` with the drivers of PostgreSQL, SQLite, DuckDB and Flight SQL, against real databases.

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
import duckdb  # noqa: E402

from servers import postgres_source_test as source_tests  # noqa: E402
from servers.adbc import DUCKDB, Adbc, driver, place  # noqa: E402
from servers.faults_test import Between  # noqa: E402
from servers.flight import ArrowGo, Roapi, Tls  # noqa: E402
from servers.postgres import PASSWORD  # noqa: E402
from servers.postgres_source_test import goes_on_behind_the_last, same  # noqa: E402
from servers.suite import main  # noqa: E402

SECRET = "${secret:DATABASE_URL}"


class Case(source_tests.Case):
    """A folder, a database, a job from it into SQLite."""
    library, options = driver("postgresql"), f'uri: "{SECRET}"'
    bytes_type, bytes_of_one = "bytea", "decode('01', 'hex')"

    def job(self, source, store="sqlite: {path: out.db, table: t, mode: replace}", beside="", more="rejects: 0", library=None,
            options=None):
        super().job(source, store, beside, more, place=place(library or self.library, options or self.options))


class SqliteCase(Case):
    library = driver("sqlite")
    bytes_type, bytes_of_one = "blob", "x'01'"

    @property
    def options(self):
        return f"uri: {self.folder}/in.db"

    def sql(self, text):
        with sqlite3.connect(self.folder / "in.db") as database:
            database.executescript(text)


class DuckDbCase(Case):
    library = DUCKDB
    bytes_type, bytes_of_one = "blob", r"'\x01'::BLOB"

    @property
    def options(self):
        return f"entrypoint: duckdb_adbc_init, path: {self.folder}/in.duckdb"

    def sql(self, text):
        with duckdb.connect(str(self.folder / "in.duckdb")) as database:
            database.execute(text)


class FlightCase(DuckDbCase):
    """Parquet files of what DuckDB made, by a server of Flight SQL."""
    library = driver("flightsql")

    def __init__(self, program, server):
        super().__init__(program, server)
        self.flight = Roapi(self.folder)

    def __exit__(self, *_):
        self.flight.kill()
        super().__exit__()

    @property
    def options(self):
        return f'uri: "{self.flight.uri}"'

    def sql(self, text):
        super().sql(text)
        self.flight.kill()
        with duckdb.connect(str(self.folder / "in.duckdb")) as database:
            for name, in database.execute("SELECT table_name FROM duckdb_tables()").fetchall():
                database.execute(f"COPY {name} TO '{self.folder}/{name}.parquet'")
        self.flight.start()


class ArrowGoCase(Case):
    """The tables that the server comes with."""
    library = driver("flightsql")

    def __init__(self, program, server):
        super().__init__(program, server)
        self.flight = ArrowGo()
        self.options = f'uri: "{self.flight.uri}"'

    def __enter__(self):
        self.flight.start()
        return self

    def __exit__(self, *_):
        self.flight.kill()
        super().__exit__()


def with_every_driver(test):
    """Of a test of one case one of all, each with a database of its own."""
    def tests(program, server):
        for kind in (Case, SqliteCase, DuckDbCase, FlightCase):
            try:
                with kind(program, server) as case:
                    test(case)
            except AssertionError as error:
                raise AssertionError(f"{kind.__name__}: {error}") from None
    tests.__name__ = test.__name__
    return tests


def rows_of(count):
    """A relation r(i) of the numbers from 1 to count², in the SQL of all."""
    return (f"(WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {count - 1}) "
            f"SELECT {count} * a.i + b.i + 1 AS i FROM n a, n b) r")


def every_type_of_arrow(program, server):
    """By DuckDB and Flight SQL into Parquet: the same values and types as DuckDB itself has."""
    for kind in (DuckDbCase, FlightCase):
        with kind(program, server) as case:
            case.sql("""CREATE TABLE t AS SELECT i, i % 2 = 0 AS b, i::TINYINT AS t, (-i)::SMALLINT AS s, i::INTEGER AS n, i::UTINYINT AS ut,
                     i::USMALLINT AS us, i::UINTEGER AS ui, i::UBIGINT * 100000000000 AS ul, (i / 3)::FLOAT AS f, i / 7 AS d,
                     (i / 4)::DECIMAL(12, 2) AS p, (i * -1000000007)::DECIMAL(38, 10) AS wide, 'ü' || i AS v, encode('b' || i) AS bytes,
                     DATE '1900-02-28' + i::INTEGER AS dt, TIME '01:02:03.456789' + INTERVAL (i) SECOND AS ti,
                     TIMESTAMP '1999-12-31 23:59:59.5' + INTERVAL (i) HOUR AS ts,
                     TIMESTAMPTZ '2026-03-29 01:30:00+02' + INTERVAL (i) MINUTE AS tz,
                     [i, NULL, 2] AS l, [['a', NULL], []] AS ll FROM range(100) r(i);
                     INSERT INTO t (i) VALUES (NULL)""")
            case.job("table: t", store="parquet: {path: out.parquet}")
            case.succeed()
            with duckdb.connect(str(case.folder / "in.duckdb")) as database:
                database.execute(f"CREATE VIEW came AS SELECT * FROM '{case.folder}/out.parquet'")
                types = [[row[:2] for row in database.execute(f"DESCRIBE {table}").fetchall()] for table in ("t", "came")]
                same(types[1], types[0])
                same(database.execute("FROM t EXCEPT ALL FROM came UNION ALL (FROM came EXCEPT ALL FROM t)").fetchall(), [])
            case.sql("CREATE TABLE nested AS SELECT {'a': 1} AS s")
            case.job("table: nested")
            case.fail(2, "column 's' is of a type that the driver does not decode", "casts it to text")


def tables_of_a_schema(program, server):
    for kind in (SqliteCase, DuckDbCase):
        with kind(program, server) as case:
            case.sql("CREATE TABLE one (id bigint); INSERT INTO one VALUES (1); CREATE TABLE two (id bigint);"
                     "CREATE VIEW seen AS SELECT 3 AS id")
            case.job("table: '*'", store='sqlite: {path: out.db, table: "all_${table}", mode: replace}')
            case.succeed()
            same([case.stored(f"SELECT count(*) FROM all_{table}") for table in ("one", "two")], [[(1,)], [(0,)]])
            same(case.stored("SELECT count(*) FROM sqlite_master WHERE name = 'all_seen'"), [(0,)])
    with FlightCase(program, server) as case:
        case.sql("CREATE TABLE one (id bigint)")
        case.job("table: '*'", store='sqlite: {path: out.db, table: "all_${table}", mode: replace}')
        case.fail(1, "Invalid schema returned")  # what this server says of its schemas is not as Flight SQL has it


def another_server_of_flight(program, server):
    if not ArrowGo.PROGRAM.exists():
        return "not run: `scripts/setup network` builds its server"
    with ArrowGoCase(program, server) as case:
        case.job("table: '*Table'", store='sqlite: {path: out.db, table: "${table}", mode: replace}')
        case.succeed()
        same(case.stored("SELECT keyName, i.value, foreignName FROM intTable i LEFT JOIN foreignTable f ON f.id = foreignId ORDER BY i.id"),
             [("one", 1, "keyOne"), ("zero", 0, "keyOne"), ("negative one", -1, "keyOne"), (None, None, None)])
        case.job("query: SELECT id FROM intTable WHERE id > 100")
        case.succeed()
        same(case.stored(), [])
        many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT i, {} AS value FROM n"
        case.job(f"query: \"{many.format('i * 2')}\"")
        case.succeed()
        same(case.stored("SELECT count(*), sum(i), sum(value) FROM t"), [(100000, 5000050000, 10000100000)])
        case.job("query: \"" + many.format("CASE i WHEN 77777 THEN json('x') ELSE i END") + '"')
        case.fail(1, "malformed JSON")  # what came before it is not taken for all
        same(case.stored("SELECT count(*) FROM t"), [(100000,)])
    return None


class Cut(Between):
    """Spoils the first answers, at most so many, when so many bytes of them have gone to the client."""

    def __init__(self, port, spoil, after, most=1):
        self.spoil, self.after, self.left, self.bytes, self.mute_ones = spoil, after, most, {}, set()
        super().__init__(port)

    def passes(self, data, one, other):
        if self.to_server(other):
            return True
        self.bytes[one] = self.bytes.get(one, 0) + len(data)
        if self.left > 0 and self.bytes[one] > self.after and one not in self.mute_ones:
            self.left -= 1
            self.spoil(self, one)
        return one not in self.mute_ones


def a_flight_that_fails(program, server):
    """Cut, silent, or its server killed, at any byte: what was read is thrown away, and it is read again from the start."""
    with FlightCase(program, server) as case:
        case.sql(f"CREATE TABLE t AS SELECT i::BIGINT AS id, 'note ' || i AS note FROM {rows_of(300)}")

        def cut(network, _):
            network.cut()

        def silent(network, one):
            network.mute_ones.add(one)

        def killed(network, _):
            case.flight.kill()
            case.flight.start()
            network.cut()

        for spoil, after in ((cut, 0), (cut, 1500), (cut, 400_000), (cut, 1_200_000), (silent, 0), (silent, 1500), (silent, 400_000),
                             (killed, 400_000)):
            with Cut(case.flight.port, spoil, after) as network:
                options = f'uri: "grpc://127.0.0.1:{network.port}"'
                case.job("table: t", options=options, beside="retry: {attempts: 4, backoff: 10ms..50ms, timeout: 1s}")
                case.succeed()
                assert network.left == 0, f"{spoil.__name__} {after}: nothing was spoiled"
                same(case.stored("SELECT count(*), sum(id), min(note) FROM t"), [(90000, 90000 * 90001 // 2, "note 1")])
        for spoil, message in ((cut, "[FlightSQL]"), (silent, "no answer within 1.00s")):
            with Cut(case.flight.port, spoil, 400_000, most=9) as network:
                case.job("table: t", options=f'uri: "grpc://127.0.0.1:{network.port}"',
                         beside="retry: {attempts: 2, backoff: 10ms..20ms, timeout: 1s}")
                case.fail(1, message)
                same(network.left, 7)
        # A server that comes late.
        case.job("table: t", beside="retry: {attempts: 100, backoff: 50ms..100ms}")
        case.flight.kill()
        late = threading.Timer(1, case.flight.start)
        late.start()
        case.succeed()
        late.join()


def wrong_addresses(program, server):
    with FlightCase(program, server) as case:
        case.sql("CREATE TABLE t (id bigint)")
        port = case.flight.port
        for uri, message in (("grpc://127.0.0.1:1", "connection refused"), (f"grpc+tls://127.0.0.1:{port}", "TLS handshake"),
                             ("grpc://nowhere.invalid:1", "zero addresses"), ("nonsense", "invalid target address"), ("", "address")):
            case.job("table: t", options=f'uri: "{uri}"', beside="retry: {attempts: 2, backoff: 10ms..20ms}")
            case.fail(1, "[FlightSQL]", message)
        case.job("table: t", options=f'uri: "{case.flight.uri}", username: reader, password: "{SECRET}"')
        case.fail(2, "[FlightSQL]", DATABASE_URL=PASSWORD)


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


@with_every_driver
def rows_arrive(case):
    case.sql(f"CREATE TABLE hollow (id bigint); CREATE TABLE t (id bigint, name text, share double precision, b {case.bytes_type}, day text); "
             f"INSERT INTO t SELECT i, CASE WHEN i % 7 > 0 THEN 'n' || i END, i / 8.0, {case.bytes_of_one}, '2026-01-' || (10 + i % 18) "
             f"FROM {rows_of(300)}")
    case.job("table: t, types: {day: date}")
    case.succeed()
    same(case.stored(),
         [(i, f"n{i}" if i % 7 else None, i / 8, b"\1", f"2026-01-{10 + i % 18}") for i in range(1, 90_001)])
    case.job('query: "SELECT name, count(*) AS n, ${word} AS w FROM t WHERE id > ${least} AND name IS NULL GROUP BY 1, 3 -- a comment\n;"')
    case.succeed()
    same(case.stored(), [(None, 12857, "it's")])
    if type(case) is not FlightCase:  # its server says nothing of the columns of no rows
        case.job("table: hollow")
        case.succeed()
        same(case.stored(), [])


@with_every_driver
def what_does_not_fit_is_a_reject_with_its_place(case):
    case.sql("CREATE TABLE odd (id bigint, word text); INSERT INTO odd SELECT i, CASE WHEN i IN (17, 4020) THEN 'x' || i ELSE '' || i END "
             f"FROM {rows_of(71)}")
    case.job('query: "SELECT id, word FROM odd ORDER BY id", types: {word: integer}', more="rejects: 2")
    case.succeed()
    same(case.stored("SELECT count(*), sum(word) FROM t"), [(5039, 5041 * 5042 // 2 - 17 - 4020)])
    rejects = case.rejected()
    same([(reject["column"], reject["content"]) for reject in sorted(rejects, key=lambda reject: reject["content"])],
         [("word", "17|x17"), ("word", "4020|x4020")])
    if type(case) is not FlightCase:  # its server gives the rows of a query within a query in an order of its own
        same([reject["line"] for reject in rejects], [17, 4020])
    case.job('query: "SELECT id, word FROM odd ORDER BY id", types: {word: integer}', more="rejects: 1")
    case.fail(3, "too many rejects: 2")


@with_every_driver
def goes_on_behind_a_mark(case):
    case.sql("CREATE TABLE log (id bigint, \"at\" timestamp); INSERT INTO log VALUES "
             + ", ".join(f"({i}, '2026-01-01 {i // 60:02}:{i % 60:02}:00')" for i in range(1, 101)) + ", (1000, NULL)")
    goes_on_behind_the_last(case)
    case.job("table: log", "sqlite: {path: out.db, table: late, mode: upsert, key: [id]}", beside="incremental: at")
    case.succeed("--again")
    case.sql("INSERT INTO log VALUES (2000, '2026-01-01 01:41:00.5'), (2001, '2026-01-01 01:40:00')")
    assert "read rows 1 " in case.succeed()
    same(case.stored("SELECT count(*), max(id) FROM late"), [(101, 2000)])
    assert "nothing new" in case.succeed()


@with_every_driver
def what_takes_too_long(case):
    case.sql(f"CREATE TABLE t (id bigint); INSERT INTO t SELECT i FROM {rows_of(60)}")
    case.job('query: "SELECT count(*) AS n FROM t a, t b, t c WHERE a.id + b.id <> c.id"',
             beside="retry: {attempts: 2, backoff: 10ms..20ms, timeout: 500ms}")
    case.fail(1, "no answer within 500ms")


@with_every_driver
def mistakes_of_every_driver(case):
    case.sql("CREATE TABLE t (id bigint); INSERT INTO t VALUES (1)")
    for source, *messages in (("table: missing", "missing"), ('query: "SELEC 1"', ""), ('query: "DELETE FROM t"', ""),
                              ("table: t, query: select 1", "either"),
                              ('query: "SELECT id FROM t", types: {id: nonsense}', "nonsense"), ("table: t, types: {no: text}", "no")):
        case.job(source)
        case.fail(2, "job.yaml:5:", *messages)
    case.job("table: t")
    case.succeed()
    same(case.stored(), [(1,)])


def flight_by_tls(program, server):
    with FlightCase(program, server) as case:
        case.sql("CREATE TABLE t AS SELECT 7::BIGINT AS id")
        with Tls(case.flight.port, server.folder) as tls:
            root = (server.folder / "ca.pem").read_text()
            case.job("table: t", options=f'uri: "{tls.uri}", adbc.flight.sql.client_option.tls_root_certs: "{SECRET}"')
            case.succeed(DATABASE_URL=root)
            same(case.stored(), [(7,)])
            case.job("table: t", options=f'uri: "{tls.uri}"', beside="retry: {attempts: 2, backoff: 10ms..20ms}")
            case.fail(1, "certificate signed by unknown authority")


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
        case.job("table: t", options=f'uri: "{url}"')
        case.fail(2, "a password stands in 'uri' as it is")
        case.job("table: t", options='uri: "postgres://127.0.0.1/x", password: plain')
        case.fail(2, "a password stands in 'password' as it is", "${secret:")
        case.job("table: t", options=f'uri: "{SECRET}", colour: blue')
        case.fail(2, "colour")


TESTS = (rows_arrive, what_does_not_fit_is_a_reject_with_its_place, goes_on_behind_a_mark, what_takes_too_long,
         mistakes_of_every_driver,
         every_type_of_arrow, tables_of_a_schema, another_server_of_flight, a_flight_that_fails, flight_by_tls,
         wrong_addresses,
         every_type_goes_there_and_back, values_without_room_are_rejects, only_what_is_used_is_read, tables_views_and_queries,
         a_lost_server_is_read_again, mistakes)


if __name__ == "__main__":
    sys.exit(main(__doc__, TESTS, Adbc))
