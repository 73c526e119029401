#!/usr/bin/env python3
"""The tests that catch the worst: each attacks one promise of the protocol, and those with a number are named there. All compare
multisets of rows, rejects included. Those of servers are in tests/servers/protocol_test.py.

    tests/crash/protocol_tests.py                       all
    tests/crash/protocol_tests.py -k changed_world      those with that in their name
"""
import collections
import contextlib
import hashlib
import itertools
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
import duckdb  # noqa: E402
import pyarrow.parquet  # noqa: E402
from harness.program import difference, leftovers  # noqa: E402
from harness.suite import main, require, same, test  # noqa: E402


def ids(rows):
    """As multiset() gives them, of rows that Place.rows wrote."""
    return collections.Counter((("id", str(i)), ("v", f"v{i}")) for i in rows)


SQLITE = """\
job: test
collect: {rows: {csv: {path: "rows*.csv"}}}
prepare: [{filter: id >= 0}]
store: {out: {sqlite: {path: out.db, table: t}, batch: {rows: 100}}}
rejects: 1000
"""
DUCKDB = SQLITE.replace("sqlite: {path: out.db,", "duckdb: {path: out.duckdb,")
FOLDER = SQLITE.replace("sqlite: {path: out.db, table: t}", "parquet: {path: out/}")
DIRECT = SQLITE.replace("sqlite: {path: out.db, table: t}, batch: {rows: 100}", "csv: {path: out.csv}")
FILE = DIRECT.replace("{filter: id >= 0}", "{filter: id >= 0}, {check: {any: id >= 0}}")  # what may refuse rows is spooled
STORES = {"sqlite": (SQLITE, ("out.db", "t")), "duckdb": (DUCKDB, ("out.duckdb", "t")), "folder": (FOLDER, ("out",)),
          "file": (FILE, ("out.csv",)), "direct": (DIRECT, ("out.csv",))}


@test
def state_folder_lost_between_crash_and_resume(place):
    """4. A join gives rows in no fixed order: another spool must never be mixed with what was stored from the first."""
    job = SQLITE.replace("prepare: [{filter: id >= 0}]", "from: rows\nprepare: [{join: {with: more, using: [id], matches: many}}]") \
        .replace("collect: {rows:", "collect: {more: {csv: {path: more.csv}}, rows:")
    for kind, connector, target in (("sqlite", "sqlite: {path: out.db", ("out.db", "t")),
                                    ("duckdb", "duckdb: {path: out.duckdb", ("out.duckdb", "t"))):
        case = place.again(kind)
        case.write("job.yaml", job.replace("sqlite: {path: out.db", connector))
        case.rows("rows.csv", range(500))
        case.write("more.csv", "id,w\n" + "".join(f"{i % 500},{i}\n" for i in range(1000)))
        case.kill("batch.committed@5")
        before = case.multiset(*target)
        shutil.rmtree(case.folder / ".tranche")
        case.fails(3, "another state folder began a run of this job here")
        same(before, case.multiset(*target))
    # A folder has no ledger: the run begins anew, and what was written aside is nobody's.
    case = place.again("folder")
    case.write("job.yaml", FOLDER)
    case.rows("rows.csv", range(500))
    case.kill("part.journalled@2")
    shutil.rmtree(case.folder / ".tranche")
    case.run()
    same(ids(range(500)), case.multiset("out"))


@test
def state_folder_restored(place):
    """An older copy of the state folder does not know of a run that has stored rows: nothing is stored twice."""
    for kind in ("sqlite", "duckdb"):
        job, target = STORES[kind]
        case = place.again(kind)
        case.write("job.yaml", job)
        case.rows("rows.csv", range(50))
        case.run()
        shutil.copytree(case.folder / ".tranche", case.folder / "copy")
        case.rows("rows.csv", range(50, 100))
        case.run()
        shutil.rmtree(case.folder / ".tranche")
        shutil.copytree(case.folder / "copy", case.folder / ".tranche")
        for _ in range(2):
            case.fails(3, "knows of run 2, which the state folder has forgotten")
            same(ids(range(100)), case.multiset(*target), kind)


@test
def server_drops_rows_silently(place):
    """6. Every row that came is in the table or is a reject; a table that says otherwise fails the run, never a green balance."""
    tables = {
        "ignore": ["create table t (id integer unique on conflict ignore, v text)"],
        "replace": ["create table t (id integer primary key on conflict replace, v text)"],
        "rollback": ["create table t (id integer unique on conflict rollback, v text)"],
        "fail": ["create table t (id integer unique on conflict fail, v text)"],
        "not_null_replace": ["create table t (id integer not null on conflict replace default 7, v text unique on conflict ignore)"],
        "raise_ignore": ["create table t (id integer, v text)",
                         "create trigger g before insert on t when new.id % 7 = 3 begin select raise(ignore); end"],
        "raise_rollback": ["create table t (id integer, v text)",
                           "create trigger g before insert on t when new.id % 97 = 3 begin select raise(rollback, 'no'); end"],
        "raise_fail": ["create table t (id integer, v text)",
                       "create trigger g before insert on t when new.id % 97 = 3 begin select raise(fail, 'no'); end"],
        "raise_abort": ["create table t (id integer, v text)",
                        "create trigger g after insert on t when new.id % 97 = 3 begin select raise(abort, 'no'); end"],
    }
    came = list(range(300)) + [5, 50, 250, 7]
    for mode, (name, statements) in itertools.product(("append", "replace"), tables.items()):
        case = place.again(f"{name}_{mode}")
        case.write("job.yaml", SQLITE.replace("table: t", f"table: t, mode: {mode}"))
        case.rows("rows.csv", came)
        case.sqlite(*statements)
        code, said = case.tries()
        stored = case.multiset("out.db", "t")
        if code != 0:
            require(code == 3 or code == 2, f"{case.folder.name}: exit code {code}; it said\n{said}")
            continue
        rejects = case.program.rejects(case.folder)
        require(stored.total() + rejects.total() == len(came),
                f"{case.folder.name}: {len(came)} rows came, {stored.total()} are stored, {rejects.total()} rejects; it said\n{said}")
        require(not stored - ids(came), f"{case.folder.name}: rows that never came: {stored - ids(came)}")


@test
def reject_then_accepted(place):
    """7. What is refused in an attempt that was killed is decided again by the attempt that is committed."""
    tables = ["create table parent (id integer primary key)", "create table t (id integer references parent (id), v text)",
              "insert into parent with recursive n(i) as (select 0 union all select i + 1 from n where i < 299) select i from n"]
    for name, before, between, stored in (("accepted", "delete from parent where id = 42", "insert into parent values (42)", True),
                                          ("refused", "select 1", "delete from parent where id = 42", False)):
        case = place.again(name)
        case.write("job.yaml", SQLITE)
        case.rows("rows.csv", range(300))
        case.sqlite(*tables, before)
        case.kill("batch.before_commit")
        case.sqlite(between)
        case.run()
        same(ids(i for i in range(300) if stored or i != 42), case.multiset("out.db", "t"))
        rejects = case.program.rejects(case.folder)
        require(rejects.total() == (0 if stored else 1), f"{name}: rejects are {rejects}")


@test
def last_key_wins(place):
    """8. Of each key the last row in the order of the input stays, whatever the batches, whenever it was killed."""
    chance = random.Random(place.options.seed)
    rows = [(chance.randrange(100), i) for i in range(100_000)]
    last = collections.Counter((("key", str(key)), ("n", str(n))) for key, n in dict(rows).items())
    for kind, target in (("sqlite", ("out.db", "t")), ("duckdb", ("out.duckdb", "t"))):
        case = place.again(kind)
        case.write("job.yaml", "job: test\ncollect: {rows: {csv: {path: rows.csv}}}\n"
                   f"store: {{out: {{{kind}: {{path: {target[0]}, table: t, mode: upsert, key: [key]}}}}}}\n")
        case.write("rows.csv", "key,n\n" + "".join(f"{key},{n}\n" for key, n in rows))
        for _ in range(3):
            case.kill(chance.choice(["batch.claimed", "batch.written", "batch.before_commit", "batch.committed"]))
        case.run()
        same(last, case.multiset(*target))


@test
def rollback_inside_a_batch(place):
    """9. A table's ROLLBACK clause ends our transaction: no row may be stored without its line in the ledger."""
    for name, statements in {
            "clause": ["create table t (id integer unique on conflict rollback, v text)"],
            "trigger": ["create table t (id integer unique, v text)",
                        "create trigger g before insert on t when exists (select 1 from t where id = new.id) "
                        "begin select raise(rollback, 'twice'); end"]}.items():
        case = place.again(name)
        case.write("job.yaml", SQLITE)
        case.rows("rows.csv", [*range(150), 10, 20, *range(150, 300)])
        case.sqlite(*statements)
        case.kill("batch.committed@2")
        code, said = case.tries("--keep-batches")
        stored = case.multiset("out.db", "t")
        ledger = case.sqlite("select coalesce(sum(sent), 0), coalesce(sum(stored), 0), coalesce(sum(rejected), 0) from tranche_batch")[0]
        require(stored.total() == ledger[1], f"{name}: {stored.total()} rows are there, the ledger says {ledger}; it said\n{said}")
        require(code != 0 or ledger == (302, 300, 2), f"{name}: green, and the ledger says {ledger}")
        same(ids(range(300)) & stored, stored)


@test
def commit_of_an_aborted_transaction(place):
    """10. DuckDB gives no error for the COMMIT of a transaction that an error has ended, and stores nothing."""
    place.duckdb("create table t (id integer primary key, v varchar not null check (v <> 'v77'))")
    place.write("job.yaml", DUCKDB)
    place.rows("rows.csv", [*range(150), 10, 20, *range(150, 300)])
    for failpoint in ("batch.written:error@2", "batch.before_commit:error@2"):
        code, _, err = place.program.run(place.folder, "run", "job.yaml", failpoint=failpoint)
        require(code == 1, f"{failpoint}: exit code {code}; it said\n{err}")
    stored, ledger = place.duckdb("select count(*) from t")[0][0], place.duckdb("select sum(stored) from tranche_batch")[0][0]
    require(stored == ledger, f"{stored} rows are there, the ledger says {ledger}")
    place.run()
    same(ids(i for i in range(300) if i != 77), place.multiset("out.duckdb", "t"))
    require(place.program.rejects(place.folder).total() == 3, "three rows should be refused")


@test
def killed_between_truncate_swap_and_mark(place):
    """11. Replace: published once, the old rows stay until then, and views on the table see the new ones."""
    points = ["store.opened", "batch.committed", "run.balanced", "publish.before", "replace.swapped", "ledger.finished",
              "store.finished", "run.finished"]
    tables = {"plain": ["create table t (id integer, v varchar)"],
              "keyed": ["create table t (id integer primary key, v varchar not null)", "create index ti on t (v)"],
              "viewed": ["create table t (id integer, v varchar)", "create view w as select id, v from t"]}
    for kind, (name, statements), point in itertools.product(("sqlite", "duckdb"), tables.items(), points):
        if kind == "duckdb" and name == "viewed":
            statements = [*statements[:1], "create view w as select * from t"]
        case = place.again(f"{kind}_{name}_{point}")
        target = ("out.db" if kind == "sqlite" else "out.duckdb", "t")
        case.write("job.yaml", (SQLITE if kind == "sqlite" else DUCKDB).replace("table: t", "table: t, mode: replace"))
        getattr(case, kind)(*statements, "insert into t values (7, 'old')")
        old = case.multiset(*target)
        case.rows("rows.csv", range(300))
        for _ in range(2):
            if not case.program.kill(case.folder, "run", "job.yaml", failpoint=point):
                break
            published = points.index(point) > points.index("replace.swapped")
            found = case.multiset(*target)
            same(ids(range(300)) if published else old, found, f"{case.folder.name}: rows after the kill")
        case.run()
        same(ids(range(300)), case.multiset(*target), case.folder.name)
        if name == "viewed":
            same(ids(range(300)), case.multiset(target[0], "w"), case.folder.name + ": view")
        require(not leftovers(case.folder, "test"), f"left behind: {leftovers(case.folder, 'test')}")


@test
def rejects_survive_the_last_window(place):
    """12. Bad lines are listed once, and the exit code is that of an undisturbed run, wherever it was killed."""
    text = "id,v\n" + "".join(f"{'x' if i % 100 == 50 else i},v{i}\n" for i in range(1000))
    for allowed, code in ((10, 0), (9, 3)):
        job = SQLITE.replace('"rows*.csv"', 'rows.csv, types: {id: integer}').replace("1000", str(allowed))
        calm = place.again(f"calm_{allowed}")
        calm.write("job.yaml", job)
        calm.write("rows.csv", text)
        require(calm.tries()[0] == code, f"exit code {calm.tries()[0]}, not {code}, with {allowed} rejects allowed")
        rejects = calm.program.rejects(calm.folder)
        require(rejects.total() >= 10, f"{rejects.total()} rejects")
        for point in ("spool.begun", "segment.written", "segment.synced", "segment.renamed", "segment.recorded", "stage.sealed",
                      "store.opened", "batch.committed@9", "batch.committed@10", "store.finished", "run.balanced"):
            case = place.again(f"{point}_{allowed}")
            case.write("job.yaml", job)
            case.write("rows.csv", text)
            killed, _, _ = case.program.run(case.folder, "run", "job.yaml", failpoint=point.replace("@", ":kill@") if "@" in point
                                            else point + ":kill@1")
            require(killed in (-signal.SIGKILL, code), f"{case.folder.name}: exit code {killed}")
            again, said = case.tries()
            require(again == code, f"{case.folder.name}: exit code {again}, not {code}; it said\n{said}")
            same(rejects, case.program.rejects(case.folder), case.folder.name + ": rejects")
            if code == 0:
                same(calm.multiset("out.db", "t"), case.multiset("out.db", "t"), case.folder.name)


class FolderReader(threading.Thread):
    """Reads a folder again and again, as another program does; remembers every multiset of ids that it saw."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.folder, self.seen, self.ended = str(folder), collections.Counter(), threading.Event()

    def look(self):
        handle = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            found = []
            for name in sorted(os.listdir(handle)):
                if name.endswith(".parquet") and not name.startswith((".", "_")):
                    with open(os.open(name, os.O_RDONLY, dir_fd=handle), "rb") as file:
                        found += pyarrow.parquet.read_table(file, columns=["id"]).column("id").to_pylist()
            # A folder that was exchanged meanwhile is being removed: what was seen of it is no answer.
            if os.stat(self.folder).st_ino == os.fstat(handle).st_ino:
                self.seen[tuple(sorted(found))] += 1
        finally:
            os.close(handle)

    def run(self):
        while not self.ended.is_set():
            with contextlib.suppress(FileNotFoundError):
                self.look()

    def stop(self):
        self.ended.set()
        self.join()


@test
def folder_reader_never_sees_half(place):
    """13. Through run, kill, resume and --again a reader of the folder sees the old rows or the new ones."""
    job = FOLDER.replace("rows: 100", "rows: 250")
    place.write("job.yaml", job)
    place.rows("rows.csv", range(1000))
    place.run()
    reader = FolderReader(place.folder / "out")
    reader.start()
    try:
        allowed = {tuple(range(1000))}
        for size, point in ((1500, "part.journalled@2"), (700, "publish.intent"), (2000, "publish.renamed"), (900, "publish.synced"),
                            (1200, "publish.recorded")):
            allowed.add(tuple(range(size)))
            place.rows("rows.csv", range(size))
            place.kill(point)
            place.write("job.yaml", job.replace("rows: 250", f"rows: {size // 7}"))
            place.run()
            place.run("--again")
            same(ids(range(size)), place.multiset("out"))
        deadline = time.monotonic() + 20
        while tuple(range(1200)) not in reader.seen and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        reader.stop()
    wrong = {f"{len(seen)} rows" for seen in reader.seen if seen not in allowed}
    require(not wrong, f"a reader saw {', '.join(sorted(wrong))}")
    require(tuple(range(1200)) in reader.seen and len(reader.seen) > 1, "the reader saw too little to prove anything")
    (place.folder / "out/theirs.parquet").write_text("not ours")
    place.rows("rows.csv", range(5))
    place.fails(2, "theirs.parquet was not written by Tranche")
    require((place.folder / "out/theirs.parquet").read_text() == "not ours", "a foreign file was touched")


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def one(paths):
    paths = sorted(paths)
    require(paths, "there is no such file")
    return paths[0]


ALL = " ".join(STORES)
# Name → the stores it concerns, and what happens to the world between kill and resume.
CHANGES = {
    "file replaced, times kept": (ALL, lambda p: (
        p.rows("other.csv", range(500, 1000)), shutil.copystat(p.folder / "rows.csv", p.folder / "other.csv"),
        os.replace(p.folder / "other.csv", p.folder / "rows.csv"))),
    "file appended": (ALL, lambda p: p.rows("rows.csv", range(600))),
    "file removed": (ALL, lambda p: os.remove(p.folder / "rows.csv")),
    "new file matches": (ALL, lambda p: p.rows("rows2.csv", range(600, 700))),
    "job edited": (ALL, lambda p: p.write(
        "job.yaml", (p.folder / "job.yaml").read_text().replace("id >= 0", "id >= 100"))),
    "table dropped": ("sqlite duckdb", lambda p: p.statements("drop table if exists t")),
    "column renamed": ("sqlite duckdb", lambda p: p.statements("alter table t rename column v to remark")),
    "table emptied": ("sqlite duckdb", lambda p: p.statements("delete from t")),
    "rows deleted": ("sqlite duckdb", lambda p: p.statements("delete from t where id < 50")),
    "ledger's batches deleted": ("sqlite duckdb", lambda p: p.statements("delete from tranche_batch")),
    "one of the ledger's batches deleted": ("sqlite duckdb", lambda p: p.statements("delete from tranche_batch where from_row = 0")),
    "ledger's run deleted": ("sqlite duckdb", lambda p: p.statements("delete from tranche_run")),
    "ledger deleted": ("sqlite duckdb", lambda p: p.statements(
        "delete from tranche_run", "delete from tranche_batch", "delete from tranche_reject")),
    "database restored": ("sqlite duckdb", lambda p: (
        [path.unlink() for path in p.folder.glob(p.database + "*")], shutil.copy(p.folder / "backup", p.folder / p.database))),
    "database removed": ("sqlite duckdb", lambda p: [path.unlink() for path in p.folder.glob(p.database + "*")]),
    "state folder removed": (ALL, lambda p: shutil.rmtree(p.folder / ".tranche")),
    "segment damaged": (ALL, lambda p: flip(one(
        path for path in (p.folder / ".tranche/test/spool").rglob("*") if path.is_file()))),
    "segment removed": (ALL, lambda p: one(
        path for path in (p.folder / ".tranche/test/spool").rglob("*") if path.is_file()).unlink()),
    "spool removed": (ALL, lambda p: shutil.rmtree(p.folder / ".tranche/test/spool")),
    "engine of another version": (ALL, lambda p: p.sqlite(
        "update run set engine = 'duckdb 9.9'", name=".tranche/test/state.db")),
    "part removed": ("folder", lambda p: one(p.folder.glob(".out.tranche-*/*.parquet")).unlink()),
    "part torn": ("folder", lambda p: os.truncate(one(p.folder.glob(".out.tranche-*/*.parquet")), 100)),
    "part damaged": ("folder", lambda p: flip(one(p.folder.glob(".out.tranche-*/*.parquet")))),
    "parts removed": ("folder", lambda p: [shutil.rmtree(path) for path in p.folder.glob(".out.tranche-*")]),
    "foreign part": ("folder", lambda p: p.write(one(p.folder.glob(".out.tranche-*")).name + "/theirs.parquet", "not ours")),
}
KILLED_AT = {"sqlite": ["stage.sealed", "store.opened", "batch.committed@3", "publish.before"],
             "duckdb": ["stage.sealed", "store.opened", "batch.committed@3", "publish.before"],
             "folder": ["stage.sealed", "part.journalled@3", "publish.intent", "publish.renamed"],
             "direct": ["direct.written", "direct.journalled", "publish.intent", "publish.renamed"],
             "file": ["stage.sealed", "direct.written", "direct.journalled", "publish.intent", "publish.renamed"]}


@test
def changed_world_on_resume(place):
    """14. Whatever changes between kill and resume: refused by name with what to do, or exactly the rows of one of the two worlds."""
    problems = []
    for number, (change, (stores, work)) in enumerate(CHANGES.items()):
        for store in stores.split():
            for point in KILLED_AT[store]:
                case = place.again(f"{number}_{store}_{point}")
                name = f"{change}, {store} killed at {point}"
                try:
                    change_world(case, store, point, work)
                except Exception as error:
                    problems.append(f"{name}: {error}")
                shutil.rmtree(case.folder, ignore_errors=True)
    require(not problems, f"{len(problems)} problems\n" + "\n".join(problems))


def change_world(case, store, point, work):
    job, target = STORES[store]
    case.database = target[0]
    case.statements = case.sqlite if store == "sqlite" else case.duckdb
    case.write("job.yaml", job)
    case.rows("rows.csv", range(500))
    if store in ("sqlite", "duckdb"):
        case.statements("create table t (id integer, v varchar)")
        shutil.copy(case.folder / case.database, case.folder / "backup")
    case.kill(point)
    try:
        work(case)
    except (AssertionError, FileNotFoundError, sqlite3.OperationalError, duckdb.CatalogException, duckdb.BinderException):
        return  # there is nothing of that kind yet at this point
    code, said = case.tries()
    if code != 0:
        require(code in (1, 2, 3), f"exit code {code}; it said\n{said}")
        require(said.strip() and "internal" not in said, f"said nothing useful: {said}")
        return
    found = case.multiset(*target)
    old, new = ids(range(500)), [ids(range(500, 1000)), ids(range(600)), ids([*range(500), *range(600, 700)]), ids(range(100, 500))]
    require(found == old or any(found == rows for rows in new),
            "\n  ".join(["neither the old rows nor the new ones:", *difference(old, found)]))


@test
def two_runs_at_once(place):
    """The second one is told who is there, and touches nothing."""
    place.write("job.yaml", SQLITE)
    place.rows("rows.csv", range(500))
    first = place.program.start(place.folder, "run", "job.yaml", failpoint="batch.committed:hold@2")
    wait_for(first, "held")
    place.fails(4, str(first.pid))
    place.fails(3, "another state folder began a run of this job here", "--state", "elsewhere")
    first.communicate(timeout=60)
    require(first.returncode == 0, f"the first run ended with {first.returncode}")
    same(ids(range(500)), place.multiset("out.db", "t"))


def wait_for(process, words):
    said = ""
    for line in process.stderr:
        said += line
        if words in line:
            return
    raise AssertionError(f"it ended without saying '{words}'; it said\n{said}")


@test
def signals_stop_within_seconds(place):
    """SIGTERM and SIGINT in mid-run end it by that signal within 5 s (and a little), and the next run resumes right."""
    for number, (name, failpoint) in itertools.product((signal.SIGTERM, signal.SIGINT), (
            ("reading", None), ("held", "batch.claimed:hold@2"), ("spooling", "segment.written:hold@1"))):
        case = place.again(f"{name}_{number.name}")
        job, rows = SQLITE, range(500)
        if name == "reading":
            job = job.replace("filter: id >= 0", "filter: (select count(*) from range(20000000) r where r.range % 7 = id % 7) > 0")
            rows = range(20)
        case.write("job.yaml", job)
        case.rows("rows.csv", rows)
        process = case.program.start(case.folder, "run", "job.yaml", failpoint=failpoint)
        wait_for(process, "held" if failpoint else "begins")
        time.sleep(0.3)
        begun = time.monotonic()
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        seconds = time.monotonic() - begun
        if name == "reading" and process.returncode == 0:
            continue  # it was faster than the signal
        require(process.returncode == -number, f"{case.folder.name}: exit code {process.returncode}; it said\n{said}")
        require(seconds < 8, f"{case.folder.name}: it took {seconds:.1f} s")
        case.run()
        same(ids(rows), case.multiset("out.db", "t"), case.folder.name)


SEVERAL = """\
job: test
collect: {rows: {csv: {path: rows.csv}}}
prepare: [{check: {any: id >= 0}}]
store:
  a: {sqlite: {path: a.sqlite, table: t, mode: replace}, batch: {rows: 500}}
  b: {duckdb: {path: b.duckdb, table: t, mode: replace}, batch: {rows: 500}}
  c: {parquet: {path: c/}, batch: {rows: 500}}
  d: {csv: {path: d.csv}}
  e: {json: {path: e.ndjson.gz}}
  f: {arrow: {path: f.arrow}}
"""
SEVERAL_STORES = [("a.sqlite", "t"), ("b.duckdb", "t"), ("c",), ("d.csv",), ("e.ndjson.gz",), ("f.arrow",)]


@test
def again_gives_up_and_leaves_nothing(place):
    """--again after a kill begins anew, and what the run that was given up had written aside is removed."""
    for point in ("segment.written", "stage.sealed", "store.opened", "batch.claimed@3", "batch.committed@3", "part.journalled@3",
                  "direct.written", "direct.journalled", "run.balanced", "publish.before", "publish.intent", "publish.renamed@2",
                  "replace.swapped", "store.finished@3"):
        case = place.again(point)
        case.write("job.yaml", SEVERAL)
        case.rows("rows.csv", range(2000))
        case.kill(point)
        case.rows("rows.csv", range(1500))
        case.run("--again", "--yes")
        for target in SEVERAL_STORES:
            same(ids(range(1500)), case.multiset(*target), f"{point}: {target[0]}")
        require(not leftovers(case.folder, "test"), f"{point} left behind: {leftovers(case.folder, 'test')}")
        tables = [name for name, in case.sqlite("select name from sqlite_master where type = 'table'", name="a.sqlite")]
        tables += [name for name, in case.duckdb("select table_name from duckdb_tables()", name="b.duckdb")]
        strangers = set(tables) - {"t", "tranche_run", "tranche_batch", "tranche_reject"}
        require(not strangers, f"{point}: tables {strangers} are left")


@test
def parts_of_an_unsealed_stage_are_forgotten(place):
    """A folder takes rows while they are still read. What was written of a stage that did not get to its end counts for
    nothing: the next start may see other rows, or another job."""
    chance = random.Random(place.options.seed)
    template = place.again("template")
    job = """\
job: test
collect: {rows: {csv: {path: rows.csv}}}
store: {out: {parquet: {path: out/}, batch: {rows: 10}}}
"""
    template.write("job.yaml", job)
    values = {i: chance.randbytes(70_000).hex() for i in range(1200)}

    def write(case, ids):
        (case.folder / "rows.csv").unlink(missing_ok=True)
        case.write("rows.csv", "id,v\n" + "".join(f"{i},{values[i]}\n" for i in ids))

    def stored(case):
        return collections.Counter(duckdb.sql(f"select id, md5(v) from '{case.folder}/out/*.parquet'").fetchall())

    def expected(ids):
        return collections.Counter((i, hashlib.md5(values[i].encode()).hexdigest()) for i in ids)

    write(template, values)
    for change in ("nothing", "input", "job"):
        case = place.again(change)
        os.link(template.folder / "rows.csv", case.folder / "rows.csv")
        shutil.copy(template.folder / "job.yaml", case.folder)
        case.kill("segment.recorded@6")  # before the stage is sealed; the first segment was there long before
        ((sealed, journalled),) = case.sqlite("select (select count(*) from stage where sealed), (select count(*) from journal)",
                                              name=".tranche/test/state.db")
        require(sealed == 0 and journalled >= 1, f"{change}: {sealed} stages were sealed, {journalled} parts written")
        ids = range(1200)
        if change == "input":
            ids = range(5, 900)
            write(case, ids)
        elif change == "job":
            case.write("job.yaml", job.replace("store:", "prepare: [{filter: id < 700}]\nstore:"))
            ids = range(700)
        case.run()
        same(expected(ids), stored(case), change)
        require(not leftovers(case.folder, "test"), f"{change} left behind: {leftovers(case.folder, 'test')}")
        shutil.rmtree(case.folder)


@test
def killed_between_segments(place):
    """A spool of several segments: none is lost, none is read twice."""
    chance = random.Random(place.options.seed)
    template = place.again("template")
    template.write("job.yaml", """\
job: test
collect: {rows: {csv: {path: rows.csv}}}
prepare: [{check: {odd: "id <> 300"}}]
branches:
  one: {prepare: [{derive: {v: md5(v)}}], store: {one: {sqlite: {path: one.db, table: t}}}}
  two: {prepare: [{select: [id]}], store: {two: {csv: {path: two.csv}}}}
rejects: 1
""")
    values = {i: chance.randbytes(70_000).hex() for i in range(1200)}  # twice 64 MiB that do not compress to nothing
    template.write("rows.csv", "id,v\n" + "".join(f"{i},{value}\n" for i, value in values.items()))
    expected = collections.Counter((("id", str(i)), ("v", hashlib.md5(value.encode()).hexdigest()))
                                   for i, value in values.items() if i != 300)
    for point in ("segment.written@2", "segment.renamed@1", "segment.renamed@2", "segment.recorded@1", "segment.recorded@2"):
        case = place.again(point)
        os.link(template.folder / "rows.csv", case.folder / "rows.csv")
        shutil.copy(template.folder / "job.yaml", case.folder)
        case.kill(point)
        case.run()
        same(expected, case.multiset("one.db", "t"), point)
        require(case.multiset("two.csv").total() == len(expected), f"{point}: two.csv")
        require(case.program.rejects(case.folder).total() == 1, f"{point}: rejects")
        shutil.rmtree(case.folder)


@test
def locked_target(place):
    """Another program holds the database: the run waits and goes on, or says who is to blame and ends; it never hangs."""
    case = place.again("all_the_time")
    case.write("job.yaml", SQLITE)
    case.rows("rows.csv", range(500))
    with contextlib.closing(sqlite3.connect(case.folder / "out.db", isolation_level=None)) as other:
        other.execute("CREATE TABLE their_own (id)")
        other.execute("BEGIN EXCLUSIVE")
        case.fails(1, "locked")
        other.execute("ROLLBACK")
    case.run()
    same(ids(range(500)), case.multiset("out.db", "t"))
    case = place.again("duckdb")
    case.write("job.yaml", DUCKDB)
    case.rows("rows.csv", range(500))
    with duckdb.connect(str(case.folder / "out.duckdb")):
        case.fails(1, "another process holds it")
    case.run()
    same(ids(range(500)), case.multiset("out.duckdb", "t"))
    # For longer than a statement waits: the batch is rolled back, and stored by another try.
    case = place.again("for_a_while")
    case.write("job.yaml", SQLITE.replace("rows: 100", "rows: 1"))
    case.rows("rows.csv", range(5000))
    process = case.program.start(case.folder, "run", "job.yaml")
    with contextlib.closing(sqlite3.connect(case.folder / "out.db", isolation_level=None, timeout=30)) as other:
        while not other.execute("SELECT 1 FROM sqlite_master WHERE name = 't'").fetchall():
            require(process.poll() is None, "it ended before there was a table")
        other.execute("BEGIN EXCLUSIVE")
        stored, = other.execute("SELECT count(*) FROM t").fetchone()
        require(stored < 5000, "it was faster than the lock")
        time.sleep(11)
        other.execute("ROLLBACK")
    _, said = process.communicate(timeout=60)
    require(process.returncode == 0, f"exit code {process.returncode}; it said\n{said}")
    same(ids(range(5000)), case.multiset("out.db", "t"))


if __name__ == "__main__":
    sys.exit(main(__doc__))
