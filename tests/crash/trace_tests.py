#!/usr/bin/env python3
"""A run with `--keep-batches`, killed at every durable action that it comes by and resumed without the flag: `tranche
trace` says the same of its rows as after a run that nobody disturbed.

    tests/crash/trace_tests.py                 all
    tests/crash/trace_tests.py -k one_file     those with that in their name
"""
import collections
import json
import pathlib
import re
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
from harness.program import leftovers  # noqa: E402
from harness.suite import main, require, same, test  # noqa: E402

JOB = """\
job: test
collect: {{rows: {{csv: {{path: rows.csv}}}}}}
process: [{{check: {{large: id >= 2}}}}]
store: {{{stores}}}
rejects: 10
"""
RUN = ("run", "-q", "job.yaml")
# Which parts of a folder a batch makes, and so its name, is not what is promised; when, and in which start, differs.
CHANGES = re.compile(r'"(committed|started|finished|run_id|epoch)":("[^"]*"|\d+)|part-[0-9a-f]{8}')


def said_of(case, ids):
    said = []
    for row in ids:
        out = case.program.succeed(case.folder, "trace", "job.yaml", f"id={row}", "--json")
        said += [CHANGES.sub("", line).replace(str(case.folder), ".") for line in out.splitlines()]
    return collections.Counter(said)


def everywhere(place, stores):
    template = place.again("template")
    template.write("job.yaml", JOB.format(stores=stores))
    template.rows("rows.csv", range(12))
    whole = place.again("whole")
    shutil.copytree(template.folder, whole.folder, dirs_exist_ok=True)
    reached = whole.program.reached(whole.folder, *RUN, "--keep-batches")
    wanted = said_of(whole, (0, 5, 11))
    fates = {json.loads(out)["fate"] for row in (0, 5, 11)
             for out in whole.program.succeed(whole.folder, "trace", "job.yaml", f"id={row}", "--json").splitlines()}
    require({"stored", "rejected"} <= fates, f"what is said is only {fates}")
    kills = 0
    for point, hits in reached.items():
        for hit in {1, hits}:
            case = place.again(f"{point}-{hit}")
            shutil.copytree(template.folder, case.folder, dirs_exist_ok=True)
            kills += case.program.kill(case.folder, *RUN, "--keep-batches", failpoint=f"{point}@{hit}")
            case.program.succeed(case.folder, *RUN)
            same(wanted, said_of(case, (0, 5, 11)), f"{point}@{hit}")
            require(not leftovers(case.folder, "test"), f"{point}@{hit}: {leftovers(case.folder, 'test')}")
            shutil.rmtree(case.folder)
    require(kills > 15, f"only {kills} kills")
    return f"{kills} kills"


@test
def databases_and_a_folder(place):
    return everywhere(place, "one: {sqlite: {path: out.db, table: t, mode: upsert, key: [id]}, batch: {rows: 4}}, "
                             "two: {csv: {path: out/}, batch: {rows: 4}}, three: {duckdb: {path: out.duckdb, table: t}}")


@test
def one_file(place):
    return everywhere(place, "out: {csv: {path: out.csv}}")


if __name__ == "__main__":
    sys.exit(main(__doc__))
