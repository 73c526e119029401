"""Small jobs of every kind of store, for tests that disturb a run and compare what the next one makes of it.

    prepare(program, job, folder)               # the folder, in which the job has run once, on other rows
    ...                                         # disturb `run job.yaml` in it
    expected == finish(program, job, folder)    # rows of every store, rejects, names of files
"""
import collections
import contextlib
import dataclasses
import pathlib
import random
import re
import shutil
import sqlite3

import duckdb
from harness.program import leftovers, multiset

MOST_RUNS = 6


@dataclasses.dataclass
class Job:
    name: str
    store: str                            # one or several lines under `store:`
    found: list[tuple[str, str | None]]   # what it stores: path and table
    steps: str = ""
    rejects: int = 10
    whole: str = ""                       # the rest of the job, instead of `steps` and `store`
    made: str = ""                        # SQL: what is in the database `found` first, before the first run
    data: str = "data*.csv"

    @property
    def stdin(self):
        return {"stdin": "data.csv"} if self.data == "stdin" else {}

    def text(self, settings=""):
        body = self.whole or f"prepare: [{self.steps}]\nstore:\n  {self.store}\n"
        return (f"job: trial\n"
                f"collect: {{rows: {{csv: {{path: '{self.data}', types: {{amount: integer}}}}}}}}\n"
                f"rejects: {self.rejects}\n{body}{settings}")


BATCH = "batch: {rows: 500}"
# Three rows break the first rule; those that are no numbers are refused by the reader.
CHECK = "{check: {small: amount < 990}}"


def file_job(kind, shape):
    options = {"file": f"path: out.{kind}", "folder": "path: out/", "append": "path: out/, mode: append",
               "partitioned": "path: out/, partition: [shop]"}["file" if shape == "direct" else shape]
    found = f"out.{kind}" if shape in ("file", "direct") else "out"
    return Job(f"{kind}_{shape}", f"out: {{{kind}: {{{options}}}, {BATCH}}}", [(found, None)], "" if shape == "direct" else CHECK)


def table_job(kind, mode):
    key = ", key: [shop, note]" if mode == "upsert" else ""
    return Job(f"{kind}_{mode}", f"out: {{{kind}: {{path: out.{kind}, table: t, mode: {mode}{key}}}, {BATCH}}}",
               [(f"out.{kind}", "t")], CHECK)


# What is there before: every second row, and some that no input has. `key` is a column of the rows, `op` says what to do.
SEEDED = """create table t (id integer primary key, shop varchar, amount integer, note varchar, day varchar);
insert into t with recursive r(i) as (select 0 union all select i + 2 from r where i < 3600) select i, 'z', i, 'seeded', 'never' from r"""
KEYED = "{derive: {key: id % 400, op: \"case when id % 11 < 4 then 'S' when id % 11 < 7 then 'U' when id % 11 < 9 then 'D' else 'I' end\"}}"


def change_jobs(kind):
    def job(mode, options, found=(), **more):
        store = f"out: {{{kind}: {{path: out.{kind}, table: t, {options}}}, {BATCH}}}"
        return Job(f"{kind}_{mode}", store, [(f"out.{kind}", table) for table in ("t", *found)], **({"steps": CHECK} | more))

    return [job("update", "mode: update, key: [id]", made=SEEDED),
            job("delete", "mode: delete, key: [id]", made=SEEDED),
            job("changes", "key: [key], mode: {column: op, insert: [I], update: [U], upsert: [S], delete: [D]}",
                steps=f"{CHECK}, {KEYED}", rejects=3000),
            job("evolve", "columns: evolve, before: insert into log values ('before'), after: [insert into log values ('after')]",
                made="create table t (id integer); create table log (what varchar)", found=["log"])]


FILE_JOBS = [file_job(kind, shape) for kind in ("csv", "json", "parquet", "arrow")
             for shape in ("direct", "file", "folder", "append", "partitioned") if (kind, shape) != ("arrow", "partitioned")]
TABLE_JOBS = [table_job(kind, mode) for kind in ("sqlite", "duckdb") for mode in ("append", "replace", "upsert")]
CHANGE_JOBS = [job for kind in ("sqlite", "duckdb") for job in change_jobs(kind)]
# A table that refuses some rows by itself.
CHECKED = "create table t (id integer primary key, shop text, amount integer check (amount < 985), note text, day text)"
OTHER_JOBS = [
    Job("json_compressed", "out: {json: {path: out.ndjson.gz}}", [("out.ndjson.gz", None)]),
    Job("branches", "", [("a.sqlite", "t"), ("b.duckdb", "t"), ("c", None), ("d.csv", None), ("e.sqlite", "t")], whole=f"""\
prepare: [{CHECK}]
branches:
  every:
    store:
      a: {{sqlite: {{path: a.sqlite, table: t}}, {BATCH}}}
      b: {{duckdb: {{path: b.duckdb, table: t}}, {BATCH}}}
  shops:
    group: {{by: [shop]}}
    process: [{{aggregate: {{n: count(*), amount: sum(amount)}}}}, {{sort: [shop]}}]
    store:
      c: {{parquet: {{path: c/, partition: [shop]}}}}
      d: {{csv: {{path: d.csv}}}}
  few:
    from: shops
    prepare: [{{filter: amount > 60000}}]
    store: {{e: {{sqlite: {{path: e.sqlite, table: t, mode: replace}}}}}}
"""),
    Job("stdin", "out: {csv: {path: out.csv}}", [("out.csv", None)], CHECK, data="stdin"),
    Job("refused_by_store", "out: {sqlite: {path: checked.sqlite, table: t}, " + BATCH + "}", [("checked.sqlite", "t")],
        made=CHECKED),
]
JOBS = {job.name: job for job in [*FILE_JOBS, *TABLE_JOBS, *CHANGE_JOBS, *OTHER_JOBS]}


def write_rows(path, first, rows, seed):
    """Rows with an id of their own; some amounts are no numbers, some are too large."""
    chance = random.Random(seed)
    with open(path, "w") as file:
        file.write("id,shop,amount,note,day\n")
        for i in range(first, first + rows):
            amount = "many" if i % 701 == 7 else 990 + i % 10 if i % 1009 == 9 else chance.randrange(980)
            file.write(f"{i},{'abcde'[i % 5]},{amount},note {i % 400},2026-01-{i % 28 + 1:02}\n")


def prepare(program, job, folder, rows=3000, settings="", before=True):
    """A folder in which the job has run once, on other rows: what it replaces, or adds to."""
    folder.mkdir(exist_ok=True)
    (folder / "job.yaml").write_text(job.text(settings))
    if job.made:
        path = job.found[0][0]
        with contextlib.closing((duckdb if path.endswith("duckdb") else sqlite3).connect(folder / path)) as database:
            for statement in job.made.split(";"):
                database.execute(statement)
            database.commit()
    data = (folder / job.data).parent / "data.csv"
    if before:
        write_rows(data, 100000, 50, seed=1)
        program.succeed(folder, "run", "job.yaml", **job.stdin)
    write_rows(data, 0, rows, seed=2)


def names(folder):
    """What lies in a folder, without what has other names in each run. A run is as good without a report, and a DuckDB file
    with its log."""
    folder = pathlib.Path(folder)
    return collections.Counter(re.sub(r"[0-9a-f]{8,}(-\d+)*", "ID", str(path.relative_to(folder)))
                               for path in folder.rglob("*") if not re.fullmatch(r"report-\d+\.html|.*\.duckdb\.wal", path.name))


def found(program, job, folder):
    """Multisets: rows of every store, rejects, and what lies in the folder."""
    what = {path if table is None else f"{path} {table}": multiset(folder / path, table) for path, table in job.found}
    what["rejects"] = program.rejects(folder)
    what["files"] = names(folder)
    left = leftovers(folder, "trial")
    if left:
        raise AssertionError(f"left behind: {', '.join(left)}")
    return what


def finish(program, job, folder, most_runs=MOST_RUNS):
    """Runs until it is done: exit code 1 means "run it again to resume"."""
    for runs in range(1, most_runs + 1):
        code, out, err = program.run(folder, "run", "job.yaml", **job.stdin)
        if code != 1:
            break
    if code != 0:
        raise AssertionError(f"exit code {code} after {runs} runs; it said\n{err}{out}")
    return found(program, job, folder)


def undisturbed(program, job, template, folder, rows=3000, settings="", before=True):
    """Prepares `template`, and says what a run on a copy of it, in `folder`, ends with."""
    prepare(program, job, template, rows, settings, before)
    shutil.copytree(template, folder, dirs_exist_ok=True)
    what = finish(program, job, folder, most_runs=1)
    if not what["rejects"] or not all(what.values()):
        raise AssertionError("a store or the rejects are empty: the test would prove nothing")
    return what
