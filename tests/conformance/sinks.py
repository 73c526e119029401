"""What every store must do. A fixture has

    stores    mode → its YAML; an upsert has `key: [id]`
    found     where the rows are then: path, and the table of a database; of a server instead: url(folder), which stands for
              URL, and read(folder) → names, rows
    values    column of all_types() → how its values read back, where the store has no such type (see harness/stores.py)
    no_names_with  characters that no name may have there
    batches   true: rows go in batches; false: as one unit
"""
import collections
import datetime
import decimal
import os

import pyarrow
import pyarrow.parquet

from harness.program import difference, leftovers, multiset

HOSTILE = ['a"b', "x;drop table t", "'q'", "select", "Tränche 🚀", "a b", "a.b", "a,b", "%s{}", "rowid", "$1", "a\\b"]


def job(fixture, mode, folder, batch=100, rejects=0):
    store = fixture.stores[mode]
    if hasattr(fixture, "url"):
        os.environ["TEST_SERVER_URL"] = fixture.url(folder)
        store = store.replace("URL", "${secret:TEST_SERVER_URL}")
    beside = f"\n    batch: {{rows: {batch}}}" if fixture.batches else ""
    return f"""\
job: conformance
collect: {{rows: {{parquet: {{path: rows.parquet}}}}}}
prepare: [{{filter: "true"}}]
store:
  out:
    {store}{beside}
rejects: {rejects}
"""


def write(folder, rows):
    pyarrow.parquet.write_table(pyarrow.table({"id": pyarrow.array([row[0] for row in rows], "int64"),
                                               "v": pyarrow.array([row[1] for row in rows], "string")}), folder / "rows.parquet")


def some(count, suffix=""):
    return [(i, None if i % 7 == 3 else f"v{i}{suffix}") for i in range(count)]


def start(program, folder, fixture, mode, rows, **more):
    write(folder, rows)
    (folder / "job.yaml").write_text(job(fixture, mode, folder, **more))
    return program


def stored(folder, fixture):
    if hasattr(fixture, "read"):
        names, rows = fixture.read(folder)
        return collections.Counter(tuple(sorted(zip(names, row))) for row in rows)
    return multiset(folder / fixture.found[0], *fixture.found[1:])


def expect(folder, fixture, rows):
    expected = {}
    for id, v in rows:
        row = (("id", str(id)), ("v", v or ""))
        expected[row] = expected.get(row, 0) + 1
    lines = difference(type(stored(folder, fixture))(expected), stored(folder, fixture))
    assert not lines, "rows differ:\n  " + "\n  ".join(lines)


def each_mode_twice(program, folder, fixture):
    """Append doubles, replace does not, upsert changes."""
    for mode in fixture.stores:
        place = folder / mode
        place.mkdir()
        start(program, place, fixture, mode, some(250)).succeed(place, "run", "job.yaml")
        expect(place, fixture, some(250))
        write(place, some(150, "!"))
        program.succeed(place, "run", "job.yaml", "--again", "--yes")
        expect(place, fixture, {"append": some(250) + some(150, "!"), "replace": some(150, "!"),
                                "upsert": some(150, "!") + some(250)[150:]}[mode])


def resumes_after_a_kill(program, folder, fixture):
    points = ["store.opened", "batch.committed@2", "part.journalled@2", "direct.written", "direct.journalled", "run.balanced",
              "publish.before", "publish.renamed", "store.finished"]
    for mode in fixture.stores:
        reached = 0
        for point in points:
            place = folder / f"{mode}-{point}"
            place.mkdir()
            start(program, place, fixture, mode, some(450))
            reached += program.kill(place, "run", "job.yaml", failpoint=point)
            (place / "job.yaml").write_text(job(fixture, mode, place, batch=77))
            program.succeed(place, "run", "job.yaml")
            expect(place, fixture, some(450))
            assert not leftovers(place, "conformance"), f"left behind: {leftovers(place, 'conformance')}"
        assert reached >= 3, f"only {reached} failpoints were reached in mode {mode}"


def balances(program, folder, fixture):
    for mode in fixture.stores:
        place = folder / mode
        place.mkdir()
        _, _, said = start(program, place, fixture, mode, some(250)).run(place, "run", "job.yaml")
        assert "balanced: read rows 250" in said and "stored out 250" in said, f"mode {mode} said\n{said}"


def zero_rows(program, folder, fixture):
    """The columns are there, and nothing else; a replace leaves no old row."""
    for mode in fixture.stores:
        place = folder / mode
        place.mkdir()
        start(program, place, fixture, mode, []).succeed(place, "run", "job.yaml")
        expect(place, fixture, [])
        write(place, some(5))
        program.succeed(place, "run", "job.yaml", "--again", "--yes")
        write(place, [])
        program.succeed(place, "run", "job.yaml", "--again", "--yes")
        expect(place, fixture, [] if mode == "replace" else some(5))


def hostile_column_names(program, folder, fixture):
    names = [name.replace(getattr(fixture, "no_names_with", "\0"), "").strip() for name in HOSTILE]
    for mode in fixture.stores:
        if mode == "upsert":
            continue  # its key is called id
        place = folder / mode
        place.mkdir()
        start(program, place, fixture, mode, [])
        pyarrow.parquet.write_table(pyarrow.table([[i] for i, _ in enumerate(names)], names=names), place / "rows.parquet")
        program.succeed(place, "run", "job.yaml")
        found = stored(place, fixture)
        assert dict(found) == {tuple(sorted((name, str(i)) for i, name in enumerate(names))): 1}, f"mode {mode}: {found}"


def all_types():
    """Column → Arrow type, values, and how they read back from a store that has the type. The last value is NULL."""
    utc = datetime.timezone.utc
    at = datetime.datetime(2026, 3, 29, 1, 30, 0, 123456)
    return {
        "int8": ("int8", [-128, 127], ["-128", "127"]),
        "int64": ("int64", [-2**63, 2**63 - 1], [str(-2**63), str(2**63 - 1)]),
        "uint64": ("uint64", [0, 2**64 - 1], ["0", str(2**64 - 1)]),
        "float64": ("float64", [0.1, -1e300], ["0.1", "-1e+300"]),
        "decimal": (pyarrow.decimal128(10, 2), [decimal.Decimal("-0.01"), decimal.Decimal("12345678.90")], ["-0.01", "12345678.90"]),
        "wide": (pyarrow.decimal128(38, 10), [decimal.Decimal("1234567890123456789012345678.0123456789"), decimal.Decimal(0)],
                 ["1234567890123456789012345678.0123456789", "0.0000000000"]),
        "good": ("bool", [True, False], ["true", "false"]),
        "words": ("string", ["", "ü\n\"',\t🚀"], ['""', "ü\n\"',\t🚀"]),
        "bytes": ("binary", [b"", b"\x00\xff'\""], ["x", "x00ff2722"]),
        "day": ("date32", [datetime.date(1, 1, 1), datetime.date(9999, 12, 31)], ["0001-01-01", "9999-12-31"]),
        "clock": (pyarrow.time64("us"), [datetime.time(0, 0), datetime.time(23, 59, 59, 999999)], ["00:00:00", "23:59:59.999999"]),
        "at": (pyarrow.timestamp("us"), [at, datetime.datetime(1969, 12, 31, 23, 59, 59)],
               ["2026-03-29 01:30:00.123456", "1969-12-31 23:59:59"]),
        "instant": (pyarrow.timestamp("us", "UTC"), [at.replace(tzinfo=utc), at.replace(tzinfo=utc)],
                    ["2026-03-29 01:30:00.123456+00:00"] * 2),
        "list": (pyarrow.list_(pyarrow.int64()), [[1, None, 3], []], ["[1, null, 3]", "[]"]),
        "struct": (pyarrow.struct([("a", "int64"), ("b", "string")]), [{"a": 1, "b": "x"}, {"a": None, "b": ""}],
                   ['{"a": 1, "b": "x"}', '{"a": null, "b": ""}']),
    }


def all_types_round_trip(program, folder, fixture):
    types = all_types()
    table = pyarrow.table({"id": pyarrow.array([1, 2, 3], "int64"),
                           **{name: pyarrow.array([*values, None], kind) for name, (kind, values, _) in types.items()}})
    expected = {name: [*cells, ""] for name, (_, _, cells) in types.items()}
    expected |= {name: [*cells, ""] for name, cells in fixture.values.items()}
    wanted = {tuple(sorted([("id", str(i + 1)), *((name, cells[i]) for name, cells in expected.items())])): 1 for i in range(3)}
    for mode in fixture.stores:
        place = folder / mode
        place.mkdir()
        start(program, place, fixture, mode, [])
        pyarrow.parquet.write_table(table, place / "rows.parquet")
        program.succeed(place, "run", "job.yaml")
        found = {dict(row)["id"]: dict(row) for row in stored(place, fixture)}
        problems = [f"mode {mode}, row {id}, {name}: {found.get(id, {}).get(name)!r}, not {cell!r}"
                    for row in wanted for id in [dict(row)["id"]] for name, cell in row if found.get(id, {}).get(name) != cell]
        assert not problems, "\n  ".join(problems)


TESTS = {function.__name__: function for function in (
    each_mode_twice, resumes_after_a_kill, balances, zero_rows, hostile_column_names, all_types_round_trip)}
