#!/usr/bin/env python3
"""Makes one call of the operating system fail after the other: the run must end with a message that names the file and
the reason, or do its work all the same; and the next run must finish it as if nothing had happened. A sync that has
failed is never taken for success later: what was written before it is gone then, as with Linux, and would be missed.

    tests/faults/io_faults.py                   EIO at the calls that change something, one job a kind of store, and full and dead disks
    tests/faults/io_faults.py --all             all jobs, reads too, full disks, dead disks, short counts
    tests/faults/io_faults.py --all --part 3/99
    tests/faults/io_faults.py -k sqlite_upsert:sync:3:EIO
"""
import argparse
import collections
import multiprocessing
import os
import pathlib
import random
import re
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset, trials  # noqa: E402

toolset.use()
from harness.faulty_io import FaultyIo  # noqa: E402
from harness.program import Program, difference  # noqa: E402

ROWS = 600
FEW = ("csv_direct", "json_file", "parquet_append", "arrow_folder", "sqlite_upsert", "duckdb_replace")
MOST = {"csv_direct", "csv_file", "parquet_folder", "parquet_append", "parquet_partitioned", "json_file", "arrow_file",
        *(job.name for job in trials.TABLE_JOBS), "branches", "refused_by_store"}
CHANGES = ("open", "write", "sync", "rename", "unlink", "mkdir", "truncate")
# Once, and from there on: a disk that is full stays full, one that is dead stays dead.
FAULTS = {"EIO": (*CHANGES, "read"), "ENOSPC": ("open", "write", "sync", "rename", "mkdir", "truncate"),
          "short": ("write", "read")}
LASTING = {"EIO": ("write,sync,truncate", "sync"), "ENOSPC": ("write,mkdir,truncate",)}
REASONS = {"EIO": "Input/output error", "ENOSPC": "No space left on device"}


def rules(calls, every):
    """Each call, as many as an undisturbed run made and a few more: threads do not always come in the same order."""
    paths = collections.defaultdict(list)
    for call in calls:
        paths[call.operation].append(call.path)
    for fault, kinds in FAULTS.items():
        for kind in kinds if every else CHANGES if fault == "EIO" else ():
            for n, path in enumerate([*paths[kind], "", "", ""], 1):
                # A log of SQLite is written in many small pieces, all by the same lines of its code.
                if every or kind != "write" or n % 4 == 1 or not path.endswith("-wal"):
                    yield f"{kind}:{n}:{fault}"
    for fault, combined in LASTING.items():
        for kinds in combined:
            last = sum(len(paths[kind]) for kind in kinds.split(","))
            yield from (f"{kinds}:{n}+:{fault}" for n in range(1, last + 1, 3 if every else 12))


# What SQLite and DuckDB say where they keep the reason to themselves.
SILENT = ("unable to open database file", "attempt to write a readonly database", "fsync failed", "database has been invalidated")


def names_it(said, path, fault):
    """Whether a message names the file and the reason. SQLite and DuckDB speak of the database, whichever file it was."""
    name = re.sub(r"-(wal|shm|journal)$|(?<=duckdb)\.wal$", "", path)
    named = any(os.path.basename(part) in said for part in (name, os.path.dirname(name)))
    return named and any(reason in said for reason in (REASONS.get(fault, path), *SILENT))


def judge(program, job, folder, rule, faulty, expected):
    """Problems, and whether the fault came to be."""
    fault = rule.split(":")[2]
    code, out, err = program.run(folder, "run", "job.yaml", **job.stdin, **faulty.environment(folder, rule))
    fired = [call for call in faulty.calls() if call.failed]
    if not fired:
        if code != 0:
            return [f"exit code {code} without a fault; it said\n{err}{out}"], False
        return [], False
    problems = []
    if code not in (0, 1) and (code != 2 or "begins" in err):  # 2: nothing has run
        problems.append(f"exit code {code}; it said\n{err}{out}")
    if code in (1, 2) and not any(names_it(err, call.path, fault) for call in fired):
        problems.append(f"{fired[0].path} had {fault}, which the message does not say\n{err}{out}")
    if code == 0:
        found = trials.found(program, job, folder)
    else:
        found = trials.finish(program, job, folder, most_runs=1)
    problems += [f"{what}: {line}" for what in expected for line in difference(expected[what], found[what])]
    return problems, True


def trial(arguments):
    path, library, template, job, rule, expected = arguments
    with tempfile.TemporaryDirectory(prefix="tranche-faults-") as scratch:
        folder = pathlib.Path(scratch).resolve() / "place"
        shutil.copytree(template, folder)
        try:
            return job.name, rule, *judge(Program(path), job, folder, rule, FaultyIo(library, scratch), expected)
        except Exception as error:
            return job.name, rule, [f"{type(error).__name__}: {error}"], True


def begin(arguments):
    """An undisturbed run: what it ends with, and the calls it makes."""
    path, library, template, job = arguments
    with tempfile.TemporaryDirectory(prefix="tranche-faults-") as scratch:
        folder, faulty, program = pathlib.Path(scratch).resolve() / "place", FaultyIo(library, scratch), Program(path)
        expected = trials.undisturbed(program, job, template, folder, ROWS)
        shutil.rmtree(folder)
        shutil.copytree(template, folder)
        program.succeed(folder, "run", "job.yaml", **job.stdin, **faulty.environment(folder))
        return job, expected, faulty.calls()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    toolset.add_program(parser)
    parser.add_argument("--library", required=True, help="libfaulty_io.so")
    parser.add_argument("--all", action="store_true", help="every job, every kind of fault")
    parser.add_argument("-k", metavar="JOB[:RULE]", default="", help="only these")
    parser.add_argument("--part", metavar="I/N", default="1/1", help="only the I-th of N parts")
    parser.add_argument("-j", metavar="N", type=int, default=2, help="trials at a time")
    options = parser.parse_args()
    if not os.path.exists(options.library):
        parser.error(f"there is no {options.library}: build it first")
    wanted_job, _, wanted_rule = options.k.partition(":")
    every = options.all or bool(wanted_rule)
    jobs = [job for name, job in trials.JOBS.items() if name in (MOST if every else FEW) and wanted_job in name]
    tempfile.tempdir = toolset.scratch()
    done, fired, syncs, failed = 0, collections.Counter(), 0, 0
    with tempfile.TemporaryDirectory(prefix="tranche-faults-templates-") as templates, multiprocessing.Pool(options.j) as pool:
        starts = [(options.program, options.library, pathlib.Path(templates) / job.name, job) for job in jobs]
        todo = []
        for start, (job, expected, calls) in zip(starts, pool.map(begin, starts)):
            todo += [(*start, rule, expected) for rule in rules(calls, every) if wanted_rule in rule]
        random.Random(0).shuffle(todo)  # a run that is stopped early has seen something of all
        part, parts = map(int, options.part.split("/"))
        todo = todo[part - 1::parts]
        for name, rule, problems, there in pool.imap_unordered(trial, todo, chunksize=4):
            done += 1
            fired[name] += there
            syncs += there and "sync" in rule
            failed += bool(problems)
            if problems:
                print(f"FAILED {name}:{rule}", *problems, sep="\n  ", flush=True)
            if done % 1000 == 0:
                print(f"{done} of {len(todo)} runs", flush=True)
    for job in jobs if parts == 1 else ():
        if not fired[job.name]:
            failed += 1
            print(f"FAILED {job.name}: no fault came to be: the library is not at work")
    print(f"{done} runs, a fault in {fired.total()}, a failed sync in {syncs}; {failed} failed")
    return 1 if failed or not done else 0


if __name__ == "__main__":
    sys.exit(main())
