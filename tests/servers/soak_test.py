#!/usr/bin/env python3
"""SIGKILL at random moments, on real servers, until enough runs were killed; and the scene that Tranche is for: a large file with
bad rows goes into PostgreSQL while the program is killed again and again and the network flaps.

    tests/servers/soak_test.py                          200 kills on PostgreSQL, in all modes
    tests/servers/soak_test.py --server mariadb --kills 10000
    tests/servers/soak_test.py -k scene --rows 10000000 --bad 1000
"""
import concurrent.futures
import json
import pathlib
import random
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
from servers.faults_test import Between  # noqa: E402
from servers.mariadb import MariaDb  # noqa: E402
from servers.postgres import Postgres  # noqa: E402
from servers.postgres_test import MODES, ROWS, Case, check, made  # noqa: E402
from servers.suite import main  # noqa: E402

LANES = 5
MOST_KILLS = 12  # in a row, before a run is let through


def play(program, server, chance):
    """One job, from its first run to the one that gets through. How often it was killed."""
    mode, kills = chance.choice(sorted(MODES)), 0
    case, wanted, bad = made(program, server, mode, batch=f"rows: {chance.choice((20, 100, 333))}")
    with case:
        while kills < MOST_KILLS:
            process = program.start(case.folder, "run", "job.yaml", **case.environment)
            try:
                process.communicate(timeout=chance.uniform(0.02, 1.0))
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
            if process.returncode != -9:
                break
            kills += 1
            case.job(MODES[mode], batch=f"rows: {chance.choice((20, 100, 333))}", rejects=ROWS)
        case.finish()
        try:
            check(case, wanted, bad)
        except AssertionError as error:
            raise AssertionError(f"mode {mode}: {error}") from None
        server.drop_database(case.database)
    return kills


def killed_at_random(program, server, options):
    """Some jobs at a time: most of what each does is wait."""
    kills, runs = 0, 0
    with concurrent.futures.ThreadPoolExecutor(LANES) as lanes:
        def begin():
            nonlocal runs
            runs += 1
            return lanes.submit(play, program, server, random.Random(f"{options.seed} {runs}"))
        under_way = {begin() for _ in range(LANES)}
        while under_way:
            done, under_way = concurrent.futures.wait(under_way, return_when=concurrent.futures.FIRST_COMPLETED)
            for job in done:
                kills += job.result()
                if kills < options.kills:
                    under_way.add(begin())
                if runs % 200 == 0:
                    print(f"{kills} kills in {runs} runs", flush=True)
    return f"{kills} kills in {runs} runs"


class Flaps:
    """A way to the server of which all connections are cut, every now and then."""

    def __init__(self, way, chance):
        self.way, self.chance, self.cuts = way, chance, 0
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.flap)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    def flap(self):
        while not self.done.wait(self.chance.uniform(0.5, 3)):
            self.cuts += self.way.cut()


def the_scene(program, server, options):
    """Every good row is there once, every bad one is a reject with its reason, and the balance says so."""
    if server.connector != "postgres":
        return "for PostgreSQL only"
    chance = random.Random(options.seed)
    with Case(program, server) as case:
        server.sql("DROP DATABASE IF EXISTS plain")
        server.sql("CREATE DATABASE plain")
        case.database = "plain"  # the one without TLS
        case.sql("CREATE TABLE t (id bigint PRIMARY KEY, k int NOT NULL, amount int CHECK (amount < 985), note varchar(12))")
        bad = sorted(chance.sample(range(options.rows), options.bad))
        wrong = set(bad)
        with open(case.folder / "data.csv", "w") as file:
            file.write("id,k,amount,note\n")
            file.writelines(f"{i},{i % 400},{990 if i in wrong else i % 980},note {i % 7}\n" for i in range(options.rows))
        case.job(batch="bytes: 8MiB", rejects=options.bad, retry="attempts: 200, backoff: 50ms..500ms, timeout: 20s")
        kills = 0
        with Between(server.port) as way, Flaps(way, chance) as flaps:
            case.environment["DATABASE_URL"] = way.url("plain")
            pause = 3 + options.rows / 1e6
            while True:
                process = program.start(case.folder, "run", "job.yaml", **case.environment)
                end = time.monotonic() + chance.uniform(0.5, 2 * pause)
                while process.poll() is None and time.monotonic() < end:
                    time.sleep(0.05)
                if process.poll() is None:
                    process.kill()
                _, err = process.communicate()
                if process.returncode == 0:
                    break
                assert process.returncode in (-9, 1, 2, 4), f"exit code {process.returncode}; it said\n{err}"
                if process.returncode == 2:  # the way was cut while it looked at the table: nothing has run
                    assert "the server cannot be reached" in err or "onnection" in err or "closed" in err, err
                kills += process.returncode == -9
                pause *= 1.2
        found = case.sql("SELECT count(*), count(DISTINCT id), sum(id), count(*) FILTER (WHERE amount <> id % 980) FROM t")[0]
        good = options.rows - len(bad)
        wanted = [str(good), str(good), str(options.rows * (options.rows - 1) // 2 - sum(bad)), "0"]
        assert found == wanted, f"{found}, not {wanted}"
        rejects = case.rejected()
        assert sorted(json.loads(reject["content"])["id"] for reject in rejects) == bad, f"{len(rejects)} rejects"
        assert all("check constraint" in reject["reason"] for reject in rejects), rejects[0]
        case.expect_ledger(options.rows)
        return f"{options.rows} rows, {len(bad)} of them bad; {kills} kills, {flaps.cuts} connections cut"


TESTS = (killed_at_random, the_scene)


def add_options(parser):
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--rows", type=int, default=300_000, help="of the scene")
    parser.add_argument("--bad", type=int, default=1000, help="rows of the scene that the table refuses")


if __name__ == "__main__":
    sys.exit(main(__doc__, TESTS, {"postgres": Postgres, "mariadb": MariaDb}, add_options))
