#!/usr/bin/env python3
"""The source `mariadb` against a real MariaDB over TLS: what is read is compared with what the server itself says.

    tests/servers/mariadb_source_test.py              all
    tests/servers/mariadb_source_test.py -k types     the tests with that in their name
"""
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
from servers.mariadb import MariaDb  # noqa: E402
from servers.postgres_source_test import Case, goes_on_behind_the_last, same, the_mark_in_a_query  # noqa: E402
from servers.suite import main  # noqa: E402

EVERY_TYPE = """
CREATE TABLE every (b boolean, s smallint, us smallint unsigned, i int, ui int unsigned, m mediumint, l bigint, ul bigint unsigned,
  f float, d double, n decimal(12,2), wide decimal(38,10), un decimal(5,1) unsigned, t longtext, v varchar(10), c char(5), y longblob,
  vb varbinary(20), dt date, ti time(6), ts datetime(6), tz timestamp(3) NULL, u uuid, j json, e enum('one', 'two'), x set('a', 'b'),
  yr year);
INSERT INTO every SELECT seq % 2, cast(seq as signed) - 15000, seq, -cast(seq as signed), seq * 1000000, seq, seq * 1000000007, 18446744073709551615 - seq, seq / 4,
  seq / 7, -cast(seq as signed) / 7, seq * 100000000000000000000 + 0.0000000001, seq / 10, concat('line\\n', seq, 'ü🚀\\\\'), concat('v', seq % 1000), 'c',
  unhex(md5(seq)), unhex('00ff'), date '1900-02-28' + interval seq day, '01:02:03.456789', timestamp '1999-12-31 23:59:59.5' + interval
  seq hour, timestamp '2026-03-29 01:30:00.5', uuid(), '{"a": [1, null]}', 'two', 'a,b', 2026 FROM seq_1_to_3000;
INSERT INTO every (b) VALUES (NULL);
INSERT INTO every (t, y, d, l, ul, dt) VALUES ('', '', 5e-324, -9223372036854775808, 0, '9999-12-31')
"""


def every_type_goes_there_and_back(program, server):
    with Case(program, server) as case:
        case.sql(EVERY_TYPE)
        case.sql("CREATE TABLE copy LIKE every")
        case.job("table: every", store='mariadb: {url: "${secret:DATABASE_URL}", table: copy}')
        case.succeed()
        for one, other in (("every", "copy"), ("copy", "every")):
            lost = case.sql(f"SELECT * FROM {one} EXCEPT SELECT * FROM {other}")
            assert not lost, f"{len(lost)} rows of {one} are not in {other}, as\n{lost[0]}"
        same(case.sql("SELECT count(*) FROM copy"), [["3002"]])


def values_without_room_are_rejects(program, server):
    with Case(program, server) as case:
        case.sql("CREATE TABLE odd (id int, dt date, free text); INSERT INTO odd SELECT seq, '2026-01-01', seq / 4 FROM seq_1_to_500; "
                 "SET sql_mode = ''; UPDATE odd SET dt = '0000-00-00' WHERE id = 17; UPDATE odd SET free = 'x' WHERE id = 20")
        case.job('query: "SELECT * FROM odd ORDER BY id", types: {free: "decimal(10,2)"}', more="rejects: 2")
        case.succeed()
        same(case.stored("SELECT count(*), min(id), max(id) FROM t"), [(498, 1, 500)])
        rejects = case.rejected()
        same([(reject["line"], reject["column"]) for reject in rejects], [(17, "dt"), (20, "free")])
        assert rejects[0]["content"] == "17|0000-00-00|4.250000000", rejects[0]


def one_moment_while_others_write(program, server):
    with Case(program, server) as case:
        case.sql("CREATE TABLE money (id int PRIMARY KEY, amount bigint, filler text); INSERT INTO money SELECT seq, 100, repeat('x', 200) "
                 "FROM seq_0_to_39999")
        stop = threading.Event()

        def move():
            i = 0
            while not stop.is_set():
                i += 7919
                case.sql(f"UPDATE money SET amount = amount + CASE id WHEN {i % 40000} THEN -50 ELSE 50 END "
                         f"WHERE id IN ({i % 40000}, {39999 - i % 20000})")
        mover = threading.Thread(target=move)
        mover.start()
        try:
            case.job("table: money", store="sqlite: {path: out.db, table: t, mode: replace}")
            for _ in range(3):
                case.succeed("--again")
                same(case.stored("SELECT count(*), count(DISTINCT id), sum(amount) FROM t"), [(40000, 40000, 4_000_000)])
        finally:
            stop.set()
            mover.join()


def tables_views_and_queries(program, server):
    with Case(program, server) as case:
        case.sql('CREATE TABLE "a""b.c" (id int, "Größe" text); INSERT INTO "a""b.c" VALUES (1, \'x\'); CREATE TABLE parted (id int); '
                 "INSERT INTO parted SELECT seq FROM seq_1_to_8; CREATE VIEW seen AS SELECT id * 2 AS twice FROM parted; CREATE TABLE hollow (id int)")
        for source, wanted in ((f"schema: {case.database}, table: 'a\"b.c'", [(1, "x")]), (f"table: {case.database}.parted", [(i,) for i in range(1, 9)]),
                               ("table: seen", [(2 * i,) for i in range(1, 9)]), ("table: hollow", []),
                               ('query: "SELECT id, ${word} AS w FROM parted -- a comment\n\n      WHERE id > ${least} ORDER BY id;"',
                                [(i, "it's") for i in (6, 7, 8)])):
            case.job(source, store="sqlite: {path: out.db, table: t, mode: replace}")
            case.succeed("--again")
            same(case.stored(), wanted)


def incremental_by_a_column(program, server):
    with Case(program, server) as case:
        case.sql("CREATE TABLE log (id bigint, at datetime(3)); INSERT INTO log SELECT seq, timestamp '2026-01-01 00:00:00' + interval seq minute FROM "
                 "seq_1_to_100; INSERT INTO log VALUES (1000, NULL)")
        goes_on_behind_the_last(case)
        case.job("table: log", beside="incremental: {column: at, overlap: 10m}",
                 store="sqlite: {path: out.db, table: late, mode: upsert, key: [id]}")
        case.succeed("--again")
        same(case.stored("SELECT count(*) FROM late"), [(100,)])
        case.sql("INSERT INTO log VALUES (2000, '2026-01-01 01:35:00'), (2001, '2026-01-01 00:35:00')")
        case.succeed()
        same(case.stored("SELECT count(*), max(id) FROM late"), [(101, 2000)])


def mistakes(program, server):
    with Case(program, server) as case:
        case.sql("CREATE TABLE t (id int)")
        for source, code, *messages in (
                ("table: missing", 2, "missing"), ('query: "SELEC 1"', 2, "syntax"), ('query: "SELECT 1 AS a, 2 AS a"', 2, "Duplicate"),
                ('query: "DELETE FROM t"', 2), ('query: "SELECT 1 AS a) AS x; DROP TABLE t; --"', 2), ("table: t, query: select 1", 2, "either"),
                ("table: t, types: {x: date}", 2, "no column 'x'")):
            case.sql("DELETE FROM t; INSERT INTO t VALUES (1)")
            case.job(source)
            case.fail(code, *messages)
        same(case.sql("SELECT count(*) FROM t"), [["1"]])
        case.fail(2, "Access denied", DATABASE_URL=server.url(case.database, password="wrong"))


TESTS = (every_type_goes_there_and_back, values_without_room_are_rejects, one_moment_while_others_write, tables_views_and_queries,
         incremental_by_a_column, the_mark_in_a_query, mistakes)


if __name__ == "__main__":
    sys.exit(main(__doc__, TESTS, MariaDb))
