"""The ADBC drivers of the toolset, and a PostgreSQL behind one."""
import pathlib
import sysconfig

from servers.postgres import Postgres


def driver(name):
    """The path of a driver's library."""
    return str(pathlib.Path(sysconfig.get_path("purelib"), f"adbc_driver_{name}", f"libadbc_driver_{name}.so"))


def place(library, options='uri: "${secret:DATABASE_URL}"'):
    """What names a database in a job."""
    return f'driver: "{library}", options: {{{options}}}'


class Adbc(Postgres):
    connector = "adbc"
    place = place(driver("postgresql"))
