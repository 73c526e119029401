#!/usr/bin/env python3
"""The store `postgres` while its primary is killed and a standby takes over, on two real servers: each row once, each bad row a reject;
and where the standby has not got the last commits, the program says so and goes on when it is told to.

    tests/servers/failover_test.py             all
    tests/servers/failover_test.py -k dies     the tests with that in their name
    tests/servers/failover_test.py --rounds 20 --seed 7    more moments
"""
import collections
import contextlib
import itertools
import pathlib
import random
import shutil
import signal
import socket
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
from servers.faults_test import Between  # noqa: E402
from servers.network_test import is_commit  # noqa: E402
from servers.postgres import PASSWORD, Postgres, Standby  # noqa: E402
from servers.postgres_test import Case, check, made  # noqa: E402
from servers.suite import main  # noqa: E402

MODES = ("append", "upsert", "replace")
RETRY = "attempts: 60, backoff: 20ms..200ms, timeout: 10s"
BATCH = "rows: 100"


class Pair:
    """A primary and its standby, as one server: the one that serves now."""
    connector, place = Postgres.connector, Postgres.place

    def __init__(self):
        self.server, self.standby, self.gone = Postgres(), None, []

    def __enter__(self):
        self.server.__enter__()
        return self

    def __exit__(self, *_):
        for one in (self.standby, self.server, *self.gone):
            if one is not None:
                one.__exit__()

    def __getattr__(self, name):
        return getattr(self.server, name)

    def follow(self, together):
        """A new standby; `together`: a COMMIT waits for it."""
        if self.standby is not None:  # of a test that failed
            self.standby.__exit__()
        for name, in self.server.sql("SELECT datname FROM pg_database WHERE datname LIKE 'test%'"):
            self.server.sql(f"DROP DATABASE {name} WITH (FORCE)")  # it would only have to be copied
        self.standby = Standby(self.server)
        self.standby.__enter__().bind(together)

    def fail_over(self):
        """The primary dies and never comes back."""
        self.server.crash()
        self.standby.promote()
        shutil.rmtree(self.server.data)
        self.gone.append(self.server)  # its authority is named in urls
        self.server, self.standby = self.standby, None

    def url(self, database):
        return self.server.url(database, others=[self.standby] if self.standby else []) + "&target_session_attrs=read-write"

    def plain_url(self, database, port):
        """Through `port` to the one that serves now."""
        return self.server.plain_url(database, f"{port},127.0.0.1:{self.standby.port}") + "&target_session_attrs=read-write"


class Way(Between):
    """To the primary. Each thing that a client says takes a while. At each of the `moments` (what is said, the how manieth time, an action)
    the action is asked whether it goes on."""

    def __init__(self, pair, *moments, pause=0.0):
        self.moments, self.pause, self.lock, self.done = list(moments), pause, threading.Lock(), threading.Event()
        super().__init__(pair.server.port)

    def passes(self, data, one, other):
        if self.mute or not self.to_server(other):
            return not self.mute
        time.sleep(self.pause)
        with self.lock:
            if not self.moments or not self.moments[0][0](data):
                return True
            what, number, action = self.moments[0]
            self.moments[0] = what, number - 1, action
            if number > 1:
                return True
            goes_on = action(data, one, other)
            del self.moments[0]
            if not self.moments:
                self.done.set()
            return goes_on

    def down(self):
        """As a port where nobody listens any more."""
        with contextlib.suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        self.cut()


def ended(process, wanted=0, *messages):
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    missing = [message for message in messages if message not in err]
    assert process.returncode == wanted and not missing, f"exit code {process.returncode}, not {wanted}, or without {missing}; it said\n{err}{out}"
    return err


def stored(server, database):
    """Batches in the ledger."""
    there = server.sql("SELECT to_regclass('tranche_batch') IS NOT NULL", database) == [["t"]]
    return int(server.sql("SELECT count(*) FROM tranche_batch", database)[0][0]) if there else 0


def wait_for_batches(server, case, process, count):
    while process.poll() is None and stored(server, case.database) < count:
        time.sleep(0.01)
    assert process.poll() is None, f"it ended: {process.communicate()}"


def through(case, pair, way):
    """The way instead of the primary itself, by TLS."""
    case.environment["DATABASE_URL"] = case.environment["DATABASE_URL"].replace(f":{pair.server.port}", f":{way.port}")


def some(chance, rounds, modes, hows):
    """All together where there are rounds; else each `how` once."""
    if rounds > 1:
        return list(itertools.product(modes, hows)) * (rounds - 1)
    shift = chance.randrange(len(modes))
    return [(modes[(i + shift) % len(modes)], hows[i % len(hows)]) for i in range(len(hows))]


def the_primary_dies_in_mid_load(program, pair, options):
    """The run goes on by itself on the standby, which has every commit."""
    chance = random.Random(options.seed)
    for mode in MODES * options.rounds:
        pair.follow(together=True)
        case, wanted, bad = made(program, pair, mode, batch=BATCH, retry=RETRY)
        with case, Way(pair, pause=0.004) as way:
            through(case, pair, way)
            process = program.start(case.folder, "run", "job.yaml", **case.environment)
            wait_for_batches(pair.server, case, process, chance.randint(1, 15))
            way.down()
            pair.fail_over()
            ended(process)
            check(case, wanted, bad)


def the_primary_dies_at_a_commit(program, pair, options):
    """Before the server has heard of it, and before the client has heard that it is done."""
    chance = random.Random(options.seed)
    for mode, how in some(chance, options.rounds, MODES, ("not heard", "not answered")):
        pair.follow(together=True)
        case, wanted, bad = made(program, pair, mode, batch=BATCH, retry=RETRY)

        def die(data, client, server):
            if how == "not answered":
                way.mute = True
                server.sendall(data)
                time.sleep(0.1)
            way.down()
            pair.fail_over()
            return False
        with case, Way(pair, (is_commit, chance.randint(3, 20), die)) as way:
            case.environment["DATABASE_URL"] = pair.plain_url(case.database, way.port)
            ended(program.start(case.folder, "run", "job.yaml", **case.environment))
            assert way.done.wait(20), "it never came to that"
            check(case, wanted, bad)


def the_primary_falls_silent(program, pair, options):
    """Its machine is gone and nobody says so: neither its sessions nor its port answer."""
    pair.follow(together=True)
    case, wanted, bad = made(program, pair, "upsert", batch=BATCH, retry=RETRY.replace("10s", "1s"))

    def fall_silent(*_):
        way.mute = True
        pair.fail_over()
        return False
    with case, Way(pair, (is_commit, 7, fall_silent)) as way:
        case.environment["DATABASE_URL"] = pair.plain_url(case.database, way.port)
        process = program.start(case.folder, "run", "job.yaml", **case.environment)
        assert way.done.wait(20), "it never came to that"
        wait_for_batches(pair.server, case, process, stored(pair.server, case.database) + 1)
        way.down()  # its other sessions need not wait as long
        ended(process)
        check(case, wanted, bad)


def both_die(program, pair, options):
    """The program and the primary at one moment; the next start finds the standby."""
    chance = random.Random(options.seed)
    points = ("batch.claimed", "batch.written", "batch.before_commit", "batch.committed", "publish.before", "ledger.finished")
    for mode in MODES * options.rounds:
        pair.follow(together=True)
        case, wanted, bad = made(program, pair, mode, batch=BATCH, retry=RETRY)
        with case:
            point = chance.choice(points)
            hit = chance.randint(1, 20) if point.startswith("batch") else 1
            assert program.kill(case.folder, "run", "job.yaml", failpoint=f"{point}@{hit}", **case.environment)
            pair.fail_over()
            if mode == "append":  # another url, of the new primary alone
                case.environment["DATABASE_URL"] = pair.url(case.database)
            case.finish()
            check(case, wanted, bad)


GONE = ("rows of this run, but", "were seen committed there", "has a standby taken over", "--trust-target")
UNKNOWN = ("the target no longer knows of this run", "has a standby taken over", "--trust-target")


def refused_until_told(case, wanted, bad, *messages):
    """The next start refuses, and stores nothing; then it is told to go on."""
    before = case.table()
    case.fail(3, *messages)
    assert case.table() == before, "rows were stored"
    case.succeed("--trust-target")
    check(case, wanted, bad)


def a_standby_without_the_last_commits(program, pair, options):
    """It takes over from a primary that waited for nobody: what was seen committed is not there. The run stops, or was killed; or the
    standby does not even know that it began."""
    chance = random.Random(options.seed)
    for mode, how in some(chance, options.rounds, MODES, ("stops", "was killed", "unknown")):
        pair.follow(together=False)
        case, wanted, bad = made(program, pair, mode, batch=BATCH, retry=RETRY)
        with case, Way(pair, pause=0.02 if how == "was killed" else 0.008) as way:
            through(case, pair, way)
            pair.standby.catch_up() if how != "unknown" else pair.standby.cut_off()
            process = program.start(case.folder, "run", "job.yaml", **case.environment)
            if how != "unknown":
                wait_for_batches(pair.standby, case, process, chance.randint(1, 4))
                pair.standby.cut_off()
            lost = stored(pair.standby, case.database) + chance.randint(3, 6)
            if how == "was killed":
                time.sleep(1.1)  # how much was seen committed is noted once a second, behind the next commit
                lost = max(lost, stored(pair.server, case.database) + 2)
            wait_for_batches(pair.server, case, process, lost)
            if how == "was killed":
                process.kill()
            way.down()
            pair.fail_over()
            messages = UNKNOWN if how == "unknown" else GONE
            ended(process, *((-signal.SIGKILL,) if how == "was killed" else (3, *messages)))
            refused_until_told(case, wanted, bad, *messages)


def commits_are_lost_at_the_end(program, pair, options):
    """All is stored, and the standby that takes over then has not got the last batches: before the sums are taken, and before what they
    say is published. Of a streamed spool the rows that all stores had are gone: nobody can store them again, and the run says so."""
    chance = random.Random(options.seed)
    moments = (lambda data: b"coalesce(max(to_row)" in data, lambda data: b"SELECT state FROM tranche_run" in data)
    for streamed, (mode, last) in enumerate(some(chance, options.rounds, ("append", "replace"), moments)):
        pair.follow(together=False)
        case, wanted, bad = made(program, pair, mode, batch=BATCH, retry=RETRY)
        before = case.table()

        def lose(*_):
            pair.standby.cut_off()
            return True

        def die(*_):
            way.down()
            pair.fail_over()
            return False
        with case, Way(pair, (is_commit, chance.randint(8, 15), lose), (last, 1, die)) as way:
            case.environment["DATABASE_URL"] = pair.plain_url(case.database, way.port)
            small = ["--segment", "8KiB"] if streamed % 2 else []
            ended(program.start(case.folder, "run", "job.yaml", *small, **case.environment), 3, *GONE)
            assert way.done.wait(20), "it never came to that"
            if not small:
                refused_until_told(case, wanted, bad, *GONE)
                continue
            for more, wanted_code, messages in ((), 3, GONE), (("--trust-target",), 1, ("spooled no more", "--again")), ((), 1, ("spooled no more",)):
                code, out, err = case.run(*more, *small)
                assert code == wanted_code and all(message in err for message in messages), f"exit code {code} of {more}; it said\n{err}{out}"
            if mode == "replace":
                assert case.table() == before, "something was published"
                case.succeed("--again", "--yes")
                check(case, wanted, bad)


def a_finished_run_is_lost(program, pair, options):
    """All of it, or its end, by a standby that takes over afterwards: the next run says so before it hides that."""
    chance = random.Random(options.seed)
    for _, how in some(chance, options.rounds, ("append",), ("all", "the end")):
        pair.follow(together=False)
        with Case(program, pair) as case:
            case.sql("CREATE TABLE t (id bigint, k int, amount int, note varchar(12))")
            case.job(batch=BATCH, retry=RETRY)
            job = case.folder / "job.yaml"
            job.write_text(job.read_text().replace("data.csv", "data*.csv").replace("note: text}}", "note: text}}, incremental: new_files"))
            given = [[[n * 1000 + i, i, 1, "x"] for i in range(1000)] for n in range(3)]
            case.write(given[0], file="data0.csv")
            case.succeed()
            case.write(given[1], file="data1.csv")
            pair.standby.catch_up()
            with Way(pair, (is_commit, 1 if how == "all" else chance.randint(3, 11), lambda *_: pair.standby.cut_off() or True)) as way:
                case.succeed(DATABASE_URL=pair.plain_url(case.database, way.port))
                assert way.done.is_set(), "nothing was lost"
            pair.fail_over()
            case.environment["DATABASE_URL"] = pair.url(case.database)
            there = case.table()
            assert 1000 <= there.total() < 2000, f"{there.total()} rows"
            case.write(given[2], file="data2.csv")
            for _ in range(2):
                case.fail(3, "run 2 is finished here, and the target has lost it or its end", "has a standby taken over", "--again",
                          "--trust-target")
                assert case.table() == there, "rows were stored"
            case.succeed("--trust-target")
            assert case.table() - there == collections.Counter(tuple(map(str, row)) for row in given[2])
            case.write([[9999, 1, 1, "x"]], file="data3.csv")
            case.succeed()


def a_url_of_several_hosts(program, pair, options):
    """What it means for TLS, for passwords, for a run that goes on, for two stores of one job, and for a source."""
    pair.follow(together=True)
    case, wanted, bad = made(program, pair, "append", batch=BATCH, retry=RETRY)
    with case:
        one, two = pair.server.port, pair.standby.port
        text = (case.folder / "job.yaml").read_text()
        # A host that is not this machine asks for a certificate of an authority that all know, also where another answers.
        for hosts in (f"127.0.0.1:{one},db.invalid:{two}", f"db.invalid:{two},127.0.0.1:{one}"):
            case.fail(2, "certificate verify failed", DATABASE_URL=f"postgres://tranche:{PASSWORD}@{hosts}/{case.database}")
        (case.folder / "job.yaml").write_text(text.replace("${secret:DATABASE_URL}", f"postgres://u:open@127.0.0.1:{one},localhost:{two}/x"))
        case.fail(2, "a password stands in the url as it is")
        (case.folder / "job.yaml").write_text(text)
        assert program.kill(case.folder, "run", "job.yaml", failpoint="batch.committed@2", **case.environment)
        case.fail(3, *UNKNOWN, DATABASE_URL=pair.server.url("postgres"))  # another database
        local = f"postgres://tranche:{PASSWORD}@127.0.0.1:{two},127.0.0.1:{one}/{case.database}?"  # the standby first
        case.environment["DATABASE_URL"] = local + "target_session_attrs=read-write"
        case.succeed()
        check(case, wanted, bad)
        twice = "store:\n" + "".join(f"  {name}: {{postgres: {{url: \"${{secret:{name}}}\", table: t, mode: replace}}}}\n" for name in ("one", "two"))
        (case.folder / "job.yaml").write_text(text[:text.index("store:")].replace("trial", "twice") + twice)
        case.fail(2, "store 'two' writes where store 'one' writes", one=local, two=pair.server.url(case.database, others=[pair.standby]))
        (case.folder / "job.yaml").write_text("""\
job: reads
collect: {rows: {postgres: {url: "${secret:DATABASE_URL}", query: "SELECT count(*) AS n, pg_is_in_recovery() AS standby FROM t"}}}
store: {out: {csv: {path: stdout}}}
""")
        for attributes, standby in (("prefer-standby", "true"), ("read-write", "false")):
            code, out, err = case.run(DATABASE_URL=f"{local}target_session_attrs={attributes}")
            assert code == 0 and out.split()[-1] == f"{len(wanted)},{standby}", f"exit code {code}; it said\n{err}{out}"


TESTS = (the_primary_dies_in_mid_load, the_primary_dies_at_a_commit, the_primary_falls_silent, both_die,
         a_standby_without_the_last_commits, commits_are_lost_at_the_end, a_finished_run_is_lost, a_url_of_several_hosts)


if __name__ == "__main__":
    sys.exit(main(__doc__, TESTS, Pair, add_options=lambda parser: parser.add_argument(
        "--rounds", type=int, default=1, help="how much of each is tried")))
