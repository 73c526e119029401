#!/usr/bin/env python3
"""Stores that begin while the input is still being read: kills, inputs that change, rows that turn out to be bad.

    tests/crash/streamed_tests.py              all
    tests/crash/streamed_tests.py -k changed   those with that in their name
"""
import collections
import os
import pathlib
import signal
import sqlite3
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
from harness.suite import main, require, same, test  # noqa: E402

ROWS = 12_000  # a dozen segments of the smallest kind
SMALL = ("--segment", "8KiB")
JOB = """\
job: test
collect: {rows: {csv: {path: rows.csv, types: {id: bigint, v: text}}}}
prepare: [{filter: "id % 10 <> 3"}, {check: {whole: "id <> 5000"}}]
store:
  lite: {sqlite: {path: out.db, table: t}, batch: {rows: 700}}
  duck: {duckdb: {path: out.duckdb, table: t, mode: replace}, batch: {rows: 900}}
  folder: {csv: {path: out/}, batch: {rows: 800}}
rejects: REJECTS
"""
EXPECTED = collections.Counter((("id", str(i)), ("v", f"v{i}")) for i in range(ROWS) if i % 10 != 3 and i != 5000)


def write(place, bad=False, rejects=2):
    place.write("job.yaml", JOB.replace("REJECTS", str(rejects)))
    place.rows("rows.csv", range(ROWS))
    if bad:  # the strict reading fails at its last row
        with open(place.folder / "rows.csv", "a") as file:
            file.write("oops,x\n")


def check(place, rejects):
    for path, table in (("out.db", "t"), ("out.duckdb", "t"), ("out", None)):
        same(EXPECTED, place.multiset(path, table), path)
    found = place.program.rejects(place.folder)
    require(sum(found.values()) == rejects, f"{sum(found.values())} rejects, not {rejects}: {found}")


def stored(place):
    try:
        return place.sqlite("SELECT count(*) FROM t")[0][0] if (place.folder / "out.db").exists() else 0
    except sqlite3.OperationalError:  # there is no table yet
        return 0


@test
def killed_everywhere(place):
    """At each durable action, at its first and third time, and with a bad row at the end."""
    kills = 0
    for bad in (False, True):
        first = place.again(f"first-{bad}")
        write(first, bad)
        reached = first.program.reached(first.folder, "run", "job.yaml", *SMALL)
        require(reached["segment.recorded"] > 8, f"too few segments: {reached}")
        for point, hits in sorted(reached.items()):
            for hit in (1, 8) if bad else (1, 3):
                if hit > hits or (bad and not point.startswith(("segment", "batch", "stage"))):
                    continue
                case = place.again(f"{point}-{hit}-{bad}")
                write(case, bad)
                kills += case.program.kill(case.folder, "run", "job.yaml", *SMALL, failpoint=f"{point}@{hit}")
                if hit == 3:
                    kills += case.program.kill(case.folder, "run", "job.yaml", *SMALL, failpoint="segment.recorded@2")
                try:
                    case.run(*SMALL)
                    check(case, 1 + bad)
                except AssertionError as error:
                    raise AssertionError(f"killed at {point}@{hit}{', bad row' if bad else ''}: {error}") from None
    return f"{kills} kills"


def kill_while_read(place):
    """With some rows stored, and not all of them read."""
    process = place.program.start(place.folder, "run", "job.yaml", *SMALL, failpoint="segment.recorded:hold@6")
    try:
        end = time.monotonic() + 30
        while stored(place) < 700 and time.monotonic() < end:
            time.sleep(0.05)
        require(stored(place) >= 700, "nothing was stored while the input was being read")
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()


@test
def stores_begin_before_the_end(place):
    write(place)
    kill_while_read(place)
    place.run()  # another size of segments
    check(place, 1)


@test
def changed_inputs_are_refused(place):
    for change in (lambda text: text.replace("11999,v11999", "11999,w11999"), lambda text: text + "12000,v12000\n"):
        case = place.again(f"case-{id(change)}")
        write(case)
        kill_while_read(case)
        before = stored(case)
        require(before > 0, "nothing was stored")
        path = case.folder / "rows.csv"
        text, times = path.read_text(), path.stat()
        path.write_text(change(text))
        case.fails(3, "and rows of it are stored already", *SMALL)
        require(stored(case) == before, "rows of another file were stored")
        # The same name, size, inode and time cannot be had back: the file is known by its rows then.
        path.write_text(text)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        code, said = case.tries(*SMALL)
        require(code == 3 and "rows of it are stored already" in said, f"exit code {code}; it said\n{said}")
        case.run("--again", "--yes", *SMALL)


@test
def a_limit_that_is_reached_late(place):
    """The bad row comes when others are stored; then it is allowed. The engine hands on many rows at a time."""
    rows = 400_000
    place.write("job.yaml", JOB.replace("REJECTS", "1"))
    place.rows("rows.csv", range(rows))
    with open(place.folder / "rows.csv", "a") as file:
        file.write("oops,x\n")
    place.fails(3, "too many rejects", "--segment", "64KiB")
    require(stored(place) > 0, "nothing was stored: it was not streamed")
    place.write("job.yaml", JOB.replace("REJECTS", "2"))
    place.run("--segment", "64KiB")
    found = place.sqlite("SELECT count(*), count(DISTINCT id), sum(id) FROM t")
    wanted = [i for i in range(rows) if i % 10 != 3 and i != 5000]
    require(found == [(len(wanted), len(wanted), sum(wanted))], f"{found}")
    require(sum(place.program.rejects(place.folder).values()) == 2, "not two rejects")


@test
def segments_go_when_their_rows_are_stored(place):
    """Killed when many are gone; what is read again is known by their digests, and another input by them too."""
    rows = 200_000
    place.write("job.yaml", "job: test\ncollect: {rows: {csv: {path: rows.csv, types: {id: bigint, v: text}}}}\n"
                            "store: {lite: {sqlite: {path: out.db, table: t}, batch: {rows: 5000}}}\n")
    place.rows("rows.csv", range(rows))
    process = place.program.start(place.folder, "run", "job.yaml", *SMALL, failpoint="batch.committed:hold@30")
    try:
        end = time.monotonic() + 60
        while stored(place) < 150_000 and time.monotonic() < end:
            time.sleep(0.05)
        require(stored(place) == 150_000, "it did not come to the 30th batch")
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    with sqlite3.connect(place.folder / ".tranche/test/state.db") as state:
        [(all_of_them, files)] = state.execute("SELECT count(*), sum(file) FROM segment").fetchall()
    there = list((place.folder / ".tranche/test/spool").glob("*/*.arrow"))
    require(files < all_of_them - 20 and len(there) == files, f"{all_of_them} segments, {files} as files, {len(there)} there")
    place.run(*SMALL)
    found = place.sqlite("SELECT count(*), count(DISTINCT id), sum(id) FROM t")
    require(found == [(rows, rows, rows * (rows - 1) // 2)], f"{found}")
    report = (place.folder / ".tranche/test/report-1.html").read_text()
    require(">v0<" in report, "the report has no sample of the rows")


def stopped(place, batch, rows, *options, commits):
    """A store of `rows` rows by batches of `batch`, killed behind a commit; true if files were written beside the first."""
    place.write("job.yaml", "job: test\ncollect: {rows: {csv: {path: rows.csv, types: {id: bigint, v: text}}}}\n"
                            f"store: {{lite: {{sqlite: {{path: out.db, table: t}}, batch: {{rows: {batch}}}}}}}\n")
    place.rows("rows.csv", range(rows))
    require(place.program.kill(place.folder, "run", "job.yaml", *SMALL, *options, failpoint=f"batch.committed@{commits}"), "it was not killed")
    with sqlite3.connect(place.folder / ".tranche/test/state.db") as state:
        [(sealed, files)] = state.execute("SELECT (SELECT max(sealed) FROM stage), sum(file) FROM segment").fetchall()
    require(not sealed, "all was read already")
    return files > 1


def all_there(place, rows):
    found = place.sqlite("SELECT count(*), count(DISTINCT id), sum(id) FROM t")
    require(found == [(rows, rows, rows * (rows - 1) // 2)], f"{found}")


@test
def segments_stay_in_memory_while_there_is_room(place):
    """With batches of many segments some become files; those that were none become files where the next start keeps its rows."""
    rows = 200_000
    require(not stopped(place, 1000, rows, commits=50), "segments are files, and there is room")
    large = place.again("large")
    require(stopped(large, 30_000, rows, commits=2), "no segment is a file, and a batch is larger than may be in memory")
    for case in (place, large):
        case.run(*SMALL)
        all_there(case, rows)
    keeps = place.again("keeps")
    stopped(keeps, 1000, rows, commits=50)
    keeps.run(*SMALL, "--keep-batches")
    all_there(keeps, rows)
    with sqlite3.connect(keeps.folder / ".tranche/test/state.db") as state:
        [(segments, files)] = state.execute("SELECT count(*), sum(file) FROM segment").fetchall()
    require(segments == files == len(list((keeps.folder / ".tranche/test/kept").glob("*/*/*.arrow"))), f"{segments} segments, {files} files")


@test
def what_would_come_otherwise_waits(place):
    """random() and now(), an order over all rows, a share of rejects: the stage is sealed first."""
    for name, steps, rejects in (("random", "[{derive: {r: random()}}]", "0"), ("now", "[{derive: {r: now()}}]", "0"),
                                 ("quoted", "[{derive: {r: '\"random\" ()'}}]", "0"),
                                 ("sort", "[{sort: [id]}]", "0"), ("share", "[{filter: id > 0}]", "1%")):
        case = place.again(name)
        case.write("job.yaml", f"job: test\ncollect: {{rows: {{csv: {{path: rows.csv}}}}}}\nprepare: {steps}\n"
                               f"store: {{lite: {{sqlite: {{path: out.db, table: t}}}}}}\nrejects: {rejects}\n")
        case.rows("rows.csv", range(ROWS))
        require(case.program.kill(case.folder, "run", "job.yaml", *SMALL, failpoint="segment.recorded@6"), "it was not killed")
        time.sleep(0.1)
        require(not (case.folder / "out.db").exists(), f"{name}: a store began before the stage was sealed")
        case.run(*SMALL)
        require(stored(case) >= ROWS - 1, "rows are missing")


if __name__ == "__main__":
    sys.exit(main(__doc__))
