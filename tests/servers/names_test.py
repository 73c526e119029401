#!/usr/bin/env python3
"""The big list of naughty strings on both servers, as values, as names of columns and as names of tables: each is just what it is, or
is refused in words; and no secret among the arguments of a process.

    tests/servers/names_test.py          every sixteenth string as the name of a table
    tests/servers/names_test.py --all    all of them
"""
import collections
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
import pyarrow  # noqa: E402
import pyarrow.parquet  # noqa: E402
from harness.stores import quoted  # noqa: E402
from servers.mariadb import MariaDb  # noqa: E402
from servers.postgres import PASSWORD, Postgres  # noqa: E402
from servers.postgres_test import Case  # noqa: E402
from servers.suite import main  # noqa: E402


def naughty():
    """The strings of the list, and some that are written for SQL and for our own text."""
    strings = json.loads((toolset.ROOT / ".toolset/hostile/blns.json").read_text())
    return list(dict.fromkeys([*strings, 't"; DROP TABLE t; --', "t`; DROP TABLE t; --", "t'); DROP TABLE t; --", "a.b", "a\\", "${x}", "$1",
                               "%s", "?", "{}", "{0}", ":x", "select", "a b", "tab\there", "two\nlines", '"', "`", "'", '""', "t" * 63]))


def fits(server, name):
    if not name or "\0" in name:
        return False
    if server.connector == "postgres":
        return len(name.encode()) <= 63
    return len(name) <= 64 and all(ord(c) < 0x10000 for c in name) and not name.endswith(" ")


def hexed(server, expression):
    """As a shell can't spoil it."""
    return f"encode(convert_to({expression}, 'UTF8'), 'hex')" if server.connector == "postgres" else f"lower(hex({expression}))"


def run(case, store):
    (case.folder / "job.yaml").write_text(json.dumps({"job": "names", "collect": {"rows": {"parquet": {"path": "rows.parquet"}}}, "store": store}, ensure_ascii=False))
    return case.run("--again")


def values(program, server):
    strings = [string for string in naughty() if "\0" not in string]
    with Case(program, server) as case:
        pyarrow.parquet.write_table(pyarrow.table({"id": range(len(strings)), "v": strings}), case.folder / "rows.parquet")
        code, out, err = run(case, {"out": {server.connector: {"url": "${secret:DATABASE_URL}", "table": "t"}}})
        assert code == 0, err
        found = dict(case.sql(f"SELECT id, {hexed(server, 'v')} FROM t"))
        wrong = [string for i, string in enumerate(strings) if found[str(i)] != string.encode().hex()]
        assert len(found) == len(strings) and not wrong, wrong[:5]
    return f"{len(strings)} strings"


def columns(program, server):
    names = {}
    for string in naughty():
        if fits(server, string) and string.lower() not in ("ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"):
            names.setdefault(string.casefold(), string)
    names = list(names.values())
    assert len(names) > 300, len(names)
    for first in range(0, len(names), 60):
        part = names[first:first + 60]
        with Case(program, server) as case:
            pyarrow.parquet.write_table(pyarrow.table([[i] for i in range(len(part))], names=part), case.folder / "rows.parquet")
            code, out, err = run(case, {"out": {server.connector: {"url": "${secret:DATABASE_URL}", "table": "t", "mode": "upsert", "key": part[:1]}}})
            assert code == 0, err
            schema = "current_schema()" if server.connector == "postgres" else "database()"
            found = [row[0] for row in case.sql(f"SELECT {hexed(server, 'column_name')} FROM information_schema.columns WHERE table_name = 't' AND "
                                                f"table_schema = {schema} ORDER BY ordinal_position")]
            assert found == [name.encode().hex() for name in part], [name for name in part if name.encode().hex() not in found][:5]
            assert case.sql("SELECT * FROM t") == [[str(i) for i in range(len(part))]]
    return f"{len(names)} names"


def tables(program, server, options):
    seen = collections.Counter()
    strings = [string for string in naughty() if "\0" not in string]
    with Case(program, server) as case:
        pyarrow.parquet.write_table(pyarrow.table({"id": [1]}), case.folder / "rows.parquet")
        case.sql("CREATE TABLE witness (id int)")
        strings.append("t" * 60)  # its names on the way of a replace are cut
        for string in strings if options.all else strings[::16] + strings[-22:]:
            store = {"url": "${secret:DATABASE_URL}", "table": string.replace("$", "$$"), "mode": "replace"}
            if "." in string:  # a dot in a name is a dot
                store["schema"] = "public" if server.connector == "postgres" else case.database
            code, out, err = run(case, {"out": {server.connector: store}})
            if not fits(server, string) or any(ord(c) < 32 for c in string) and code == 2:
                assert code == 2 and "job.yaml:" in err, f"{string!r}: exit code {code}; it said\n{err}"
                seen["refused"] += 1
                continue
            assert code == 0, f"{string!r}: exit code {code}; it said\n{err}"
            assert case.sql(f"SELECT id FROM {quoted(string)}") == [["1"]], string
            seen["worked"] += 1
        assert case.sql("SELECT count(*) FROM witness") == [["0"]]
    assert seen["worked"] > 30, seen
    return f"{seen['worked']} names worked, {seen['refused']} were refused"


def family(pid):
    """Numbers of a process and of all that it has started."""
    yield pid
    for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            numbers = children.read_text().split()
        except OSError:
            continue
        for number in numbers:
            yield from family(int(number))


def no_secret_in_arguments(program, server):
    """While a run is at work: what /proc says of it, and of all that it has started."""
    with Case(program, server) as case:
        case.sql("CREATE TABLE t (id bigint, k int, amount int, note text)")
        case.write([[i, i, i, "x"] for i in range(3000)])
        case.job(batch="rows: 100")
        process = program.start(case.folder, "run", "job.yaml", failpoint="batch.written:hold@2", **case.environment)
        shown, seen = [], 0
        while process.poll() is None and seen < 200:
            for number in family(process.pid):
                try:
                    line = pathlib.Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                except OSError:
                    continue
                seen += "tranche" in line
                if PASSWORD in line:
                    shown.append(line)
        process.kill()
        process.communicate()
        assert seen > 3 and not shown, shown[:2]
        case.finish()
    return f"looked {seen} times"


TESTS = (values, columns, tables, no_secret_in_arguments)


def both(doc):
    def options(parser):
        parser.add_argument("--all", action="store_true", help="all strings as names of tables")
    return max(main(doc, TESTS, Postgres, options), main(doc, TESTS, MariaDb, options))


if __name__ == "__main__":
    sys.exit(both(__doc__))
