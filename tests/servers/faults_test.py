#!/usr/bin/env python3
"""The store `postgres` and rows that are refused in every way at once, and a server that is busy, mute, or has
something against our names.

    tests/servers/faults_test.py              all
    tests/servers/faults_test.py -k names     the tests with that in their name
    tests/servers/faults_test.py --rounds 500 --seed 7    more mixtures
"""
import collections
import contextlib
import json
import pathlib
import random
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
from harness.program import difference  # noqa: E402
from servers.postgres import PASSWORD, Postgres  # noqa: E402
from servers.postgres_test import Case, held_before_commit, rows  # noqa: E402
from servers.suite import main  # noqa: E402

ANY = """\
job: trial
collect: {{rows: {{csv: {{path: data.csv{types}}}}}}}
store:
  out:
    postgres: {{url: "${{secret:DATABASE_URL}}", {store}}}
    batch: {{{batch}, parallel: 1}}
    retry: {{attempts: 6, backoff: 10ms..200ms}}
rejects: 100000
"""


def write_job(case, store="table: t", batch="rows: 500", types=""):
    (case.folder / "job.yaml").write_text(ANY.format(store=store, batch=batch, types=f", types: {{{types}}}" if types else ""))


# What a row of the mixtures may have against it; what the server names of it, and what it does not.
MIXED = """
CREATE TABLE parent (id int PRIMARY KEY);
INSERT INTO parent SELECT generate_series(0, 99);
CREATE TABLE t (n int, id int {unique}, parent int REFERENCES parent {deferred}, amount int CHECK (amount < 985), note varchar(12),
                later int UNIQUE DEFERRABLE INITIALLY DEFERRED);
"""
CONSTRAINT_TRIGGER = """
CREATE FUNCTION judge() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN IF NEW.amount = 13 THEN RAISE EXCEPTION ''no thirteen''; END IF; RETURN NEW; END';
CREATE CONSTRAINT TRIGGER judges AFTER INSERT OR UPDATE ON t DEFERRABLE INITIALLY {when} FOR EACH ROW EXECUTE FUNCTION judge();
"""


def mixture(chance, count, badness):
    """Rows n, id, parent, amount, note, later: each kind of badness with its own share."""
    made = []
    for n in range(count):
        row = [n, n, chance.randrange(100), 14 + chance.randrange(900), "short", n]
        for kind, share in badness.items():
            if chance.random() >= share:
                continue
            if kind == "twice" and n:
                row[1] = chance.randrange(n)
            elif kind == "orphan":
                row[2] = 100 + chance.randrange(9)
            elif kind == "check":
                row[3] = 985 + chance.randrange(9)
            elif kind == "long":
                row[4] = "longer than twelve"
            elif kind == "later" and n:
                row[5] = chance.randrange(n)
            elif kind == "trigger":
                row[3] = 13
        made.append(row)
    return made


def judged(given, trigger):
    """One row after the other: those that are taken, and the numbers of the others."""
    ids, laters, taken, refused = set(), set(), [], []
    for row in given:
        n, id, parent, amount, note, later = row
        if amount >= 985 or len(note) > 12 or parent > 99 or id in ids or later in laters or (trigger and amount == 13):
            refused.append(n)
            continue
        ids.add(id)
        laters.add(later)
        taken.append(row)
    return taken, refused


def mixtures(program, server, options):
    """Every row is stored once or is a reject, whatever the server has against the rows and however it says so."""
    for index in range(options.rounds):
        chance = random.Random(options.seed * 1000 + index)
        kinds = chance.sample(["twice", "orphan", "check", "long", "later", "trigger"], chance.randint(1, 6))
        badness = {kind: chance.choice([0.003, 0.02, 0.1, 0.6, 1]) for kind in kinds}
        trigger, upsert = chance.random() < 0.4, chance.random() < 0.25
        given = mixture(chance, chance.choice([1, 2, 30, 400]), badness)
        batch = chance.choice([1, 7, 64, 400]) if len(given) < 400 else chance.choice([64, 150, 400])
        with Case(program, server) as case:
            # With a key of their own the rows are bad for the same reasons; `twice` is a row of another table.
            case.sql(MIXED.format(unique="UNIQUE", deferred=chance.choice(["", "DEFERRABLE INITIALLY DEFERRED"])))
            if trigger:
                case.sql(CONSTRAINT_TRIGGER.format(when=chance.choice(["IMMEDIATE", "DEFERRED"])))
            if upsert:
                case.sql("CREATE UNIQUE INDEX ON t (n)")
            case.write(given, ("n", "id", "parent", "amount", "note", "later"))
            write_job(case, "table: t" + (", mode: upsert, key: [n]" if upsert else ""), f"rows: {batch}",
                      "n: integer, id: integer, parent: integer, amount: integer, note: text, later: integer")
            taken, refused = judged(given, trigger)
            try:
                case.succeed()
                wanted = collections.Counter(tuple(map(str, row)) for row in taken)
                lines = difference(wanted, case.table("n, id, parent, amount, note, later"))
                assert not lines, "rows differ:\n  " + "\n  ".join(lines)
                found = sorted(int(json.loads(reject["content"])["n"]) for reject in case.rejected())
                assert found == refused, f"rejects {found}, not {refused}"
            except AssertionError as error:
                raise AssertionError(f"--seed {options.seed}, round {index}: {len(given)} rows, batches of {batch}, {badness}, "
                                     f"trigger {trigger}, upsert {upsert}: {error}") from None


def an_unnamed_fault_before_a_named_one(program, server, options):
    """The smallest mixture: nothing says which row the foreign key refuses, and a later row is named."""
    for first, second in ((3, 900), (899, 900), (0, 999), (400, 401)):
        with Case(program, server) as case:
            case.sql(MIXED.format(unique="", deferred=""))
            given = mixture(random.Random(1), 1000, {})
            given[first][2] = 500
            given[second][3] = 990
            given[second - 1 if second - 1 != first else 5][3] = 991
            case.write(given, ("n", "id", "parent", "amount", "note", "later"))
            write_job(case, batch="rows: 1000")
            taken, refused = judged(given, False)
            err = case.succeed()
            case_rows = case.table("n, id, parent, amount, note, later")
            assert case_rows == collections.Counter(tuple(map(str, row)) for row in taken), f"{sum(case_rows.values())} rows; {err}"
            assert len(case.rejected()) == 3


def thousands_are_refused(program, server, options):
    """A batch of 10,000 rows that are all bad, every second one, or the second half: named by the server or not."""
    shapes = {"all": lambda i: True, "every second": lambda i: i % 2 == 0, "the second half": lambda i: i >= 5000}
    for name, bad in shapes.items():
        for what in ("named", "not named", "upsert"):
            if name != "all" and (name, what) not in (("every second", "named"), ("the second half", "not named")):
                continue
            with Case(program, server) as case:
                case.sql("CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (0); CREATE TABLE t (id int PRIMARY "
                         "KEY, amount int " + ("REFERENCES parent)" if what == "not named" else "CHECK (amount = 0))"))
                case.write([[i, int(bad(i))] for i in range(10_000)], ("id", "amount"))
                write_job(case, "table: t" + (", mode: upsert, key: [id]" if what == "upsert" else ""), "rows: 10000")
                begun = time.monotonic()
                case.succeed()
                print(f"  {name}, {what}: {time.monotonic() - begun:.1f} s", flush=True)
                good = [i for i in range(10_000) if not bad(i)]
                assert case.sql("SELECT count(*), sum(id) FROM t") == [[str(len(good)), str(sum(good)) if good else "\\N"]]
                assert case.sql("SELECT count(DISTINCT row_number) FROM tranche_reject") == [[str(10_000 - len(good))]]


class Session:
    """A session beside the run, held open."""

    def __init__(self, server, database):
        self.process = subprocess.Popen(server.client(database), stdin=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL)

    def say(self, sql):
        self.process.stdin.write(sql + ";\n")
        self.process.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(timeout=60)


def wait_for(case, query, seconds=20):
    """MariaDB's `innodb_trx` is a copy that is made anew only where nobody has read it for 0.1 s: asked more often, it never changes."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if case.sql(query):
            return
        time.sleep(0.15)
    raise AssertionError(f"never: {query}")


def a_deadlock(program, server, options):
    """The server gives our transaction up for another one: all of it comes again."""
    with Case(program, server) as case:
        case.sql("CREATE TABLE t (id bigint, k int PRIMARY KEY, amount int CHECK (amount < 985), note text); INSERT INTO t SELECT "
                 f"i, i, 0, '' FROM generate_series(0, 99) i; ALTER DATABASE {case.database} SET deadlock_timeout = '1500ms'")
        given = [[i, i, 990 if i == 40 else 1, "new"] for i in range(100)]
        case.write(given)
        case.job("table: t, mode: upsert, key: [k]")
        with Session(server, case.database) as other:
            other.say("SET deadlock_timeout = '60s'; BEGIN; UPDATE t SET amount = 7 WHERE k = 90")
            wait_for(case, "SELECT 1 FROM pg_stat_activity WHERE state = 'idle in transaction'")
            process = program.start(case.folder, "run", "job.yaml", **case.environment)
            wait_for(case, "SELECT 1 FROM pg_locks WHERE NOT granted")
            other.say("UPDATE t SET amount = 7 WHERE k = 10; COMMIT")
            _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        time.sleep(0.6)  # until the server's counters are there
        assert case.sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == [["1"]], "no deadlock"
        case.expect([row if row[0] != 40 else [40, 40, 0, ""] for row in given])
        case.expect_rejects([40])


def what_passes_by_itself(program, server, options):
    """Errors after which the whole transaction is tried again, at a batch that has bad rows as well."""
    for state in ("40001", "40P01", "55P03", "53100", "53200", "57014", "58030", "55006"):
        for mode in ("append", "upsert"):
            with Case(program, server) as case:
                case.sql("CREATE TABLE t (id bigint, k int PRIMARY KEY, amount int CHECK (amount < 985), note text); CREATE SEQUENCE "
                         "tries; CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.k = 150 AND "
                         f"nextval(''tries'') IN (2, 3) THEN RAISE EXCEPTION ''not now'' USING ERRCODE = ''{state}''; END IF; RETURN "
                         "NEW; END'; CREATE TRIGGER fails BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION fail()")
                given = [[i, i, 990 if i in (20, 149, 151) else 1, "x"] for i in range(300)]
                case.write(given)
                write_job(case, "table: t" + (", mode: upsert, key: [k]" if mode == "upsert" else ""), "rows: 100")
                case.succeed()
                case.expect([row for row in given if row[2] < 985])
                case.expect_rejects([20, 149, 151])
                assert int(case.sql("SELECT last_value FROM tries")[0][0]) > 3, "nothing was tried again"


class Between:
    """A port that hands a server's sessions on; the first `refused` ones get this error, `mute` ones no word at all."""

    def __init__(self, port, refused=0, error=(), mute=False):
        self.port_of_server, self.refused, self.error, self.mute = port, refused, error, mute
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.seen, self.open = 0, []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        with contextlib.suppress(OSError):
            while True:
                session, _ = self.listening.accept()
                self.open.append(session)
                self.seen += 1
                if self.mute:
                    continue
                if self.seen <= self.refused:
                    session.recv(8192)
                    fields = b"".join(mark + text.encode() + b"\0" for mark, text in
                                      zip((b"S", b"C", b"M"), ("FATAL", *self.error))) + b"\0"
                    session.sendall(b"E" + struct.pack(">i", len(fields) + 4) + fields)
                    session.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self.port_of_server))
                self.open.append(server)
                for one, other in ((session, server), (server, session)):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one, other):
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                if self.passes(data, one, other):
                    other.sendall(data)
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_RDWR)

    def passes(self, data, one, other):
        """Looks at what `one` says to `other`; whether it is handed on."""
        return True

    def to_server(self, one):
        return one.getpeername()[1] == self.port_of_server

    def cut(self):
        """All that is open; half of how many connections' ends it was."""
        gone, self.open = self.open, []
        for one in gone:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        return len(gone) // 2

    def url(self, database):
        return f"postgres://tranche:{PASSWORD}@127.0.0.1:{self.port}/{database}?sslmode=disable"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listening.close()
        for one in self.open:
            one.close()


def a_server_that_is_full_or_starts(program, server, options):
    """Each session that a run opens is asked for again: the first ones, and the one that holds the lock."""
    busy = (("53300", "sorry, too many clients already"), ("57P03", "the database system is starting up"),
            ("53300", "remaining connection slots are reserved for non-replication superuser connections"))
    for error in busy:
        with Case(program, server) as case, Between(server.port, 4, error) as between:
            server.sql("DROP TABLE IF EXISTS t, tranche_run, tranche_batch, tranche_reject", "plain")
            given = rows(1, 100, bad=False)
            case.write(given)
            write_job(case)
            case.succeed(DATABASE_URL=between.url("plain"))
            assert server.sql("SELECT count(*) FROM t", "plain") == [["100"]]
            assert between.seen > 5
    server.sql("CREATE ROLE few LOGIN PASSWORD 'few-of-tests' CONNECTION LIMIT 1")
    with Case(program, server) as case:
        case.sql("GRANT ALL ON SCHEMA public TO few")
        case.write(rows(1, 100, bad=False))
        case.job(retry="attempts: 100, backoff: 50ms..100ms")
        process = program.start(case.folder, "run", "job.yaml", DATABASE_URL=server.url(case.database, "few", "few-of-tests"))
        wait_for(case, "SELECT 1 FROM pg_stat_activity WHERE usename = 'few' AND application_name <> 'tranche'")
        time.sleep(0.5)  # by now the session that holds the lock was refused
        assert case.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'few'") == [["1"]]
        server.sql("ALTER ROLE few CONNECTION LIMIT -1")
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert case.sql("SELECT count(*) FROM t") == [["100"]]


def a_server_that_says_nothing(program, server, options):
    """No answer takes longer than `timeout`: not that of the look before the run either."""
    with Case(program, server) as case, Between(server.port, mute=True) as between:
        case.write(rows(1, 10, bad=False))
        case.job(retry="attempts: 2, backoff: 10ms..20ms, timeout: 1s")
        code, _, err = case.run(DATABASE_URL=between.url("plain"))  # the harness waits a minute, the default is two
        assert code == 1 and "timeout expired" in err, f"exit code {code}; it said\n{err}"


def the_same_job_in_another_database(program, server, options):
    """Its sessions have the same name, and are let alone."""
    with Case(program, server) as one, Case(program, server) as other:
        for case in (one, other):
            case.write(rows(1, 1000, bad=False))
            case.job()
        process = held_before_commit(program, one, 1)
        other.succeed()
        time.sleep(0.6)  # until the server's counters are there
        killed = one.sql("SELECT sessions_killed FROM pg_stat_database WHERE datname = current_database()")
        assert killed == [["0"]] and process.poll() is None, f"{killed[0][0]} sessions were ended"
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        for case in (one, other):
            stored = case.sql("SELECT count(*) FROM t")
            assert stored == [["1000"]], stored


def names_that_the_server_changes(program, server, options):
    """PostgreSQL cuts a name at 63 bytes, without an error; and some columns it has already."""
    long = "n" * 63
    with Case(program, server) as case:
        case.write([[1, 2]], (long, long + "x"))
        write_job(case)
        case.fail(2, f"the name of column '{long}x' has 64 bytes, and PostgreSQL takes 63")
        case.write([[1, 2]], (long, "ü" * 32))
        case.fail(2, "has 64 bytes, and PostgreSQL takes 63")
        write_job(case, f"table: {long}y")
        case.fail(2, "the name of table 'nnn")
        write_job(case, f"table: t, schema: {long}y")
        case.fail(2, "nnny' has 64 bytes")
        for name in ("ctid", "xmin", "tableoid"):
            case.write([[1, 2]], ("id", name))
            write_job(case)
            case.fail(2, f"every table of PostgreSQL has a column '{name}' of its own")
            case.sql("CREATE TABLE u (id int)")
            write_job(case, "table: u")
            case.fail(2, f"every table of PostgreSQL has a column '{name}' of its own")
            case.sql("DROP TABLE u")
        assert not case.sql("SELECT 1 FROM pg_class WHERE relname ~ '^(tranche|nnn|t$)'"), "something was made"
        case.write([[1, 2]], (long, "CTID"))
        for mode in ("append", "replace", "replace"):  # its table beside has a name that fits, too
            for table in (long, "ü" * 31):
                write_job(case, f"table: {table}, mode: {mode}")
                case.succeed("--again", "--yes")
                assert case.sql(f'SELECT "{long}", "CTID" FROM "{table}"') == [["1", "2"]]
        assert case.sql("SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname ~ '^(nnn|üü)'") == [["2"]]


TESTS = (an_unnamed_fault_before_a_named_one, mixtures, thousands_are_refused, a_deadlock, what_passes_by_itself,
         a_server_that_is_full_or_starts, a_server_that_says_nothing, the_same_job_in_another_database,
         names_that_the_server_changes)


if __name__ == "__main__":
    sys.exit(main(__doc__, TESTS, Postgres, add_options=lambda parser: parser.add_argument(
        "--rounds", type=int, default=60, help="mixtures of bad rows")))
