#!/usr/bin/env python3
"""What durability costs: a run syncs two files a batch where it writes files (the part and its line in the journal),
one where it writes to a database (that of the database's own commit; and once a second at most, state.db notes how far
it has come: that is not counted here, for it depends on the clock).

    tests/faults/sync_counts.py -k parquet_folder
"""
import argparse
import dataclasses
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset, trials  # noqa: E402

toolset.use()
from harness.faulty_io import FaultyIo  # noqa: E402
from harness.program import Program  # noqa: E402

BATCH = 500
TABLES = {job.name for job in trials.TABLE_JOBS}
# Syncs a batch; a partitioned batch has a part in each of five folders.
COSTS = {"csv_folder": 2, "json_folder": 2, "parquet_folder": 2, "parquet_append": 2, "arrow_folder": 2,
         "parquet_partitioned": 6, "sqlite_append": 1, "sqlite_upsert": 1, "duckdb_append": 1, "duckdb_upsert": 1}


def syncs(program, library, job, batches):
    with tempfile.TemporaryDirectory(prefix="tranche-syncs-", dir=toolset.scratch()) as place:
        folder, faulty = pathlib.Path(place) / "place", FaultyIo(library, place)
        trials.prepare(program, job, folder, batches * BATCH)
        # One at a time: two that need the same new folder both sync it.
        text = (folder / "job.yaml").read_text()
        (folder / "job.yaml").write_text(text.replace("batch: {", "batch: {parallel: 1, "))
        program.succeed(folder, "run", "job.yaml", **job.stdin, **faulty.environment(folder))
        left_out = "state.db-wal" if job.name in TABLES else "nothing"
        return sum(call.operation == "sync" and not call.path.endswith(left_out) for call in faulty.calls())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    toolset.add_program(parser)
    parser.add_argument("--library", required=True, help="libfaulty_io.so")
    parser.add_argument("-k", metavar="JOB", default="", help="only these")
    options = parser.parse_args()
    program, failed, few, many = Program(options.program), 0, 4, 10
    for name, cost in COSTS.items():
        if options.k not in name:
            continue
        job = dataclasses.replace(trials.JOBS[name], rejects=100)
        once, more = (syncs(program, options.library, job, batches) for batches in (few, many))
        failed += more - once != cost * (many - few)
        print(f"{'ok    ' if more - once == cost * (many - few) else 'FAILED'} {name}: "
              f"{(more - once) / (many - few):g} syncs a batch, {cost} are allowed", flush=True)
    print(f"{failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
