#!/usr/bin/env python3
"""`tranche prove`: what it says of jobs that keep their promise, and of targets that do not.

    tests/crash/prove_tests.py                 all
    tests/crash/prove_tests.py -k forget       those with that in their name
"""
import contextlib
import hashlib
import json
import pathlib
import sqlite3
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
from harness.suite import main, require, test  # noqa: E402

SECONDS = 900
STORE = "{sqlite: {path: out.db, table: t}}"
JOB = """\
job: test
collect: {rows: {csv: {path: rows.csv}}}
"""
TABLE = "CREATE TABLE t (id INTEGER, v TEXT)"
# From the second start on, the table does what a broken store would: the run's epoch counts the starts.
AFTER = "CREATE TRIGGER broken AFTER INSERT ON t WHEN (SELECT epoch FROM tranche_run) = 2 BEGIN {}; END"


def prove(place, code, *arguments):
    process = place.program.start(place.folder, "prove", "job.yaml", "--seed", str(place.options.seed), *arguments)
    out, err = process.communicate(timeout=SECONDS)
    require(process.returncode == code, f"exit code {process.returncode}, expected {code}; it said\n{err}{out}")
    return out, err


def contents(place):
    return {str(path.relative_to(place.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in place.folder.rglob("*") if path.is_file()}


def refuses(place, broken, *words):
    place.write("job.yaml", JOB + f"store: {{out: {STORE}}}\n")
    place.rows("rows.csv", range(40))
    place.sqlite(TABLE, AFTER.format(broken))
    out, err = prove(place, 3, "--kills", "0")
    for word in ("NOT PROVED", *words):
        require(word in out, f"'{word}' was not said:\n{out}")
    kept = list((place.folder / ".tranche/test/prove").iterdir())
    require(len(kept) == 1 and f"the trials lie in {kept[0]}" in err, f"the folder of the trials is not named:\n{err}")
    require(place.sqlite("SELECT count(*) FROM t") == [(0,)], "the real table was changed")


@test
def every_kind_of_store(place):
    """Beside rows that are there, and that the trials do not touch; nothing is left behind."""
    place.write("job.yaml", JOB + """\
process: [{check: {small: id < 38}}, {derive: {at: now()}}]
store:
  upserted: {sqlite: {path: out.db, table: t, mode: upsert, key: [id]}}
  duck: {duckdb: {path: out.duckdb, table: t, mode: replace}}
  folder: {parquet: {path: out/, partition: [v]}}
  file: {csv: {path: out.csv}}
  appended: {json: {path: more/, mode: append}}
rejects: 10
""")
    place.rows("rows.csv", range(40), value="v")
    place.sqlite("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, at TEXT)", "INSERT INTO t VALUES (7, 'mine', ''), (99, 'mine', '')")
    place.write("out.csv", "mine\n")
    before = contents(place)
    out, _ = prove(place, 0, "--json", "--kills", "10", "-o", "page.html")
    said = json.loads(out)
    require(said["proved"] and said["failed"] == 0 and not said["problems"], out)
    places = {entry["place"]: entry for entry in said["places"]}
    for name in ("segment.recorded", "batch.committed", "replace.swapped", "part.journalled", "publish.renamed", "resume.gaps",
                 "a random moment"):
        require(name in places, f"it was not killed at {name}")
    require(places["a random moment"]["trials"] == 10, out)
    require(said["kills"] > said["trials"], "no recovery was killed")
    require({store["name"]: store["left_out"] for store in said["stores"]}
            == {name: ["at"] for name in ("upserted", "duck", "folder", "file", "appended")}, out)
    require(said["rejects"] == 2 and said["seed"] == place.options.seed, out)
    page = (place.folder / "page.html").read_text()
    require("batch.committed" in page and "not proved" not in page and "<script" not in page, "the page")
    after = contents(place)
    del after["page.html"]
    require(before == after, f"files were changed or left: {sorted(before.items() ^ after.items())}")
    return f"{said['trials']} trials, {said['kills']} kills"


@test
def one_table_after_the_other(place):
    place.write("job.yaml", """\
job: test
collect: {rows: {sqlite: {path: shop.db, table: "t?"}}}
store: {out: {sqlite: {path: out.db, table: "copy of ${table}"}}}
""")
    with contextlib.closing(sqlite3.connect(place.folder / "shop.db")) as shop:
        shop.executescript("CREATE TABLE t1 AS SELECT 1 AS id UNION SELECT 2; CREATE TABLE t2 AS SELECT 3 AS id; CREATE TABLE u AS SELECT 4 AS id")
    before = contents(place)
    out, err = prove(place, 0, "--kills", "0")
    require(out.count("proved") >= 2 and err.index("table 't1'") < err.index("table 't2'") and "'u'" not in err, out + err)
    prove(place, 2, "--kills", "0", "-o", "page.html")
    out, err = prove(place, 0, "--kills", "0", "--set", "table=t2", "-o", "page.html")
    require("table '" not in err, err)
    (place.folder / "page.html").unlink()
    require(before == contents(place), "files were changed or left")


@test
def forgotten_ledger_line(place):
    """The line of the first batch is lost in the second start."""
    refuses(place, "DELETE FROM tranche_batch WHERE from_row = 0 AND (SELECT count(*) FROM tranche_batch) > 1",
            "store 'out' has 35 rows of this run, but 40 were seen committed there")


@test
def lost_row(place):
    refuses(place, "DELETE FROM t WHERE id = 39", "store 'out': 1 row is lost, such as (39, v39)")


@test
def doubled_row(place):
    refuses(place, "INSERT INTO t SELECT 39, 'v39' WHERE NEW.id = 39", "store 'out': 1 row is doubled, such as (39, v39)")


@test
def changed_row(place):
    refuses(place, "UPDATE t SET v = 'other' WHERE id = 39", "store 'out': 1 row is there that should not be, such as (39, other)")


if __name__ == "__main__":
    sys.exit(main(__doc__))
