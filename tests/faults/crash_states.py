#!/usr/bin/env python3
"""Cuts the power in mid-run, by calculation: records what a run does to files, builds folders that a power cut could
have left, resumes in each, and compares with an undisturbed run: rows of every store, rejects, names of files.

    tests/faults/crash_states.py                         300 states by chance, over all jobs
    tests/faults/crash_states.py --all --states 2000     every prefix of each record, and 2000 other states of each job
    tests/faults/crash_states.py -k duckdb_replace:prefix:17

The file system that is assumed (after Pillai et al., "All File Systems Are Not Created Equal", OSDI'14; it promises
less than ext4 with data=ordered, which keeps all changes of names in one order):

- Names. Creations, renames and removals within one folder reach the disk in their order, those of different folders
  in any; one that concerns two folders reaches both or none. A folder's sync makes its changes so far durable.
- Data. What was written to a file, or cut from it, since its last sync is there, or not, or in part: a beginning, or
  any blocks of 4096 bytes, each piece of data on its own, in any order. Where a later piece is there and an earlier
  one is not, there are zeros, or what was there before. Data may be missing of a file that has its new name already.
- In half of the states, as on ext4, XFS and Btrfs: a sync of a file or folder makes its own name and those of the
  folders above it durable too; and a file grows in order, so that it ends earlier, but has no holes. In the other half
  neither holds, but for one exception: the logs of DuckDB grow in order. One with a hole is no log for DuckDB, which
  says so and does not open the database: nothing is lost then, but someone must look after it.
- A block that DuckDB writes over one that is there (262144 bytes of its own metadata, in a checkpoint) is there as a whole
  or not at all. DuckDB 1.5 writes it in place: torn, it is found by its checksum, and the file is not opened any more.
- A sync that returned has happened. Sectors of 512 bytes are whole; a write changes nothing beside it. Disks that lie
  about syncs are not modelled, nor sectors that rot (tests/faults/torn_files.py has those).
- SQLite's -shm file is left out: whoever opens the database first makes it anew.
"""
import argparse
import dataclasses
import multiprocessing
import os
import pathlib
import random
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset, trials  # noqa: E402

toolset.use()
from harness.faulty_io import FaultyIo  # noqa: E402
from harness.program import Program, difference  # noqa: E402

ROWS = 1200
JOBS = ("csv_direct", "csv_file", "json_file", "parquet_folder", "parquet_append", "parquet_partitioned", "arrow_file",
        "sqlite_append", "sqlite_replace", "sqlite_upsert", "duckdb_append", "duckdb_replace", "duckdb_upsert",
        "branches", "stdin")
FIRST = ("csv_file", "parquet_append", "sqlite_append", "duckdb_append", "branches")  # also where nothing is there yet
BLOCK, SECTOR = 4096, 512


class Disk:
    """Folders (dict) and files (bytearray) by number; 0 is the root."""

    def __init__(self, root):
        self.nodes, numbers = [{}], {pathlib.Path(root): 0}
        for path in sorted(pathlib.Path(root).rglob("*")):
            if not path.name.endswith("-shm"):
                numbers[path] = self.add({} if path.is_dir() else bytearray(path.read_bytes()))
                self.nodes[numbers[path.parent]][path.name] = numbers[path]

    def add(self, node):
        self.nodes.append(node)
        return len(self.nodes) - 1

    def find(self, path):
        """Number and name of the folder, number of what has that name or None."""
        folder, name = 0, ""
        *above, name = path.split("/")
        for part in above:
            folder = self.nodes[folder][part]
        return folder, name, self.nodes[folder].get(name) if name else 0

    def write(self, file, offset, data):
        node = self.nodes[file]
        node.extend(bytes(max(0, offset - len(node))))
        node[offset:offset + len(data)] = data

    def truncate(self, file, size):
        node = self.nodes[file]
        node.extend(bytes(max(0, size - len(node))))
        del node[size:]

    def save(self, path, number=0):
        path.mkdir()
        for name, child in self.nodes[number].items():
            if isinstance(self.nodes[child], dict):
                self.save(path / name, child)
            else:
                (path / name).write_bytes(self.nodes[child])


class Operation:
    """`names`: {(folder, name): node or None} that it sets. `data`: offset and bytes, or a size, of the file `node`.
    `made`: the empty node that comes to be. `path`: the numbers of a synced node and of the folders above."""

    def __init__(self, names=None, node=None, data=None, made=None, path=None):
        self.names, self.node, self.data, self.made, self.path = names or {}, node, data, made, path

    @property
    def folders(self):
        return {folder for folder, _ in self.names}

    def apply(self, disk, pieces=None):
        """`pieces`: which of the data arrive, as (from, to) within them."""
        if self.made is not None:
            disk.nodes.append(type(self.made)())
        for (folder, name), node in self.names.items():
            disk.nodes[folder].pop(name, None)
            if node is not None:
                disk.nodes[folder][name] = node
        if isinstance(self.data, int):
            disk.truncate(self.node, self.data)
        elif self.data is not None:
            offset, data = self.data
            for begin, end in [(0, len(data))] if pieces is None else pieces:
                disk.write(self.node, offset + begin, data[begin:end])


def operations(calls, folder, disk):
    """What was recorded, by numbers of files instead of paths; `disk` becomes what it is after them."""
    for call in calls:
        if call.path.endswith(("-shm", " (deleted)")):
            continue
        place, name, node = disk.find(os.path.relpath(call.path, folder) if call.path != folder else "")
        made = bytearray() if call.operation == "create" else {} if call.operation == "mkdir" else None
        if made is not None:
            operation = Operation({(place, name): len(disk.nodes)}, made=made)
        elif call.operation in ("rename", "exchange"):
            to, other_name, other = disk.find(os.path.relpath(call.second, folder))
            left = other if call.operation == "exchange" else None
            operation = Operation({(place, name): left, (to, other_name): node})
        elif call.operation in ("unlink", "rmdir"):
            operation = Operation({(place, name): None})
        elif call.operation == "write":
            operation = Operation(node=node, data=(call.offset, call.data))
        elif call.operation == "truncate":
            operation = Operation(node=node, data=call.offset)
        elif call.operation == "sync":
            above, path = "", [0]
            for part in os.path.relpath(call.path, folder).split("/") if node else ():
                above += part
                path.append(disk.find(above)[2])
                above += "/"
            operation = Operation(node=node, path=path)
        else:
            raise ValueError(f"{call.operation} is not modelled")
        operation.apply(disk)
        yield operation


class Record:
    """What a run has done, and the states in which a power cut could leave its disk."""

    def __init__(self, template, calls, folder):
        self.template = template
        disk = Disk(template)
        self.operations = list(operations(calls, folder, disk))
        named = [name for operation in self.operations for name in operation.names.items()]
        self.duckdb_logs = {node for (_, name), node in named if name.endswith(".wal")}
        there = [name for folder in Disk(template).nodes if isinstance(folder, dict) for name in folder.items()]
        self.duckdb_files = {node for name, node in there if name.endswith(".duckdb")}

    def durable(self, end, posix):
        """The numbers of the operations before `end` that a sync has made durable."""
        durable = set()

        def keep(folder, last):
            for i in range(last, -1, -1):
                if folder in self.operations[i].folders and i not in durable:
                    durable.add(i)
                    for other in self.operations[i].folders - {folder}:
                        keep(other, i)

        for last, sync in enumerate(self.operations[:end]):
            if sync.path is None:
                continue
            keep(sync.node, last)
            durable |= {i for i, written in enumerate(self.operations[:last])
                        if written.data is not None and written.node == sync.node}
            for node in () if posix else sync.path[1:]:
                named = [i for i in range(last) if node in self.operations[i].names.values()]
                for folder in self.operations[named[-1]].folders if named else ():
                    keep(folder, named[-1])
        return durable

    def prefix(self, end):
        disk = Disk(self.template)
        for operation in self.operations[:end]:
            operation.apply(disk)
        return disk

    def state(self, chance):
        """One by chance: where the power was cut, and how much of what was not durable had arrived all the same."""
        end = chance.randrange(len(self.operations) + 1)
        posix = chance.random() < .5
        durable, disk, stopped, cut = self.durable(end, posix), Disk(self.template), set(), set()
        # Of changes of names, of writes: how many arrive, whole or in part.
        names, whole, part = chance.choice([(0, 0, 0), (1, 0, 0), (.9, 0, .5), (.9, .5, .3), (.5, .5, .3), (0, 1, 0),
                                            (.97, .97, .03)])
        for number, operation in enumerate(self.operations[:end]):
            arrives = number in durable
            if operation.names and not arrives:
                arrives = not operation.folders & stopped and chance.random() < names
                if not arrives:
                    stopped |= operation.folders
                    if operation.made is not None:  # its number stays its own
                        disk.nodes.append(type(operation.made)())
                    continue
            pieces = None
            if operation.data is not None and not arrives:
                dice, size = chance.random(), isinstance(operation.data, int)
                grows = not size and operation.data[0] >= len(disk.nodes[operation.node]) and (
                    not posix or operation.node in self.duckdb_logs)
                if grows and operation.node in cut:
                    continue
                if dice >= whole and grows:
                    cut.add(operation.node)
                if dice >= whole + part or size and dice >= whole:
                    continue
                over = operation.node in self.duckdb_files and operation.data[0] < len(disk.nodes[operation.node])
                if dice >= whole and not over:
                    pieces = some_pieces(chance, *operation.data, grows)
            operation.apply(disk, pieces)
        return disk


def some_pieces(chance, offset, data, in_order):
    """A beginning that ends with a sector, or some of the blocks."""
    borders = [0, *range(BLOCK - offset % BLOCK, len(data), BLOCK), len(data)]
    if in_order or chance.random() < .5:
        sectors = [0, *range(SECTOR - offset % SECTOR, len(data), SECTOR)]
        return [(0, chance.choice(sectors))]
    return [piece for piece in zip(borders, borders[1:]) if chance.random() < .5]


def begin(arguments):
    """Records an undisturbed run. Its input lies elsewhere: it is the same file for all runs that resume."""
    path, library, place, name = arguments
    job = dataclasses.replace(trials.JOBS[name.removesuffix("-first")], name=name)
    if job.data != "stdin":
        (place / f"{job.name}-input").mkdir()
        job = dataclasses.replace(job, data=f"{place}/{job.name}-input/{job.data}")
    program, template, folder, calm = Program(path), place / f"{job.name}-template", place / job.name, place / "calm"
    expected = trials.undisturbed(program, job, template, calm / job.name, ROWS,
                                  before=not name.endswith("-first"))
    shutil.copytree(template, folder)
    scratch = place / f"{job.name}-scratch"
    scratch.mkdir()
    faulty = FaultyIo(library, scratch)
    program.succeed(folder, "run", "job.yaml", **job.stdin, **faulty.environment(folder, record=True))
    record = Record(template, faulty.calls(), str(folder.resolve()))
    if trials.found(program, job, folder) != expected:
        raise AssertionError(f"{job.name}: the run that was recorded went another way")
    after = place / f"{job.name}-after"
    record.prefix(len(record.operations)).save(after)
    if trials.found(program, job, after) != expected:
        raise AssertionError(f"{job.name}: the record does not lead to what the run has left")
    return job, record, expected


def trial(arguments):
    path, job, record, expected, name = arguments
    _, kind, number = name.split(":")
    with tempfile.TemporaryDirectory(prefix="tranche-states-", dir=toolset.scratch()) as scratch:
        folder = pathlib.Path(scratch) / "place"
        try:
            disk = record.prefix(int(number)) if kind == "prefix" else record.state(random.Random(name))
            disk.save(folder)
            found = trials.finish(Program(path), job, folder, most_runs=1)
            return name, [f"{what}: {line}" for what in expected for line in difference(expected[what], found[what])]
        except Exception as error:
            return name, [f"{type(error).__name__}: {error}"]


def names(options, job, record, seed):
    """job:prefix:operations, or job:chance:seed.number"""
    size = len(record.operations)
    prefixes = range(size + 1) if options.all else random.Random(seed).sample(range(size + 1), options.states // 3)
    return [*(f"{job.name}:prefix:{end}" for end in prefixes),
            *(f"{job.name}:chance:{seed}.{i}" for i in range(options.states - (0 if options.all else len(prefixes))))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    toolset.add_program(parser)
    parser.add_argument("--library", required=True, help="libfaulty_io.so")
    parser.add_argument("--all", action="store_true", help="every prefix too")
    parser.add_argument("--states", type=int, default=15, help="states of each job")
    parser.add_argument("-k", metavar="JOB[:STATE]", default="", help="only these; a state needs the same record")
    parser.add_argument("-j", metavar="N", type=int, default=2, help="trials at a time")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31), help="of all chance here")
    options = parser.parse_args()
    if not os.path.exists(options.library):
        parser.error(f"there is no {options.library}: build it first")
    print(f"--seed {options.seed}", flush=True)
    wanted, _, state = options.k.partition(":")
    jobs, failed, done = [name for name in (*JOBS, *(f"{name}-first" for name in FIRST)) if wanted in name], 0, 0
    with tempfile.TemporaryDirectory(prefix="tranche-states-", dir=toolset.scratch()) as place, \
            multiprocessing.Pool(options.j) as pool:
        todo = []
        starts = [(options.program, options.library, pathlib.Path(place), name) for name in jobs]
        for job, record, expected in pool.imap(begin, starts):
            some = [f"{job.name}:{state}"] if state else names(options, job, record, options.seed)
            todo += [(options.program, job, record, expected, name) for name in some]
        random.Random(0).shuffle(todo)  # a run that is stopped early has seen something of all
        for name, problems in pool.imap_unordered(trial, todo, chunksize=4):
            done += 1
            failed += bool(problems)
            if problems:
                print(f"FAILED {name}", *problems, sep="\n  ", flush=True)
            if done % 500 == 0:
                print(f"{done} of {len(todo)} states", flush=True)
    print(f"{done} states of {len(jobs)} jobs, {failed} failed")
    return 1 if failed or not done else 0


if __name__ == "__main__":
    sys.exit(main())
