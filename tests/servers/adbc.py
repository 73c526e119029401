"""The ADBC drivers of the toolset, and a PostgreSQL behind one."""
import pathlib
import sysconfig

from harness import toolset
from servers.postgres import Postgres

DUCKDB = str(toolset.ROOT / ".toolset/duckdb/lib/libduckdb.so")  # has its driver within it


def driver(name):
    """The path of a driver's library."""
    return str(pathlib.Path(sysconfig.get_path("purelib"), f"adbc_driver_{name}", f"libadbc_driver_{name}.so"))


def place(library, options='uri: "${secret:DATABASE_URL}"'):
    """What names a database in a job."""
    return f'driver: "{library}", options: {{{options}}}'


class Adbc(Postgres):
    connector = "adbc"
    place = place(driver("postgresql"))
