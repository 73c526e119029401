#!/usr/bin/env python3
"""Bad input that is too large for tests/jobs/hostile.test, and folders that others play with. The program never crashes, and says of
every row whether it is stored or rejected.

    tests/hostile/edge_cases.py
    tests/hostile/edge_cases.py -k symlink
"""
import json
import os
import pathlib
import random
import re
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
import pyarrow  # noqa: E402
import pyarrow.parquet  # noqa: E402
from harness.stores import read  # noqa: E402
from harness.suite import main, require, test  # noqa: E402

JOB = """\
job: edge
collect: {{rows: {{{source}}}}}
prepare: [{{check: {{any: "true"}}}}]
store: {{out: {{{store}}}}}
rejects: {rejects}
"""
BALANCE = re.compile(r"balanced: read rows ([\d,]+) · filtered ([\d,]+) · rejected ([\d,]+) · stored out ([\d,]+)")


def run(place, source, rejects=10, store="sqlite: {path: out.db, table: t, mode: replace}", spooled=True):
    """Exit code, what it said; where it succeeds, rows read are stored, filtered or rejected, and the rejects are listed."""
    text = JOB.format(source=source, store=store, rejects=rejects)
    place.write("job.yaml", text if spooled else text.replace('prepare: [{check: {any: "true"}}]\n', ""))
    code, out, err = place.program.run(place.folder, "run", "job.yaml", "--again")
    require(code in (0, 2, 3), f"{source}: exit code {code}; it said\n{err}")
    if code == 0:
        taken, filtered, rejected, stored = (int(each.replace(",", "")) for each in BALANCE.search(err).groups())
        listed = place.program.succeed(place.folder, "rejects", "list", "job.yaml", "--json", "--limit", "1000000").split("\n")[:-1]
        require(taken == filtered + rejected + stored and rejected == len(listed), f"{source}: {err}")
    return code, err


def both(place, source, wanted, rejects):
    """The same by the engine's readers and by ours."""
    for spooled in (True, False):
        code, said = run(place, source, spooled=spooled)
        require(code == 0, f"{source}: exit code {code}; it said\n{said}")
        rows = [tuple(row) for row in read(place.folder / "out.db", "t")[1]]
        require(rows == wanted, f"{source}: {str(rows)[:300]} instead of {wanted}")
        require(f"rejected {rejects} " in said, f"{source}: it said\n{said}")


@test
def a_field_of_100_megabytes(place):
    """Such a row is a reject; the rows around it are stored."""
    huge = b"x" * 100_000_000
    cases = {"rows.csv": b"id,v\n1,a\n2," + huge + b"\n3,c\n", "quoted.csv": b'id,v\n1,a\n2,"' + huge + b'"\n3,c\n',
             "rows.ndjson": b'{"id":1,"v":"a"}\n{"id":2,"v":"' + huge + b'"}\n{"id":3,"v":"c"}\n'}
    for name, data in cases.items():
        place.write(name, data)
        both(place, f"{'json' if 'json' in name else 'csv'}: {{path: {name}}}", [("1", "a"), ("3", "c")], 1)
        content = json.loads(place.program.succeed(place.folder, "rejects", "list", "job.yaml", "--json"))["content"]
        require(len(content) <= 1 << 16, f"the reject of {name} has {len(content)} characters")
        (place.folder / name).unlink()


@test
def ten_thousand_columns(place):
    place.write("rows.csv", ",".join(f"c{i}" for i in range(10_000)) + "\n" + (",".join(map(str, range(10_000))) + "\n") * 5)
    code, said = run(place, "csv: {path: rows.csv}", store="parquet: {path: out.parquet}", spooled=False)
    require(code == 0, f"exit code {code}; it said\n{said}")
    table = pyarrow.parquet.ParquetFile(place.folder / "out.parquet").read()
    require(table.num_columns == 10_000 and table.num_rows == 5 and table["c9999"].to_pylist() == [9999] * 5,
            f"{table.num_rows} rows of {table.num_columns} columns")
    code, said = run(place, "csv: {path: rows.csv}", spooled=False)
    require(code == 2 and "10000 columns are more than the 2000 that SQLite takes" in said, f"exit code {code}; it said\n{said}")


@test
def parquet_cut_everywhere(place):
    """A Parquet file that was cut is no Parquet file."""
    whole = place.folder / "whole"
    table = pyarrow.table({"id": list(range(3000)), "v": [f"text {i}" for i in range(3000)]})
    pyarrow.parquet.write_table(table, whole, row_group_size=500)
    data = whole.read_bytes()
    for percent in range(100):
        place.write("rows.parquet", data[:len(data) * percent // 100])
        code, said = run(place, "parquet: {path: rows.parquet}", spooled=percent % 2 == 0)
        require(code in (2, 3) and "rows.parquet" in said, f"cut at {percent} %: exit code {code}; it said\n{said}")
        require(not (place.folder / "out.db").exists(), f"cut at {percent} %: there is an out.db")
    place.write("rows.parquet", data)
    require(run(place, "parquet: {path: rows.parquet}")[0] == 0, "the whole file was not read")


@test
def parquet_with_flipped_bytes(place):
    """Damage is an error, or the rows are those of the file as others read it; never a crash."""
    whole = place.folder / "whole"
    table = pyarrow.table({"id": list(range(2000)), "v": [f"text {i}" for i in range(2000)]})
    pyarrow.parquet.write_table(table, whole, row_group_size=500, write_page_checksum=True)
    data, chance = whole.read_bytes(), random.Random(place.options.seed)
    outcomes = {}
    for _ in range(40):
        broken = bytearray(data)
        for _ in range(chance.randrange(1, 4)):
            broken[chance.randrange(4, len(broken))] ^= 1 << chance.randrange(8)
        place.write("rows.parquet", bytes(broken))
        code, said = run(place, "parquet: {path: rows.parquet}")
        outcomes[code] = outcomes.get(code, 0) + 1
    require(sum(outcomes.values()) == 40 and set(outcomes) - {0}, f"nothing was found out: {outcomes}")
    return ", ".join(f"exit code {code}: {count}" for code, count in sorted(outcomes.items()))


@test
def nested_deeply(place):
    """Levels of JSON, from a few to a million, open and closed, in each form of file."""
    for depth in (50, 5000, 1_000_000):
        opened, closed = "[" * depth, "]" * depth
        objects, ends = '{"a":' * depth, "}" * depth
        for value in (opened + closed, objects + "1" + ends, opened, objects):
            place.write("rows.ndjson", f'{{"id":1,"v":{value}}}\n{{"id":2,"v":null}}\n')
            code, said = run(place, "json: {path: rows.ndjson}")
            require(code == 0, f"{depth} levels of {value[:5]}: exit code {code}; it said\n{said}")
            place.write("rows.json", f'[{{"id":1,"v":{value}}},{{"id":2,"v":null}}]')
            run(place, "json: {path: rows.json}")
        place.write("rows.json", opened)
        run(place, "json: {path: rows.json}")


@test
def symlinks_for_outputs(place):
    """What lies where an output shall be, but leads elsewhere, is not followed: nothing outside changes."""
    stores = {"csv: {path: out.csv}": "out.csv", "csv: {path: out/}": "out", "parquet: {path: out/, partition: [v]}": "out",
              "json: {path: out/, mode: append}": "out", "arrow: {path: out.arrow}": "out.arrow"}
    said = {}
    for number, (store, name) in enumerate(stores.items()):
        case = place.again(str(number))
        outside = case.folder / "outside"
        outside.mkdir()
        (outside / "kept").write_text("as it was")
        inside = case.again("in")
        inside.write("rows.csv", "id,v\n1,a\n2,../../up\n")
        target = outside / "kept" if "." in name else outside
        (inside.folder / name).symlink_to(target)
        code, said[store] = run(inside, "csv: {path: rows.csv}", store=store)
        there = {path.name: path.read_text() for path in outside.iterdir() if path.is_file()}
        require(there.get("kept") == "as it was", f"{store}: outside there is {there}")
        if code == 0 and (inside.folder / name).is_symlink():
            require("append" in store or "/" in store, f"{store}: it went through the link")
    return "; ".join(f"{store.split(':')[0]}: exit {'2/3' if 'balanced' not in text else '0'}" for store, text in said.items())


@test
def a_symlink_is_swapped_in_meanwhile(place):
    """Between two batches the output folder becomes a link to another place: nothing is written, deleted or replaced there."""
    outside = place.folder / "outside"
    outside.mkdir()
    for name in ("kept", "part-1.csv", "_tranche.json"):
        (outside / name).write_text("as it was")
    case = place.again("in")
    case.write("rows.csv", "id,v\n" + "".join(f"{i},v\n" for i in range(20_000)))
    (case.folder / "out").mkdir()
    stop, swaps = threading.Event(), [0]

    def swap():
        aside, link = case.folder / "aside", case.folder / "out"
        while not stop.is_set():
            try:
                os.rename(link, aside)
                link.symlink_to(outside)
                swaps[0] += 1
                link.unlink()
                os.rename(aside, link)
            except OSError:
                continue

    thread = threading.Thread(target=swap)
    thread.start()
    codes = []
    try:
        for mode in ("replace", "append"):
            for _ in range(5):
                store = f"csv: {{path: out/, mode: {mode}}}, batch: {{rows: 500}}"
                case.write("job.yaml", JOB.format(source="csv: {path: rows.csv}", store=store, rejects=0))
                codes.append(case.program.run(case.folder, "run", "job.yaml", "--again")[0])
    finally:
        stop.set()
        thread.join()
    there = {path.name: path.read_text() if path.is_file() else "folder" for path in outside.iterdir()}
    require({name: there.get(name) for name in ("kept", "part-1.csv", "_tranche.json")} ==
            dict.fromkeys(("kept", "part-1.csv", "_tranche.json"), "as it was"), f"outside there is {there}")
    require(swaps[0] > 100 and set(codes) <= {0, 1, 2, 3}, f"{swaps[0]} swaps, exit codes {codes}")
    return f"{swaps[0]} swaps, exit codes {sorted(codes)}, outside {sorted(there)}"


if __name__ == "__main__":
    sys.exit(main(__doc__))
