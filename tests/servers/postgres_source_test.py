#!/usr/bin/env python3
"""The source `postgres` against a real PostgreSQL over TLS: what is read is compared with what the server itself says.

    tests/servers/postgres_source_test.py              all
    tests/servers/postgres_source_test.py -k moment    the tests with that in their name
"""
import pathlib
import sqlite3
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
from servers import postgres_test as store_tests  # noqa: E402
from servers.postgres import PASSWORD, Postgres  # noqa: E402
from servers.suite import main  # noqa: E402

EVERY_TYPE = """
CREATE TABLE every (b bool, s smallint, i int, l bigint, f real, d double precision, n numeric(12,2), wide numeric(38,10),
  tens numeric(6,-2), any_n numeric, t text, v varchar(10), c char(5), y bytea, dt date, ti time, ts timestamp, tz timestamptz,
  iv interval, u uuid, j json, jb jsonb, ia int[], ta text[], ip inet);
INSERT INTO every SELECT i % 2 = 0, i % 30000 - 15000, -i, i * 1000000007::bigint, i / 3.0, i / 7.0, -i / 7.0,
  i * 1e20 + 0.0000000001, i * 100, i / 9.0, E'line\\n' || i, 'v' || i % 1000, 'c', decode(md5(i::text), 'hex'),
  date '1900-02-28' + i, time '01:02:03.456789' + i * interval '1 second', timestamp '1999-12-31 23:59:59.5' + i * interval '1 hour',
  timestamptz '2026-03-29 01:30:00+02' + i * interval '1 minute', make_interval(months => i, days => 2, secs => i / 8.0),
  md5(i::text)::uuid, '{"a": [1, null]}', '{"b": "ü"}', array[i, null, 2], array['a"b', NULL, 'c,d', ''], '10.0.0.1'
  FROM generate_series(1, 3000) i;
INSERT INTO every (b) VALUES (NULL);
INSERT INTO every (dt, ts, tz, t, f, d, n, y, ia) VALUES ('infinity', '-infinity', 'infinity', '', 'NaN', '-infinity', 0, '', '{}'),
  ('4713-01-01 BC', '4713-01-01 BC', '0001-01-01 00:00:00+00 BC', 'x', 0, 1e-300, -0.01, '\\x00', NULL),
  ('5000-01-01', '294000-01-01', '1969-12-31 23:59:59.999999+00', repeat('ß', 100000), -0.0, 5e-324, 9999999999.99, 'abc', NULL)
"""


class Case(store_tests.Case):
    """A folder, a database, a job from it into SQLite."""

    def job(self, source, store="sqlite: {path: out.db, table: t}", beside="", more="rejects: 0", place=""):
        (self.folder / "job.yaml").write_text(f"""\
job: trial
parameters: {{least: {{type: integer, default: "5"}}, word: {{type: text, default: "it's"}}}}
collect:
  rows:
    {self.server.connector}: {{{place or self.server.place}, {source}}}
    {beside}
store: {{out: {{{store}}}}}
{more}
""")

    def stored(self, query="SELECT * FROM t ORDER BY 1"):
        with sqlite3.connect(self.folder / "out.db") as database:
            return database.execute(query).fetchall()


def same(one, other):
    assert one == other, f"{str(one)[:500]}\nis not\n{str(other)[:500]}"


def every_type_goes_there_and_back(program, server):
    with Case(program, server) as case:
        case.sql(EVERY_TYPE)
        case.sql("CREATE TABLE copy (LIKE every)")
        case.job("table: every", store='postgres: {url: "${secret:DATABASE_URL}", table: copy}')
        case.succeed()
        def rows(table):  # text of rows: NaN and -0 are themselves there
            return sorted(map(tuple, case.sql(f"SELECT q::text FROM {table} q")))
        there, back = rows("every"), rows("copy")
        lost = [row for row in there if row not in set(back)]
        assert there == back, f"{len(lost)} rows differ, as in\n{lost[0][0][:600]}\n{[row for row in back if row not in set(there)][0][0][:600]}"


def values_without_room_are_rejects(program, server):
    with Case(program, server) as case:
        case.sql("CREATE TABLE odd (id int, n numeric(8,2), ts timestamp, a int[], free numeric);"
                 "INSERT INTO odd SELECT i, i, '2026-01-01', '{1,2}', i / 4.0 FROM generate_series(1, 5000) i;"
                 "UPDATE odd SET n = 'NaN' WHERE id = 17; UPDATE odd SET ts = '294276-12-01' WHERE id = 18;"
                 "UPDATE odd SET a = '{{1,2},{3,4}}' WHERE id = 19; UPDATE odd SET free = 1e30 WHERE id = 20")
        case.job('query: "SELECT * FROM odd ORDER BY id", types: {free: "decimal(10,2)"}', more="rejects: 4")
        case.succeed()
        same(case.stored("SELECT count(*), min(id), max(id) FROM t"), [(4996, 1, 5000)])
        rejects = case.rejected()
        same([(reject["line"], reject["column"]) for reject in rejects], [(17, "n"), (18, "ts"), (19, "a"), (20, "free")])
        assert "17,NaN," in rejects[0]["content"], rejects[0]
        assert "not of type DECIMAL(8,2)" in rejects[0]["reason"], rejects[0]
        same(case.stored("SELECT free FROM t WHERE id = 7"), [(1.75,)])


def one_moment_while_others_write(program, server):
    """Money that is moved from row to row all the time: its sum is the same in each moment."""
    with Case(program, server) as case:
        case.sql("CREATE TABLE money (id int PRIMARY KEY, amount bigint, filler text);"
                 "INSERT INTO money SELECT i, 100, repeat('x', 400) FROM generate_series(0, 59999) i")
        stop = threading.Event()

        def move():
            i = 0
            while not stop.is_set():
                i += 7919
                case.sql(f"UPDATE money SET amount = amount + CASE id WHEN {i % 60000} THEN -50 ELSE 50 END "
                         f"WHERE id IN ({i % 60000}, {59999 - i % 30000})")
        movers = [threading.Thread(target=move) for _ in range(2)]
        for mover in movers:
            mover.start()
        try:
            case.job("table: money", store="sqlite: {path: out.db, table: t, mode: replace}")
            for attempt in range(3):
                case.succeed("--again")
                same(case.stored("SELECT count(*), count(DISTINCT id), sum(amount) FROM t"), [(60000, 60000, 6_000_000)])
        finally:
            stop.set()
            for mover in movers:
                mover.join()


def only_what_is_used_is_read(program, server):
    with Case(program, server) as case:
        case.sql("CREATE TABLE wide (id int, big text, bad numeric(4,1)); INSERT INTO wide SELECT i, repeat('x', 1000), 'NaN' FROM "
                 "generate_series(1, 30000) i")
        case.job("table: wide", beside="prepare: [{select: [id]}]")
        case.succeed()  # `bad` would be a reject of each row
        same(case.stored("SELECT count(*), sum(id) FROM t"), [(30000, 450015000)])


def tables_views_and_queries(program, server):
    with Case(program, server) as case:
        case.sql("""CREATE SCHEMA "s.x"; CREATE TABLE "s.x"."a""b" (id int, "Größe" text); INSERT INTO "s.x"."a""b" VALUES (1, 'x');
                 CREATE TABLE parted (id int) PARTITION BY RANGE (id); CREATE TABLE one PARTITION OF parted FOR VALUES FROM (0) TO (5);
                 CREATE TABLE two PARTITION OF parted FOR VALUES FROM (5) TO (9); INSERT INTO parted SELECT generate_series(1, 8);
                 CREATE VIEW seen AS SELECT id * 2 AS double FROM parted; CREATE TABLE hollow (id int)""")
        for source, wanted in (('schema: "s.x", table: ' + "'a\"b'", [(1, "x")]), ("table: public.parted", [(i,) for i in range(1, 9)]),
                               ("table: seen", [(2 * i,) for i in range(1, 9)]), ("table: hollow", []),
                               ('query: "SELECT id, ${word} AS w FROM parted -- a comment\n\n      WHERE id > ${least};"',
                                [(i, "it's") for i in (6, 7, 8)])):
            case.job(source, store="sqlite: {path: out.db, table: t, mode: replace}")
            case.succeed("--again")
            same(case.stored(), wanted)


def goes_on_behind_the_last(case):
    """Of a table `log` with the ids 1 to 100 and 1000: from 11 on, then what came behind 1000, also after a kill; what comes meanwhile is
    for the next run."""
    def add(first, last):
        case.sql("INSERT INTO log (id) VALUES " + ", ".join(f"({i})" for i in range(first, last + 1)))
    case.job("table: log", "sqlite: {path: out.db, table: t}", beside="incremental: {column: id, start: 11}")
    case.succeed()
    same(case.stored("SELECT count(*), min(id), max(id) FROM t"), [(91, 11, 1000)])
    assert "nothing new" in case.succeed()
    add(1001, 1050)
    assert case.program.kill(case.folder, "run", "job.yaml", failpoint="batch.committed", **case.environment)
    add(1051, 1060)
    case.succeed()
    same(case.stored("SELECT count(*), count(DISTINCT id), max(id) FROM t"), [(141, 141, 1050)])
    case.succeed()
    same(case.stored("SELECT count(*), count(DISTINCT id), max(id) FROM t"), [(151, 151, 1060)])


def incremental_by_a_column(program, server):
    with Case(program, server) as case:
        case.sql("CREATE TABLE log (id bigint, at timestamptz); INSERT INTO log SELECT i, timestamptz '2026-01-01 00:00:00+00' + i * "
                 "interval '1 minute' FROM generate_series(1, 100) i; INSERT INTO log VALUES (1000, NULL)")
        goes_on_behind_the_last(case)
        # What is written late is found within the overlap; what comes again has a key.
        case.job("table: log", beside="incremental: {column: at, overlap: 10m}", more="rejects: 0",
                 store="sqlite: {path: out.db, table: late, mode: upsert, key: [id]}")
        case.succeed("--again")
        same(case.stored("SELECT count(*) FROM late"), [(100,)])
        case.sql("INSERT INTO log VALUES (2000, '2026-01-01 01:35:00+00'), (2001, '2026-01-01 00:35:00+00')")
        case.succeed()
        same(case.stored("SELECT count(*), max(id) FROM late"), [(101, 2000)])
        case.job("table: log", beside="incremental: nothing")
        case.fail(2, "no column 'nothing'")
        case.job("table: log", beside="incremental: {column: id, overlap: 1h}", store="sqlite: {path: n.db, table: t}")
        case.succeed()
        case.fail(2, "'overlap' is a time")


def the_mark_in_a_query(program, server):
    """`seen` is what the query was given; a run that resumes before it has read all is given the same."""
    with Case(program, server) as case:
        moment = {"postgres": "timestamp", "mariadb": "datetime"}[server.connector]
        case.sql(f"CREATE TABLE log (id bigint, at {moment}); INSERT INTO log VALUES (10, '2026-01-01'), (11, '2026-01-02'), (12, '2026-01-03')")
        query = 'query: "SELECT id, at, ${mark} AS seen FROM log WHERE COLUMN >= ${mark} ORDER BY id"'
        case.job(query.replace("COLUMN", "id"), beside="incremental: {column: id, start: 11}")
        case.succeed()
        same(case.stored("SELECT id, seen FROM t ORDER BY 1"), [(11, "11"), (12, "11")])
        assert "nothing new" in case.succeed()
        case.sql("INSERT INTO log VALUES (13, '2026-01-04')")
        assert program.kill(case.folder, "run", "job.yaml", failpoint="run.recorded", **case.environment)
        case.sql("INSERT INTO log VALUES (14, '2026-01-05')")  # for the next run
        case.succeed()
        same(case.stored("SELECT id, seen FROM t WHERE id > 12"), [(13, "12")])
        case.succeed()
        same(case.stored("SELECT id, seen FROM t WHERE id > 13"), [(14, "13")])
        case.job(query.replace("COLUMN", "at"), beside='incremental: {column: at, start: "2026-01-02", overlap: 1d}',
                 store="sqlite: {path: out.db, table: late, mode: upsert, key: [id]}")
        case.succeed("--again")
        same(case.stored("SELECT min(id), count(*) FROM late"), [(11, 4)])
        case.sql("INSERT INTO log VALUES (15, '2026-01-04 12:00:00'), (16, '2026-01-03 12:00:00')")
        case.succeed()
        same(case.stored("SELECT id, substr(seen, 1, 19) FROM late WHERE id > 14"), [(15, "2026-01-04 00:00:00")])
        case.job(query, beside="incremental: id")
        case.fail(2, "the first run has no value for ${mark}; say where it begins, as in incremental: {column: updated_at, start: ")


def a_lost_server_is_read_again(program, server):
    with Case(program, server) as case:
        case.sql("CREATE TABLE slow (id int, filler text); INSERT INTO slow SELECT i, repeat('x', 100) FROM generate_series(1, 150000) i")
        case.job('query: "SELECT s.id, CASE WHEN s.id % 1000 = 0 THEN pg_sleep(0.01)::text END AS p FROM slow s"', beside="retry: {attempts: 5, backoff: 10ms..100ms}")
        ended = []

        def end_sessions():
            while len(ended) < 2:
                time.sleep(0.1)
                ended.extend(case.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY (SELECT%' AND "
                                      f"datname = '{case.database}' AND state = 'active' AND clock_timestamp() - query_start > '0.3 s'"))
        ender = threading.Thread(target=end_sessions, daemon=True)
        ender.start()
        case.succeed()
        assert len(ended) >= 2, "no session was ended"
        same(case.stored("SELECT count(*), sum(id) FROM t"), [(150000, 150000 * 150001 // 2)])
        case.job("table: slow", beside="retry: {attempts: 2, backoff: 10ms..20ms}")
        case.environment["DATABASE_URL"] = server.url(case.database).replace(f":{server.port}/", ":1/")
        case.fail(1, "cannot connect")


def mistakes(program, server):
    with Case(program, server) as case:
        case.sql("CREATE TABLE t (id int); CREATE ROLE reader LOGIN PASSWORD 'reader'; CREATE TABLE hidden (id int)")
        for source, code, *messages in (
                ("table: missing", 2, "missing"), ('query: "SELEC 1"', 2, "syntax error"), ('query: "SELECT 1 AS a, 2 AS a"', 2, "twice"),
                ('query: "DELETE FROM t RETURNING id"', 2), ('query: "SELECT 1 AS a) AS x) TO STDOUT; DROP TABLE t; --"', 2),
                ("table: t, query: select 1", 2, "either"), ("table: a.b.c", 2, "not a table"), ("table: t, types: {x: date}", 2, "no column 'x'"),
                ("table: t, types: {id: nonsense}", 2, "nonsense"), ('query: "SELECT 1 / (id - 1) AS q FROM t"', 3, "division by zero")):
            case.sql("TRUNCATE t; INSERT INTO t VALUES (1)")
            case.job(source)
            case.fail(code, *messages)
        same(case.sql("SELECT count(*) FROM t"), [["1"]])
        case.job("table: hidden")
        url = case.environment["DATABASE_URL"]
        case.fail(1, "permission denied", DATABASE_URL=server.url(case.database, "reader", "reader"))
        case.fail(2, "authentication failed", DATABASE_URL=url.replace(PASSWORD, "wrong"))
        case.fail(2, "does not exist", DATABASE_URL=server.url("nowhere"))
        case.job("table: t", beside="incremental: new_files")
        case.fail(2, "needs an input of files")
        (case.folder / "x.csv").write_text("a\n1\n")
        (case.folder / "job.yaml").write_text("job: x\ncollect: {a: {csv: {path: x.csv}, retry: {attempts: 2}}}\nstore: {o: {csv: {path: o.csv}}}\n")
        case.fail(2, "'retry' stands beside what is reached over a network")


TESTS = (every_type_goes_there_and_back, values_without_room_are_rejects, one_moment_while_others_write, only_what_is_used_is_read,
         tables_views_and_queries, incremental_by_a_column, the_mark_in_a_query, a_lost_server_is_read_again, mistakes)


if __name__ == "__main__":
    sys.exit(main(__doc__, TESTS, Postgres))
