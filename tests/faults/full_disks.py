#!/usr/bin/env python3
"""Disks that are full: a small one is mounted where a run keeps its state, its spool, what does not fit in memory, or
its results. The run stops with exit code 1 and says which file and why, or gets through; with room again, the next one
ends as if nothing had happened.

    tests/faults/full_disks.py                  all; those that cannot mount (no root) are skipped, and say so
    tests/faults/full_disks.py -k spool
"""
import contextlib
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
from harness.program import leftovers  # noqa: E402
from harness.suite import main, require, same, test  # noqa: E402

FULL = ("No space left on device", "database or disk is full", "File too large")
JOB = """\
job: test
collect: {rows: {csv: {path: rows.csv}}}
prepare: [{check: {any: id >= 0}}]
store:
  a: {sqlite: {path: out/a.sqlite, table: t, mode: replace}, batch: {rows: 500}}
  b: {duckdb: {path: out/b.duckdb, table: t, mode: append}, batch: {rows: 500}}
  c: {parquet: {path: out/c/}, batch: {rows: 500}}
  d: {csv: {path: out/d.csv}}
  e: {json: {path: out/e.ndjson.gz}}
  f: {arrow: {path: out/f/, mode: append}, batch: {rows: 5000}}
"""
STORES = [("out/a.sqlite", "t"), ("out/b.duckdb", "t"), ("out/c",), ("out/d.csv",), ("out/e.ndjson.gz",), ("out/f",)]
ROWS = 20000


class NoMount(Exception):
    pass


@contextlib.contextmanager
def disk(path, size):
    """A file system of its own at `path`; what it yields makes room on it."""
    path.mkdir(parents=True)
    tried = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", path], capture_output=True,
                           text=True)
    if tried.returncode != 0:
        raise NoMount(f"skipped: no disk of its own: {tried.stderr.strip()}")
    try:
        yield lambda: subprocess.run(["mount", "-o", "remount,size=1g", path], check=True)
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


def judge(case, expected, stores, said):
    """What a run said that was stopped, and what the next one makes of it."""
    code, words = said
    require(code in (0, 1), f"{case.folder.name}: exit code {code}; it said\n{words}")
    if code == 1:
        error = [line for line in words.splitlines() if any(reason in line for reason in FULL)]
        require(error and any("/" in line for line in error),
                f"{case.folder.name}: file and reason are not said; it said\n{words}")
    case.run()
    for target in stores:
        same(expected, case.multiset(*target), f"{case.folder.name}: {target[0]}")
    require(not leftovers(case.folder, "test"), f"{case.folder.name}: left behind {leftovers(case.folder, 'test')}")
    return code == 1


def fill(place, name, sizes, text=JOB, rows=ROWS, value="v{}", stores=STORES):
    """One run a size, in KiB, of the disk that is mounted at the folder `name`."""
    stopped = 0
    for size in sizes:
        case = place.again(f"{size}k")
        case.write("job.yaml", text)
        case.rows("rows.csv", range(rows), value)
        expected = case.multiset("rows.csv")
        try:
            with disk(case.folder / name, size) as make_room:
                said = case.tries()
                make_room()
                stopped += judge(case, expected, stores, said)
        except NoMount as none:
            return str(none)
    require(stopped >= len(sizes) / 2, f"only {stopped} of {len(sizes)} disks were full")
    return f"{stopped} of {len(sizes)} disks were full"


@test
def state_folder_fills(place):
    return fill(place, ".tranche", (4, 16, 40, 64, 100, 140, 180, 240, 300, 360, 420, 500, 600))


@test
def spool_fills(place):
    return fill(place, ".tranche/test/spool", (4, 16, 40, 64, 90))


@test
def output_folder_fills(place):
    return fill(place, "out", (4, 64, 200, 400, 700, 1000, 1400, 1800, 2300, 2800, 3400))


@test
def spill_fills(place):
    """A sort that does not fit in memory."""
    job = """\
job: test
run: {memory: 128MiB}
collect: {rows: {csv: {path: rows.csv}}}
prepare:
  - sql: >
      select id, v from (select *, row_number() over (order by md5(concat(id, more))) as position
      from (select *, unnest(range(100)) as more from input)) where more = 7
store: {out: {csv: {path: out.csv}}}
"""
    return fill(place, ".tranche", (2000, 20000), job, ROWS, "v{} " + 60 * "y", [("out.csv",)])


@test
def files_may_not_grow(place):
    """No file may be larger than a limit."""
    sizes = (1, 8, 16, 40, 100, 150, 250, 400, 700, 1200)
    stopped = 0
    for size in sizes:
        case = place.again(f"{size}k")
        case.write("job.yaml", JOB)
        case.rows("rows.csv", range(ROWS))
        # Ignored, the signal SIGXFSZ becomes the error EFBIG of write().
        command = f"trap '' XFSZ; ulimit -f {size}; exec {place.program.path} run job.yaml"
        done = subprocess.run(["bash", "-c", command], cwd=case.folder, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, env=toolset.environment(place.program.path, case.folder), timeout=120)
        stopped += judge(case, case.multiset("rows.csv"), STORES, (done.returncode, done.stderr))
    require(stopped > len(sizes) // 2, f"only {stopped} of {len(sizes)} limits stopped a run")


if __name__ == "__main__":
    sys.exit(main(__doc__))
