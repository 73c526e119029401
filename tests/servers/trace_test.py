#!/usr/bin/env python3
"""`tranche trace` and `--keep-batches` for tables of a PostgreSQL and a MariaDB: what it says of rows is compared with
what Python knows of the same input.

    tests/servers/trace_test.py              all
    tests/servers/trace_test.py -k append    the tests with that in their name
"""
import json
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
from servers.mariadb import MariaDb  # noqa: E402
from servers.postgres import PASSWORD, Postgres  # noqa: E402
from servers.postgres_test import MODES, Case, check, made, outcome, rows  # noqa: E402
from servers.suite import main  # noqa: E402

BATCH = 500


def trace(case, *arguments, **environment):
    """What is said of each row, and what on standard error."""
    code, out, err = case.program.run(case.folder, "trace", "job.yaml", *arguments, "--json",
                                      **{**case.environment, **environment})
    assert code == 0, f"exit code {code}; it said\n{err}{out}"
    assert PASSWORD not in out + err, "the password was shown"
    return [json.loads(line) for line in out.splitlines()], err


def same(found, wanted, what):
    assert found == wanted, f"{what}: {found}, not {wanted}"


def expect_history(case, said, run, given, key, stored, killed):
    """All rows of a key in a run. `stored`: rows that have a batch; `killed`: those of its first start."""
    numbers = [row[0] for row in given if row[1] == key]
    same([row["row"] for row in said], numbers, "rows of the key")
    for row in said:
        number = row["row"]
        first = number // BATCH * BATCH
        same(row["run"], run, "run")
        same(row["content"], dict(zip(("id", "k", "amount", "note"), given[number])), "the row as it was sent")
        same(row["from"], [{"input": "rows", "file": str(case.folder / "data.csv"), "files": 1, "line": number + 2}], "place")
        if number >= stored:
            same((row["fate"], row["batch"]), ("not stored yet", None), f"row {number}")
            continue
        beside = [other for other in numbers if number < other < first + BATCH]
        later = [other for other in numbers if other >= first + BATCH]
        same(row["fate"], "superseded" if beside else "stored", f"row {number}")
        same(row["superseded_by"], beside[-1] if beside else None, f"row {number}")
        same(row["later"], later[-1] if later else None, f"row {number}")
        batch = row["batch"]
        same((batch["from"], batch["to"]), (first, first + BATCH), f"batch of row {number}")
        assert batch["committed"] > row["started"], batch
        assert (batch["epoch"] == said[0]["batch"]["epoch"]) == (number < killed), f"row {number}: {batch}"


def a_row_and_its_history(program, server):
    """Killed and resumed in the middle, then a second run over the same keys."""
    case, _, bad = made(program, server, "upsert")
    with case:
        before = [[100_000 + i, i, 1, "old"] for i in range(0, 1000, 3)]
        first, second = rows(1), rows(2)
        program.kill(case.folder, "run", "job.yaml", "--keep-batches", failpoint="batch.committed@2", **case.environment)
        expect_history(case, trace(case, "10")[0], 1, first, 10, stored=2 * BATCH, killed=2 * BATCH)
        case.finish()
        said, err = trace(case, "10")
        expect_history(case, said, 1, first, 10, stored=len(first), killed=2 * BATCH)
        same(case.sql("SELECT id FROM t WHERE k = 10"), [[str(said[-1]["row"])]], "the row that is there")
        wanted = outcome("upsert", before, first)
        case.expect(wanted)
        case.expect_rejects(bad)

        said, _ = trace(case, "10007")  # the table's check
        same([(row["fate"], row["row"], row["from"][0]["line"]) for row in said], [("rejected", 7, 9)], "a rejected row")
        assert "CONSTRAINT" in said[0]["reason"].upper(), said

        case.write(second)
        case.succeed("--keep-batches")
        said, err = trace(case, "10")
        half = len(said) // 2
        case.write(first)
        expect_history(case, said[:half], 1, first, 10, stored=len(first), killed=2 * BATCH)
        expect_history(case, said[half:], 2, second, 10, stored=len(second), killed=len(second))
        case.expect(outcome("upsert", wanted, second))
        assert not err, err

        # The server is away: what is known here is said.
        said, err = trace(case, "10", "--limit", "1", DATABASE_URL=case.environment["DATABASE_URL"].replace(
            f":{server.port}/", ":1/"))
        assert all(row["batch"] is None and "cannot be looked up" in row["remark"] for row in said) and len(said) == 2, said

        # Forgotten with the folder, by the next run.
        shutil.rmtree(case.folder / ".tranche/trial/kept/1")
        same([row["run"] for row in trace(case, "10")[0]], [2] * half, "runs")
        same(case.sql("SELECT count(DISTINCT run_id), count(*) FROM tranche_batch"), [["2", "12"]], "batches that are kept")
        case.succeed("--again")
        same(case.sql("SELECT count(DISTINCT run_id), count(*) FROM tranche_batch"), [["1", "6"]], "batches that are kept")


def an_append_of_several_lanes(program, server):
    case, wanted, bad = made(program, server, "append", batch=f"rows: {BATCH}, parallel: 3")
    with case:
        case.succeed("--keep-batches")
        case.expect(wanted)
        case.expect_rejects(bad)
        for number in (0, 1234, 2999):
            said, _ = trace(case, f"id={number},k={number % 400}")
            same([(row["row"], row["fate"], row["batch"]["from"]) for row in said],
                 [(number, "stored", number // BATCH * BATCH)], f"row {number}")
        said, _ = trace(case, "note=longer than twelve")
        same([row["row"] for row in said], [i for i in bad if i % 1009 == 9], "rows that were refused")
        same({row["fate"] for row in said}, {"rejected"}, "what became of them")


def what_found_no_row(program, server):
    case, wanted, _ = made(program, server, "delete")
    with case:
        case.succeed("--keep-batches")
        case.expect(wanted)
        said, _ = trace(case, "k=1")
        assert all(row["fate"] == "sent" and "found no row" in row["remark"] for row in said) and len(said) == 8, said


def a_ledger_of_an_earlier_version(program, server):
    """Without the column that came later: it is added, and nothing else is touched."""
    case, wanted, bad = made(program, server, "append")
    with case:
        program.kill(case.folder, "run", "job.yaml", failpoint="batch.committed@2", **case.environment)
        case.sql("ALTER TABLE tranche_batch DROP COLUMN committed_at")
        case.job(MODES["append"])
        case.finish()
        check(case, wanted, bad)
        same(case.sql("SELECT count(committed_at) FROM tranche_batch"), [["0"]], "the column")


TESTS = (a_row_and_its_history, an_append_of_several_lanes, what_found_no_row, a_ledger_of_an_earlier_version)


if __name__ == "__main__":
    sys.exit(max(main(__doc__, TESTS, server) for server in (Postgres, MariaDb)))
