"""Reads what Tranche stored, by readers that are not Tranche's: Python's csv, json and sqlite3, pyarrow, duckdb.

    names, rows = read(folder / "out.db", "sales")     # rows are tuples of text; NULL is "", an empty text is '""'
"""
import contextlib
import csv
import datetime
import decimal
import io
import json
import pathlib
import sqlite3
import urllib.parse

import duckdb
import pyarrow
import pyarrow.ipc
import pyarrow.parquet

FORMATS = (".csv", ".json", ".ndjson", ".parquet", ".arrow")
COMPRESSIONS = (".gz", ".zst", ".bz2")


def cell(value):
    """A value as text: the same for the same value from every kind of store."""
    if value is None:
        return ""
    if value == "":
        return '""'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, bytes):
        return "x" + value.hex()
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, default=cell, ensure_ascii=False)
    if isinstance(value, decimal.Decimal):
        return f"{value:f}"
    return str(value)


def format_of(path):
    suffixes = [suffix for suffix in pathlib.Path(path).suffixes if suffix not in COMPRESSIONS]
    return suffixes[-1] if suffixes else ""


def open_file(path):
    compressed = pathlib.Path(path).suffix in COMPRESSIONS
    with pyarrow.input_stream(str(path), compression="detect" if compressed else None) as stream:
        return stream.read()


def read_csv(path):
    # The module cannot tell an empty field from an empty text in quotes; both are NULL here.
    lines = list(csv.reader(io.StringIO(open_file(path).decode(), newline="")))
    return (lines[0], [[value or None for value in line] for line in lines[1:]]) if lines else ([], [])


def read_json(path):
    text = open_file(path).decode()
    texts = [text] if text.lstrip().startswith("[") else text.splitlines()
    rows = [json.loads(line, parse_float=str) for line in texts]  # fractions as they are written
    rows = rows[0] if texts == [text] else rows
    names = list(dict.fromkeys(name for row in rows for name in row))
    return names, [[row.get(name) for name in names] for row in rows]


def from_arrow(table):
    columns = [column.to_pylist() for column in table.columns]
    return table.column_names, [list(row) for row in zip(*columns)] if columns else [[]] * table.num_rows


def read_file(path):
    kind = format_of(path)
    if kind == ".csv":
        return read_csv(path)
    if kind in (".json", ".ndjson"):
        return read_json(path)
    if kind == ".parquet":
        return from_arrow(pyarrow.parquet.ParquetFile(path).read())
    if kind == ".arrow":
        with pyarrow.ipc.open_file(str(path)) as file:
            return from_arrow(file.read_all())
    raise ValueError(f"no reader for {path}")


def parts(folder):
    """The files that another program would read: not hidden, not the list of what Tranche wrote."""
    found = [path for path in sorted(pathlib.Path(folder).rglob("*")) if path.is_file()]
    return [path for path in found
            if not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)]


def read_folder(folder):
    names, rows = [], []
    for path in parts(folder):
        own, some = read_file(path)
        keys = [part.split("=", 1) for part in path.relative_to(folder).parts[:-1] if "=" in part]
        own = own + [key for key, _ in keys]
        values = [None if value == "__HIVE_DEFAULT_PARTITION__" else urllib.parse.unquote(value) for _, value in keys]
        if not some and names:
            continue
        names = names if rows else own
        order = [own.index(name) for name in names]
        rows += [[(list(row) + values)[i] for i in order] for row in some]
    return names, rows


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def is_sqlite(path):
    with open(path, "rb") as file:
        return file.read(16) == b"SQLite format 3\0"


def read_sqlite(path, sql):
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        cursor = database.execute(sql)
        return [column[0] for column in cursor.description], cursor.fetchall()


def read_duckdb(path, sql):
    with duckdb.connect(str(path), read_only=True) as database:
        found = database.sql(sql)
        return found.columns, found.project("COLUMNS(*)::VARCHAR").fetchall()


def read(path, table=None):
    path = pathlib.Path(path)
    if table is not None:
        sql = table if table.lower().startswith("select ") else f"SELECT * FROM {quoted(table)}"
        names, rows = (read_sqlite if is_sqlite(path) else read_duckdb)(path, sql)
    else:
        names, rows = read_folder(path) if path.is_dir() else read_file(path)
    return list(names), [tuple(cell(value) for value in row) for row in rows]


def as_csv(names, rows):
    """Lines of CSV as tests write them: NULL is empty, an empty text is '""'; a line break in a value is \\n."""
    def line(values):
        shown = []
        for value in values:
            value = value.replace("\n", "\\n")
            plain = value == '""' or not any(c in value for c in ',"')
            shown.append(value if plain else '"' + value.replace('"', '""') + '"')
        return ",".join(shown)
    return [line(names), *(line(row) for row in rows)] if names else []
