"""What every step must do. A fixture has

    step       its YAML, in one line; the rows are ROWS
    expected   what comes out, as CSV in order
    unordered  true: in any order
    inputs     other inputs that it names: name → CSV
    group      the same step within `group: {by: [shop]}`: what comes out, unordered; or the message with which it is refused
    rejects    how many rows it refuses, of ROWS
"""
from harness import stores

ROWS = """\
id,shop,amount,note,day
1,a,10,x,2026-01-01
2,b,,y,2026-01-02
3,a,30,,2026-01-03
4,,50,x,2026-01-05
5,b,20,x,2026-01-05
"""
HEADER = ROWS.splitlines()[0]
TYPES = "types: {id: bigint, shop: varchar, amount: bigint, note: varchar, day: date}"


def job(fixture, body, rows="rows.csv"):
    inputs = "".join(f"  {name}: {{csv: {{path: {name}.csv}}}}\n" for name in getattr(fixture, "inputs", {}))
    return f"""\
job: conformance
collect:
  rows: {{csv: {{path: {rows}, {TYPES}}}}}
{inputs}from: rows
{body}rejects: {getattr(fixture, "rejects", 0)}
"""


def write(folder, fixture, text=ROWS):
    (folder / "rows.csv").write_text(text)
    for name, more in getattr(fixture, "inputs", {}).items():
        (folder / f"{name}.csv").write_text(more)


def run(program, folder, fixture, body, *arguments):
    (folder / "job.yaml").write_text(job(fixture, body))
    program.succeed(folder, "run", "job.yaml", *arguments)
    return stores.as_csv(*stores.read(folder / "out.csv"))


def compare(fixture, lines, expected, unordered=False):
    wanted = expected.strip("\n").splitlines()
    if unordered or getattr(fixture, "unordered", False):
        wanted, lines = wanted[:1] + sorted(wanted[1:]), lines[:1] + sorted(lines[1:])
    assert lines == wanted, "rows are\n  " + "\n  ".join(lines) + "\nnot\n  " + "\n  ".join(wanted)


def prepared(fixture):
    return f"prepare:\n  - {fixture.step}\nstore: {{out: {{csv: {{path: out.csv}}}}}}\n"


def gives_the_expected_rows(program, folder, fixture):
    write(folder, fixture)
    compare(fixture, run(program, folder, fixture, prepared(fixture)), fixture.expected)


def schema_is_known_before_any_row(program, folder, fixture):
    """No rows, and the columns that come out are the same."""
    write(folder, fixture, HEADER + "\n")
    (folder / "job.yaml").write_text(job(fixture, prepared(fixture)))
    program.succeed(folder, "plan", "job.yaml")
    assert not (folder / ".tranche").exists(), "`plan` wrote something"
    lines = run(program, folder, fixture, prepared(fixture))
    wanted = fixture.expected.strip("\n").splitlines()[0]
    assert lines[:1] == [wanted], f"columns are {lines[:1]}, not {wanted}"


def nulls_are_no_error(program, folder, fixture):
    write(folder, fixture, HEADER + "\n,,,,\n1,,,,\n")
    run(program, folder, fixture, prepared(fixture))


def within_an_open_group(program, folder, fixture):
    write(folder, fixture)
    body = f"group: {{by: [shop]}}\nprocess:\n  - {fixture.step}\nstore: {{out: {{csv: {{path: out.csv}}}}}}\n"
    if "\n" in fixture.group:
        compare(fixture, run(program, folder, fixture, body), fixture.group, unordered=True)
        return
    (folder / "job.yaml").write_text(job(fixture, body))
    program.fail(folder, 2, fixture.group, "run", "job.yaml")


def split_by_a_spool_gives_the_same(program, folder, fixture):
    """A branch that two others start from is sealed; the query before and behind it are two."""
    write(folder, fixture)
    body = f"""\
branches:
  sealed: {{prepare: [{{filter: id > 0}}], store: {{sealed: {{json: {{path: sealed.json}}}}}}}}
  out:
    from: sealed
    prepare:
      - {fixture.step}
    store: {{out: {{csv: {{path: out.csv}}}}, again: {{json: {{path: again.json}}}}}}
"""
    compare(fixture, run(program, folder, fixture, body), fixture.expected)


def twice_in_a_row(program, folder, fixture):
    """The same run again gives the same rows, in the same order."""
    write(folder, fixture)
    first = run(program, folder, fixture, prepared(fixture))
    second = run(program, folder, fixture, prepared(fixture), "--again")
    assert first == second or getattr(fixture, "unordered", False) and sorted(first) == sorted(second), \
        f"first\n  {first}\nthen\n  {second}"


TESTS = {function.__name__: function for function in (
    gives_the_expected_rows, schema_is_known_before_any_row, nulls_are_no_error, within_an_open_group,
    split_by_a_spool_gives_the_same, twice_in_a_row)}
