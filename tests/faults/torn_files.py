#!/usr/bin/env python3
"""Damages what a killed run has left: state.db, its log, spool segments. Cut at each byte, bits flipped, tails of
zeros, rubbish at the end, written by a newer version. The next run says what is wrong and what to do, or ends with the
right rows.

    tests/faults/torn_files.py               some places of each file, damage and job, by chance
    tests/faults/torn_files.py --all         every byte; --part 3/20: a twentieth of that
    tests/faults/torn_files.py -k sqlite_append:state.db-wal:cut:4096
"""
import argparse
import contextlib
import multiprocessing
import pathlib
import random
import shutil
import sqlite3
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset, trials  # noqa: E402

toolset.use()
import duckdb  # noqa: E402
from harness.program import Program, difference  # noqa: E402

ROWS = 600
# A run that was killed here has left its log, its segments, and a part of its work in the store.
JOBS = {"sqlite_append": "batch.committed@2", "csv_file": "direct.journalled", "parquet_append": "publish.renamed",
        "duckdb_replace": "batch.committed"}
# Each refusal says one of these, after its reason.
HINTS = ("put the right one back", "put it back from a copy", "begin a new run with --again", "begin anew with --again",
         "move it away", "give it up by --again", "or --again: give it up", "finish it there")


def cut(data, at):
    return data[:at]


def flip(data, at):
    return data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1:]


def zeros(data, at):
    return data[:at] + bytes(len(data) - at)


def rubbish(data, at):
    return data + random.Random(at).randbytes(at + 1)


DAMAGES = {"cut": cut, "flip": flip, "zeros": zeros, "rubbish": rubbish}


def places(data, damage):
    """At each byte, but for the zeros that SQLite does not use of a page."""
    if damage == "rubbish":
        return [0, 511, 4095, 8191]
    return [at for at, byte in enumerate(data) if byte]


def files(folder):
    state = folder / ".tranche/trial"
    return [path for path in [state / "state.db", state / "state.db-wal", *sorted((state / "spool").rglob("*.arrow"))]
            if path.exists() and path.stat().st_size > 0]


def judge(program, job, folder, expected):
    """What is wrong with how the next run deals with it; and whether it refused."""
    code, out, err = program.run(folder, "run", "job.yaml", **job.stdin)
    if code == 0:
        found = trials.found(program, job, folder)
        return [f"{what}: {line}" for what in expected for line in difference(expected[what], found[what])], False
    if code not in (1, 2, 3) or not any(hint in err for hint in HINTS):
        return [f"exit code {code}; it said\n{err}{out}"], True
    return [], True


def trial(arguments):
    path, template, job, name, damage, at, expected = arguments
    with tempfile.TemporaryDirectory(prefix="tranche-torn-", dir=toolset.scratch()) as scratch:
        folder = pathlib.Path(scratch) / "place"
        shutil.copytree(template, folder)
        try:
            data = (folder / name).read_bytes()
            (folder / name).write_bytes(DAMAGES[damage](data, at))
            problems, refused = judge(Program(path), job, folder, expected)
        except Exception as error:
            problems, refused = [f"{type(error).__name__}: {error}"], False
        return f"{template.name}:{name.name}:{damage}:{at}", problems, refused


def begin(program, job, kill, place):
    """A folder in which the job was killed, and what it would have ended with."""
    template, killed = place / f"{job.name}-template", place / job.name
    expected = trials.undisturbed(program, job, template, place / f"{job.name}-calm", ROWS)
    shutil.copytree(template, killed)
    if not program.kill(killed, "run", "job.yaml", failpoint=kill, **job.stdin):
        raise AssertionError(f"{job.name} does not come by {kill}")
    if len(files(killed)) < 3:
        raise AssertionError(f"{job.name} has left only {files(killed)}")
    # The same again, when SQLite has moved its log, which has checksums, into its file, which has none.
    moved = place / f"{job.name}-moved"
    shutil.copytree(killed, moved)
    change(moved / ".tranche/trial/state.db", "pragma wal_checkpoint(truncate)")
    return killed, moved, expected


def change(path, sql):
    connect = duckdb.connect if path.suffix == ".duckdb" else sqlite3.connect
    with contextlib.closing(connect(str(path))) as database:
        database.execute(sql)
        database.commit()


def newer_versions(program, job, killed, expected):
    """What a newer Tranche has written is refused by name, and left as it is."""
    with contextlib.closing(sqlite3.connect(str(killed / ".tranche/trial/state.db"))) as state:
        ((version,),) = state.execute("pragma user_version").fetchall()
    newer = [(".tranche/trial/state.db", "pragma user_version = 99", f"pragma user_version = {version}", 1,
              "written by a newer tranche")]
    if job in trials.TABLE_JOBS:
        newer.append((job.found[0][0], "alter table tranche_run add column later integer",
                      "alter table tranche_run drop column later", 2,
                      "'tranche_run' in the target is not the ledger of this version"))
    for name, forth, back, code, words in newer:
        folder = killed.with_name("newer")
        shutil.copytree(killed, folder)
        change(folder / name, forth)
        program.fail(folder, code, words, "run", "job.yaml", **job.stdin)
        change(folder / name, back)
        found = trials.finish(program, job, folder, most_runs=1)
        problems = [line for what in expected for line in difference(expected[what], found[what])]
        if problems:
            raise AssertionError("\n".join([f"{name} was touched although it was refused:", *problems]))
        shutil.rmtree(folder)


def damages(options, chance, template, what):
    for file in what:
        for damage in DAMAGES:
            name = f"{template.name}:{file.name}:{damage}"
            tried = [at for at in places(file.read_bytes(), damage) if options.k in f"{name}:{at}:"]
            if not options.all and len(tried) > options.most:
                tried = chance.sample(tried, options.most)
            yield from ((file.relative_to(template), damage, at) for at in tried)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    toolset.add_program(parser)
    parser.add_argument("--all", action="store_true", help="every byte")
    parser.add_argument("--part", metavar="I/N", default="1/1", help="only the I-th of N parts of what is to be tried")
    parser.add_argument("-k", metavar="JOB:FILE:DAMAGE:AT", default="", help="only these")
    parser.add_argument("-j", metavar="N", type=int, default=2, help="trials at a time")
    parser.add_argument("--most", type=int, default=6, help="of each job, file and damage, unless --all")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31), help="of what is tried")
    options = parser.parse_args()
    print(f"--seed {options.seed}", flush=True)
    part, parts = map(int, options.part.split("/"))
    chance, program, todo = random.Random(options.seed), Program(options.program), []
    with tempfile.TemporaryDirectory(prefix="tranche-torn-", dir=toolset.scratch()) as place, \
            multiprocessing.Pool(options.j) as pool:
        for name, kill in JOBS.items():
            job = trials.JOBS[name]
            killed, moved, expected = begin(program, job, kill, pathlib.Path(place))
            newer_versions(program, job, killed, expected)
            for template, what in ((killed, files(killed)), (moved, files(moved)[:1])):
                todo += [(options.program, template, job, *damage, expected)
                         for damage in damages(options, chance, template, what)]
        random.Random(0).shuffle(todo)  # each part has something of all
        todo, refused, failed = todo[part - 1::parts], 0, 0
        for name, problems, no in pool.imap_unordered(trial, todo, chunksize=4):
            refused += no and not problems
            failed += bool(problems)
            if problems:
                print(f"FAILED {name}", *problems, sep="\n  ", flush=True)
    print(f"{len(todo)} damages: {refused} refused, {len(todo) - refused - failed} did no harm, {failed} failed")
    return 1 if failed or not todo else 0


if __name__ == "__main__":
    sys.exit(main())
