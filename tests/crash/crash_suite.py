#!/usr/bin/env python3
"""Kills the program at every failpoint, for every kind of store, and compares what a second run makes of it with an
undisturbed run: the rows of every store, the rejects and the exit code must be the same.

    tests/crash/crash_suite.py                  each failpoint at its first hit
    tests/crash/crash_suite.py --hits 3         at its second and third too
    tests/crash/crash_suite.py --twice          the second run is killed at the same place, too
    tests/crash/crash_suite.py -k sqlite_upsert:batch.committed
"""
import argparse
import contextlib
import dataclasses
import multiprocessing
import pathlib
import random
import shutil
import sqlite3
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
from harness.program import Program, difference, leftovers, multiset  # noqa: E402

ROWS = 3000
# What only a second run meets, and where the first one is killed for it.
RESUME = ("resume.",)
FIRST_KILLS = ("segment.recorded", "store.opened", "batch.committed", "part.journalled", "direct.journalled")
MOST_RUNS = 6


@dataclasses.dataclass
class Job:
    name: str
    store: str                            # one or several lines under `store:`
    found: list[tuple[str, str | None]]   # what it stores: path and table
    steps: str = ""
    rejects: int = 10
    whole: str = ""                       # the rest of the job, instead of `steps` and `store`
    data: str = "data*.csv"

    @property
    def stdin(self):
        return {"stdin": "data.csv"} if self.data == "stdin" else {}

    def text(self):
        body = self.whole or f"prepare: [{self.steps}]\nstore:\n  {self.store}\n"
        return (f"job: crash\n"
                f"collect: {{rows: {{csv: {{path: '{self.data}', types: {{amount: integer}}}}}}}}\n"
                f"rejects: {self.rejects}\n{body}")


BATCH = "batch: {rows: 500}"
# Three rows break the first rule; those that are no numbers are refused by the reader.
CHECK = "{check: {small: amount < 990}}"
JOBS = [
    Job("csv_direct", "out: {csv: {path: out.csv}}", [("out.csv", None)]),
    Job("csv_file", "out: {csv: {path: out.csv}}", [("out.csv", None)], CHECK),
    Job("json_file", "out: {json: {path: out.json}}", [("out.json", None)], CHECK),
    Job("json_direct", "out: {json: {path: out.ndjson.gz}}", [("out.ndjson.gz", None)]),
    Job("parquet_direct", "out: {parquet: {path: out.parquet}}", [("out.parquet", None)]),
    Job("parquet_folder", "out: {parquet: {path: out/}, " + BATCH + "}", [("out", None)], CHECK),
    Job("parquet_partitioned", "out: {parquet: {path: out/, partition: [shop]}, " + BATCH + "}", [("out", None)], CHECK),
    Job("parquet_append", "out: {parquet: {path: out/, mode: append}, " + BATCH + "}", [("out", None)], CHECK),
    Job("arrow_file", "out: {arrow: {path: out.arrow}}", [("out.arrow", None)], CHECK),
    Job("arrow_folder", "out: {arrow: {path: out/}, " + BATCH + "}", [("out", None)], CHECK),
    *(Job(f"{kind}_{mode}",
          f"out: {{{kind}: {{path: out.{kind}, table: t, mode: {mode}{', key: [shop, note]' if mode == 'upsert' else ''}}}, "
          f"{BATCH}}}", [(f"out.{kind}", "t")], CHECK)
      for kind in ("sqlite", "duckdb") for mode in ("append", "replace", "upsert")),
    Job("branches", "", [("a.sqlite", "t"), ("b.duckdb", "t"), ("c", None), ("d.csv", None), ("e.sqlite", "t")], whole=f"""\
prepare: [{CHECK}]
branches:
  every:
    store:
      a: {{sqlite: {{path: a.sqlite, table: t}}, {BATCH}}}
      b: {{duckdb: {{path: b.duckdb, table: t}}, {BATCH}}}
  shops:
    group: {{by: [shop]}}
    process: [{{aggregate: {{n: count(*), amount: sum(amount)}}}}, {{sort: [shop]}}]
    store:
      c: {{parquet: {{path: c/, partition: [shop]}}}}
      d: {{csv: {{path: d.csv}}}}
  few:
    from: shops
    prepare: [{{filter: amount > 60000}}]
    store: {{e: {{sqlite: {{path: e.sqlite, table: t, mode: replace}}}}}}
"""),
    Job("stdin", "out: {csv: {path: out.csv}}", [("out.csv", None)], CHECK, data="stdin"),
    Job("refused_by_store", "out: {sqlite: {path: checked.sqlite, table: t}, " + BATCH + "}", [("checked.sqlite", "t")]),
]
# A table that refuses some rows by itself.
CHECKED = "create table t (id integer primary key, shop text, amount integer check (amount < 985), note text, day text)"


def write_rows(path, first, rows, seed):
    """Rows with an id of their own; some amounts are no numbers, some are too large."""
    chance = random.Random(seed)
    with open(path, "w") as file:
        file.write("id,shop,amount,note,day\n")
        for i in range(first, first + rows):
            amount = "many" if i % 701 == 7 else 990 + i % 10 if i % 1009 == 9 else chance.randrange(980)
            file.write(f"{i},{'abcde'[i % 5]},{amount},note {i % 400},2026-01-{i % 28 + 1:02}\n")


def prepare(program, job, folder):
    """A folder in which the job has run once, on other rows: what it replaces, or adds to."""
    (folder / "job.yaml").write_text(job.text())
    with contextlib.closing(sqlite3.connect(folder / "checked.sqlite")) as database:
        database.execute(CHECKED)
        database.commit()
    write_rows(folder / "data.csv", 100000, 50, seed=1)
    program.succeed(folder, "run", "job.yaml", **job.stdin)
    write_rows(folder / "data.csv", 0, ROWS, seed=2)


def result(program, job, folder):
    code, out, err = program.run(folder, "run", "job.yaml", **job.stdin)
    runs = 1
    while code == 1 and runs < MOST_RUNS:
        code, out, err = program.run(folder, "run", "job.yaml", **job.stdin)
        runs += 1
    if code != 0:
        raise AssertionError(f"exit code {code} after {runs} runs; it said\n{err}{out}")
    return contents(program, job, folder)


def contents(program, job, folder):
    found = {path if table is None else f"{path} {table}": multiset(folder / path, table) for path, table in job.found}
    found["rejects"] = program.rejects(folder)
    return found


def trial(arguments):
    """One job, one way of killing it. Returns its name, whether the place was reached, and what went wrong."""
    path, template, job, kills, expected = arguments
    program = Program(path)
    name = f"{job.name}:{' then '.join(kills)}"
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tranche-crash-", dir=toolset.scratch()))
    try:
        shutil.copytree(template, folder, dirs_exist_ok=True)
        reached = [program.kill(folder, "run", "job.yaml", failpoint=kill, **job.stdin) for kill in kills]
        found = result(program, job, folder)
        problems = [f"{what}: {line}" for what in expected for line in difference(expected[what], found[what])]
        problems += [f"left behind: {path}" for path in leftovers(folder, "crash")]
        return name, kills, reached, problems
    except Exception as error:
        return name, kills, [], [f"{type(error).__name__}: {error}"]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def undisturbed(arguments):
    """What an undisturbed run stores, and how often it comes to each failpoint."""
    path, template, job = arguments
    program = Program(path)
    with tempfile.TemporaryDirectory(prefix="tranche-crash-", dir=toolset.scratch()) as folder:
        try:
            template.mkdir()
            prepare(program, job, template)
            shutil.copytree(template, folder, dirs_exist_ok=True)
            reached = program.reached(folder, "run", "job.yaml", **job.stdin)
            found = contents(program, job, pathlib.Path(folder))
            if not found["rejects"] or not all(found.values()):
                raise AssertionError("a store or the rejects are empty: the test would prove nothing")
            left = leftovers(folder, "crash")
            if left:
                raise AssertionError(f"left behind: {', '.join(left)}")
            return job, found, reached, None
        except Exception as error:
            return job, None, None, f"{type(error).__name__}: {error}"


def ways(failpoints, reached, hits, twice):
    """Where to kill: places that the first run comes to, or places of the first and the second."""
    for name in failpoints:
        for hit in range(1, hits + 1):
            at = f"{name}@{hit}" if hit > 1 else name
            if name.startswith(RESUME):
                yield from ((first, at) for first in FIRST_KILLS if reached[first])
            elif reached[name] >= hit:
                yield (at,)
                if twice:
                    yield (at, name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    toolset.add_program(parser)
    parser.add_argument("--hits", type=int, default=1, help="how many hits of each failpoint are tried")
    parser.add_argument("--twice", action="store_true", help="kill the second run at the same place as well")
    parser.add_argument("-k", metavar="JOB[:FAILPOINT]", default="", help="only these")
    parser.add_argument("-j", metavar="N", type=int, default=2, help="trials at a time")
    options = parser.parse_args()
    program = Program(options.program)
    failpoints = program.failpoints()
    wanted_job, _, wanted_place = options.k.partition(":")
    reached, passed, failed = set(), 0, 0
    with tempfile.TemporaryDirectory(prefix="tranche-crash-", dir=toolset.scratch()) as templates, \
            multiprocessing.Pool(options.j) as pool:
        jobs = [job for job in JOBS if wanted_job in job.name]
        starts = [(options.program, pathlib.Path(templates) / job.name, job) for job in jobs]
        trials = []
        for job, expected, met, problem in pool.imap(undisturbed, starts):
            if problem:
                failed += 1
                print(f"FAILED {job.name}: undisturbed\n  {problem}", flush=True)
                continue
            trials += [(options.program, pathlib.Path(templates) / job.name, job, kills, expected)
                       for kills in ways(failpoints, met, options.hits, options.twice) if wanted_place in " ".join(kills)]
        for name, kills, hit, problems in pool.imap_unordered(trial, trials, chunksize=4):
            reached |= {kill.partition("@")[0] for kill, there in zip(kills, hit) if there}
            passed += not problems
            failed += bool(problems)
            if problems:
                print(f"FAILED {name}", *problems, sep="\n  ", flush=True)
    if not options.k:
        for name in sorted(set(failpoints) - reached):
            failed += 1
            print(f"FAILED {name}: no job reaches it")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
