#!/usr/bin/env python3
"""SIGKILL at uniformly random times, again and again until a run gets through: then every store, the rejects and the folder
are as after an undisturbed run.

    tests/crash/soak.py                          200 kills
    tests/crash/soak.py --kills 10000 --seed 7
"""
import argparse
import multiprocessing
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
from harness.program import Program, difference, leftovers, multiset  # noqa: E402

JOB = """\
job: soak
collect: {rows: {csv: {path: rows.csv, types: {amount: integer}}}}
rejects: 10%
prepare: [{check: {small: amount < 950}}]
branches:
  every:
    store:
      a: {sqlite: {path: a.sqlite, table: t}, batch: {rows: 1000}}
      b: {duckdb: {path: b.duckdb, table: t, mode: upsert, key: [id]}, batch: {rows: 1000}}
      c: {parquet: {path: c/}, batch: {rows: 1000}}
      f: {arrow: {path: f/, mode: append}, batch: {rows: 1000}}
  shops:
    group: {by: [shop]}
    process: [{aggregate: {n: count(*), amount: sum(amount)}}]
    store:
      d: {csv: {path: d.csv}}
      e: {sqlite: {path: a.sqlite, table: shops, mode: replace}}
"""
STORED = [("a.sqlite", "t"), ("b.duckdb", "t"), ("c",), ("f",), ("d.csv",), ("a.sqlite", "shops")]
ROWS = 5000
MOST_KILLS = 8  # in a row, before a run is let through


def found(program, folder):
    what = {" ".join(target): multiset(folder / target[0], *target[1:]) for target in STORED}
    return {**what, "rejects": program.rejects(folder)}


def killed(program, folder, seconds):
    """Whether the time was too short for the run to end by itself, well."""
    process = subprocess.Popen([program.path, "run", "job.yaml"], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True, env=toolset.environment(program.path, folder))
    try:
        _, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    if process.returncode != 0:
        raise AssertionError(f"exit code {process.returncode}; it said\n{said}")
    return False


def play(arguments):
    """One folder, from its first run to the one that gets through. Returns its number, its kills and what went wrong."""
    path, template, number, seed, seconds, expected = arguments
    program, chance, kills = Program(path), random.Random(f"{seed} {number}"), 0
    with tempfile.TemporaryDirectory(prefix="tranche-soak-", dir=toolset.scratch()) as place:
        folder = pathlib.Path(place) / "soak"
        shutil.copytree(template, folder)
        try:
            while kills < MOST_KILLS and killed(program, folder, chance.uniform(0, seconds)):
                kills += 1
            if kills == MOST_KILLS:
                program.succeed(folder, "run", "job.yaml")
            what = found(program, folder)
            problems = [f"{name}: {line}" for name in expected for line in difference(expected[name], what[name])]
            return number, kills, problems + [f"left behind: {name}" for name in leftovers(folder, "soak")]
        except Exception as error:
            return number, kills, [f"{type(error).__name__}: {error}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    toolset.add_program(parser)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31), help="of all chance here")
    parser.add_argument("-j", metavar="N", type=int, default=2, help="folders at a time")
    options = parser.parse_args()
    print(f"--seed {options.seed}", flush=True)
    program, kills, failed = Program(options.program), 0, 0
    with tempfile.TemporaryDirectory(prefix="tranche-soak-", dir=toolset.scratch()) as place, \
            multiprocessing.Pool(options.j) as pool:
        template, calm = pathlib.Path(place) / "template", pathlib.Path(place) / "calm"
        template.mkdir()
        (template / "job.yaml").write_text(JOB)
        (template / "rows.csv").write_text("id,shop,amount\n" + "".join(
            f"{i},{i % 17},{'x' if i % 911 == 5 else i % 1000}\n" for i in range(ROWS)))
        shutil.copytree(template, calm)
        begun = time.monotonic()
        program.succeed(calm, "run", "job.yaml")
        seconds = 1.1 * (time.monotonic() - begun)
        expected, number = found(program, calm), 0
        while kills < options.kills and not failed:
            some = [(options.program, template, number + i, options.seed, seconds, expected) for i in range(8 * options.j)]
            number += len(some)
            for played, of_it, problems in pool.imap_unordered(play, some):
                kills += of_it
                failed += bool(problems)
                if problems:
                    print(f"FAILED folder {played} after {of_it} kills", *problems, sep="\n  ", flush=True)
            if number % 800 < len(some):
                print(f"{kills} kills in {number} folders", flush=True)
    print(f"{kills} kills in {number} folders; {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
