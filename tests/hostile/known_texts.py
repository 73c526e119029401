#!/usr/bin/env python3
"""Texts that others have collected because they break programs: the CSV files of csv-spectrum, and the big list of naughty strings,
as values in every kind of store and as every kind of name.

    tests/hostile/known_texts.py                    all
    tests/hostile/known_texts.py -k partition       those with that in their name
"""
import csv
import json
import pathlib
import sys
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
import duckdb  # noqa: E402
import pyarrow.parquet  # noqa: E402
from harness.stores import quoted, read_sqlite  # noqa: E402
from harness.suite import main, require, test  # noqa: E402

TEXTS = toolset.ROOT / ".toolset/hostile"
SEEN = 2         # exit code of a job or a value that is refused


def naughty():
    strings = json.loads((TEXTS / "blns.json").read_text())
    require(len(strings) > 400 and "" in strings, "the list of naughty strings is not what it was")
    return list(dict.fromkeys(strings))


def write_csv(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows(rows)


def job(store, source="csv: {path: rows.csv, types: {id: bigint, v: text}, nulls: []}", more=""):
    return f"job: texts\ncollect: {{rows: {{{source}}}}}\nstore:\n{store}{more}"


def outside(case):
    """What lies where nothing may lie: beside the folder of a case."""
    return sorted(str(path) for path in case.folder.parent.iterdir() if path != case.folder)


@test
def csv_spectrum(place):
    """Each file holds what its JSON says. (That of location_coordinates has another telephone number than its CSV.)"""
    files = sorted((TEXTS / "csvs").glob("*.csv"))
    require(len(files) == 12, f"{len(files)} files, not 12")
    for path in files:
        case = place.again(path.stem)
        names = next(csv.reader(path.open(newline="", encoding="utf-8", errors="surrogateescape")))
        encoding = "latin-1" if path.stem == "location_coordinates" and b"\xb0" in path.read_bytes() else "utf-8"
        source = {"csv": {"path": str(path), "types": dict.fromkeys(names, "text"), "nulls": [], "encoding": encoding}}
        case.write("job.yaml", json.dumps({"job": "spectrum", "collect": {"rows": source},
                                           "store": {"out": {"json": {"path": "out.json"}}}}))
        case.run()
        wanted = json.loads((TEXTS / "json" / f"{path.stem}.json").read_text())
        wanted = wanted if isinstance(wanted, list) else [wanted]
        if path.stem == "location_coordinates":
            wanted[0]["Contact Phone Number"] = "2095257564"
        found = json.loads((case.folder / "out.json").read_text())
        require(found == wanted, f"{path.name}: {found}\n  instead of {wanted}")


@test
def values_survive_every_store(place):
    strings = naughty()
    write_csv(place.folder / "rows.csv", [["id", "v"], *enumerate(strings)])
    place.write("job.yaml", job("""\
  a: {sqlite: {path: a.sqlite, table: t}}
  b: {duckdb: {path: b.duckdb, table: t}}
  c: {parquet: {path: c.parquet}}
  d: {json: {path: d.ndjson}}
  e: {csv: {path: e.csv}}
  f: {arrow: {path: f.arrow}}
"""))
    place.run()
    wanted = list(enumerate(strings))
    folder = place.folder
    with open(folder / "e.csv", newline="", encoding="utf-8") as file:
        as_csv = [(int(i), v) for i, v in list(csv.reader(file))[1:]]
    with duckdb.connect(str(folder / "b.duckdb"), read_only=True) as database:
        as_duckdb = database.sql("SELECT id, v FROM t ORDER BY id").fetchall()
    found = {
        "SQLite": read_sqlite(folder / "a.sqlite", "SELECT id, v FROM t ORDER BY id")[1],
        "DuckDB": as_duckdb,
        "Parquet": [(row["id"], row["v"]) for row in pyarrow.parquet.ParquetFile(folder / "c.parquet").read().to_pylist()],
        "JSON": [(row["id"], row["v"]) for row in map(json.loads, (folder / "d.ndjson").read_text().split("\n")[:-1])],
        "CSV": as_csv,
        "Arrow": [(row["id"], row["v"]) for row in pyarrow.ipc.open_file(str(folder / "f.arrow")).read_all().to_pylist()]}
    for store, rows in found.items():
        require(rows == wanted, f"{store}: {[pair for pair in zip(wanted, rows) if pair[0] != pair[1]][:3]}")
    # And back, from each of them.
    for source in ("sqlite: {path: ../a.sqlite, table: t}", "duckdb: {path: ../b.duckdb, table: t}", "parquet: {path: ../c.parquet}",
                   "json: {path: ../d.ndjson, types: {v: text}}", "csv: {path: ../e.csv, types: {v: text}, nulls: []}",
                   "arrow: {path: ../f.arrow}"):
        case = place.again(source.split(":")[0])
        case.write("job.yaml", job("  out: {parquet: {path: out.parquet}}\n", source, "")
                   .replace("store:", "prepare: [{sort: [id]}]\nstore:"))
        case.run()
        rows = [(row["id"], row["v"]) for row in pyarrow.parquet.ParquetFile(case.folder / "out.parquet").read().to_pylist()]
        require(rows == wanted, f"from {source}: {[pair for pair in zip(wanted, rows) if pair[0] != pair[1]][:3]}")
    return f"{len(strings)} strings, 6 stores, and back"


@test
def expressions_with_naughty_parameters(place):
    """A parameter is a value in SQL, in every expression, whatever it holds."""
    place.write("rows.csv", "id\n1\n2\n")
    place.write("job.yaml", """\
job: parameters
parameters: {v: text, n: {type: integer, default: 0}}
collect: {rows: {csv: {path: rows.csv}}}
prepare:
  - filter: id = 1 and ${v} = ${v}
  - derive: {v: "${v}", same: "${v} || ''"}
store: {out: {json: {path: out.ndjson}}}
""")
    worked = refused = 0
    for string in naughty()[::6]:
        if "\0" in string:
            continue
        code, out, err = place.program.run(place.folder, "run", "job.yaml", "--set", f"v={string}", "--again")
        if code == SEEN:
            require(err.startswith("--set"), f"{string!r}: it said\n{err}")
            refused += 1
            continue
        require(code == 0, f"{string!r}: exit code {code}; it said\n{err}")
        row = json.loads((place.folder / "out.ndjson").read_text())
        require(row == {"id": 1, "v": string, "same": string}, f"{string!r} became {row}")
        worked += 1
    require(worked > 50, f"only {worked} strings were taken")
    return f"{worked} worked, {refused} were refused"


def tables(store, path, read, **more):
    """A naughty string as the name of a table and of a column: it works and is just that name, or is refused in words."""
    def check(place):
        worked = refused = 0
        for number, string in enumerate(naughty()[::8]):
            case = place.again(str(number)).again("in")
            case.write("rows.csv", "id\n1\n")
            case.write("job.yaml", json.dumps({
                "job": "tables", "collect": {"rows": {"csv": {"path": "rows.csv"}}},
                "prepare": [{"rename": {"id": string}}],
                "store": {"out": {store: {"path": path, "table": string, **more}}}}, ensure_ascii=False))
            code, out, err = case.program.run(case.folder, "run", "job.yaml")
            require(code in (0, SEEN) and err.strip(), f"{string!r}: exit code {code}; it said\n{err}")
            require(code == 0 or "job.yaml:" in err, f"{string!r} is refused without a place:\n{err}")
            here = {str(found.relative_to(case.folder)) for found in case.folder.iterdir()}
            require(here <= {"rows.csv", "job.yaml", ".tranche", path, path + ".wal"}, f"{string!r} made {here}")
            if code == 0:
                names, rows = read(case.folder / path, string)
                require(names == [string] and rows == [(1,)], f"{string!r} became {names}, {rows}")
                worked += 1
            else:
                refused += 1
            require(not outside(case), f"{string!r} made {outside(case)}")
        require(worked > 25, f"only {worked} names were taken, {refused} refused")
        return f"{worked} worked, {refused} were refused"
    check.__name__ = f"tables_and_columns_of_{store}"
    return test(check)


def from_duckdb(path, table):
    with duckdb.connect(str(path), read_only=True) as database:
        found = database.execute(f"SELECT * FROM {quoted(table)}")
        return [column[0] for column in found.description], found.fetchall()


tables("sqlite", "out.db", lambda path, table: read_sqlite(path, f"SELECT * FROM {quoted(table)}"))
tables("duckdb", "out.duckdb", from_duckdb, schema="main")  # a dot in a name is a dot


@test
def partition_values_stay_in_the_folder(place):
    """Each value is a folder right below the target, and is read back from its name; none leaves it, none is lost."""
    place = place.again("in")
    long = {string for string in naughty() if len(urllib.parse.quote(string)) > 250} | {"x" * 256, "ü" * 200, "x" * 5000}
    strings = [*naughty(), "..", ".", "../..", "../../etc", "/etc/passwd", "a/../../b", "..\\..", "a\0b", "\0", "x" * 253, "~", "CON",
               "-rf", "%2e%2e", "%2F", "=", "a=b", " ", "\n"]
    strings = [string for string in dict.fromkeys(strings) if string not in long]
    write_csv(place.folder / "rows.csv", [["id", "v"], *enumerate(strings)])
    place.write("job.yaml", job("  out: {parquet: {path: out/, partition: [v]}}\n"))
    place.run()
    ids, values = set(), {}
    for part in (place.folder / "out").rglob("*.parquet"):
        require(part.parent.parent == place.folder / "out", f"{part} is not right below the target")
        name, _, value = part.parent.name.partition("=")
        require(name == "v", f"{part.parent.name} is not a partition")
        for row in pyarrow.parquet.ParquetFile(part).read(columns=["id"]).to_pylist():
            ids.add(row["id"])
            values[row["id"]] = None if value == "__HIVE_DEFAULT_PARTITION__" else urllib.parse.unquote(value)
    require(ids == set(range(len(strings))), f"not there: {[strings[i] for i in set(range(len(strings))) - ids][:5]}")
    wrong = [(strings[i], value) for i, value in values.items() if value != strings[i] and not (value is None and not strings[i])]
    require(not wrong, f"values read back from names differ: {wrong[:3]}")
    require(not outside(place), f"outside of the folder: {outside(place)}")
    for string in long:
        write_csv(place.folder / "rows.csv", [["id", "v"], [1, "plain"], [2, string]])
        place.fails(3, "a value of v is too long for the name of a folder", "--again")
    return f"{len(strings)} folders, {len(long)} values that are too long for one"


@test
def names_of_jobs_and_inputs(place):
    """A naughty string is no name of a job, and none of what stands in it happens."""
    place = place.again("in")
    place.write("rows.csv", "id\n1\n")
    strings = [string for string in naughty()[::8] if "\0" not in string]
    worked = 0
    for string in strings:
        place.write("job.yaml", json.dumps({"job": string, "collect": {"rows": {"csv": {"path": "rows.csv"}}},
                                            "store": {"out": {"csv": {"path": "out.csv"}}}}, ensure_ascii=False))
        code, out, err = place.program.run(place.folder, "run", "job.yaml")
        require(code in (0, SEEN), f"{string!r}: exit code {code}; it said\n{err}")
        require(code == 0 or err.startswith("job.yaml:1:"), f"{string!r} is refused without a place:\n{err}")
        worked += code == 0
        place.write("job.yaml", json.dumps({"job": "j", "collect": {string: {"csv": {"path": "rows.csv"}}},
                                            "store": {string: {"csv": {"path": "out.csv"}}}}, ensure_ascii=False))
        code, out, err = place.program.run(place.folder, "run", "job.yaml")
        require(code in (0, SEEN), f"{string!r} as an input: exit code {code}; it said\n{err}")
    made = sorted(path.name for path in place.folder.iterdir())
    require(set(made) <= {".tranche", ".out.csv.tranche.json", "job.yaml", "out.csv", "rows.csv"} and not outside(place), f"there is {made}, {outside(place)}")
    return f"{worked} of {len(strings)} are names of jobs"


if __name__ == "__main__":
    sys.exit(main(__doc__))
