#!/usr/bin/env python3
"""Reads generated CSV and NDJSON files with Tranche, DuckDB and Polars. Tranche must give exactly the rows that were written, and
refuse exactly the rows that were spoiled; the others must do the same, or differ as docs/readers.md says.

    tests/hostile/differential.py                     2,000 files
    tests/hostile/differential.py --files 20000 --seed 7
    tests/hostile/differential.py -k csv_quoted       kinds with that in their name
    tests/hostile/differential.py --explain           what the others gave instead, one example a kind
"""
import argparse
import collections
import json
import multiprocessing
import pathlib
import random
import re
import sys
import tempfile

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1]), str(pathlib.Path(__file__).resolve().parent)]
from harness import toolset  # noqa: E402

toolset.use()
import duckdb  # noqa: E402
import polars  # noqa: E402
import pyarrow.parquet  # noqa: E402
from generated import KINDS, make  # noqa: E402
from harness.program import Program  # noqa: E402

FILES = 17  # of a group
PAGE = toolset.ROOT / "docs/readers.md"
POLARS = {"bigint": polars.Int64, "text": polars.String, "double": polars.Float64, "date": polars.Date,
          "timestamp": polars.Datetime("us"), "boolean": polars.Boolean, "decimal(12,2)": polars.Decimal(12, 2)}


class Refused(Exception):
    """The reader gives no rows of this file."""


def comparable(rows):
    """True is not 1, and 1.0 is not 1; but -0.0 is 0.0: DuckDB's writer of Parquet takes them for the same."""
    return [tuple((type(value).__name__, value) for value in row) for row in rows]


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def by_tranche(program, group, folder, spooled):
    """Rows of all files one after the other, and how many rejects each file has."""
    kind = "csv" if group.kind.startswith("csv") else "json"
    source = {"path": f"*.{'csv' if kind == 'csv' else 'ndjson'}", "types": group.types, **group.options}
    job = {"job": "differential", "collect": {"rows": {kind: source}}, "rejects": "1000000",
           "store": {"out": {"parquet": {"path": "out.parquet"}}}, **({"prepare": [{"check": {"any": "true"}}]} if spooled else {})}
    (folder / "job.yaml").write_text(json.dumps(job, ensure_ascii=False))
    said = program.run(folder, "run", "job.yaml")
    if said[0] != 0:
        raise AssertionError(f"exit code {said[0]}; it said\n{said[2]}")
    rejects = collections.Counter()
    for line in program.succeed(folder, "rejects", "list", "job.yaml", "--json", "--limit", "1000000").split("\n")[:-1]:
        rejects[pathlib.Path(json.loads(line)["file"]).name] += 1
    balance = re.search(r"read rows ([\d,]+) · filtered ([\d,]+) · rejected ([\d,]+) · stored out ([\d,]+)", said[2])
    if not balance:
        raise AssertionError(f"no balance; it said\n{said[2]}")
    table = pyarrow.parquet.ParquetFile(folder / "out.parquet").read()
    numbers = [int(number.replace(",", "")) for number in balance.groups()]
    if numbers != [table.num_rows + rejects.total(), 0, rejects.total(), table.num_rows]:
        raise AssertionError(f"{numbers} are read, filtered, rejected and stored; there are {table.num_rows} rows and "
                             f"{rejects.total()} rejects")
    if table.column_names != list(group.types) and not (kind == "json" and set(table.column_names) >= set(group.types)):
        raise AssertionError(f"columns {table.column_names}, not {list(group.types)}")
    return [tuple(row[name] for name in group.types) for row in table.to_pylist()], rejects


def by_duckdb(group, path):
    columns = ", ".join(f"{quoted(name)}: {quoted(type if type != 'text' else 'varchar')}" for name, type in group.types.items())
    options, dialect = group.options, group.dialect
    if group.kind.startswith("csv"):
        nulls = ", ".join(quoted(text) for text in options.get("nulls", [""]))
        how = (f"read_csv({quoted(str(path))}, auto_detect = false, delim = {quoted(dialect.delimiter)}, "
               f"quote = {quoted(dialect.quote)}, escape = {quoted(dialect.escape)}, header = {options.get('header', 'true')}, "
               f"skip = {options.get('skip', 0)}, columns = {{{columns}}}, ignore_errors = true, hive_partitioning = false, "
               f"null_padding = {'true' if options.get('ragged') == 'pad' else 'false'}"
               f"{f', nullstr = [{nulls}]' if nulls else ''}{', comment = ' + quoted('#') if 'comment' in options else ''}"
               f"{', encoding = ' + quoted(options['encoding']) if 'encoding' in options else ''})")
    else:
        form = "array" if options.get("format") == "array" else "newline_delimited"
        how = (f"read_json({quoted(str(path))}, format = '{form}', columns = {{{columns}}}, ignore_errors = "
               f"{'true' if form != 'array' else 'false'}, hive_partitioning = false)")
    try:
        with duckdb.connect() as engine:
            return engine.execute(f"SELECT * FROM {how}").fetchall()
    except Exception as error:
        raise Refused(str(error)) from None


def by_polars(group, path):
    options, dialect = group.options, group.dialect
    schema = {name: POLARS[type] for name, type in group.types.items()}
    encoding = options.get("encoding", "utf8")
    try:
        if group.kind == "json_array":
            return polars.read_json(path, schema=schema).rows()
        if group.kind.startswith("json"):
            return polars.read_ndjson(path, schema=schema).rows()
        with open(path, "rb") as file:
            return polars.read_csv(
                file.read() if encoding == "utf8" else file.read().decode("cp1252" if encoding == "latin-1" else encoding).encode(),
                schema=schema, separator=dialect.delimiter, quote_char=dialect.quote or None,
                has_header=options.get("header", "true") == "true", skip_lines=int(options.get("skip", 0)),
                null_values=options.get("nulls", [""]) or None, comment_prefix=options.get("comment"),
                empty_string_is_null=options.get("nulls") != [],
                truncate_ragged_lines=options.get("ragged") == "pad").rows()
    except BaseException as error:  # its panics are no Exceptions
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        raise Refused(str(error)) from None


def first_difference(wanted, found):
    for number, (expected, row) in enumerate(zip(wanted, found)):
        if expected != row:
            return f"row {number} is\n    {row}\n  instead of\n    {expected}"
    return f"{len(found)} rows instead of {len(wanted)}"


def check(arguments):
    """What Tranche does wrong, and how many files each reader gives the same rows of."""
    program, kind, seed, files = arguments
    chance = random.Random(seed)
    problems, same, examples = [], collections.Counter(), {}
    with tempfile.TemporaryDirectory(prefix="tranche-differential-", dir=toolset.scratch()) as folder:
        folder = pathlib.Path(folder)
        group = make(kind, folder, chance, files)
        try:
            found, rejects = by_tranche(Program(program), group, folder, spooled=chance.random() < 0.5)
            wanted = [row for file in group.files for row in file.rows]
            if comparable(wanted) != comparable(found):
                problems.append(first_difference(comparable(wanted), comparable(found)))
            for file in group.files:
                if rejects[file.path.name] != file.rejects:
                    problems.append(f"{rejects[file.path.name]} rejects of {file.path.name} instead of {file.rejects}:\n"
                                    f"{file.path.read_bytes()[:2000]!r}")
        except Exception as error:
            problems.append(f"{type(error).__name__}: {error}\n{group.files[0].path.read_bytes()[:1000]!r}")
        for reader, read in (("DuckDB", by_duckdb), ("Polars", by_polars)):
            for file in group.files:
                try:
                    rows = comparable(read(group, file.path))
                    good = rows == comparable(file.rows)
                    example = None if good else first_difference(comparable(file.rows), rows)
                except Refused as error:
                    good, example = False, f"refused: {str(error)[:300]}"
                same[reader] += good
                if not good:
                    examples.setdefault(reader, f"{example}\n  {file.path.read_bytes()[:300]!r}")
    return kind, files, problems, same, examples


def decided():
    """The kinds that docs/readers.md lists, with the readers that differ there: `csv_x` | ... | DuckDB, Polars |"""
    listed = {}
    for kinds, readers in re.findall(r"^\| (`[a-z0-9_`, ]+`) \|.*\| ([A-Za-z, ]+) \|$", PAGE.read_text(), re.MULTILINE):
        for each in re.findall(r"`(\w+)`", kinds):
            listed[each] = set(readers.split(", "))
    return listed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    toolset.add_program(parser)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("-k", metavar="TEXT", default="", help="only kinds with this in their name")
    parser.add_argument("-j", metavar="N", type=int, default=2, help="groups at a time")
    parser.add_argument("--explain", action="store_true", help="show what the other readers gave")
    options = parser.parse_args()
    kinds = [kind for kind in KINDS if options.k in kind]
    groups = -(-options.files // FILES)
    work = [(options.program, kinds[i % len(kinds)], options.seed * 100_000 + i, min(FILES, options.files - i * FILES))
            for i in range(groups)]
    print(f"--seed {options.seed}", flush=True)
    total, same, wrong, examples = collections.Counter(), collections.defaultdict(collections.Counter), 0, {}
    with multiprocessing.get_context("spawn").Pool(options.j) as pool:
        for kind, files, problems, agreed, shown in pool.imap_unordered(check, work):
            total[kind] += files
            same[kind] += agreed
            examples.setdefault(kind, {}).update(shown)
            wrong += bool(problems)
            if problems:
                print(f"FAILED {kind}", *problems[:3], sep="\n  ", flush=True)
    known = decided()
    for kind in kinds:
        differ = {reader for reader in ("DuckDB", "Polars") if same[kind][reader] < total[kind]}
        if options.explain:
            for reader in sorted(differ):
                print(f"{kind}: {reader} {same[kind][reader]} of {total[kind]}: {examples[kind][reader]}")
        unknown = sorted(differ - known.get(kind, set()))
        wrong += bool(unknown)
        for reader in unknown:
            print(f"FAILED {kind}: {reader} reads {same[kind][reader]} of {total[kind]} files as Tranche does, and "
                  f"docs/readers.md does not say why\n  {examples[kind][reader]}")
        if stale := sorted(known.get(kind, set()) - differ) if total[kind] >= FILES else []:
            wrong += 1
            print(f"FAILED {kind}: docs/readers.md says that {' and '.join(stale)} differ, but all {total[kind]} files are the same")
        print(f"{kind}: {total[kind]} files, the same by DuckDB {same[kind]['DuckDB']}, by Polars {same[kind]['Polars']}")
    if unknown := sorted(set(known) - set(KINDS)):
        wrong += 1
        print(f"FAILED docs/readers.md lists {', '.join(unknown)}, which are no kinds of files here")
    print(f"{total.total()} files: {sum(total[kind] for kind in kinds if kind not in known)} of kinds that all three read the same, "
          f"{sum(total[kind] for kind in kinds if kind in known)} of kinds where others differ; {wrong} failures")
    return 1 if wrong or not kinds else 0


if __name__ == "__main__":
    sys.exit(main())
