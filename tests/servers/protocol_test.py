#!/usr/bin/env python3
"""The tests that catch the worst, on real servers; those of SQLite, DuckDB and files are in tests/crash/protocol_tests.py. The number
of each is the protocol's.

    tests/servers/protocol_test.py                        all, on PostgreSQL
    tests/servers/protocol_test.py --server mariadb
    tests/servers/protocol_test.py -k zombie --rounds 50    more of them
"""
import collections
import contextlib
import os
import pathlib
import random
import re
import shutil
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
from servers import full_disk_test  # noqa: E402
from servers.faults_test import Between, Session, wait_for  # noqa: E402
from servers.mariadb import MariaDb  # noqa: E402
from servers.network_test import AroundCommit, is_commit  # noqa: E402
from servers.postgres import Postgres  # noqa: E402
from servers.postgres_test import Case, check, made, rows  # noqa: E402
from servers.suite import main  # noqa: E402


class HeldCommit(Between):
    """Keeps one COMMIT, until it is let go; its client may be dead by then."""

    def __init__(self, port, number):
        self.number, self.commits = number, 0
        self.held, self.let_go = threading.Event(), threading.Event()
        super().__init__(port)

    def passes(self, data, one, other):
        if self.to_server(other) and is_commit(data):
            self.commits += 1
            if self.commits == self.number:
                self.held.set()
                self.let_go.wait(60)
        return True


def zombie_commits_after_resume(program, server, options):
    """1. The COMMIT of a process that was killed comes to the server while the next start looks what is stored, or later."""
    chance = random.Random(options.seed)
    for seconds in [0, *(chance.uniform(0, 0.3) for _ in range(options.rounds)), None]:
        case, wanted, bad = made(program, server, "append", batch="rows: 500")
        with case, HeldCommit(server.port, 5) as way:
            case.environment["DATABASE_URL"] = server.plain_url(case.database, way.port)
            process = program.start(case.folder, "run", "job.yaml", **case.environment)
            assert way.held.wait(30), "no COMMIT came"
            process.kill()
            process.communicate()
            case.job(batch="rows: 250")
            resumed = program.start(case.folder, "run", "job.yaml", **case.environment)
            if seconds is not None:
                time.sleep(seconds)
                way.let_go.set()
            _, err = resumed.communicate(timeout=60)
            assert resumed.returncode == 0, f"exit code {resumed.returncode}; it said\n{err}"
            way.let_go.set()
            time.sleep(0.1)
            check(case, wanted, bad)


def zombie_of_a_stopped_server(program, server, options):
    """1. The same where the server's own process is stopped: it hears of nothing, and cannot be ended, until it goes on."""
    if server.connector != "postgres":
        return "for PostgreSQL only: MariaDB has no process a session"
    for go_on in ("before the next start", "while it waits"):
        case, wanted, bad = made(program, server, "append", batch="rows: 500")
        with case, HeldCommit(server.port, 5) as way:
            case.environment["DATABASE_URL"] = server.plain_url(case.database, way.port)
            process = program.start(case.folder, "run", "job.yaml", **case.environment)
            assert way.held.wait(30), "no COMMIT came"
            zombie, = [int(row[0]) for row in case.sql("SELECT pid FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = "
                                                       "current_database()")]
            os.kill(zombie, signal.SIGSTOP)
            try:
                way.let_go.set()
                process.kill()
                process.communicate()
                case.job(batch="rows: 250")
                if go_on == "while it waits":
                    resumed = program.start(case.folder, "run", "job.yaml", **case.environment)
                    wait_for(case, "SELECT 1 FROM pg_locks WHERE NOT granted")
            finally:
                os.kill(zombie, signal.SIGCONT)
            if go_on != "while it waits":
                resumed = program.start(case.folder, "run", "job.yaml", **case.environment)
            _, err = resumed.communicate(timeout=60)
            assert resumed.returncode == 0, f"{go_on}: exit code {resumed.returncode}; it said\n{err}"
            check(case, wanted, bad)


class CountedClaims(AroundCommit):
    """How many batches were begun. MariaDB is sent the statement once a session, and then its number."""

    def __init__(self, *arguments):
        self.claims = 0
        self.numbers = {}  # by the client's side of a session; None: not answered yet
        super().__init__(*arguments)

    def passes(self, data, one, other):
        claim = b"INTO tranche_batch SELECT"
        if not self.to_server(other):
            if other in self.numbers and self.numbers[other] is None:
                self.numbers[other] = data[5:9]
        elif self.server_keeps_statements and claim in data:
            self.numbers[one] = None
        elif self.server_keeps_statements:
            number = self.numbers.get(one)
            self.claims += data.count(b"\0\x17" + number + b"\0\1\0\0\0") if number else 0
        else:
            self.claims += data.count(claim)
        return super().passes(data, one, other)


def unknown_commit_then_smaller_batches(program, server, options):
    """2. The answer to COMMIT is lost while batches find their size: the same span comes again, whatever size comes next."""
    with Case(program, server) as case, CountedClaims(server.port, ("answer", "before", "late"), 9) as way:
        way.server_keeps_statements = server.connector == "mariadb"
        case.environment["DATABASE_URL"] = server.plain_url(case.database, way.port)
        case.sql("CREATE TABLE t (id bigint, k int, amount int CHECK (amount < 985), note varchar(12))")
        given = [[i, i, 990 if i % 9999 == 7 else 1, "x"] for i in range(60_000)]
        case.write(given)
        case.job(batch="parallel: 1", retry="attempts: 30, backoff: 10ms..50ms, timeout: 5s")
        case.succeed("--keep-batches")
        case.expect([row for row in given if row[2] < 985])
        case.expect_rejects([row[0] for row in given if row[2] >= 985])
        spans = sorted((int(begin), int(end)) for begin, end in case.sql("SELECT from_row, to_row FROM tranche_batch"))
        assert [begin for begin, _ in spans] == [0, *(end for _, end in spans[:-1])], f"the spans do not tile: {spans}"
        again = way.claims - len(spans)  # of the COMMITs some are of other things than batches
        assert 3 <= again <= way.spoiled.total(), f"{again} spans came again for {way.spoiled.total()} answers that were lost"
        return f"{again} of {len(spans)} spans came again"


def state_folder_lost_between_crash_and_resume(program, server):
    """4. A join gives rows in no fixed order: another spool is never mixed with what was stored of the first."""
    with Case(program, server) as case:
        case.write(rows(1, 500, bad=False))
        case.write([[i % 500, i] for i in range(1000)], ("id", "w"), file="more.csv")
        case.job("table: t, columns: evolve", batch="rows: 100", more="from: rows\nprepare: [{join: {with: more, using: [id], matches: many}}]\n")
        job = (case.folder / "job.yaml").read_text().replace("collect: {", "collect: {more: {csv: {path: more.csv, types: {id: bigint}}}, ")
        (case.folder / "job.yaml").write_text(job)
        assert program.kill(case.folder, "run", "job.yaml", failpoint="batch.committed@5", **case.environment)
        before = case.table("*")
        assert before.total() == 500, f"{before.total()} rows"
        shutil.rmtree(case.folder / ".tranche")
        case.fail(3, "another state folder began a run of this job here")
        assert case.table("*") == before, "the table was changed"
        case.succeed("--again", "--yes")
        assert case.table("*").total() == 1500, "--again stores all rows, beside those that are there"


def reject_then_accepted(program, server, options):
    """7. What is refused in an attempt that was killed is decided again by the attempt that is committed."""
    chance = random.Random(options.seed)
    delete = "DELETE FROM parent WHERE k = 42"
    for before, between, stored in ((delete, "INSERT INTO parent VALUES (42)", True), ("SELECT 1", delete, False)):
        for point in chance.sample(("batch.before_commit", "batch.before_commit@2"), min(options.rounds, 2)):
            with Case(program, server) as case:
                case.sql("CREATE TABLE parent (k int PRIMARY KEY); CREATE TABLE t (id bigint, k int, amount int, note text, FOREIGN KEY "
                         "(k) REFERENCES parent (k)); INSERT INTO parent VALUES " + ", ".join(f"({k})" for k in range(300)))
                case.sql(before)
                given = [[i, i, 1, "x"] for i in range(300)]
                case.write(given)
                case.job(batch="rows: 100")
                assert program.kill(case.folder, "run", "job.yaml", failpoint=point, **case.environment)
                # Of a batch that is committed nothing is decided again.
                decided = point.endswith("@2")
                if decided and not stored:
                    case.sql("ALTER TABLE t DROP " + ("CONSTRAINT t_k_fkey" if server.connector == "postgres" else "FOREIGN KEY t_ibfk_1"))
                case.sql(between)
                case.succeed()
                there = stored != decided
                case.expect([row for row in given if there or row[0] != 42])
                case.expect_rejects([] if there else [42])


def last_key_wins(program, server, options):
    """8. Of each key the last row in order stays, whatever the batches, whenever it was killed. For MariaDB 'a' and 'A ' are one."""
    chance = random.Random(options.seed)
    with Case(program, server) as case:
        spellings = ("key {}", "KEY {} ", "Key {}") if server.connector == "mariadb" else ("key {}",)
        values = [(chance.choice(spellings).format(chance.randrange(100)), i) for i in range(100_000)]
        last = {key.strip().lower(): n for key, n in values}
        case.sql('CREATE TABLE t ("key" varchar(20) PRIMARY KEY, n int)' +
                 (" CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci" if server.connector == "mariadb" else ""))
        case.write(values, ("key", "n"))
        job = f"""\
job: trial
collect: {{rows: {{csv: {{path: data.csv, types: {{key: text, n: integer}}}}}}}}
store: {{out: {{{server.connector}: {{url: "${{secret:DATABASE_URL}}", table: t, mode: upsert, key: [key]}}, batch: {{parallel: 4}}}}}}
"""
        (case.folder / "job.yaml").write_text(job)
        kills = 0
        for _ in range(1 + options.rounds):
            point = chance.choice(("batch.claimed", "batch.written", "batch.before_commit", "batch.committed"))
            kills += program.kill(case.folder, "run", "job.yaml", failpoint=f"{point}@{chance.randint(1, 2)}", **case.environment)
        for _ in range(1 + options.rounds):
            process = program.start(case.folder, "run", "job.yaml", **case.environment)
            time.sleep(chance.uniform(0.1, 0.5))
            process.kill()
            process.communicate()
            kills += process.returncode != 0
        case.finish()
        found = {key.strip().lower(): int(n) for key, n in case.sql('SELECT "key", n FROM t')}
        wrong = [key for key in last if found.get(key) != last[key]]
        assert found.keys() == last.keys() and not wrong, f"{len(wrong)} keys are wrong, as {wrong[:3]}"
        case.expect_ledger(len(values))
        assert kills >= 2, f"only {kills} kills"
        return f"{kills} kills"


def asked(server):
    """How many statements of these kinds the server has seen; PostgreSQL tells where `log_statement` is on."""
    if server.connector == "postgres":
        log = (server.folder / "log").read_text(errors="replace")
        return collections.Counter(re.findall(r"LOG:  (?:statement|execute \S+): (COPY|SAVEPOINT|ROLLBACK TO|RELEASE)", log))
    names = {"Com_savepoint": "SAVEPOINT", "Com_rollback_to_savepoint": "ROLLBACK TO", "Com_release_savepoint": "RELEASE",
             "Com_insert": "INSERT", "Com_stmt_execute": "execute"}
    found = server.sql("SHOW GLOBAL STATUS LIKE 'Com\\_%'")
    return collections.Counter({names[name]: int(count) for name, count in found if name in names})


WAITS = {"postgres": "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
         "mariadb": "SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"}
DEADLOCKS = {"postgres": "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()",
             "mariadb": "SELECT count FROM information_schema.innodb_metrics WHERE name = 'lock_deadlocks'"}


def deadlocks(case):
    """How many the server has ended."""
    time.sleep(0.6 if case.server.connector == "postgres" else 0)  # until the server's counters are there
    return int(case.sql(DEADLOCKS[case.server.connector])[0][0])


def deadlock_inside_bisect(program, server, options):
    """9. While the bad row of a batch is looked for, between two savepoints, the server gives our transaction up for another one."""
    postgres = server.connector == "postgres"
    stores = ("table: t", "table: t, mode: upsert, key: [k]", "table: t, key: [k], mode: {column: note, upsert: [x]}")
    for store in random.Random(options.seed).sample(stores, min(1 + options.rounds, 3)):
        with Case(program, server) as case:
            case.sql("CREATE TABLE parent (k int PRIMARY KEY); CREATE TABLE ballast (n int); CREATE TABLE t (id bigint, k int PRIMARY KEY, "
                     "amount int CHECK (amount < 985), note varchar(12), FOREIGN KEY (k) REFERENCES parent (k)); INSERT INTO parent VALUES " +
                     ", ".join(f"({i})" for i in range(100)) + "; INSERT INTO ballast VALUES " + ", ".join(f"({i})" for i in range(5000)))
            if postgres:
                case.sql(f"ALTER DATABASE {case.database} SET log_statement = 'all'; ALTER DATABASE {case.database} SET deadlock_timeout = '1s'")
            given = [[i, i, 990 if i == 40 else 1, "x"] for i in range(100)]
            case.write(given)
            case.job(store)
            begun, before = deadlocks(case), asked(server)
            with Session(server, case.database) as other:
                # It waits longer than we do before it looks for a deadlock, or, in MariaDB, has changed more.
                other.say("SET deadlock_timeout = '60s'" if postgres else "SET @ballast = 1")
                other.say("BEGIN; UPDATE ballast SET n = n + 1; SELECT k FROM parent WHERE k = 90 FOR UPDATE")
                wait_for(case, "SELECT 1 FROM pg_stat_activity WHERE state = 'idle in transaction' AND query LIKE '%k = 90%'" if postgres
                         else "SELECT 1 FROM information_schema.innodb_trx WHERE trx_rows_modified >= 5000 AND trx_query IS NULL")
                process = program.start(case.folder, "run", "job.yaml", **case.environment)
                wait_for(case, WAITS[server.connector])
                tried = (asked(server) - before)["ROLLBACK TO"]
                other.say("SELECT k FROM parent WHERE k = 10 FOR UPDATE; COMMIT")
                _, err = process.communicate(timeout=60)
            assert process.returncode == 0, f"{store}: exit code {process.returncode}; it said\n{err}"
            assert tried > 0, f"{store}: it waited before it looked for the bad row"
            assert deadlocks(case) == begun + 1, f"{store}: {deadlocks(case) - begun} deadlocks"
            case.expect([[*row[:3], None if "column" in store else "x"] for row in given if row[0] != 40])
            case.expect_rejects([40])


class AbortedBeforeCommit(Between):
    """An error that nobody hears of, right before one of the COMMITs: the transaction is aborted, and the client does not know."""

    def __init__(self, port, number):
        self.number, self.commits = number, 0
        self.session, self.heard, self.aborted = None, b"", threading.Event()
        super().__init__(port)

    def passes(self, data, one, other):
        if self.to_server(other) and is_commit(data):
            self.commits += 1
            if self.commits == self.number:
                self.session = other
                other.sendall(b"Q\0\0\0\x11SELECT 1 / 0\0")
                self.aborted.wait(20)
        if one is self.session and not self.aborted.is_set():
            self.heard += data
            if b"Z\0\0\0\5E" in self.heard:
                self.aborted.set()
            return False
        return True


def commit_of_an_aborted_transaction(program, server):
    """10. COMMIT then gives no error, only another tag: what it was to commit comes again. The first is of the opening, the eighth of
    the end."""
    if server.connector != "postgres":
        return "for PostgreSQL only: an error of MariaDB leaves the transaction as it is, or ends it and says so"
    for mode, number in (("append", 1), ("append", 4), ("upsert", 4), ("append", 8)):
        case, wanted, bad = made(program, server, mode, batch="rows: 500")
        with case, AbortedBeforeCommit(server.port, number) as way:
            case.environment["DATABASE_URL"] = server.plain_url(case.database, way.port)
            case.succeed()
            assert way.aborted.is_set() and way.commits == 9, f"{way.commits} COMMITs"
            check(case, wanted, bad)
    case, wanted, bad = made(program, server, "append", batch="rows: 500, parallel: 1", retry="attempts: 1")
    with case, AbortedBeforeCommit(server.port, 4) as way:
        before = case.table().total()
        case.environment["DATABASE_URL"] = server.plain_url(case.database, way.port)
        case.fail(1, "could not be stored in 1 attempts", "answered COMMIT by ROLLBACK", "run it again to resume")
        stored = case.sql("SELECT sum(stored), count(*) FROM tranche_batch")
        assert stored == [[str(case.table().total() - before), "2"]], f"the ledger says {stored}"
        case.finish()
        check(case, wanted, bad)


def killed_between_truncate_swap_and_mark(program, server, options):
    """11. Killed twice at one place: published once, nothing is emptied behind the first batch, and a view sees the new rows."""
    chance = random.Random(options.seed)
    points = ["store.opened", "batch.committed", "publish.before", "replace.swapped", "ledger.finished", "store.finished",
              *["replace.renamed"] * (server.connector == "mariadb")]
    given, kills = rows(1, 300, bad=False), 0
    for mode in ("append", "replace", "replace a table with a view"):
        for point in chance.sample(points, min(options.rounds, len(points))):
            with Case(program, server) as case:
                case.sql("CREATE TABLE t (id bigint, k int, amount int, note varchar(12)); INSERT INTO t VALUES (-1, 0, 0, 'old'); CREATE TABLE "
                         "notes (word text)")
                if "view" in mode:
                    case.sql("CREATE VIEW seen AS SELECT * FROM t")
                case.write(given)
                before = "TRUNCATE TABLE t" if mode == "append" else "INSERT INTO notes VALUES ('before')"
                case.job(f"table: t, mode: {mode.split()[0]}, before: \"{before}\", after: \"INSERT INTO notes VALUES ('after')\"", batch="rows: 100")
                for _ in range(2):
                    killed = program.kill(case.folder, "run", "job.yaml", failpoint=point, **case.environment)
                    kills += killed
                    if not killed:
                        break
                case.finish()
                try:
                    case.expect(given)
                    if "view" in mode:
                        case.expect(given, "seen")
                    words = sorted(word for word, in case.sql("SELECT word FROM notes"))
                    assert words == ["after", *["before"] * (mode != "append")], words
                    case.expect_ledger(len(given))
                except AssertionError as error:
                    raise AssertionError(f"mode {mode}, killed at {point}: {error}") from None
    return f"{kills} kills"


def rights_are_taken_between_crash_and_resume(program, server):
    """14. Refused by the server's own words, with what to do; and when they are given back the run goes on."""
    postgres = server.connector == "postgres"
    case, wanted, bad = made(program, server, "append")
    with case:
        name = f"guest_{case.database}"
        if postgres:
            server.sql(f"CREATE ROLE {name} LOGIN PASSWORD 'of-guests'")
            case.sql(f"GRANT ALL ON SCHEMA public TO {name}; GRANT ALL ON t TO {name}")
        else:
            server.sql(f"CREATE USER {name}@'127.0.0.1' IDENTIFIED BY 'of-guests'; GRANT ALL ON {case.database}.* TO {name}@'127.0.0.1'")
        case.environment["DATABASE_URL"] = server.url(case.database, name, "of-guests")
        assert program.kill(case.folder, "run", "job.yaml", failpoint="batch.committed@2", **case.environment)
        if postgres:
            case.sql(f"REVOKE INSERT ON t FROM {name}")
            case.fail(2, "this user may not INSERT into it")
            case.sql(f"GRANT INSERT ON t TO {name}; REVOKE UPDATE ON tranche_run FROM {name}")
        else:
            server.sql(f"REVOKE INSERT ON {case.database}.* FROM {name}@'127.0.0.1'")
        before = case.table()
        code, out, err = case.run()
        assert code in (1, 2) and "denied" in err and "ask the owner of the database for the right" in err, f"exit code {code}; it said\n{err}"
        assert case.table() == before, "rows were stored"
        if postgres:
            case.sql(f"GRANT UPDATE ON tranche_run TO {name}")
        else:
            server.sql(f"GRANT INSERT ON {case.database}.* TO {name}@'127.0.0.1'")
        case.finish()
        check(case, wanted, bad)


def a_server_that_takes_no_writes(program, server):
    """A standby, or one that its owner has made read-only, between two batches and from the beginning; then it takes them again."""
    switch = {"postgres": "ALTER SYSTEM SET default_transaction_read_only = {}", "mariadb": "SET GLOBAL read_only = {}"}[server.connector]

    def set(value):
        server.sql(switch.format(value))
        if server.connector == "postgres":
            server.sql("SELECT pg_reload_conf()")
    case, wanted, bad = made(program, server, "append", retry="attempts: 2, backoff: 10ms..20ms")
    with case:
        if server.connector == "mariadb":  # who has all rights may write all the same
            server.sql(f"CREATE USER writer@'127.0.0.1' IDENTIFIED BY 'of-writers'; GRANT ALL ON {case.database}.* TO writer@'127.0.0.1'")
            case.environment["DATABASE_URL"] = server.url(case.database, "writer", "of-writers")
        before = case.table()
        try:
            set("ON")
            case.fail(1, "read-only", "is it a standby?")
            assert case.table() == before, "rows were stored"
            set("OFF")
            assert program.kill(case.folder, "run", "job.yaml", failpoint="batch.committed@2", **case.environment)
            before = case.table()
            set("ON")
            case.fail(1, "read-only", "is it a standby?")
            assert case.table() == before, "rows were stored"
        finally:
            set("OFF")
        case.finish()
        check(case, wanted, bad)


def refused_rows_cost_few_statements(program, server, options):
    """Three bad rows of 100,000 in one batch, counted on the server against the same batch without them."""
    said = []
    for mode, most in (("mode: append", 8), ("mode: upsert, key: [id]", 110)):
        counts = []
        for bad in ((), (3, 50_000, 99_998)):
            with Case(program, server) as case:
                if server.connector == "postgres":
                    case.sql(f"ALTER DATABASE {case.database} SET log_statement = 'all'")
                case.sql("CREATE TABLE t (id int PRIMARY KEY, k int, amount int CHECK (amount < 985), note varchar(12))")
                case.write([[i, i, 990 if i in bad else 1, "x"] for i in range(100_000)])
                case.job(f"table: t, {mode}", batch="rows: 100000, bytes: 64MiB")
                before = asked(server)
                case.succeed()
                counts.append(asked(server) - before)
                assert case.sql("SELECT count(*) FROM t") == [[str(100_000 - len(bad))]]
                case.expect_rejects(bad)
        more = counts[1] - counts[0]
        tries = more["RELEASE"] + more["ROLLBACK TO"]
        assert len(bad) <= more["ROLLBACK TO"] and tries <= most, f"{mode}: {tries} tries, {dict(more)}"
        said.append(f"{mode.split()[1]} {tries}")
    return f"tries: {' '.join(said)}"


TESTS = (zombie_commits_after_resume, zombie_of_a_stopped_server, unknown_commit_then_smaller_batches,
         state_folder_lost_between_crash_and_resume, reject_then_accepted, last_key_wins, deadlock_inside_bisect,
         commit_of_an_aborted_transaction, killed_between_truncate_swap_and_mark, rights_are_taken_between_crash_and_resume,
         a_server_that_takes_no_writes, refused_rows_cost_few_statements, *full_disk_test.TESTS)


if __name__ == "__main__":
    sys.exit(main(__doc__, TESTS, {"postgres": Postgres, "mariadb": MariaDb}, add_options=lambda parser: parser.add_argument(
        "--rounds", type=int, default=1, help="how much of each is tried")))
