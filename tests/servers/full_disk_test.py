#!/usr/bin/env python3
"""A server whose disk is full: for the rows of a table, or, in PostgreSQL, for the log of all. The run tries again, says what is
full and ends; with room again the next one finishes it, and nothing was lost or doubled.

    tests/servers/full_disk_test.py                       all, on PostgreSQL; needs root, to mount a small disk, or says that it was skipped
    tests/servers/full_disk_test.py --server mariadb
"""
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
from faults.full_disks import NoMount, disk  # noqa: E402
from servers.mariadb import MariaDb  # noqa: E402
from servers.postgres import Postgres  # noqa: E402
from servers.postgres_test import Case  # noqa: E402
from servers.suite import main  # noqa: E402

COLUMNS = "(id int PRIMARY KEY, k int, amount int CHECK (amount < 985), note text)"
STORES = {"append": "table: t", "replace": "table: t, mode: replace"}
WORDS = {"postgres": ("No space left on device", "the server's disk is full: free it"),
         "mariadb": ("is full", "the server has no room: free its disk")}


def write(case, store, rows=20_000, words=99):
    """Rows of so many words of four bytes, of which the table refuses two."""
    given = [[i, i, 990 if i in (11, rows - 7) else 1, f"{i} " + words * "note"] for i in range(rows)]
    case.write(given)
    case.job(store, batch="rows: 700", retry="attempts: 3, backoff: 10ms..20ms")
    return given


def finished(case, given):
    case.finish()
    case.expect([row for row in given if row[2] < 985])
    case.expect_rejects([row[0] for row in given if row[2] >= 985])
    case.expect_ledger(len(given))


def stopped(case, most):
    """Some rows are there, or, where they go into a table beside, none."""
    case.fail(1, *WORDS[case.server.connector])
    there = case.table().total()
    assert there < most, f"{there} rows are there"
    return there


def table_is_full(program, server):
    """The disk on which the table lies, and in MariaDB the ledger with it."""
    said = []
    try:
        for mode, store in STORES.items():
            with Case(program, server) as case:
                given = write(case, store)
                if server.connector == "postgres":
                    folder = server.folder / f"small {case.database}"
                    with disk(folder, 3000) as make_room:
                        shutil.chown(folder, "postgres", "postgres")
                        server.sql(f"CREATE TABLESPACE {case.database} LOCATION '{folder}'")
                        case.sql(f"CREATE TABLE t {COLUMNS} TABLESPACE {case.database}")
                        case.sql(f"ALTER DATABASE {case.database} SET default_tablespace = {case.database}")
                        said.append(f"{mode} {stopped(case, len(given))}")
                        make_room()
                        finished(case, given)
                        server.sql(f"DROP DATABASE {case.database}")
                        server.sql(f"DROP TABLESPACE {case.database}")
                else:
                    folder = server.folder / "data" / case.database
                    shutil.rmtree(folder)
                    with disk(folder, 14000) as make_room:
                        shutil.chown(folder, "mysql", "mysql")
                        case.sql(f"CREATE TABLE t {COLUMNS}")
                        said.append(f"{mode} {stopped(case, len(given))}")
                        make_room()
                        finished(case, given)
                        for table, in case.sql("SHOW TABLES"):
                            case.sql(f"DROP TABLE {table}")
    except NoMount as none:
        return str(none)
    return f"rows stored when it was full: {', '.join(said)}"


def log_is_full(program, server):
    """PostgreSQL then stops with all its sessions, and comes up again only when there is room."""
    if server.connector != "postgres":
        return "for PostgreSQL only"
    with Case(program, server) as case:
        given = write(case, "table: t", 25_000, 299)
        case.sql(f"CREATE TABLE t {COLUMNS}")
        server.stop()
        log, small = server.data / "pg_wal", server.folder / "wal"
        try:
            with disk(small, 24_000) as make_room:  # for one segment of 16 MiB
                (small / "archive_status").mkdir()
                shutil.copy(log / server.segment(), small)
                subprocess.run(["chown", "-R", "postgres:", small], check=True)
                shutil.rmtree(log)
                log.symlink_to(small)
                server.start()
                case.fail(1, "could not be stored in 3 attempts")
                assert "PANIC:  could not write to file" in (server.folder / "log").read_text(), "the log was not full"
                make_room()
                server.stop()
                server.start()
                there = case.table().total()
                assert there < len(given), f"{there} rows are there"
                finished(case, given)
                server.stop()
        except NoMount as none:
            return str(none)
        return f"rows stored when it was full: {there}"


TESTS = (table_is_full, log_is_full)


if __name__ == "__main__":
    sys.exit(main(__doc__, TESTS, {"postgres": Postgres, "mariadb": MariaDb}))
