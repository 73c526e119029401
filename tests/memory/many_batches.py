#!/usr/bin/env python3
"""Many batches, many files: what a run holds does not grow with either, and a run of a million batches resumes at once.

    tests/memory/many_batches.py                      20,000 batches
    tests/memory/many_batches.py --batches 1000000    the promise as it is written
"""
import os
import pathlib
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
from harness.program import leftovers  # noqa: E402
from harness.suite import main, require, same, test  # noqa: E402

JOB = """\
job: test
collect: {rows: {csv: {path: rows.csv}}}
prepare: [{check: {any: id >= 0}}]
store: {out: {STORE, batch: {rows: ROWS}}}
"""
FLAT = 8 << 20  # bytes of resident memory that a run may gain behind its first fifth


def write(place, store, batches, rows):
    place.write("job.yaml", JOB.replace("STORE", store).replace("ROWS", str(rows)))
    with open(place.folder / "rows.csv", "w") as file:
        file.write("id,v\n")
        file.writelines(f"{i},{i % 1000}\n" for i in range(batches * rows))


def check(place, rows):
    found, = place.sqlite("SELECT count(*), sum(id) FROM t")
    require(found == (rows, rows * (rows - 1) // 2), f"number and sum of the rows: {found}")


class Watched:
    """A run, looked at a few hundred times: resident memory, open files, state and what was stored."""

    def __init__(self, place, stored):
        self.seen, self.folder = [], place.folder
        process = place.program.start(place.folder, "run", "job.yaml")
        while process.poll() is None:
            if (look := self.look(process.pid, stored)) is not None:
                self.seen.append(look)
            time.sleep(0.02)
        _, said = process.communicate()
        require(process.returncode == 0, f"exit code {process.returncode}; it said\n{said}")
        # Before the first batch and behind the last a run does other things.
        counts = [look["stored"] for look in self.seen]
        self.seen = [look for look in self.seen if counts[-1] * 0.2 < look["stored"] < counts[-1] * 0.98]
        require(len(self.seen) > 20, f"only {len(self.seen)} looks: raise --batches")

    def look(self, pid, stored):
        try:
            files = os.listdir(f"/proc/{pid}/fd")
            resident = int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) << 10
            state = sum(path.stat().st_size for path in (self.folder / ".tranche/test").glob("state.db*"))
            return {"time": time.monotonic(), "resident": resident, "files": len(files), "state": state,
                    "stored": stored()}
        except (OSError, TypeError, IndexError):
            return None  # it is just beginning, or ending

    def span(self, what, of=slice(None)):
        values = [look[what] for look in self.seen[of]]
        return min(values), max(values)

    def rate(self, of):
        first, last = self.seen[of][0], self.seen[of][-1]
        return (last["stored"] - first["stored"]) / (last["time"] - first["time"])


def size(path):
    return lambda: path.stat().st_size


def flat(watched, batches, state_for_each):
    fifth = len(watched.seen) // 5
    gain = watched.span("resident", slice(-fifth, None))[1] - watched.span("resident", slice(0, fifth))[1]
    require(gain <= FLAT, f"resident memory grew by {gain >> 20} MiB")
    few, many = watched.span("files")
    require(many - few <= 3, f"{few} to {many} files were open")
    grown = watched.span("state")[1] - watched.span("state")[0]
    require(grown <= (4 << 20) + state_for_each * batches, f"state.db grew by {grown} bytes in {batches} batches")
    early, late = watched.rate(slice(0, fifth)), watched.rate(slice(-fifth, None))
    return (f"{batches} batches: {gain >> 10} KiB more, {many} files, state.db {grown >> 10} KiB; "
            f"rate at the end {late / early:.2f}")


@test
def sqlite_stays_flat(place):
    """Resident memory, open files and the time for a batch do not grow; state.db knows nothing of single batches."""
    batches = place.options.batches
    write(place, "sqlite: {path: out.db, table: t}", batches, 10)
    watched = Watched(place, size(place.folder / "out.db"))
    check(place, 10 * batches)
    return flat(watched, batches, state_for_each=0)


@test
def folder_stays_flat(place):
    """The same for parts of files, of each of which state.db keeps name, size and checksum."""
    batches = max(place.options.batches // 10, 1000)
    write(place, "csv: {path: out/}", batches, 10)
    aside = []

    def stored():
        if not aside:
            aside.extend(place.folder.glob(".out.tranche-*"))
        return len(os.listdir(aside[0]))
    watched = Watched(place, stored)
    rows = sum(len(path.read_text().splitlines()) - 1 for path in (place.folder / "out").glob("*.csv"))
    require(rows == 10 * batches, f"{rows} rows of {10 * batches}")
    return flat(watched, batches, state_for_each=1000)


@test
def resume_of_many_batches(place):
    """15 of the protocol. Killed when all but some are committed, a run goes on where it was; it holds no line of the ledger for long."""
    batches = place.options.batches
    write(place, "sqlite: {path: out.db, table: t}", batches + 100, 1)
    killed = place.program.start(place.folder, "run", "job.yaml", failpoint=f"batch.committed:kill@{batches}")
    killed.communicate()
    require(place.sqlite("SELECT count(*) FROM tranche_batch") == [(batches,)], "it was not killed where it should be")
    begun, resident = time.monotonic(), 0
    process = place.program.start(place.folder, "run", "job.yaml", failpoint="batch.claimed:hold@1")
    while "held" not in (line := process.stderr.readline()):
        require(line, "it ended before its first batch")
    seconds = time.monotonic() - begun
    resident = int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{process.pid}/status").read_text())[1])
    process.kill()
    process.communicate()
    require(resident < 150 << 10, f"{resident} KiB to resume {batches} batches")
    place.run()
    check(place, batches + 100)
    require(not leftovers(place.folder, "test"), "left behind")
    return f"{batches} batches: {seconds:.2f} s from the start to the first new batch, {resident >> 10} MiB"


def limited(place, files):
    """The run under a limit of open files."""
    command = f"ulimit -n {files}; exec {place.program.path} run job.yaml"
    return subprocess.run(["bash", "-c", command], cwd=place.folder, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, env=toolset.environment(place.program.path, place.folder), timeout=120)


@test
def few_open_files(place):
    """500 inputs, 300 partitions, under `ulimit -n 64`: it works, or says what to do, and does it once that is done."""
    said = []

    for store in ("csv: {path: out/, partition: [v]}", "parquet: {path: out/, partition: [v]}", "csv: {path: out.csv}",
                  "sqlite: {path: out.db, table: t}"):
        for steps in ("", "prepare: [{check: {any: id >= 0}}]\n"):
            case = place.again(re.sub(r"\W+", "_", store + steps))
            case.write("job.yaml", "job: test\ncollect: {rows: {csv: {path: 'in/*.csv'}}}\n"
                                   f"{steps}store: {{out: {{{store}}}}}\n")
            for number in range(500):
                case.rows(f"in/{number:03}.csv", [number], value=str(number % 300))
            done = limited(case, 64)
            if done.returncode != 0:
                clear = "Too many open files" in done.stderr and "ulimit -n" in done.stderr
                require(done.returncode == 1 and clear, f"{store}: exit code {done.returncode}; it said\n{done.stderr}")
                said.append(f"{store} {'spooled' if steps else 'direct'}: says to raise ulimit -n")
                case.run()
            kind = store.split(":")[0]
            rows = f"read_{kind}('{case.folder}/out/*/*.{kind}', hive_partitioning = true)" if "partition" in store \
                else f"'{case.folder}/out.csv'"
            found = case.sqlite("SELECT count(*), sum(id) FROM t") if kind == "sqlite" else \
                case.duckdb(f"SELECT count(*), sum(id)::BIGINT FROM {rows}", name="reader")
            require(found == [(500, 124750)], f"{store}: {found}")
    return "; ".join(said) or "all work"


def add_options(parser):
    parser.add_argument("--batches", type=int, default=20_000)


if __name__ == "__main__":
    sys.exit(main(__doc__, add_options))
