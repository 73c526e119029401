#!/usr/bin/env python3
"""Tables that are read in the order of their key: stores begin while they are read, and after a crash reading goes on behind the last
row of the spool, whatever has become of the table meanwhile.

    tests/servers/ordered_test.py                       all, on PostgreSQL
    tests/servers/ordered_test.py --server mariadb -k lost
"""
import collections
import os
import pathlib
import signal
import sqlite3
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
from servers import postgres_source_test as source_tests  # noqa: E402
from servers.mariadb import MariaDb  # noqa: E402
from servers.postgres import Postgres  # noqa: E402
from servers.suite import main  # noqa: E402

ROWS = 12_000  # a dozen segments of the smallest kind
SMALL = ("--segment", "8KiB")
STEPS = 'prepare: [{filter: "id % 10 <> 4"}, {check: {whole: "id % 1000 <> 500"}}]'
STORE = "lite: {sqlite: {path: out.db, table: t}, batch: {rows: 700}}"
# Key columns; ids are 2, 4, 6…, so that others fit between.
KEYS = ("id", "name", "part, name")


class Case(source_tests.Case):
    def job(self, table="t", more="", place=""):
        (self.folder / "job.yaml").write_text(f"""\
job: trial
collect: {{rows: {{{self.server.connector}: {{{place or self.server.place}, table: {table}}}{more}}}}}
{STEPS}
store: {{{STORE}}}
rejects: 1000
""")

    def make(self, key="id", rows=ROWS):
        kind = {"postgres": "text COLLATE \"C\"", "mariadb": "varchar(20)"}[self.server.connector]
        self.sql(f"CREATE TABLE t (id bigint NOT NULL, part int NOT NULL, name {kind} NOT NULL, v text, PRIMARY KEY ({key}))")
        self.add(range(2, 2 * rows + 1, 2))
        if self.server.connector == "postgres":
            self.sql("ANALYZE t")

    def add(self, ids):
        ids = list(ids)
        for start in range(0, len(ids), 2000):
            self.sql("INSERT INTO t VALUES " + ", ".join(f"({i}, {i // 5000}, 'n{i:06}', 'v{i}')" for i in ids[start:start + 2000]))

    def expect(self, ids, rejects):
        ids = list(ids)
        wanted = collections.Counter((i, i // 5000, f"n{i:06}", f"v{i}") for i in ids if i % 10 != 4 and i % 1000 != 500)
        found = collections.Counter(self.stored())
        assert wanted == found, f"missing {list((wanted - found).elements())[:5]}, too many {list((found - wanted).elements())[:5]}"
        assert len(self.rejected()) == rejects, f"{len(self.rejected())} rejects, not {rejects}"

    def count(self):
        try:
            return self.stored("SELECT count(*) FROM t")[0][0] if (self.folder / "out.db").exists() else 0
        except sqlite3.OperationalError:  # there is no table yet
            return 0

    def finished(self):
        with sqlite3.connect(self.folder / ".tranche/trial/state.db") as state:
            return state.execute("SELECT state FROM run").fetchall() == [("finished",)]

    def kill_while_read(self, segment=6):
        """With some rows stored, and not all of them read."""
        process = self.program.start(self.folder, "run", "job.yaml", *SMALL, failpoint=f"segment.recorded:hold@{segment}",
                                     **self.environment)
        try:
            end = time.monotonic() + 60
            while self.count() < 700 and time.monotonic() < end and process.poll() is None:
                time.sleep(0.05)
            assert self.count() >= 700, "nothing was stored while the table was being read"
        finally:
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
            process.communicate()


ALL = range(2, 2 * ROWS + 1, 2)
REJECTED = len([i for i in ALL if i % 1000 == 500])


def stores_begin_before_the_end(program, server):
    for key in KEYS:
        with Case(program, server) as case:
            case.make(key)
            case.job()
            plan = program.succeed(case.folder, "plan", "job.yaml", **case.environment)
            assert "ends     in a streamed spool" in plan, plan
            case.kill_while_read()
            case.succeed()  # another size of segments
            case.expect(ALL, REJECTED)


def killed_everywhere(program, server):
    kills = 0
    with Case(program, server) as first:
        first.make()
        first.job()
        reached = program.reached(first.folder, "run", "job.yaml", *SMALL, **first.environment)
        assert reached["segment.recorded"] > 8, f"too few segments: {reached}"
        assert reached["segment.dropped"] > 0, "no segment went"
        for point, hits in sorted(reached.items()):
            for hit in (1, 3):
                if hit > hits:
                    continue
                case = Case(program, server)
                with case:
                    case.environment, case.database = first.environment, first.database
                    case.job()
                    kills += program.kill(case.folder, "run", "job.yaml", *SMALL, failpoint=f"{point}@{hit}", **case.environment)
                    if hit == 3 and not case.finished():
                        kills += program.kill(case.folder, "run", "job.yaml", *SMALL, failpoint="segment.recorded@2", **case.environment)
                    try:
                        if not case.finished():  # else another run begins
                            case.succeed(*SMALL)
                        case.expect(ALL, REJECTED)
                    except AssertionError as error:
                        raise AssertionError(f"killed at {point}@{hit}: {error}") from None
    return f"{kills} kills"


def the_table_changes_meanwhile(program, server):
    """Rows that came or went behind the place are as they are now, those before it as they were: none is there twice."""
    with Case(program, server) as case:
        case.make()
        case.job()
        case.kill_while_read()
        case.add([1, 21, 2 * ROWS - 1, 2 * ROWS + 2])
        case.sql(f"DELETE FROM t WHERE id IN (4, {2 * ROWS - 4})")
        case.sql("UPDATE t SET v = 'other' WHERE id = 6")
        case.succeed(*SMALL)
        case.expect([*(i for i in ALL if i != 2 * ROWS - 4), 2 * ROWS - 1, 2 * ROWS + 2], REJECTED)


def end_readers(case):
    if case.server.connector == "postgres":
        return len(case.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY (SELECT%' AND "
                            f"datname = '{case.database}'"))
    found = case.sql(f"SELECT id FROM information_schema.processlist WHERE db = '{case.database}' AND info LIKE 'SELECT%AS answer%' "
                     "AND id <> connection_id()")
    for row in found:
        case.sql(f"KILL {row[0]}")
    return len(found)


def lost_while_it_runs(program, server):
    """Sessions that are ended while they read: reading goes on behind the last segment."""
    with Case(program, server) as case:
        case.make(rows=0)
        made = {"postgres": "generate_series(1, 100000) n", "mariadb": "(SELECT seq AS n FROM seq_1_to_100000) s"}[server.connector]
        case.sql(f"INSERT INTO t SELECT 2 * n, 0, 'x', repeat('x', 500) FROM {made}")
        if server.connector == "postgres":
            case.sql("ANALYZE t")
        case.job(more=", retry: {attempts: 20, backoff: 10ms..50ms}")
        ended, stop = [], threading.Event()

        def end_some():
            while not stop.is_set() and len(ended) < 3:
                time.sleep(0.03)
                ended.extend([1] * end_readers(case))
        ender = threading.Thread(target=end_some)
        ender.start()
        try:
            case.succeed("--segment", "256KiB")
        finally:
            stop.set()
            ender.join()
        ids = range(2, 200_001, 2)
        found = case.stored("SELECT count(*), count(DISTINCT id), sum(id) FROM t")
        good = [i for i in ids if i % 10 != 4 and i % 1000 != 500]
        assert found == [(len(good), len(good), sum(good))], found
        assert ended, "no session was ended"
        return f"{len(ended)} sessions ended"


def values_without_room_are_rejects(program, server):
    """The strict reading stores some rows, then the careful one goes on behind them."""
    with Case(program, server) as case:
        if server.connector == "postgres":
            case.sql("CREATE TABLE t (id bigint PRIMARY KEY, n numeric(8,2)); INSERT INTO t SELECT i * 2, i FROM generate_series(1, 12000) i;"
                     "UPDATE t SET n = 'NaN' WHERE id = 20002; CLUSTER t USING t_pkey; ANALYZE t")
        else:
            case.sql("CREATE TABLE t (id bigint PRIMARY KEY, n date); INSERT INTO t SELECT seq * 2, '2026-01-01' FROM seq_1_to_12000; "
                     "SET sql_mode = ''; UPDATE t SET n = '0000-00-00' WHERE id = 20002")
        case.job()
        case.succeed(*SMALL)
        good = [i for i in ALL if i % 10 != 4 and i % 1000 != 500 and i != 20002]
        assert case.stored("SELECT count(*), sum(id) FROM t") == [(len(good), sum(good))], case.stored("SELECT count(*), sum(id) FROM t")
        rejects = case.rejected()
        assert len(rejects) == REJECTED + 1, len(rejects)
        assert [reject["line"] for reject in rejects if reject["column"] == "n"] == [10001], rejects[-1]


TESTS = (stores_begin_before_the_end, killed_everywhere, the_table_changes_meanwhile, lost_while_it_runs,
         values_without_room_are_rejects)


if __name__ == "__main__":
    sys.exit(main(__doc__, TESTS, {"postgres": Postgres, "mariadb": MariaDb}))
