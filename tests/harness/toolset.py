"""Finds the program under test, and the Python that has pyarrow and duckdb."""
import os
import pathlib
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "build/release/tranche"
PYTHON = ROOT / ".toolset/venv/bin/python"


def scratch():
    """Where a test that kills processes, but cuts no power, keeps its files: in memory, if there is room; else None."""
    memory = pathlib.Path("/dev/shm")
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > 1 << 30 else None


def use():
    """Starts the script again with the toolset's Python, unless this one has what the tests need."""
    try:
        import duckdb  # noqa: F401
        import pyarrow  # noqa: F401
    except ImportError:
        if pathlib.Path(sys.prefix) == PYTHON.parents[1] or not PYTHON.exists():
            sys.exit("pyarrow and duckdb are missing: run scripts/setup")
        os.execv(PYTHON, [str(PYTHON), *sys.argv])


def add_program(parser):
    parser.add_argument("--program", default=str(PROGRAM), help="the program to test")


def environment(program, folder, **more):
    """What the program sees: nothing of the caller's own settings."""
    return {"PATH": f"{pathlib.Path(program).parent}:/usr/local/bin:/usr/bin:/bin", "HOME": str(folder),
            "LC_ALL": "C.UTF-8", **{name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS") or name == "TEST_SERVER_URL"},
            **more}
