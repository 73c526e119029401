#!/usr/bin/env python3
"""The store `postgres` over a network that fails: slow, cut, silent, in crumbs, gone and back; and answers to COMMIT
that never arrive. Each row is stored once, whatever happens, and the ledger says so.

    tests/servers/network_test.py             all
    tests/servers/network_test.py -k commit   the tests with that in their name
"""
import collections
import concurrent.futures
import contextlib
import pathlib
import random
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
from servers.faults_test import Between  # noqa: E402
from servers.postgres import Postgres  # noqa: E402
from servers.postgres_test import MODES, check, made  # noqa: E402
from servers.suite import main  # noqa: E402
from servers.toxiproxy import Toxiproxy  # noqa: E402

TOXICS = {"latency": {"latency": 300, "jitter": 200}, "bandwidth": {"rate": 20}, "slow_close": {"delay": 500}, "timeout": {"timeout": 0},
          "reset_peer": {"timeout": 0}, "slicer": {"average_size": 60, "size_variation": 30, "delay": 200},
          "limit_data": {"bytes": 12000}}
RETRY = "attempts: 80, backoff: 20ms..300ms, timeout: 1s"


def finished(process, case):
    _, err = process.communicate(timeout=90)
    assert process.returncode == 0, f"exit code {process.returncode}; it said\n{err}"
    return err


def through(program, server, network, mode, spoil, batch="rows: 250", retry=RETRY):
    """A run whose every answer takes 15 ms, so that `spoil` comes in the middle of it."""
    case, wanted, bad = made(program, server, mode, batch=batch, retry=retry)
    with case:
        way = network.way(server.port)
        way.add("latency", "downstream", latency=15)
        # The first connection comes without trouble: a server that is not there is a mistake in the job.
        process = program.start(case.folder, "run", "job.yaml", **{**case.environment, "DATABASE_URL": way.url(server, case.database)})
        try:
            end = time.monotonic() + 20
            while time.monotonic() < end and case.sql("SELECT to_regclass('tranche_run') IS NULL") != [["f"]]:
                time.sleep(0.02)
            spoil(way, case, process)
            finished(process, case)
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()
        check(case, wanted, bad)


def each_toxic(program, server, options):
    """Every kind, in both directions, for a moment in mid-run."""
    def one(kind, stream, mode):
        chance = random.Random(f"{options.seed} {kind} {stream} {mode}")

        def spoil(way, case, process):
            time.sleep(chance.uniform(0.05, 1.2))
            if (kind, stream) == ("latency", "downstream"):
                way.remove(kind, stream)
            way.add(kind, stream, **TOXICS[kind])
            time.sleep(chance.uniform(0.3, 1.3))
            way.remove(kind, stream)
        try:
            with Toxiproxy() as network:
                through(program, server, network, mode, spoil)
        except AssertionError as error:
            raise AssertionError(f"--seed {options.seed}: {kind} {stream}, {mode}: {error}") from None

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(one, kind, stream, mode) for kind in TOXICS for stream in ("upstream", "downstream")
                for mode in ("append", "upsert")]
        for run in runs:
            run.result()
    return f"{len(runs)} runs"


def the_network_comes_and_goes(program, server, options):
    """All connections are cut and refused, and come back, until the run is done."""
    flaps = collections.Counter()

    def one(mode, batch):
        chance = random.Random(f"{options.seed} {mode} {batch}")

        def spoil(way, case, process):
            while process.poll() is None:
                time.sleep(chance.uniform(1, 4))  # a session and a batch take some seconds over this link
                way.close()
                time.sleep(chance.uniform(0.02, 0.3))
                way.open()
                flaps[mode] += 1
        with Toxiproxy() as network:
            through(program, server, network, mode, spoil, batch)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(one, mode, batch) for mode in MODES for batch in ("rows: 250", "rows: 100, parallel: 3")]
        for run in runs:
            run.result()
    assert flaps.total() >= len(runs), flaps
    return f"{flaps.total()} times"


def sessions_are_ended_in_mid_copy(program, server, options):
    ended = collections.Counter()

    def one(mode):
        def spoil(way, case, process):
            with way.toxic("bandwidth", "upstream", rate=60):
                end = time.monotonic() + 30
                while ended[mode] < 6 and process.poll() is None and time.monotonic() < end:
                    for _ in case.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND "
                                      "query LIKE 'COPY %' AND state = 'active' AND pid <> pg_backend_pid()"):
                        ended[mode] += 1
                    time.sleep(0.1)
        with Toxiproxy() as network:
            through(program, server, network, mode, spoil, batch="rows: 1000")

    for mode in ("append", "upsert"):
        one(mode)
    assert min(ended[mode] for mode in ("append", "upsert")) >= 3, ended
    return f"{ended.total()} sessions"


def is_commit(data):
    """The last thing that a client says: a message of PostgreSQL, or of MariaDB."""
    return data.endswith((b"Q\0\0\0\x0bCOMMIT\0", b"\7\0\0\0\3COMMIT"))


class AroundCommit(Between):
    """Spoils every third COMMIT, at most so many: `answer` lets it through and loses the answer, `before` loses the COMMIT itself, `late`
    cuts the client off and hands the COMMIT on a while later."""

    def __init__(self, port, how, most=1 << 30):
        self.how, self.most, self.commits, self.spoiled = how, most, 0, collections.Counter()
        super().__init__(port)

    def passes(self, data, one, other):
        if not (self.to_server(other) and is_commit(data)):
            return True
        self.commits += 1
        if self.commits % 3 != 2 or self.spoiled.total() >= self.most:
            return True
        how = self.how[self.spoiled.total() % len(self.how)]
        self.spoiled[how] += 1
        self.spoil(how, one, other, data)
        return False

    @staticmethod
    def spoil(how, client, server, commit):
        if how == "answer":  # the other thread still hands answers on: it must not
            client.shutdown(socket.SHUT_WR)
            server.sendall(commit)
            time.sleep(0.05)
        elif how == "late":
            client.shutdown(socket.SHUT_RDWR)
            time.sleep(0.3)
            with contextlib.suppress(OSError):
                server.sendall(commit)
                time.sleep(0.05)
        for end in (client, server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def the_answer_to_commit_is_lost(program, server, options):
    """The same span comes again, and its claim says whether it is there: never twice, never not at all."""
    said = []
    for mode in MODES:
        for batch in ("rows: 250", "rows: 100, parallel: 3"):
            case, wanted, bad = made(program, server, mode, batch=batch, retry=RETRY)
            server.sql("DROP DATABASE IF EXISTS plain")
            server.sql(f"CREATE DATABASE plain TEMPLATE {case.database}")
            case.database = "plain"  # the one without TLS
            with case, AroundCommit(server.port, ("answer", "before", "late")) as between:
                case.environment["DATABASE_URL"] = between.url("plain")
                case.succeed()
                check(case, wanted, bad)
                assert between.spoiled.total() >= 3, between.spoiled
                said.append(between.spoiled.total())
    return f"{sum(said)} of them"


TESTS = (each_toxic, the_network_comes_and_goes, sessions_are_ended_in_mid_copy, the_answer_to_commit_is_lost)

if __name__ == "__main__":
    sys.exit(main(__doc__, TESTS, Postgres))
