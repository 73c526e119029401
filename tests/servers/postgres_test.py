#!/usr/bin/env python3
"""The store `postgres` against a real PostgreSQL over TLS: rows of the table, rejects and ledger are compared as
multisets with what Python makes of the same input, whatever is killed meanwhile.

    tests/servers/postgres_test.py              all
    tests/servers/postgres_test.py -k upsert    the tests with that in their name
"""
import collections
import json
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
from harness.program import difference, leftovers  # noqa: E402
from servers.postgres import PASSWORD, Postgres  # noqa: E402
from servers.suite import main  # noqa: E402

TABLE = ("CREATE TABLE t (id bigint, k int NOT NULL, amount int CHECK (amount < 985), note varchar(12){more}); "
         "CREATE UNIQUE INDEX t_key ON t ({key})")
ROWS = 3000


def rows(seed, count=ROWS, bad=True):
    """id, k, amount, note: k names a row in the modes with a key; what the table refuses has a k of its own."""
    chance = random.Random(seed)
    made = []
    for i in range(count):
        made.append([i, i % 400, chance.randrange(980), f"note {i % 7}"])
        if bad and i % 701 == 7:
            made[-1][1:3] = [10_000 + i, 990 + i % 5]     # breaks the check
        if bad and i % 1009 == 9:
            made[-1][1] = 10_000 + i
            made[-1][3] = "longer than twelve"            # and this the length
    return made


def refused(row):
    return row[2] >= 985 or len(row[3]) > 12


class Case:
    """A folder, a database, a job."""

    def __init__(self, program, server):
        self.program, self.server = program, server
        self.database = server.create_database()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tranche-postgres-job-", dir=toolset.scratch()))
        self.environment = {"DATABASE_URL": server.url(self.database)}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def sql(self, text):
        return self.server.sql(text, self.database)

    def write(self, values, names=("id", "k", "amount", "note"), file="data.csv"):
        lines = [",".join(names), *(",".join("" if cell is None else str(cell) for cell in row) for row in values)]
        (self.folder / file).write_text("\n".join(lines) + "\n")

    def job(self, store="table: t", batch="rows: 500", rejects=20, more="", retry="attempts: 3, backoff: 10ms..200ms"):
        (self.folder / "job.yaml").write_text(f"""\
job: trial
collect: {{rows: {{csv: {{path: data.csv, types: {{id: bigint, k: integer, amount: integer, note: text}}}}}}}}
{more}store:
  out:
    {self.server.connector}: {{{self.server.place}, {store}}}
    batch: {{{batch}}}
    retry: {{{retry}}}
rejects: {rejects}
""")

    def run(self, *more, **environment):
        return self.program.run(self.folder, "run", "job.yaml", *more, **{**self.environment, **environment})

    def succeed(self, *more, **environment):
        code, out, err = self.run(*more, **environment)
        assert code == 0, f"exit code {code}; it said\n{err}{out}"
        return err

    def fail(self, wanted, *messages, **environment):
        code, out, err = self.run(**environment)
        missing = [message for message in messages if message not in err]
        assert code == wanted and not missing, f"exit code {code}, not {wanted}, or without {missing}; it said\n{err}{out}"
        assert PASSWORD not in err + out, "the password was shown"

    def finish(self, most=8):
        """Runs until it is done: 1 means run it again, 4 that a session of a killed run is still there."""
        for _ in range(most):
            code, out, err = self.run()
            if code not in (1, 4):
                break
            time.sleep(0.2)
        assert code == 0, f"exit code {code}; it said\n{err}{out}"
        return err

    def table(self, order="id, k, amount, note", name="t"):
        return collections.Counter(map(tuple, self.sql(f"SELECT {order} FROM {name}")))

    def rejected(self):
        out = self.program.succeed(self.folder, "rejects", "list", "job.yaml", "--json", "--limit", "100000", **self.environment)
        return [json.loads(line) for line in out.splitlines()]

    def expect(self, wanted, name="t"):
        wanted = collections.Counter(tuple("\\N" if cell is None else str(cell) for cell in row) for row in wanted)
        lines = difference(wanted, self.table(name=name))
        assert not lines, "rows differ:\n  " + "\n  ".join(lines)

    def expect_rejects(self, ids):
        found = sorted(json.loads(reject["content"])["id"] for reject in self.rejected())
        assert found == sorted(ids), f"rejects {found}, not {sorted(ids)}"

    def expect_ledger(self, sent):
        states = self.sql("SELECT state, sent, stored + superseded + unmatched + rejected FROM tranche_run")
        assert states == [["finished", str(sent), str(sent)]], f"ledger: {states}"
        assert self.sql("SELECT count(*) FROM tranche_batch") == [["0"]], "batches are left in the ledger"
        left = leftovers(self.folder, "trial")
        assert not left, f"left behind: {left}"


def op(row):
    """What mode changes does with a row. What the table refuses comes to it."""
    return "S" if refused(row) else "SSSSUUUDDII"[row[0] % 11]


def change(there, row):
    """Does it to the rows by their keys. Whether the row is a reject."""
    what, key = op(row), row[1]
    if refused(row) or what == "I" and key in there:
        return True
    if what == "D":
        there.pop(key, None)
    elif what != "U" or key in there:
        there[key] = row
    return False


def outcome(mode, before, given):
    """What the table holds in the end."""
    good = [row for row in given if not refused(row)]
    if mode == "append":
        return before + good
    if mode == "replace":
        return good
    there = {row[1]: row for row in before}
    for row in given if mode == "changes" else []:
        change(there, row)
    for row in good if mode != "changes" else []:
        if mode == "upsert" or mode == "update" and row[1] in there:
            there[row[1]] = row
        elif mode == "delete":
            there.pop(row[1], None)
    return list(there.values())


MODES = {"append": "table: t", "replace": "table: t, mode: replace", "upsert": "table: t, mode: upsert, key: [k]",
         "update": "table: t, mode: update, key: [k]", "delete": "table: t, mode: delete, key: [k]",
         "changes": "table: t, key: [k], mode: {column: op, insert: [I], update: [U], upsert: [S], delete: [D]}"}


def made(program, server, mode, **more):
    """A table with rows of before, and the rows that are to come."""
    case = Case(program, server)
    case.sql(TABLE.format(more="", key="id, k" if mode in ("append", "replace") else "k"))
    before = [[100_000 + i, i if mode != "append" else -i, 1, "old"] for i in range(0, 1000, 3)]
    case.sql("INSERT INTO t VALUES " + ", ".join(f"({row[0]}, {row[1]}, {row[2]}, '{row[3]}')" for row in before))
    given = rows(1)
    changes = mode == "changes"
    case.write([[*row, op(row)] for row in given] if changes else given, ("id", "k", "amount", "note", *["op"] * changes))
    case.job(MODES[mode], rejects=ROWS if changes else 20, **more)
    bad = [row[0] for row in given if refused(row)] if mode != "delete" else []
    if mode == "update":  # nothing has the keys of bad rows: no check is broken, but a text that is too long is no value
        bad = [row[0] for row in given if len(row[3]) > 12]
    if changes:
        there = {row[1]: row for row in before}
        bad = [row[0] for row in given if change(there, row)]
    return case, outcome(mode, before, given), bad


def check(case, wanted, bad):
    case.expect(wanted)
    case.expect_rejects(bad)
    case.expect_ledger(ROWS)


def every_mode_stores_and_rejects(program, server):
    for mode in MODES:
        case, wanted, bad = made(program, server, mode)
        with case:
            case.succeed()
            check(case, wanted, bad)


def changes_are_done_in_order(program, server):
    """Within one batch: a key comes and goes and comes; of a row that is deleted only its key counts; an op that nobody knows."""
    store = "table: t, key: [k], mode: {column: op, insert: [I], update: [U], upsert: [S], delete: [D]}"
    for batch in ("rows: 100", "rows: 1"):
        with Case(program, server) as case:
            case.sql("CREATE TABLE t (id bigint, k int PRIMARY KEY, amount int NOT NULL, note varchar(12)); INSERT INTO t VALUES "
                     "(1, 1, 1, 'old'), (2, 2, 2, 'old'), (3, 3, 3, 'old')")
            case.write([[10, 1, 1, "again", "I"], [11, 1, None, "a text that is too long", "D"], [12, 1, 12, "anew", "I"],
                        [13, 2, 13, "a text that is too long", "U"], [14, 2, 14, "kept", "U"], [15, 3, None, "", "D"], [16, 3, 16, "gone", "U"],
                        [17, 4, 17, "first", "S"], [18, 4, 18, "last", "S"], [19, 5, 19, "what?", "X"], [20, 6, 20, "nothing", None],
                        [21, 7, None, "no amount", "S"], [22, 8, 22, "shortlived", "I"], [23, 8, 23, "", "D"]],
                       ("id", "k", "amount", "note", "op"))
            case.job(store, batch=batch)
            case.succeed()
            case.expect([[12, 1, 12, "anew"], [14, 2, 14, "kept"], [18, 4, 18, "last"]])
            case.expect_rejects([10, 13, 19, 20, 21])
            columns = {json.loads(reject["content"])["id"]: (reject["column"], reject["reason"]) for reject in case.rejected()}
            assert columns[19] == ("op", "mode says nothing of 'X'") and columns[20][0] == "op", columns
            assert "key already" in columns[10][1] and columns[21][0] == "amount", columns


def killed_at_every_failpoint(program, server, options):
    """SIGKILL at the places that the job comes to, half of them by chance, at one of the first three hits (with --all-hits all of them,
    at all three), then another size of batches."""
    kills = kill_everywhere(program, server, options, MODES)
    print(f"  {kills} kills")
    assert kills > (60 if options.all_hits else 20), f"only {kills} kills"


def kill_everywhere(program, server, options, modes):
    kills = 0
    chance = random.Random(options.seed)
    for mode in modes:
        case, _, _ = made(program, server, mode)
        with case:
            reached = program.reached(case.folder, "run", "job.yaml", **case.environment)
        for point, hits in reached.items():
            if not options.all_hits and chance.random() < 0.5:
                continue
            chosen = range(1, min(3, hits) + 1)
            for hit in chosen if options.all_hits else [chance.choice(chosen)]:
                case, wanted, bad = made(program, server, mode)
                with case:
                    kills += program.kill(case.folder, "run", "job.yaml", failpoint=f"{point}@{hit}", **case.environment)
                    case.job(MODES[mode], batch="rows: 333", rejects=ROWS)
                    case.finish()
                    try:
                        check(case, wanted, bad)
                    except AssertionError as error:
                        raise AssertionError(f"mode {mode}, killed at {point}@{hit}: {error}") from None
    return kills


def parallel_lanes_are_killed(program, server):
    chance = random.Random(5)
    for _ in range(6):
        case, wanted, bad = made(program, server, "append", batch="rows: 100, parallel: 4")
        with case:
            process = program.start(case.folder, "run", "job.yaml", **case.environment)
            time.sleep(chance.uniform(0.1, 0.6))
            process.kill()
            process.communicate()
            case.finish()
            check(case, wanted, bad)


def server_is_killed(program, server):
    """The whole server, again and again, while rows are loaded: the run waits, and goes on."""
    case, wanted, bad = made(program, server, "append", batch="rows: 50", retry="attempts: 30, backoff: 50ms..500ms")
    with case:
        process = program.start(case.folder, "run", "job.yaml", **case.environment)
        for _ in range(3):
            time.sleep(0.4)
            server.kill()
        process.communicate(timeout=60)
        case.finish()
        check(case, wanted, bad)


def answer_to_commit_is_lost(program, server):
    """The session is ended by the server right before or after COMMIT; the same span comes again and is known."""
    for point in ("batch.before_commit:hold@2", "batch.written:hold@3", "batch.committed:hold@2"):
        case, wanted, bad = made(program, server, "append", batch="rows: 500")
        with case:
            process = program.start(case.folder, "run", "job.yaml", failpoint=point, **case.environment)
            state = "idle" if "committed" in point else "idle in transaction"
            end = time.monotonic() + 9
            found = []
            while not found and time.monotonic() < end:
                time.sleep(0.1)
                found = case.sql("SELECT pid FROM pg_stat_activity WHERE application_name ~ '^tranche [0-9a-f]+$' AND datname = "
                                 f"current_database() AND state = '{state}' AND query ~ '^(UPDATE tranche_batch|COMMIT|COPY|RELEASE)' "
                                 "AND state_change < now() - interval '1s'")
            assert found, "no session was in a transaction"
            for pid, in found:
                case.sql(f"SELECT pg_terminate_backend({pid})")
            process.communicate(timeout=60)
            case.finish()
            check(case, wanted, bad)


def held_before_commit(program, case, batch):
    """A run that stands in its transaction, for ten seconds."""
    process = program.start(case.folder, "run", "job.yaml", failpoint=f"batch.before_commit:hold@{batch}", **case.environment)
    end = time.monotonic() + 20
    while time.monotonic() < end and not case.server.in_transaction(case.database):
        time.sleep(0.15)
    return process


def paused_process_is_fenced(program, server):
    """3 of the protocol. A stopped process is taken over; when it wakes up it stores nothing more."""
    case, wanted, bad = made(program, server, "append", batch="rows: 500")
    with case:
        process = held_before_commit(program, case, 2)
        process.send_signal(signal.SIGSTOP)
        other = case.folder / "other"
        shutil.copytree(case.folder, other, ignore=shutil.ignore_patterns("lock", "other"))
        code, out, err = program.run(other, "run", "job.yaml", "--trust-target", **case.environment)
        assert code == 0, f"the other one: exit code {code}; it said\n{err}{out}"
        process.send_signal(signal.SIGCONT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 4, f"the one that was taken over: exit code {process.returncode}; it said\n{err}"
        case.expect(wanted)
        case.expect_rejects(bad)


def two_at_once(program, server):
    """Another state folder's run of the same job is refused while one is under way."""
    case, wanted, bad = made(program, server, "append", batch="rows: 500")
    with case:
        process = held_before_commit(program, case, 1)
        code, _, err = program.run(case.folder, "run", "job.yaml", "--state", "elsewhere", **case.environment)
        assert code == 4 and "another run of this job is under way" in err, f"exit code {code}; it said\n{err}"
        process.communicate(timeout=60)
        case.finish()
        check(case, wanted, bad)


def bisects(program, server):
    """Adjacent bad rows, first and last, all, a batch of one, and keys that are doubled within a batch."""
    shapes = {"first_and_last": {0, 999}, "adjacent": {400, 401, 402}, "all": set(range(1000)), "none": set(), "one": {500}}
    for name, bad in shapes.items():
        for batch in (1000, 1) if len(bad) < 10 else (1000,):
            for more in ("", ", mode: upsert, key: [id]"):
                with Case(program, server) as case:
                    case.sql("CREATE TABLE t (id int PRIMARY KEY, amount int CHECK (amount < 985))")
                    count = 1000 if batch > 1 else 60
                    given = [[i, 985 if i in bad else 1] for i in range(count)]
                    case.write(given, ("id", "amount"))
                    case.job("table: t" + more, batch=f"rows: {batch}", rejects=2000)
                    text = (case.folder / "job.yaml").read_text().replace("k: integer, ", "").replace(", note: text", "")
                    (case.folder / "job.yaml").write_text(text)
                    case.succeed()
                    found = sorted(int(row[0]) for row in case.sql("SELECT id FROM t"))
                    assert found == [i for i in range(count) if i not in bad], f"{name}, batches of {batch}{more}"
                    case.expect_rejects([i for i in bad if i < count])
    with Case(program, server) as case:  # bad only together
        case.sql("CREATE TABLE t (id bigint PRIMARY KEY, k int, amount int, note text)")
        case.write([[i // 2, i, 1, "x"] for i in range(200)])
        case.job(rejects=100)
        case.succeed()
        case.expect([[i, 2 * i, 1, "x"] for i in range(100)])
        assert len(case.rejected()) == 100


def deferred_constraints(program, server):
    with Case(program, server) as case:
        case.sql("CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p SELECT generate_series(0, 899); CREATE TABLE t (id bigint, k "
                 "int REFERENCES p DEFERRABLE INITIALLY DEFERRED, amount int, note text)")
        given = [[i, i % 902, 1, "x"] for i in range(1804)]
        case.write(given)
        case.job()
        case.succeed()
        case.expect([row for row in given if row[1] < 900])
        case.expect_rejects([900, 901, 1802, 1803])


def a_trigger_that_drops_rows(program, server):
    """6 of the protocol. RETURN NULL in a trigger is a reject, never a row that is gone in silence."""
    with Case(program, server) as case:
        case.sql("CREATE TABLE t (id bigint, k int, amount int, note text); CREATE FUNCTION drop_some() RETURNS trigger LANGUAGE "
                 "plpgsql AS 'BEGIN IF NEW.id % 500 = 3 THEN RETURN NULL; END IF; RETURN NEW; END'; CREATE TRIGGER drops BEFORE "
                 "INSERT ON t FOR EACH ROW EXECUTE FUNCTION drop_some()")
        given = rows(2, bad=False)
        case.write(given)
        case.job()
        case.succeed()
        case.expect([row for row in given if row[0] % 500 != 3])
        case.expect_rejects([row[0] for row in given if row[0] % 500 == 3])


def types_round_trip(program, server):
    """Types of the engine into columns that we make, and into columns of other types."""
    select = ("SELECT i AS n, (i - 2)::tinyint a, 18446744073709551615::ubigint - i b, -12345678901234567890123456789012345678"
              "::hugeint + i c, (i / 7.0)::decimal(12,2) d, (1e30 * i)::double e, i / 3.0::float f, 'ü🚀''\"' || i g, "
              "('\\x00\\xff'::blob) h, DATE '0001-01-01' + i::int j, TIMESTAMP '1969-12-31 23:59:59.123456' + INTERVAL (i) DAY l, "
              "TIMESTAMPTZ '2026-03-29 01:30:00.5+00' m, TIME '23:59:59.999999' o, uuid '00112233-4455-6677-8899-aabbccddeeff' p, "
              "[i, NULL, 3] q, {'x': i, 'y': 'z'} r, INTERVAL '14 months 3 days 5 seconds' s, i % 2 = 0 u, "
              "'{\"k\": 1}'::json v, ['a,b', NULL] w, 'nan'::double x, NULL::integer y, "
              "'1234567890123456789012345678.0123456789'::decimal(38,10) z FROM range(3) r(i) JOIN rows ON true")
    with Case(program, server) as case:
        case.write([[1, 1, 1, "x"]])
        (case.folder / "q.sql").write_text(select)
        case.job(more="prepare: [{sql: {path: q.sql}}]\n")
        case.succeed()
        assert not case.rejected(), case.rejected()
        types = dict(case.sql("SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 't'::regclass "
                              "AND attnum > 0"))
        wanted = {"a": "smallint", "b": "numeric(38,0)", "c": "numeric(38,0)", "d": "numeric(12,2)", "e": "double precision",
                  "g": "text", "h": "bytea", "j": "date", "l": "timestamp without time zone", "m": "timestamp with time zone",
                  "o": "time without time zone", "p": "uuid", "q": "bigint[]", "r": "json", "s": "interval", "u": "boolean",
                  "v": "json", "w": "text[]", "z": "numeric(38,10)"}
        wrong = {name: (types.get(name), kind) for name, kind in wanted.items() if types.get(name) != kind}
        assert not wrong, wrong
        found = case.sql("SELECT a, b, c, d, e, g, h, j, l, m AT TIME ZONE 'UTC', o, p, q, r, s, u, v, w, x, y, z FROM t WHERE n = 2")
        assert found == [["0", "18446744073709551613", "-12345678901234567890123456789012345676", "0.29", "2e+30", "ü🚀'\"2",
                          "\\x00ff", "0001-01-03", "1970-01-02 23:59:59.123456", "2026-03-29 01:30:00.5", "23:59:59.999999",
                          "00112233-4455-6677-8899-aabbccddeeff", "{2,NULL,3}", '{"x":2,"y":"z"}', "1 year 2 mons 3 days 00:00:05",
                          "t", '{"k": 1}', '{"a,b",NULL}', "NaN", "\\N", "1234567890123456789012345678.0123456789"]], found
    with Case(program, server) as case:  # into other types; what would be changed is refused
        case.sql("CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE DOMAIN small AS int CHECK (VALUE < 500); CREATE TABLE t (id "
                 "smallint, k numeric(6,1), amount small, note mood, at timestamptz DEFAULT now())")
        case.write([[1, 10, 499, "good"], [40000, 10, 1, "good"], [2, 10, 500, "bad"], [3, 1000000, 1, "bad"], [4, 1, 1, "ugly"],
                    [5, None, None, None]])
        case.job()
        case.succeed()
        found = case.sql("SELECT id, k, amount, note FROM t ORDER BY id")
        assert found == [["1", "10.0", "499", "good"], ["5", "\\N", "\\N", "\\N"]], found
        case.expect_rejects([40000, 2, 3, 4])


def mistakes(program, server):
    """Each says what is wrong and what to do, and nothing has run."""
    with Case(program, server) as case:
        case.write(rows(1, 10, bad=False))
        case.job()
        url = case.environment["DATABASE_URL"]
        case.fail(2, "password authentication failed", "check user and password", DATABASE_URL=server.url(case.database,
                                                                                                          password="wrong"))
        case.fail(2, "does not exist", DATABASE_URL=server.url("nowhere"))
        case.fail(2, "the url cannot be read", DATABASE_URL="postgres://user:the-password-of-tests@[bad/x")
        case.fail(1, "cannot connect", DATABASE_URL=url.replace(str(server.port), "1"))
        case.fail(2, "certificate", "sslrootcert", DATABASE_URL=url.split("?")[0] + "?sslmode=verify-full&sslrootcert=/etc/ssl/"
                                                                                   "certs/ca-certificates.crt")
        case.job("table: nowhere.t")
        case.fail(2, "there is no schema 'nowhere'")
        case.job("table: t, mode: update, key: [k]")
        case.fail(2, "there is no table 't', and mode update makes none")
        case.sql("CREATE TABLE t (id bigint, k int, amount int, note text, must int NOT NULL)")
        case.job()
        case.fail(2, "column 'must' of table 't' must have a value and the rows have none")
        case.sql("ALTER TABLE t DROP must, DROP note")
        case.fail(2, "table 't' has no column 'note'")
        case.job("table: t, columns: evolve")
        case.succeed()
        assert case.sql("SELECT count(note) FROM t") == [["10"]]
        case.job("table: t, mode: upsert, key: [k]")
        case.fail(2, "table 't' has no unique index on the key", "CREATE UNIQUE INDEX")
        case.sql("CREATE VIEW seen AS SELECT * FROM t; CREATE UNLOGGED TABLE quick (id bigint, k int, amount int, note text)")
        case.job("table: seen")
        case.fail(2, "'seen' is a view")
        case.job("table: quick")
        case.fail(2, "UNLOGGED")
        case.sql("CREATE ROLE guest LOGIN PASSWORD 'guest-of-tests'")
        case.job("table: t")
        case.fail(2, "may not INSERT", DATABASE_URL=server.url(case.database, "guest", "guest-of-tests"))


def rows_that_fit_in_no_table(program, server):
    """A key that is NULL, or half of it, and values of another type than the column's: rejects with the column, the others are stored."""
    keyed = [(mode, "k") for mode, store in MODES.items() if "key" in store]
    for mode, key in [*keyed, ("upsert", "id, k")]:
        with Case(program, server) as case:
            case.sql(f"CREATE TABLE t (id bigint, k int, amount int, note varchar(12)); CREATE UNIQUE INDEX t_key ON t ({key}); INSERT INTO t "
                     "VALUES (1, 1, 0, 'old'), (NULL, NULL, 0, 'old'), (3, 3, 0, 'old')")
            given = [[1, 1, 5, "new", "S"], [2, None, 5, "new", "S"], [3, 3, 5, "new", "S"]]
            case.write(given if mode == "changes" else [row[:4] for row in given], ("id", "k", "amount", "note", *["op"] * (mode == "changes")))
            case.job(MODES[mode].replace("[k]", f"[{key}]"))
            case.succeed()
            kept = [] if mode == "delete" else [row[:4] for row in given if row[1]]
            case.expect([[None, None, 0, "old"], *kept])
            case.expect_rejects([2])
            reject, = case.rejected()
            assert (reject["column"], reject["reason"]) == ("k", "a column of the key is NULL"), reject
    unfit = {"bigint": "seven", "date": "2026-02-30", "decimal(5,2)": "1e9", "smallint": "40000", "time": "25:61:00"}
    names = [f"c{number}" for number in range(len(unfit))]
    for more in ("", ", mode: upsert, key: [id]"):
        with Case(program, server) as case:
            case.sql("CREATE TABLE t (id bigint PRIMARY KEY, " + ", ".join(f"{name} {kind}" for name, kind in zip(names, unfit)) + ")")
            case.write([[i, *(value if i == number else None for number, value in enumerate(unfit.values()))] for i in range(7)], ("id", *names))
            case.job("table: t" + more)
            text = (case.folder / "job.yaml").read_text()
            (case.folder / "job.yaml").write_text(text.replace("k: integer, amount: integer, note: text", ", ".join(f"{name}: text" for name in names)))
            case.succeed()
            assert case.sql("SELECT id FROM t ORDER BY id") == [["5"], ["6"]], case.sql("SELECT * FROM t")
            case.expect_rejects(range(5))
            for reject in case.rejected():
                number = json.loads(reject["content"])["id"]
                assert reject["column"] == names[number] or list(unfit.values())[number] in reject["reason"], reject


def changed_between_crash_and_resume(program, server):
    """14 of the protocol. A table that was dropped, emptied, or whose column has another name: refused by name."""
    changes = {"DROP TABLE t": "is gone", "TRUNCATE t": "holds 0 rows", "ALTER TABLE t RENAME COLUMN note TO remark": "has no column 'note'",
               "DELETE FROM tranche_run": "no longer knows of this run", "DELETE FROM tranche_batch": "were seen committed"}
    for change, message in changes.items():
        case, _, _ = made(program, server, "append")
        with case:
            if change == "TRUNCATE t":
                case.sql("TRUNCATE t")
            assert program.kill(case.folder, "run", "job.yaml", failpoint="run.balanced", **case.environment)
            case.sql(change)
            code, out, err = case.run()
            assert code in (2, 3) and message in err, f"after {change}: exit code {code}; it said\n{err}"


def replace_keeps_what_depends(program, server):
    """A view, a foreign key and rights on the table are there after a replace, and see the new rows."""
    case, wanted, bad = made(program, server, "replace")
    with case:
        case.sql("CREATE VIEW seen AS SELECT * FROM t; CREATE ROLE reader; GRANT SELECT ON t TO reader")
        identity = case.sql("SELECT 't'::regclass::oid")
        case.succeed()
        check(case, wanted, bad)
        assert case.table(name="seen") == case.table()
        assert case.sql("SELECT 't'::regclass::oid") == identity
        assert case.sql("SELECT has_table_privilege('reader', 't', 'SELECT')") == [["t"]]
    with Case(program, server) as case:  # readers see the old rows or the new ones
        given = rows(3, bad=False)
        case.write(given)
        case.job("table: u, mode: replace")
        case.succeed()
        seen, stop = set(), threading.Event()

        def look():
            while not stop.is_set():
                seen.add(case.sql("SELECT count(*) FROM u")[0][0])
        thread = threading.Thread(target=look)
        thread.start()
        try:
            case.write(given[:1000])
            case.succeed()
        finally:
            stop.set()
            thread.join()
        assert seen <= {"3000", "1000"}, f"a reader saw {seen} rows"


def before_and_after_run_once(program, server):
    case, wanted, bad = made(program, server, "append")
    with case:
        case.sql("CREATE TABLE notes (word text)")
        store = "table: t, before: \"INSERT INTO notes VALUES ('before')\", after: \"INSERT INTO notes VALUES ('after')\""
        case.job(store)
        for point in ("store.opened", "publish.before", "ledger.finished"):
            program.kill(case.folder, "run", "job.yaml", failpoint=point, **case.environment)
        case.finish()
        assert sorted(case.sql("SELECT word FROM notes")) == [["after"], ["before"]], case.sql("SELECT word FROM notes")
        check(case, wanted, bad)


def secrets_are_shown_nowhere(program, server):
    case, _, _ = made(program, server, "append")
    with case:
        case.succeed("-v")
        canary = PASSWORD.encode()
        for path in case.folder.rglob("*"):
            assert not path.is_file() or canary not in path.read_bytes(), f"{path} holds the password"
        for table in ("tranche_run", "tranche_batch", "tranche_reject"):
            assert PASSWORD not in str(case.sql(f"SELECT * FROM {table}"))


def add_options(parser):
    parser.add_argument("--all-hits", action="store_true", help="kill at each of the first three hits of each failpoint, not at one of some")


TESTS = (every_mode_stores_and_rejects, changes_are_done_in_order, bisects, types_round_trip, mistakes, rows_that_fit_in_no_table, deferred_constraints, a_trigger_that_drops_rows,
         replace_keeps_what_depends, before_and_after_run_once, changed_between_crash_and_resume, two_at_once,
         paused_process_is_fenced, answer_to_commit_is_lost, secrets_are_shown_nowhere, parallel_lanes_are_killed,
         killed_at_every_failpoint, server_is_killed)


if __name__ == "__main__":
    sys.exit(main(__doc__, TESTS, Postgres, add_options))
