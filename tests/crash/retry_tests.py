#!/usr/bin/env python3
"""`tranche rejects retry`, killed at every durable action that it comes by, then retried: each row is stored exactly once.

    tests/crash/retry_tests.py                 all
    tests/crash/retry_tests.py -k database      those with that in their name
"""
import collections
import json
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
from harness.program import leftovers  # noqa: E402
from harness.suite import main, require, same, test  # noqa: E402

# The step refuses two rows, again; the store refuses five, and by the time of the retry one.
JOB = """\
job: test
collect: {{rows: {{csv: {{path: rows.csv}}}}}}
process: [{{check: {{large: id >= 2}}}}]
store: {{out: {{{store}, batch: {{rows: 2}}}}}}
rejects: 10
"""
RETRY = ("rejects", "retry", "job.yaml")


def rejects_of(place):
    """Without their row: a retry that is resumed goes on with what it has refused itself, as another row of another run."""
    rejects = collections.Counter()
    for text, count in place.program.rejects(place.folder).items():
        reject = json.loads(text)
        del reject["row"]
        rejects[json.dumps(reject, sort_keys=True)] += count
    return rejects


def everywhere(place, prepare, target):
    template = place.again("template")
    prepare(template)
    whole = place.again("whole")
    shutil.copytree(template.folder, whole.folder, dirs_exist_ok=True)
    reached = whole.program.reached(whole.folder, *RETRY)
    require(reached, "no failpoint was reached")
    expected, rejects = whole.multiset(*target), rejects_of(whole)
    kills = 0
    for point, hits in reached.items():
        for hit in range(1, hits + 1):
            for again in ("", "resume.begun", "batch.committed", "run.finished"):
                if again and hit > 1:
                    continue
                case = place.again(f"{point}-{hit}-{again}")
                shutil.copytree(template.folder, case.folder, dirs_exist_ok=True)
                require(case.program.kill(case.folder, *RETRY, failpoint=f"{point}@{hit}"), f"{point}@{hit} was not reached")
                kills += 1
                if again:
                    kills += case.program.kill(case.folder, *RETRY, failpoint=again)
                case.program.succeed(case.folder, *RETRY)
                same(expected, case.multiset(*target), f"{point}@{hit}, {again}: rows")
                same(rejects, rejects_of(case), f"{point}@{hit}, {again}: rejects")
                require(not leftovers(case.folder, "test"), f"{point}@{hit}: {leftovers(case.folder, 'test')}")
                shutil.rmtree(case.folder)
    return f"{kills} kills"


@test
def database(place):
    def prepare(case):
        case.write("job.yaml", JOB.format(store="sqlite: {path: out.db, table: t}"))
        case.rows("rows.csv", range(12))
        case.sqlite("CREATE TABLE t (id INTEGER CHECK (id NOT IN (3, 5, 7, 9, 11)), v TEXT)")
        case.run()
        # Now it takes all but one.
        case.sqlite("ALTER TABLE t RENAME TO old", "CREATE TABLE t (id INTEGER CHECK (id <> 7), v TEXT)",
                    "INSERT INTO t SELECT * FROM old", "DROP TABLE old")
        require(len(case.sqlite("SELECT * FROM t")) == 5 and case.program.rejects(case.folder).total() == 7, "nothing to retry")
    said = everywhere(place, prepare, ("out.db", "t"))
    stored = sorted(row[0] for row in place.sqlite("SELECT id FROM t", name="whole/out.db"))
    require(stored == [2, 3, 4, 5, 6, 8, 9, 10, 11], f"an undisturbed retry stores {stored}")
    return said


if __name__ == "__main__":
    sys.exit(main(__doc__))
