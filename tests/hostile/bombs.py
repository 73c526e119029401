#!/usr/bin/env python3
"""Small files that want much: a bomb is refused within a second of the processor, with at most 64 MiB more than a run of nothing takes;
what is merely well compressed is read.

    tests/hostile/bombs.py
    tests/hostile/bombs.py -k gz
"""
import gzip
import io
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
import pyarrow  # noqa: E402
import pyarrow.parquet  # noqa: E402
from harness.suite import main, require, test  # noqa: E402

MIB = 1 << 20
MORE_MIB = 64
SECONDS = 1.0     # of the processor: what the machine does beside does not count
# Starts the program and says its exit code, its memory in MiB and its seconds of the processor. A process of its own: what a
# program forks from counts as its memory.
MEASURE = """
import os, sys
process = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
status, used = os.wait4(process, 0)[1:]
with open(sys.argv[1], "w") as file:
    print(os.waitstatus_to_exitcode(status), used.ru_maxrss / 1024, used.ru_utime + used.ru_stime, file=file)
"""


def measure(place, *arguments):
    """Exit code, MiB, seconds, and what it said."""
    ran = subprocess.run([sys.executable, "-S", "-E", "-c", MEASURE, "measured", str(place.program.path), *arguments],
                         cwd=place.folder, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=120,
                         errors="backslashreplace", env=toolset.environment(place.program.path, place.folder))
    code, mib, seconds = (place.folder / "measured").read_text().split()
    return int(code), float(mib), float(seconds), ran.stderr


def compressed(path, parts):
    if path.suffix == ".gz":
        with gzip.open(path, "wb", compresslevel=6) as file:
            for part in parts:
                file.write(part)
    else:
        with pyarrow.output_stream(str(path), compression="zstd") as file:
            for part in parts:
                file.write(part)


def run(place, source, store="csv: {path: out.csv}"):
    place.write("job.yaml", f"job: bomb\ncollect: {{rows: {{{source}}}}}\nstore: {{out: {{{store}}}}}\n")
    return measure(place, "run", "job.yaml")


def harmless(place):
    case = place.again("harmless")
    case.write("rows.csv", "id,v\n1,a\n")
    code, mib, seconds, said = run(case, "csv: {path: rows.csv}")
    require(code == 0, f"exit code {code}; it said\n{said}")
    return mib, seconds


def refused(place, name, code, mib, seconds, said, wanted, message, base):
    require(code == wanted and message in said, f"{name}: exit code {code}, expected {wanted} and '{message}'; it said\n{said}")
    require(mib <= base[0] + MORE_MIB, f"{name}: {mib:.0f} MiB; a harmless run takes {base[0]:.0f}")
    require(seconds <= base[1] + SECONDS, f"{name}: {seconds:.2f} s of the processor; a harmless run takes {base[1]:.2f}")


# What a file holds, by its name's ending; the exit code and the message.
ENDLESS = "a line does not end within 128.0 MiB; is this a file of lines?"
BOMBS = {
    "a_line": ("csv", [b"id,v\n1,", *[b"x" * MIB] * 300], 3, ENDLESS),
    "a_quoted_value": ("csv", [b'id,v\n1,"', *[b"x" * MIB] * 300], 3, ENDLESS),
    "commas": ("csv", [b"id,v\n", *[b"," * MIB] * 300], 3, ENDLESS),
    "zeros": ("csv", [bytes(MIB)] * 300, 2, "cannot be read: is longer than 16 MiB"),
    "a_header": ("csv", [b"a," * (MIB // 2)] * 300, 2, "cannot be read: is longer than 16 MiB"),
    "blank_lines": ("csv", [b"\n" * MIB] * 300, 2, "begins with more than 16 MiB of blank lines"),
    "a_text": ("ndjson", [b'{"a":"', *[b"x" * MIB] * 300], 3, ENDLESS),
    "brackets": ("ndjson", [b'{"a":', *[b"[" * MIB] * 300], 3, ENDLESS),
    "blank_json": ("ndjson", [b"\n" * MIB] * 300, 2, "holds no objects with keys"),
    "an_array": ("json", [b"[" * MIB] * 300, 3, "maximum_object_size"),
    "a_line_of_text": ("txt", [b"x" * MIB] * 300, 3, ENDLESS),
}


def bomb(name, ending):
    kind, parts, wanted, message = BOMBS[name]

    def check(place):
        base = harmless(place)
        path = place.folder / f"bomb.{kind}.{ending}"
        compressed(path, parts)
        ratio = sum(map(len, parts)) / path.stat().st_size
        connector = {"csv": "csv", "ndjson": "json", "json": "json", "txt": "lines"}[kind]
        code, mib, seconds, said = run(place, f"{connector}: {{path: {path.name}}}")
        refused(place, name, code, mib, seconds, said, wanted, message, base)
        return f"1:{ratio:.0f}, {mib - base[0]:+.0f} MiB, {seconds - base[1]:+.2f} s"
    check.__name__ = f"{ending}_{name}"
    test(check)


for each in BOMBS:
    bomb(each, "gz")
for each in ("a_line", "commas", "a_header", "brackets"):
    bomb(each, "zst")


@test
def job_files(place):
    base = harmless(place)
    job = "job: j\ncollect: {rows: {csv: {path: rows.csv}}}\nstore: {out: {csv: {path: out.csv}}}\n"
    laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12))
    cases = {"laughs": (laughs + job, "too large: more than 100000 values"),
             "aliases": (job + "x: &x " + "y" * 100_000 + "\nz: [" + ",".join(["*x"] * 10_000) + "]\n", "too large"),
             "brackets": ("job: " + "[" * 1_000_000, "more than 10000 brackets are open; is this a job file?"),
             "maps": ("job: " + "{a: " * 9_000, "nested deeper than 64 levels"),
             "large": (job + "# " + "x" * 200_000_000, "is larger than the 8388608 bytes that may be read of it"),
             "keys": (job + "".join(f"k{i}: x\n" for i in range(1_000_000)), "larger than")}
    worst = 0
    for name, (text, message) in cases.items():
        place.write("job.yaml", text)
        code, mib, seconds, said = measure(place, "validate", "job.yaml")
        refused(place, name, code, mib, seconds, said, 2, message, base)
        worst = max(worst, mib - base[0])
    return f"{len(cases)} job files, {worst:+.0f} MiB at most"


@test
def sizes_that_lie(place):
    """What a file says of its own sizes is not believed."""
    base = harmless(place)
    table = pyarrow.table({"id": list(range(1000)), "v": ["x" * 100] * 1000})
    whole = io.BytesIO()
    with pyarrow.ipc.new_file(whole, table.schema, options=pyarrow.ipc.IpcWriteOptions(compression="lz4")) as file:
        file.write_table(table)
    data = whole.getvalue()
    # Before each compressed buffer stands the size that it has without compression.
    size = (8000).to_bytes(8, "little")
    require(data.count(size) >= 1, "the size of a column was not found in the file")
    place.write("rows.arrow", data.replace(size, (1 << 40).to_bytes(8, "little")))
    code, mib, seconds, said = run(place, "arrow: {path: rows.arrow}")
    require(code in (1, 2, 3) and "rows.arrow" in said, f"exit code {code}; it said\n{said}")
    require(mib <= base[0] + MORE_MIB, f"{mib:.0f} MiB")
    return said.strip().splitlines()[-1][:150]


@test
def parquet_pages(place):
    """A page that takes 1 GiB when it is unpacked, in a file of 34 kB, does not fit into `memory:`; one that holds a value many
    times does."""
    base = harmless(place)
    large = "0" * (16 << 20)
    ends = []
    for name, texts, more, wanted in (("a_value", [large * 64], {"use_dictionary": False}, 1),
                                      ("a_page", [large] * 64, {"use_dictionary": False, "data_page_size": 2 << 30}, 1),
                                      ("a_dictionary", [large] * 64, {"dictionary_pagesize_limit": 1 << 30}, 0)):
        case = place.again(name)
        table = pyarrow.table({"v": pyarrow.array(texts, pyarrow.large_string())})
        pyarrow.parquet.write_table(table, case.folder / "rows.parquet", compression="zstd", write_statistics=False, **more)
        case.write("job.yaml", """\
job: pages
collect: {rows: {parquet: {path: rows.parquet}}}
process: [{aggregate: {n: count(*), letters: sum(length(v))}}]
store: {out: {json: {path: out.ndjson}}}
run: {memory: 128MiB}
""")
        code, mib, seconds, said = measure(case, "run", "job.yaml")
        if wanted:
            refused(case, name, code, mib, seconds, said, wanted, "raise `memory:`", base)
        else:
            require(code == 0, f"{name}: exit code {code}; it said\n{said}")
            found = json.loads((case.folder / "out.ndjson").read_text())
            require(found == {"n": 64, "letters": 64 << 24} and mib <= 128 + 150, f"{name}: {found}, {mib:.0f} MiB")
        ends.append(f"{name}: {mib:.0f} MiB, {seconds:.2f} s")
    return "; ".join(ends)


@test
def well_compressed_rows_are_read(place):
    """300 MB of rows in 0.6 MB: what is read at a time is bounded, not how well a file is compressed."""
    rows = 3_000_000
    for ending in ("gz", "zst"):
        compressed(place.folder / f"rows.csv.{ending}", [b"id,v\n", *[b"1," + b"a" * 97 + b"\n"] * rows])
        place.write("job.yaml", f"""\
job: well-compressed
collect: {{rows: {{csv: {{path: rows.csv.{ending}}}}}}}
process: [{{aggregate: {{n: count(*), ids: sum(id), letters: sum(length(v))}}}}]
store: {{out: {{json: {{path: out.ndjson}}}}}}
run: {{memory: 256MiB}}
""")
        code, mib, seconds, said = measure(place, "run", "job.yaml", "--again")
        require(code == 0, f"exit code {code}; it said\n{said}")
        found = json.loads((place.folder / "out.ndjson").read_text())
        require(found == {"n": rows, "ids": rows, "letters": 97 * rows}, f"{ending}: {found}")
        require(mib <= 256 + 150, f"{ending}: {mib:.0f} MiB")
    return f"{mib:.0f} MiB"


if __name__ == "__main__":
    sys.exit(main(__doc__))
