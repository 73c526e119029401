#!/usr/bin/env python3
"""Kills the program at every failpoint, for every kind of store, and compares what a second run makes of it with an
undisturbed run: the rows of every store, the rejects, the names of files and the exit code must be the same.

    tests/crash/crash_suite.py                  each failpoint at its first hit; those of recovery in the second run
    tests/crash/crash_suite.py --hits 3         at its second and third too
    tests/crash/crash_suite.py --twice          the second run is killed too: at the same place, and at every other
    tests/crash/crash_suite.py --twice --part 2/9
    tests/crash/crash_suite.py -k sqlite_upsert:batch.committed
"""
import argparse
import collections
import multiprocessing
import pathlib
import random
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset, trials  # noqa: E402

toolset.use()
from harness.program import Program, difference  # noqa: E402

JOBS = ("csv_direct", "csv_file", "json_file", "json_compressed", "parquet_direct", "parquet_folder",
        "parquet_partitioned", "parquet_append", "arrow_file", "arrow_folder", "sqlite_append", "sqlite_replace",
        "sqlite_upsert", "duckdb_append", "duckdb_replace", "duckdb_upsert", *(job.name for job in trials.CHANGE_JOBS), "branches",
        "stdin", "refused_by_store")
# What only a second run meets, and where the first one is killed for it.
RESUME = ("resume.",)
FIRST_KILLS = ("segment.recorded", "store.opened", "batch.committed", "part.journalled", "direct.journalled",
               "publish.renamed")


def trial(arguments):
    """One job, one way of killing it. Returns its name, whether the place was reached, and what went wrong."""
    path, template, job, kills, expected = arguments
    program = Program(path)
    name = f"{job.name}:{' then '.join(kills)}"
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tranche-crash-", dir=toolset.scratch()))
    try:
        shutil.copytree(template, folder, dirs_exist_ok=True)
        reached = [program.kill(folder, "run", "job.yaml", failpoint=kill, **job.stdin) for kill in kills]
        found = trials.finish(program, job, folder)
        problems = [f"{what}: {line}" for what in expected for line in difference(expected[what], found[what])]
        return name, kills, reached, problems
    except Exception as error:
        return name, kills, [], [f"{type(error).__name__}: {error}"]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def undisturbed(arguments):
    """What an undisturbed run stores, and how often it comes to each failpoint."""
    path, template, job = arguments
    program = Program(path)
    with tempfile.TemporaryDirectory(prefix="tranche-crash-", dir=toolset.scratch()) as scratch:
        try:
            expected = trials.undisturbed(program, job, template, pathlib.Path(scratch) / "calm")
            folder = pathlib.Path(scratch) / "told"
            shutil.copytree(template, folder)
            return job, expected, program.reached(folder, "run", "job.yaml", **job.stdin), None
        except Exception as error:
            return job, None, None, f"{type(error).__name__}: {error}"


def ways(failpoints, reached, hits, twice):
    """Where to kill: places that the first run comes to, or places of the first and the second."""
    for name in failpoints:
        for hit in range(1, hits + 1):
            at = f"{name}@{hit}" if hit > 1 else name
            if name.startswith(RESUME) or twice:
                yield from ((first, at) for first in FIRST_KILLS if reached[first])
            if reached[name] >= hit:
                yield (at,)
                if twice and name not in FIRST_KILLS:
                    yield (at, name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    toolset.add_program(parser)
    parser.add_argument("--hits", type=int, default=1, help="how many hits of each failpoint are tried")
    parser.add_argument("--twice", action="store_true", help="kill the second run as well")
    parser.add_argument("--part", metavar="I/N", default="1/1", help="only the I-th of N parts")
    parser.add_argument("-k", metavar="JOB[:FAILPOINT]", default="", help="only these")
    parser.add_argument("-j", metavar="N", type=int, default=2, help="trials at a time")
    options = parser.parse_args()
    program = Program(options.program)
    failpoints = program.failpoints()
    wanted_job, _, wanted_place = options.k.partition(":")
    part, parts = map(int, options.part.split("/"))
    reached, passed, failed = collections.Counter(), 0, 0
    with tempfile.TemporaryDirectory(prefix="tranche-crash-", dir=toolset.scratch()) as templates, \
            multiprocessing.Pool(options.j) as pool:
        jobs = [job for name, job in trials.JOBS.items() if name in JOBS and wanted_job in name]
        starts = [(options.program, pathlib.Path(templates) / job.name, job) for job in jobs]
        todo = []
        for job, expected, met, problem in pool.imap(undisturbed, starts):
            if problem:
                failed += 1
                print(f"FAILED {job.name}: undisturbed\n  {problem}", flush=True)
                continue
            todo += [(options.program, pathlib.Path(templates) / job.name, job, kills, expected)
                     for kills in ways(failpoints, met, options.hits, options.twice) if wanted_place in " ".join(kills)]
        random.Random(0).shuffle(todo)  # each part has something of all
        for name, kills, hit, problems in pool.imap_unordered(trial, todo[part - 1::parts], chunksize=4):
            reached.update((run, kill.partition("@")[0]) for run, (kill, there) in enumerate(zip(kills, hit)) if there)
            passed += not problems
            failed += bool(problems)
            if problems:
                print(f"FAILED {name}", *problems, sep="\n  ", flush=True)
    if not options.k and parts == 1:
        elsewhere = {"replace.renamed", "segment.dropped"}  # mariadb_test.py, streamed_tests.py
        for name in sorted(set(failpoints) - {name for _, name in reached} - elsewhere):
            failed += 1
            print(f"FAILED {name}: no job reaches it")
    second = [name for run, name in reached if run]
    print(f"{passed} passed, {failed} failed; {reached.total()} kills, those of second runs at {len(second)} failpoints")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
