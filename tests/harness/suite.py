"""A program of tests: functions marked with @test, each in a folder of its own, several at a time.

    @test
    def rows_arrive(place):
        place.write("job.yaml", JOB)
        place.run()
        same(expected, place.multiset("out.csv"))

    if __name__ == "__main__":
        sys.exit(main(__doc__))
"""
import argparse
import contextlib
import multiprocessing
import pathlib
import random
import sqlite3
import tempfile
import time

import duckdb

from harness import toolset
from harness.program import Program, difference, multiset

TESTS = {}


def test(function):
    TESTS[function.__name__] = function
    return function


class Place:
    """A folder with one job, and words to play with it."""

    def __init__(self, program, folder, options):
        self.program, self.folder, self.options = program, pathlib.Path(folder), options

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, bytes):
            path.write_bytes(text)
        else:
            path.write_text(text)
        return path

    def rows(self, name, ids, value="v{}"):
        return self.write(name, "id,v\n" + "".join(f"{i},{value.format(i)}\n" for i in ids))

    def sqlite(self, *statements, name="out.db"):
        with contextlib.closing(sqlite3.connect(self.folder / name)) as database:
            found = [database.execute(statement).fetchall() for statement in statements]
            database.commit()
        return found[-1] if found else []

    def duckdb(self, *statements, name="out.duckdb"):
        with duckdb.connect(str(self.folder / name)) as database:
            found = [database.execute(statement).fetchall() for statement in statements]
        return found[-1] if found else []

    def run(self, *arguments, **more):
        return self.program.succeed(self.folder, "run", "job.yaml", *arguments, **more)

    def fails(self, code, message, *arguments, **more):
        self.program.fail(self.folder, code, message, "run", "job.yaml", *arguments, **more)

    def tries(self, *arguments):
        """Exit code and what it said."""
        code, out, err = self.program.run(self.folder, "run", "job.yaml", *arguments)
        return code, err + out

    def kill(self, *failpoints):
        for failpoint in failpoints:
            require(self.program.kill(self.folder, "run", "job.yaml", failpoint=failpoint), f"{failpoint} was not reached")

    def multiset(self, path, table=None):
        return multiset(self.folder / path, table)

    def again(self, name):
        """An empty folder beside, for the next case of the same test."""
        folder = self.folder / name
        folder.mkdir()
        return Place(self.program, folder, self.options)


def require(true, message):
    if not true:
        raise AssertionError(message)


def same(expected, found, what="rows"):
    lines = difference(expected, found)
    require(not lines, "\n  ".join([f"{what} differ:", *lines]))


def run_test(arguments):
    name, options = arguments
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tranche-test-", dir=toolset.scratch()) as folder:
        try:
            said = TESTS[name](Place(Program(options.program), folder, options))
            problem = None
        except Exception as error:
            said, problem = None, str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
    return name, time.monotonic() - begun, problem, said


def main(doc, add_options=None):
    """A test may return a line to be shown behind its name."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    toolset.add_program(parser)
    parser.add_argument("-k", metavar="TEXT", default="", help="only tests with this in their name")
    parser.add_argument("-j", metavar="N", type=int, default=2, help="tests at a time")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31), help="of all chance here")
    if add_options:
        add_options(parser)
    options = parser.parse_args()
    names = [name for name in reversed(TESTS) if options.k in name]  # the long ones first
    failed = 0
    print(f"--seed {options.seed}", flush=True)
    with multiprocessing.Pool(options.j) as pool:
        for name, seconds, problem, said in pool.imap_unordered(run_test, [(name, options) for name in names]):
            failed += problem is not None
            print(f"{'FAILED' if problem else 'ok    '} {name} ({seconds:.1f} s)", *([problem or said] if problem or said else []),
                  sep="\n  ", flush=True)
    print(f"{len(names) - failed} passed, {failed} failed")
    return 1 if failed or not names else 0
