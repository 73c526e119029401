"""What every input must do. A fixture has

    component   its YAML, reading all that `write` has written; of a server URL stands for url(folder)
    write       (folder, number, rows): writes the rows as its file, or into its table, of that number
    types       what pyarrow reads back from Parquet, where the format has other types than COLUMNS
    files       true: every `write` is a file, and `component` matches them all
    spoil       (folder): adds to what `write(folder, 1, ROWS)` wrote; returns the places of the rows that cannot be read, as
                (line, byte) or None where there are none
"""
import datetime
import decimal
import json
import os

import pyarrow.parquet

COLUMNS = {"id": "int64", "name": "string", "price": "decimal128(10, 2)", "share": "double", "good": "bool",
           "day": "date32[day]", "at": "timestamp[us]"}
ROWS = [
    (1, "plain", decimal.Decimal("1.50"), 0.5, True, datetime.date(2026, 1, 31), datetime.datetime(2026, 1, 31, 23, 59, 59)),
    (2, 'quo"ted, and\ntwo lines', decimal.Decimal("-99999999.99"), 1e300, False, datetime.date(1969, 12, 31),
     datetime.datetime(1969, 12, 31, 0, 0, 1)),
    (3, None, None, None, None, None, None),
    (4, "Ångström 🚀", decimal.Decimal("0.00"), -0.1, True, datetime.date(2024, 2, 29), datetime.datetime(2024, 2, 29, 12, 30)),
    (9007199254740993, "big", decimal.Decimal("12345678.90"), 3.0, False, datetime.date(9999, 12, 31),
     datetime.datetime(2038, 1, 19, 3, 14, 8)),
]


def job(fixture, folder, rejects=0):
    component = fixture.component
    if hasattr(fixture, "url"):
        os.environ["TEST_SERVER_URL"] = fixture.url(folder)
        component = component.replace("URL", "${secret:TEST_SERVER_URL}")
    return f"""\
job: conformance
collect:
  rows:
    {component}
store: {{out: {{parquet: {{path: out.parquet}}}}}}
rejects: {rejects}
"""


def read(folder):
    return pyarrow.parquet.ParquetFile(folder / "out.parquet").read()


def rows_of(table):
    return [tuple(row[name] for name in table.column_names) for row in table.to_pylist()]


def expected(fixture, rows):
    """The rows as the format can hold them."""
    return [getattr(fixture, "as_read", lambda row: row)(row) for row in rows]


def compare(fixture, table, rows):
    types = {**COLUMNS, **getattr(fixture, "types", {})}
    found = {field.name: str(field.type) for field in table.schema}
    assert found == types, f"types are\n  {found}, not\n  {types}"
    assert rows_of(table) == expected(fixture, rows), f"rows are\n  {rows_of(table)}, not\n  {expected(fixture, rows)}"


def reads_all_rows_with_their_types(program, folder, fixture):
    fixture.write(folder, 1, ROWS)
    (folder / "job.yaml").write_text(job(fixture, folder))
    program.succeed(folder, "run", "job.yaml")
    compare(fixture, read(folder), ROWS)


def empty_input(program, folder, fixture):
    fixture.write(folder, 1, [])
    (folder / "job.yaml").write_text(job(fixture, folder))
    program.succeed(folder, "run", "job.yaml")
    compare(fixture, read(folder), [])


def several_files_in_order(program, folder, fixture):
    if not fixture.files:
        return
    for number, row in ((2, ROWS[1]), (1, ROWS[0]), (3, ROWS[2])):
        fixture.write(folder, number, [row])
    (folder / "job.yaml").write_text(job(fixture, folder))
    program.succeed(folder, "run", "job.yaml")
    compare(fixture, read(folder), ROWS[:3])


def bad_rows_are_rejects_with_their_places(program, folder, fixture):
    fixture.write(folder, 1, ROWS)
    places = fixture.spoil(folder)
    if places is None:
        return
    (folder / "job.yaml").write_text(job(fixture, folder, rejects=len(places)))
    program.succeed(folder, "run", "job.yaml")
    compare(fixture, read(folder), ROWS)
    listed = [json.loads(line) for line in program.succeed(folder, "rejects", "list", "job.yaml", "--json").splitlines()]
    found = sorted((reject["line"], reject["byte"]) for reject in listed)
    assert found == sorted(places), f"rejects are at {found}, not at {sorted(places)}"
    for reject in listed:
        assert reject["reason"] and reject["content"], f"a reject without reason or content: {reject}"
        assert reject["origin"] == "input rows" and str(folder) in reject["file"], f"a reject from nowhere: {reject}"
    (folder / "job.yaml").write_text(job(fixture, folder, rejects=len(places) - 1))
    program.fail(folder, 3, "too many rejects", "run", "job.yaml", "--again")


def second_reading_gives_the_same(program, folder, fixture):
    fixture.write(folder, 1, ROWS * 200)
    (folder / "job.yaml").write_text(job(fixture, folder))
    program.succeed(folder, "run", "job.yaml")
    first = rows_of(read(folder))
    program.succeed(folder, "run", "job.yaml", "--again")
    assert rows_of(read(folder)) == first, "a second reading gave other rows, or another order"
    assert len(first) == len(ROWS) * 200, f"{len(first)} rows"


def resume_reads_what_was_recorded(program, folder, fixture):
    """A file that comes between kill and resume is left for the next run."""
    fixture.write(folder, 1, ROWS)
    # A step that refuses rows needs a spool: otherwise nothing is sealed before the store.
    text = job(fixture, folder).replace("store:", "prepare: [{check: {any: id > 0}}]\nstore:")
    (folder / "job.yaml").write_text(text)
    assert program.kill(folder, "run", "job.yaml", failpoint="direct.written"), "direct.written was not reached"
    if fixture.files:
        fixture.write(folder, 2, ROWS[:1])
    program.succeed(folder, "run", "job.yaml")
    compare(fixture, read(folder), ROWS)
    if fixture.files:
        program.succeed(folder, "run", "job.yaml")
        compare(fixture, read(folder), ROWS + ROWS[:1])


def nothing_new_for_unchanged_files(program, folder, fixture):
    fixture.write(folder, 1, ROWS)
    (folder / "job.yaml").write_text(job(fixture, folder))
    program.succeed(folder, "run", "job.yaml")
    code, _, said = program.run(folder, "run", "job.yaml")
    assert code == 0, f"exit code {code}; it said\n{said}"
    assert ("nothing new since run 1" in said) == fixture.unchanged_is_known, f"it said\n{said}"


TESTS = {function.__name__: function for function in (
    reads_all_rows_with_their_types, empty_input, several_files_in_order, bad_rows_are_rejects_with_their_places,
    second_reading_gives_the_same, resume_reads_what_was_recorded, nothing_new_for_unchanged_files)}
