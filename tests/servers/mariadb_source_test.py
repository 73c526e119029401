#!/usr/bin/env python3
"""The source `mariadb` against a real MariaDB over TLS: what is read is compared with what the server itself says.

    tests/servers/mariadb_source_test.py              all
    tests/servers/mariadb_source_test.py -k types     the tests with that in their name
"""
import os
import pathlib
import re
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
import duckdb  # noqa: E402
from servers.mariadb import MariaDb  # noqa: E402
from servers.postgres import PASSWORD  # noqa: E402
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


def read(case, **environment):
    """Runs the job: the conditions of the parts that were read, and what was said."""
    case.sql("SET GLOBAL log_output = 'TABLE'; TRUNCATE mysql.general_log; SET GLOBAL general_log = 1")
    said = case.succeed("--again", "-v", **environment)
    case.sql("SET GLOBAL general_log = 0")
    read = case.sql("SELECT argument FROM mysql.general_log WHERE command_type = 'Query' AND argument LIKE 'SELECT%AS answer'")
    assert read, "nothing was read"
    return [found[1] for found in (re.search(r"WHERE (.*)\n\) AS answer$", text) for [text] in read) if found], said


FILE = "parquet: {path: out.parquet}"  # into a database a table goes in the order of its key, by one session


def written(case, select, rest=""):
    return duckdb.connect().sql(f"{select} FROM '{case.folder}/out.parquet' {rest}").fetchall()


def is_cut(conditions):
    return len(conditions) >= 2 or os.cpu_count() == 1


def one_moment_while_others_write(program, server):
    """Money that is moved from row to row, and rows that take the place of others: sum and count are the same in each moment."""
    with Case(program, server) as case:
        case.sql("CREATE TABLE money (id int PRIMARY KEY, amount bigint, filler text); INSERT INTO money SELECT seq, 100, repeat('x', 400) "
                 "FROM seq_0_to_59999; ANALYZE TABLE money")
        stop = threading.Event()

        def move():
            i = 0
            while not stop.is_set():
                i += 7919
                one, other = i % 60000, 59999 - i % 30000
                case.sql(f"BEGIN; UPDATE money SET amount = amount - 50 WHERE id = {one}; UPDATE money SET amount = amount + 50 WHERE id = "
                         f"{other}; INSERT INTO money SELECT 1000000 - id, amount, filler FROM money WHERE id = {i % 60000}; DELETE FROM money "
                         f"WHERE id = {one}; UPDATE money SET id = 1000000 - id WHERE id = 1000000 - {one}; COMMIT" if one != other else "DO 1")
        mover = threading.Thread(target=move)
        mover.start()
        cut = 0
        try:
            case.job("table: money", store=FILE)
            for _ in range(4):
                conditions, _ = read(case)
                cut += is_cut(conditions)
                same(written(case, "SELECT count(*), count(DISTINCT id), sum(amount)::BIGINT"), [(60000, 60000, 6_000_000)])
        finally:
            stop.set()
            mover.join()
        assert cut, "it was read by one session each time"


def keys_of_every_kind_are_cut(program, server):
    """Each row once, in parts of about the same size, also where the keys are far from even."""
    kinds = (("k int PRIMARY KEY", "cast(seq AS signed) - 8000"),
             ("k bigint unsigned PRIMARY KEY", "CASE WHEN seq <= 3000 THEN seq ELSE 18446744073709551616 - seq * 1000003 END"),
             ("k bigint PRIMARY KEY", "CASE WHEN seq = 1 THEN -9223372036854775808 WHEN seq = 2 THEN 9223372036854775807 ELSE seq END"),
             ("k bigint PRIMARY KEY", "cast(floor(pow(1.004, seq)) AS signed) + seq"),
             ("k int, l bigint unsigned, PRIMARY KEY (k, l)", "CASE WHEN seq % 100 = 0 THEN seq ELSE 7 END, seq * 1000003"),
             ("k tinyint, l varchar(40), PRIMARY KEY (k, l)", "seq % 5, md5(seq)"),
             ("k date, l int, PRIMARY KEY (k, l)", "date '9999-12-31' - interval seq % 2 day, -cast(seq AS signed)"),
             ("k datetime(6), l int, PRIMARY KEY (k, l)", "timestamp '2026-01-01 00:00:00' + interval seq * seq * 0.7 second, seq"),
             ("k timestamp(3) NOT NULL DEFAULT 0, l int, PRIMARY KEY (k, l)", "timestamp '2026-01-01 00:00:00' + interval seq second, seq"),
             ("k binary(16) PRIMARY KEY", "unhex(md5(seq))"),
             ("k varbinary(9) PRIMARY KEY", "CASE WHEN seq = 1 THEN '' ELSE concat(x'ffffffff', seq) END"))
    with Case(program, server) as case:
        for number, (columns, values) in enumerate(kinds):
            case.sql(f'CREATE TABLE "t {number}" ({columns}, n int, filler text); INSERT INTO "t {number}" SELECT {values}, seq, repeat(\'x\', 2000) '
                     f'FROM seq_1_to_9000; ANALYZE TABLE "t {number}"')
            case.job(f'table: "t {number}"', beside="prepare: [{select: [n]}]", store=FILE)
            conditions, said = read(case)
            same(written(case, "SELECT n", "ORDER BY n"), [(n,) for n in range(1, 9001)])
            assert is_cut(conditions), f"{columns}: {said}"
            sizes = [int(case.sql(f'SELECT count(*) FROM "t {number}" WHERE {condition}')[0][0]) for condition in conditions]
            assert max(sizes, default=0) < 1.5 * 9000 / max(1, len(sizes)), f"{columns}: {sizes} of {conditions}"


def what_cannot_be_cut_is_read_by_one(program, server):
    large = "SELECT seq AS id, repeat('x', 2000) AS filler FROM seq_1_to_9000"
    with Case(program, server) as case:
        case.sql(f"CREATE TABLE words (word varchar(40) PRIMARY KEY, filler text); INSERT INTO words SELECT md5(id), filler FROM ({large}) AS l; "
                 f"CREATE TABLE bare AS {large}; CREATE TABLE old (PRIMARY KEY (id)) ENGINE=MyISAM AS {large}; "
                 f"CREATE TABLE held (PRIMARY KEY (id)) AS {large}; CREATE VIEW seen AS SELECT * FROM held; "
                 "CREATE TABLE hollow LIKE held; CREATE TABLE one LIKE held; INSERT INTO one VALUES (7, 'x'); ANALYZE TABLE words, bare, held")

        def expect(table, rows, because, **environment):
            case.job(f"table: {table}", store=FILE)
            conditions, said = read(case, **environment)
            same(written(case, "SELECT count(*)"), [(rows,)])
            if because is None:
                assert is_cut(conditions), said
            else:
                assert not conditions, conditions
                assert because in said if because and os.cpu_count() > 1 else "one session" not in said, said
        expect("hollow", 0, "")
        expect("one", 1, "")
        expect("words", 9000, "no primary key that begins with")
        expect("bare", 9000, "no primary key that begins with")
        expect("old", 9000, "its engine is MyISAM")
        expect("seen", 9000, "it is a VIEW")
        expect("held", 9000, None)
        with subprocess.Popen([*server.client(case.database), "--unbuffered"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
            writer.stdin.write("BEGIN; DELETE FROM held WHERE id < 100; SELECT 'held';\n")
            writer.stdin.flush()
            assert [writer.stdout.readline().strip() for _ in range(2)] == ["held", "held"]
            expect("held", 9000, "Lock wait timeout")
            writer.stdin.write("ROLLBACK; XA START 'x'; DELETE FROM held WHERE id < 100; XA END 'x'; XA PREPARE 'x';\n")
        expect("held", 9000, "prepared transactions")
        case.sql("XA ROLLBACK 'x'")
        for user, rights, limit, because in (("reader", "SELECT", "", "Access denied"), ("locker", "SELECT, LOCK TABLES", "", None),
                                             ("lonely", "SELECT, LOCK TABLES", "WITH MAX_USER_CONNECTIONS 1", "max_user_connections")):
            case.sql(f"CREATE USER '{user}'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}' REQUIRE SSL {limit}; "
                     f"GRANT {rights} ON {case.database}.* TO '{user}'@'127.0.0.1'")
            expect("held", 9000, because, DATABASE_URL=server.url(case.database, user))


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


TESTS = (every_type_goes_there_and_back, values_without_room_are_rejects, one_moment_while_others_write, keys_of_every_kind_are_cut,
         what_cannot_be_cut_is_read_by_one, tables_views_and_queries, incremental_by_a_column, the_mark_in_a_query, mistakes)


if __name__ == "__main__":
    sys.exit(main(__doc__, TESTS, MariaDb))
