"""Runs the tests of a program against one database server: functions of the program, the server and the options that were given.

    TESTS = (rows_arrive, ...)

    if __name__ == "__main__":
        sys.exit(main(__doc__, TESTS, Postgres))
"""
import argparse
import random
import time
import traceback

from harness import toolset
from harness.program import Program


def main(doc, tests, start, add_options=None):
    """A test takes (program, server), or (program, server, options); it may return a line to be shown behind its name. Where `start`
    is a map of servers by name, --server chooses."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    toolset.add_program(parser)
    parser.add_argument("-k", metavar="TEXT", default="", help="only tests with this in their name")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31), help="of all chance here")
    if isinstance(start, dict):
        parser.add_argument("--server", choices=sorted(start), default="postgres")
    if add_options:
        add_options(parser)
    options = parser.parse_args()
    if isinstance(start, dict):
        start = start[options.server]
    program = Program(options.program)
    passed = failed = 0
    print(f"--seed {options.seed}", flush=True)
    with start() as server:
        for test in tests:
            if options.k not in test.__name__:
                continue
            begun = time.monotonic()
            try:
                said = test(*(program, server, options)[:test.__code__.co_argcount])
                passed += 1
                print(f"ok {test.__name__} ({time.monotonic() - begun:.1f} s){f': {said}' if said else ''}", flush=True)
            except Exception as error:
                failed += 1
                print(f"FAILED {test.__name__}\n  {error}", flush=True)
                if not isinstance(error, AssertionError):
                    traceback.print_exc()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0
