#!/usr/bin/env python3
"""`memory:` is a promise: with an input of several times as much, every run completes under memory + 150 MiB and gives
the rows that DuckDB, unlimited, makes of the same input. A memory cgroup of that size kills what needs more; where
there is none, the peak of the resident memory is looked at alone, and the test says so.

    tests/memory/peak_memory.py               some cases; inputs of 4 times 128 MiB
    tests/memory/peak_memory.py --times 10 --memory 256 --all     every case, larger
    tests/memory/peak_memory.py -k sort       cases with that in their name
"""
import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
from harness.program import Program  # noqa: E402

SLACK, SECONDS = 150 << 20, 240
NARROW = "SELECT i AS id, hash(i) % 1000 AS k, (hash(i * 7) % 1000000) / 100.0 AS amount, " \
         "repeat(md5(i::VARCHAR), 3) AS a, md5((i + 1)::VARCHAR) || md5((i + 2)::VARCHAR) AS b"
WIDE = "SELECT i AS id, repeat(md5(i::VARCHAR), 64) AS a, repeat(md5((i + 1)::VARCHAR), 64) AS b"
COLUMNS = "SELECT i AS id, " + ", ".join(f"hash(i * {j}) % 100000000 AS c{j}" for j in range(1, 500))
# Rows of about 200 bytes, 4 KiB, and 500 columns; the number of rows for one MiB of CSV.
INPUTS = {
    "rows.csv": (5500, NARROW, "(HEADER)"),
    "rows.parquet": (5500, NARROW, "one group"),  # all rows; pages of a few MiB
    "wide.csv": (256, WIDE, "(HEADER)"),
    "columns.csv": (220, COLUMNS, "(HEADER)"),
}
SPOOLED = "prepare: [{check: {any: id >= 0}}]"
# Input, the rest of the job, what it stores, and the same as a query of DuckDB over INPUT.
CASES = {
    "csv_to_csv": ("rows.csv", "", "csv: {path: out.csv}", "SELECT * FROM INPUT"),
    "one_row_group_to_json": ("rows.parquet", "", "json: {path: out.ndjson}", "SELECT * FROM INPUT"),
    "sort": ("rows.csv", "prepare: [{sort: [a, id]}]", "csv: {path: out.csv}", "SELECT * FROM INPUT"),
    "sort_to_parquet": ("rows.parquet", "prepare: [{sort: [a, id]}]", "parquet: {path: out.parquet}",
                        "SELECT * FROM INPUT"),
    "as_many_groups_as_rows": ("rows.csv", "group: {by: [a]}\nprocess: [{aggregate: {n: count(*), most: max(amount)}}]",
                               "csv: {path: out.csv}",
                               "SELECT a, count(*) AS n, max(amount) AS most FROM INPUT GROUP BY a"),
    "spool_to_sqlite": ("rows.csv", SPOOLED, "sqlite: {path: out.db, table: t}", "SELECT * FROM INPUT"),
    "spool_to_parquet_folder": ("rows.parquet", SPOOLED, "parquet: {path: out/}", "SELECT * FROM INPUT"),
    "wide_rows_to_parquet": ("wide.csv", "", "parquet: {path: out.parquet}", "SELECT * FROM INPUT"),
    "wide_rows_to_sqlite": ("wide.csv", SPOOLED, "sqlite: {path: out.db, table: t}", "SELECT * FROM INPUT"),
    "many_columns_to_csv": ("columns.csv", "", "csv: {path: out.csv}", "SELECT * FROM INPUT"),
}
SHORT = ("csv_to_csv", "one_row_group_to_json", "sort", "as_many_groups_as_rows", "spool_to_sqlite",
         "wide_rows_to_parquet")

MAKE = """
import duckdb, pyarrow.parquet, sys
query, path, form = sys.argv[1:]
database = duckdb.connect()
database.sql("SET threads = 2")
if form == "one group":
    rows = database.sql(query).to_arrow_table()
    pyarrow.parquet.write_table(rows, path, row_group_size=len(rows), use_dictionary=False, compression="none")
else:
    database.sql(f"COPY ({query}) TO '{path}' {form}")
"""
# Count and sum of the hashes of the rows, as text; a table of SQLite is read by Python's own module.
SUM = """
import duckdb, json, sqlite3, sys, pyarrow
source, names, order = sys.argv[1:]
database = duckdb.connect()
database.sql("SET threads = 2")
if source.endswith(".db"):
    columns = json.loads(names)
    cursor = sqlite3.connect(source).execute("SELECT " + ", ".join(columns) + " FROM t")
    count = total = 0
    while rows := cursor.fetchmany(100000):
        part = pyarrow.table({name: list(values) for name, values in zip(columns, zip(*rows))})
        texts = ", ".join(f"{name}::VARCHAR" for name in columns)
        some = database.sql(f"SELECT count(*), sum(hash({texts})) FROM part").fetchone()
        count, total = count + some[0], total + some[1]
    print(json.dumps([columns, count, str(total), 0]))
    sys.exit()
relation = database.sql(source)
columns = relation.columns
hashed = ", ".join(f'"{c}"::VARCHAR' for c in columns)
count, total = database.sql(f"SELECT count(*), sum(hash({hashed})) FROM ({source})").fetchone()
wrong = 0
if order:
    wrong = database.sql(f"SELECT count(*) FROM (SELECT {order} < lag({order}) OVER () AS wrong FROM ({source})) "
                         "WHERE wrong").fetchone()[0]
print(json.dumps([columns, count, str(total), wrong]))
"""


def python(code, *arguments):
    """In a process of its own: what this one holds would count as the peak of those that it starts."""
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return done.stdout.splitlines()[-1] if done.stdout else ""  # before it, there may be a bar of progress


@contextlib.contextmanager
def cgroup(limit):
    """A memory cgroup, version 2 or 1, or None and why not."""
    root = pathlib.Path("/sys/fs/cgroup")
    second = (root / "cgroup.controllers").exists()
    folder = (root if second else root / "memory") / f"tranche-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        yield None, str(error)
        return
    try:
        limits = folder / ("memory.max" if second else "memory.limit_in_bytes")
        if not limits.exists():
            yield None, f"{folder} has no controller of memory"
            return
        limits.write_text(str(limit))
        yield folder, ""
    except OSError as error:
        yield None, str(error)
    finally:
        folder.rmdir()


def measured(program, folder, group):
    """Exit code, what it said, and the peak of its resident memory."""
    enter = f"echo $$ > {group}/cgroup.procs && " if group else ""
    with open(folder / "said", "w+") as said:
        process = subprocess.Popen(["/bin/sh", "-c", f"{enter}exec {program.path} run job.yaml"], cwd=folder,
                                   stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                                   env=toolset.environment(program.path, folder))
        until = time.monotonic() + SECONDS
        while True:
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                process.returncode = os.waitstatus_to_exitcode(status)
                break
            if time.monotonic() > until:
                process.kill()
            time.sleep(0.05)
        said.seek(0)
        return process.returncode, said.read(), usage.ru_maxrss << 10


def play(program, place, name, memory, group):
    source, rest, store, query = CASES[name]
    with tempfile.TemporaryDirectory(prefix="case-", dir=place) as folder:
        folder = pathlib.Path(folder)
        kind = "parquet" if source.endswith(".parquet") else "csv"
        (folder / "job.yaml").write_text(
            f"job: memory\ncollect: {{rows: {{{kind}: {{path: {place / source}}}}}}}\n{rest}\n"
            f"store: {{out: {{{store}}}}}\nrun: {{memory: {memory >> 20}MiB}}\n")
        code, said, peak = measured(program, folder, group)
        if code != 0:
            why = " (killed: it needed more, or too long)" if code == -9 else ""
            return peak, [f"exit code {code}{why}; it said", *said.splitlines()]
        problems = []
        if peak > memory + SLACK:
            problems.append(f"its peak was {peak >> 20} MiB, the promise is {memory + SLACK >> 20}")
        wanted = json.loads(python(SUM, query.replace("INPUT", f"'{place / source}'"), "", ""))
        out = folder / store.split("path: ")[1].split(",")[0].split("}")[0]
        stored = out if out.suffix == ".db" else f"FROM '{out}{'/*.parquet' if out.is_dir() else ''}'"
        found = json.loads(python(SUM, stored, json.dumps(wanted[0]), "a" if "sort" in name else ""))
        if found != wanted:
            problems.append(f"columns, rows, sum of hashes, rows in wrong order: {found} instead of {wanted}")
        return peak, problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    toolset.add_program(parser)
    parser.add_argument("-k", metavar="TEXT", default="", help="only cases with this in their name")
    parser.add_argument("--memory", type=int, default=128, help="MiB")
    parser.add_argument("--times", type=float, default=4, help="the inputs, as a multiple of memory")
    parser.add_argument("--all", action="store_true", help="every case, and not only the short ones")
    options = parser.parse_args()
    program, memory, failed, played = Program(options.program), options.memory << 20, 0, 0
    names = [name for name in (CASES if options.all or options.k else SHORT) if options.k in name]
    # Not in /dev/shm: its pages would count as memory of the run.
    with tempfile.TemporaryDirectory(prefix="tranche-memory-") as place, cgroup(memory + SLACK) as (group, why):
        place = pathlib.Path(place)
        if group is None:
            print(f"skipped: no memory cgroup here ({why}): the peak of resident memory is looked at alone", flush=True)
        for source in INPUTS:
            if not any(CASES[name][0] == source for name in names):
                continue
            rows, query, form = INPUTS[source]
            count = int(rows * options.memory * options.times)
            python(MAKE, f"{query} FROM range({count}) t(i)", place / source, form)
            print(f"{source}: {(place / source).stat().st_size >> 20} MiB, memory: {options.memory} MiB", flush=True)
            for name in names:
                if CASES[name][0] != source:
                    continue
                begun = time.monotonic()
                peak, problems = play(program, place, name, memory, group)
                played += 1
                failed += bool(problems)
                word, seconds = "FAILED" if problems else "ok    ", time.monotonic() - begun
                print(f"{word} {name}: peak {peak >> 20} MiB ({seconds:.1f} s)", *problems, sep="\n  ", flush=True)
            (place / source).unlink()
    print(f"{played - failed} passed, {failed} failed")
    return 1 if failed or not played else 0


if __name__ == "__main__":
    sys.exit(main())
